"""The answer of a run at a glance."""

import pandas as pd
import pytest

from nnrobust.figures.overview import answer, overview_figure, overview_table, proven_table, published_rows, whole_table
from nnrobust.figures.style import WIDE, style


@pytest.fixture
def scores():
    """Two pairs of 1NN, a linear classifier and two networks, and one pair of a better one."""
    rows = [
        (name, pair, measure, "measured" if measure == "clean" else kind, value)
        for name, kind, value, pairs in (
            ("1NN", "exact", 0.2, "ab"),
            ("linear", "exact", 0.4, "ab"),
            ("S", "attacked", 0.1, "ab"),
            ("T_R_10", "attacked", 0.6, "ab"),
            ("T_R", "attacked", 0.7, "a"),
        )
        for pair in pairs
        for measure in ("clean", "Linf", "L2", "mean", "union")
    ]
    table = pd.DataFrame(rows, columns=["classifier", "pair", "measure", "kind", "value"])
    return table.assign(split="test")


NAMES = ["1NN", "linear", "S", "T_R_10", "T_R"]


def test_the_answer_names_the_best_of_those_measured_on_the_most_pairs_with_what_their_numbers_are(scores):
    assert answer(scores, NAMES, ["linear"], "made") == (
        "On test images of 2 pairs of made, right and robust in both norms at once: 1NN 20.0 % (exact); the best other simple "
        "classifier, linear, 40.0 % (exact); the best network, T_R_10, at most 60.0 % (attacked)."
    )


def test_1nn_alone_is_answered_for_alone(scores):
    assert (
        answer(scores[scores["pair"] == "a"], ["1NN"], [], "made")
        == "On test images of 1 pair of made, right and robust in both norms at once: 1NN 20.0 % (exact)."
    )


def test_there_is_a_line_for_each_classifier_the_strongest_first_and_attacked_dots_are_hollow(scores):
    with style():
        figure = overview_figure(overview_table(scores, NAMES, 0.95), WIDE)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["T_R_10", "linear", "1NN", "S", "T_R (1 pair)"]
    squares = [line for line in axes.lines if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() == "white" for line in squares] == [True, False, False, True, True]


def test_all_classes_at_once_have_a_panel_with_published_models_in_grey(scores):
    on_pairs = overview_table(scores, NAMES, 0.95)
    rows = [("1NN", "all", "test", norm, "exact", "exact", 9, 0.5, 0.4, 0.6, 0.2, 0.1, 0.3) for norm in ("Linf", "L2")]
    names = ["classifier", "pair", "split", "norm", "kind", "method", "n", "clean_accuracy", "clean_accuracy_low",
             "clean_accuracy_high", "robust_accuracy", "robust_accuracy_low", "robust_accuracy_high"]  # fmt: skip
    pairs = pd.DataFrame(rows, columns=names)
    unions = pairs.drop(columns=["norm", "method"])[:1].assign(robust_accuracy=0.15)
    whole = whole_table(pairs, unions, ["linear", "1NN"])
    assert whole[["measure", "accuracy", "low", "high"]].values.tolist() == [
        ["clean", 50, 40, 60], ["Linf", 20, 10, 30], ["L2", 20, 10, 30], ["union", 15, 10, 30],
    ]  # fmt: skip
    models = pd.DataFrame(
        {"classifier": list("abcde"), "robust_accuracy": [0.1, 0.5, 0.3, 0.7, 0.6], "clean_accuracy": 0.9}
    )
    published = published_rows(models, ["d"])
    assert published.loc[published["measure"] == "Linf", ["classifier", "accuracy"]].values.tolist() == [
        ["e", 60], ["b", 50], ["c", 30],
    ]  # fmt: skip
    with style():
        left, right = overview_figure(pd.concat([on_pairs, whole, published]), WIDE).axes
    assert (left.get_title("left"), right.get_title("left")) == ("mean over 2 pairs", "all classes at once")
    greys = [line for line in right.lines if line.get_marker() == "s" and line.get_markerfacecolor() == "0.6"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in greys] == [(60, 5), (50, 5), (30, 5)]
    assert left.get_yticklabels()[5].get_text() == "3 best published"


def test_what_is_proven_of_a_network_is_a_filled_dot_on_its_line(scores):
    rows = [("S", pair, "test", norm, method, 0.8, value) for pair, norm, method, value in (
        ("a", "Linf", "linear bounds", 0.04), ("b", "Linf", "linear bounds", 0.06), ("a", "L2", "linear bounds", 0.0),
        ("b", "L2", "linear bounds", 0.0), ("all", "Linf", "linear bounds", 0.02), ("a", "Linf", "apgd-ce", 0.1),
    )]  # fmt: skip
    names = ["classifier", "pair", "split", "norm", "method", "clean_accuracy", "robust_accuracy"]
    pairs = pd.DataFrame(rows, columns=names).assign(
        kind="certified", n=100, robust_accuracy_low=0.01, robust_accuracy_high=0.07
    )
    proven = proven_table(pairs, ["S"], 0.95)
    assert proven[["problem", "measure", "kind", "accuracy"]].to_numpy().tolist() == [
        ["all classes", "Linf", "certified", 2.0], ["pairs", "Linf", "certified", 5.0],
    ]  # fmt: skip
    assert proven_table(pairs, ["1NN"], 0.95).empty
    with style():
        figure = overview_figure(pd.concat([overview_table(scores, NAMES, 0.95), proven[1:]]), WIDE)
    (axes,) = figure.axes
    place = [label.get_text() for label in axes.get_yticklabels()].index("S")
    squares = [line for line in axes.lines if line.get_marker() == "s" and line.get_ydata()[0] == place]
    assert [(line.get_xdata()[0], line.get_markerfacecolor() == "white") for line in squares] == [
        (10, True),
        (5, False),
    ]

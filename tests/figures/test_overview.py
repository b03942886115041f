"""The answer of a run at a glance."""

import pandas as pd
import pytest

from nnrobust.figures.overview import answer, overview_figure, overview_table
from nnrobust.figures.style import style


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
    table = overview_table(scores, NAMES, 0.95)
    assert answer(table, ["linear"], "made") == (
        "On test images of 2 pairs of made, right and robust in both norms at once: 1NN 20.0 % (exact); the best other simple "
        "classifier, linear, 40.0 % (exact); the best network, T_R_10, at most 60.0 % (attacked)."
    )


def test_1nn_alone_is_answered_for_alone(scores):
    table = overview_table(scores[scores["pair"] == "a"], ["1NN"], 0.95)
    assert (
        answer(table, [], "made")
        == "On test images of 1 pair of made, right and robust in both norms at once: 1NN 20.0 % (exact)."
    )


def test_there_is_a_line_for_each_classifier_and_attacked_dots_are_hollow(scores):
    with style():
        figure = overview_figure(overview_table(scores, NAMES, 0.95))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1NN", "linear", "S", "T_R_10", "T_R (1 pair)"]
    squares = [line for line in axes.lines if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() == "white" for line in squares] == [False, False, True, True, True]
    assert figure.get_size_inches()[0] < 5

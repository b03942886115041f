"""Curves of robust accuracy against epsilon, of 1NN and of networks, and of 1NN against the number of training images."""

import numpy as np
import pandas as pd
import pytest

from made.radii import attacked, records
from nnrobust.config.classifiers import Mean
from nnrobust.data.datasets import Pair, save_dataset
from nnrobust.experiments.growth import Growth, growth_table, part_of
from nnrobust.figures.curves import LINES, certificates_figure, epsilon_figure, growth_figure
from nnrobust.figures.style import WIDE, style
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.machine import Local
from nnrobust.tables.accuracy import epsilon_curves
from nnrobust.threat import ThreatModel


def test_a_curve_counts_the_radii_above_each_epsilon_in_every_pair():
    both = pd.concat([records("0-1", [0, 0.5, 1.0, 2.0]), records("0-2", [0.5, 0.5, 0.5, 0.95]), records("all", [3.0])])
    table = epsilon_curves(pd.concat([both, records("0-1", [9.0], split="train")]), "test", 5, 2.0)
    exact = table[(table["method"] == "exact") & (table["problem"] == "pairs")]
    assert exact["epsilon"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    # Above: 3, 2, 1, 1, 0 of the first pair's four, 4, 1, 0, 0, 0 of the second's.
    assert exact["accuracy"].tolist() == [87.5, 37.5, 12.5, 12.5, 0.0]
    assert exact["error"].tolist() == pytest.approx([12.5, 12.5, 12.5, 12.5, 0.0])
    assert exact["open"].tolist() == [0.0, 50.0, 25.0, 0.0, 12.5]
    half = table[(table["method"] == "half gap") & (table["problem"] == "pairs")]
    assert half["accuracy"].tolist() == [87.5, 12.5, 0.0, 0.0, 0.0]
    assert set(table.loc[table["method"] == "half gap", "kind"]) == {"certified"}
    assert table.loc[(table["problem"] == "all") & (table["method"] == "exact"), "accuracy"].tolist() == [100] * 5


def test_a_classifier_without_certificates_of_1nn_has_its_exact_curves():
    bare = records("0-1", [0.5, 2.0]).assign(classifier="linear", radius_half_gap=np.nan, radius_bisector=np.nan)
    table = epsilon_curves(bare, "test", 3, 2.0)
    assert table["method"].drop_duplicates().tolist() == ["exact", "exact in box"]
    assert set(table["kind"]) == {"exact"}
    with style():
        figure = epsilon_figure(
            pd.concat([table.assign(norm=norm) for norm in ("Linf", "L2")]), "made", {"Linf": 1.0, "L2": 1.0}, WIDE
        )
    line = drawn(figure.axes[0], "linear")
    assert (line.get_linestyle(), line.get_marker() != "") == ("-", True)


def test_curves_never_rise_and_stronger_methods_lie_above():
    generator = np.random.default_rng(0)
    table = epsilon_curves(records("0-1", generator.random(200) * 2), "test", 21, 2.0)
    wide = table[table["problem"] == "pairs"].pivot_table(index="epsilon", columns="method", values="accuracy")
    assert (wide.diff().iloc[1:] <= 0).all(axis=None)
    order = ["half gap", "bisector", "exact", "exact in box"]
    assert (wide[order].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_parts_of_one_seed_are_nested_and_have_every_class(dataset):
    small, large = part_of(dataset.train, 0.01, 3), part_of(dataset.train, 0.5, 3)
    assert np.bincount(small.labels).tolist() == [1, 1, 1]
    assert np.bincount(large.labels).tolist() == [10, 10, 10]
    names = [set(map(bytes, part.images)) for part in (small, large)]
    assert names[0] < names[1]


@pytest.mark.slow
def test_growth_has_a_row_for_each_share_seed_norm_and_method(dataset, tmp_path):
    save_dataset(dataset, [Pair(0, 1), Pair(0, 2), Pair(1, 2)], tmp_path)
    threats = [ThreatModel("Linf", 0.1), ThreatModel("L2", 0.8)]
    simple = {"mean": Mean(kind="mean")}
    whole = growth_table(tmp_path, threats, Growth(2, [0, 1], Effort(4, 8, 16), simple), Local())
    table, mean = whole[whole["classifier"] == "1NN"], whole[whole["classifier"] == "mean"]
    assert set(mean["kind"]) == {"exact"}
    assert set(mean.groupby(["fraction", "seed"]).size()) == {2 * 2}
    counts = table.groupby(["fraction", "seed"]).size()
    assert counts.index.tolist() == [(0.25, 0), (0.25, 1), (0.5, 0), (0.5, 1), (1.0, 0)]
    assert set(counts) == {2 * 4}
    assert table.loc[table["fraction"] == 0.25, "n_train_per_class"].tolist() == [5] * 16
    with style():
        figure = growth_figure(whole, "made", {"Linf": 0.1, "L2": 0.8}, WIDE)
    exact = table[(table["norm"] == "L2") & (table["method"] == "exact")].groupby("n_train_per_class")[
        "robust_accuracy"
    ]
    line = figure.axes[1].containers[1]
    assert line.lines[0].get_label() == "1NN, exact"
    assert figure.axes[1].containers[-1].lines[0].get_label() == "mean, exact"
    assert line.lines[0].get_ydata().tolist() == pytest.approx((100 * exact.mean()).tolist())
    ends = np.array([segment[:, 1] for segment in line.lines[2][0].get_segments()])
    assert ends == pytest.approx(100 * exact.agg(["min", "max"]).to_numpy())
    assert "mean over 3 pairs" in figure.get_suptitle()


def test_a_networks_curve_is_what_no_attack_has_fooled_within_epsilon():
    both = pd.concat([attacked("S", "0-1", [0, 0.5, 1.5, np.inf]), attacked("S", "0-2", [0.5, 0.5, 1.0, 2.0])])
    table = epsilon_curves(both, "test", 5, 2.0)
    assert table[["classifier", "problem", "kind", "method"]].drop_duplicates().values.tolist() == [
        ["S", "pairs", "attacked", "apgd-ce + fmn"]
    ]
    # Above: 3, 2, 2, 1, 1 of the first pair's four, 4, 2, 1, 1, 0 of the second's.
    assert table["accuracy"].tolist() == [87.5, 50.0, 37.5, 25.0, 12.5]
    assert set(table["open"]) == {0.0}
    assert set(table["n_problems"]) == {2}


def test_pairs_without_a_network_are_not_in_its_curve():
    failed = attacked("S", "0-2", [0.0, 0.0]).assign(status="training failed")
    table = epsilon_curves(pd.concat([attacked("S", "0-1", [2.0, 2.0]), failed]), "test", 3, 1.0)
    assert table["accuracy"].tolist() == [100.0] * 3
    assert set(table["n_problems"]) == {1}
    assert epsilon_curves(failed, "test", 3, 1.0).empty


@pytest.fixture
def curves():
    """1NN and three networks on one pair, and 1NN on all classes, in both norms."""
    parts = []
    for norm in ("Linf", "L2"):
        parts.append(pd.concat([records("0-1", [0.5, 2.0], norm), records("all", [0.5, 0.5], norm)]))
        parts += [attacked(name, "0-1", [0.25, np.inf], norm) for name in ("S", "T_R", "T_B")]
    return pd.concat([epsilon_curves(part, "test", 5, 2.0) for part in parts], ignore_index=True)


def drawn(axes, label):
    (line,) = [one for one in axes.lines if one.get_label() == label]
    return line


def test_the_figure_has_a_line_for_each_method(curves):
    with style():
        figure = certificates_figure(curves, "pairs", "made", {"Linf": 1.0, "L2": 1.0}, WIDE)
    for axes in figure.axes:
        assert len(axes.lines) == 5
        assert drawn(axes, "exact").get_ydata().tolist() == [100, 50, 50, 50, 0]
        assert drawn(axes, "certified by the half gap").get_ydata().tolist() == [100, 50, 0, 0, 0]
        assert set(axes.lines[-1].get_xdata()) == {1.0}
    assert "mean over 1 pair ±" in figure.get_suptitle()
    with style():
        figure = certificates_figure(curves, "all", "made", {"Linf": 1.0, "L2": 1.0}, WIDE)
    assert drawn(figure.axes[0], "exact").get_ydata().tolist() == [100, 0, 0, 0, 0]
    assert "all classes at once" in figure.get_suptitle()


def test_the_figure_of_every_classifier_has_1nn_exact_and_networks_attacked(curves):
    with style():
        figure = epsilon_figure(curves, "made", {"Linf": 1.0, "L2": 1.0}, WIDE)
    labels = ["1NN", "S", "T_R", "T_B"]
    for axes in figure.axes:
        assert [one.get_label() for one in axes.lines[:-1]] == labels
        assert drawn(axes, "1NN").get_ydata().tolist() == [100, 50, 50, 50, 0]
        assert drawn(axes, "T_R").get_ydata().tolist() == [100, 50, 50, 50, 50]
        assert len({one.get_linestyle() + str(one._dash_pattern) for one in axes.lines[:-1]}) == 4
        assert {text.get_text() for text in axes.texts} == set(labels)
    assert "solid lines exact, broken ones attacked" in figure.get_suptitle().replace("\n", " ")
    assert len(set(map(str, LINES))) >= 6  # of the paper's variants, none has another's line style


def test_without_networks_the_figure_has_1nn_alone(curves):
    with style():
        figure = epsilon_figure(curves[curves["classifier"] == "1NN"], "made", {"Linf": 1.0, "L2": 1.0}, WIDE)
    assert [[one.get_label() for one in axes.lines[:-1]] for axes in figure.axes] == [["1NN"]] * 2

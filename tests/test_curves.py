"""Curves of 1NN against epsilon and the number of training images."""

import numpy as np
import pandas as pd
import pytest

from nnrobust.curve_figures import epsilon_figure, growth_figure
from nnrobust.curves import epsilon_curves
from nnrobust.datasets import Pair, Prepared
from nnrobust.growth import growth_table, part_of
from nnrobust.records import to_frame
from nnrobust.screening import Effort
from nnrobust.threat import ThreatModel


def records(pair, radii, norm="L2", split="test"):
    radii = np.array(radii)
    correct = radii > 0
    return to_frame({
        "dataset": "made", "split": split, "classifier": "1NN", "pair": pair, "index": np.arange(len(radii)), "label": 0,
        "prediction": np.where(correct, 0, 1), "norm": norm, "epsilon": 1.0, "kind": "exact", "method": "bisector",
        "is_correct": correct, "is_robust": radii > 1, "radius_lower": radii, "radius_upper": radii * 1.1,
        "radius_half_gap": radii / 2, "radius_bisector": radii * 0.9, "box_radius_lower": radii * 1.1,
        "box_radius_upper": radii * 1.1, "perturbation_norm": np.nan, "attacks": "", "note": "", "status": "ok",
    })  # fmt: skip


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


def test_growth_has_a_row_for_each_share_seed_norm_and_method(dataset):
    prepared = Prepared(dataset, [Pair(0, 1), Pair(0, 2), Pair(1, 2)], [], [])
    threats = [ThreatModel("Linf", 0.1), ThreatModel("L2", 0.8)]
    table = growth_table(prepared, threats, 2, [0, 1], Effort(4, 8, 16))
    counts = table.groupby(["fraction", "seed"]).size()
    assert counts.index.tolist() == [(0.25, 0), (0.25, 1), (0.5, 0), (0.5, 1), (1.0, 0)]
    assert set(counts) == {2 * 4}
    assert table.loc[table["fraction"] == 0.25, "n_train_per_class"].tolist() == [5] * 16
    assert growth_figure(table, "made", {"Linf": 0.1, "L2": 0.8}).axes


def test_the_figure_has_a_line_for_each_method():
    table = epsilon_curves(pd.concat([records("0-1", [0.5, 2.0], n) for n in ("Linf", "L2")]), "test", 5, 2.0)
    figure = epsilon_figure(table, "pairs", "made", {"Linf": 1.0, "L2": 1.0})
    assert [len(axes.lines) for axes in figure.axes] == [5, 5]

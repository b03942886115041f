"""Accuracies without the test images that have a near-duplicate among the training images, recomputed by hand."""

import numpy as np
import pandas as pd
import pytest

from made.records import attacked, exact
from nnrobust.tables.accuracy import accuracy_table
from nnrobust.tables.duplicates import (
    COLUMNS,
    duplicate_counts,
    duplicates_table,
    largest_change,
    near_duplicates,
    without_them,
)


def nearest(*differences):
    return pd.DataFrame({"index": np.arange(len(differences)), "relative_difference": differences})


def table_of(records, duplicates):
    return duplicates_table(accuracy_table(records, 0.95), accuracy_table(without_them(records, duplicates), 0.95))


def test_duplicates_are_nearer_than_the_threshold_and_0_finds_none():
    found = nearest(0.0, 0.4, 0.39, np.inf)
    assert near_duplicates(found, 0.4).tolist() == [0, 2]
    assert near_duplicates(found, 0.0).tolist() == []


def test_accuracies_of_1nn_without_two_images_are_those_counted_by_hand():
    # Of each problem image 0 is wrong, the others are right and robust. Without 0 and 1: 2 of 2, where it was 3 of 4.
    records = pd.concat([exact(pair) for pair in ("0-1", "0-2", "all")] + [exact("0-1", split="train")])
    table = table_of(records, np.array([0, 1]))
    assert table["problem"].tolist() == ["pairs", "all classes"]
    assert table[["n_pairs", "n", "n_without"]].values.tolist() == [[2, 8, 4], [0, 4, 2]]
    assert set(table["method"]) == {"exact"}
    for name in ("clean_accuracy", "robust_accuracy"):
        assert table[name].tolist() == [0.75, 0.75]
        assert table[f"{name}_without"].tolist() == [1.0, 1.0]


def test_accuracies_of_a_network_are_means_over_pairs_of_what_it_withstands_without_them():
    # Pair 0-1: images 0 and 3 stand; without image 3 one of 3. Pair 0-2, of which image 3 is no test image: all stand.
    records = pd.concat([attacked(), attacked(pair="0-2", robust=(True, True, True, True))[:3]])
    table = table_of(records, np.array([3]))
    assert table[["n_pairs", "n", "n_without", "kind"]].values.tolist() == [[2, 7, 6, "attacked"]]
    assert table["robust_accuracy"].tolist() == [0.75]
    assert table["robust_accuracy_without"].tolist() == pytest.approx([(1 / 3 + 1) / 2])
    assert table["clean_accuracy_without"].tolist() == [1.0]


def test_a_pair_without_images_left_is_in_neither_column():
    records = pd.concat(
        [attacked(), attacked(pair="0-2", robust=(True, False, True, False)).assign(index=[4, 5, 6, 7])]
    )
    table = table_of(records, np.arange(4))
    assert table[["n_pairs", "n", "n_without"]].values.tolist() == [[1, 4, 4]]
    assert (table["robust_accuracy"] == table["robust_accuracy_without"]).all()
    assert table_of(records, np.arange(8)).columns.tolist() == COLUMNS
    assert largest_change(table_of(records, np.arange(8))) is None


def test_the_largest_change_is_named_with_its_sign():
    records = pd.concat([exact(), exact("all"), attacked(robust=(True, False, False, True))])
    found, duplicates = nearest(0.5, 0.5, 0.5, 0.1), np.array([3])
    table = table_of(records, duplicates)
    most = largest_change(table)
    assert most[:3] == ("S", "pairs", "L2")
    assert most.value == pytest.approx(1 / 3 - 1 / 2)  # 1NN: 2/3 - 3/4
    counts = duplicate_counts(found, duplicates, table, 3)
    assert counts == {"n_test_images": 4, "n_near_duplicates": 1, "largest_change": -0.167}

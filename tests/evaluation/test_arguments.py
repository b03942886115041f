"""What evaluate takes: images, labels, threat models, attacks."""

import numpy as np
import pytest
import torch

from nnrobust.attacks.victim import AttackSpec
from nnrobust.errors import DataError
from nnrobust.evaluation.arguments import attack_specs, threat_models
from nnrobust.evaluation.data import Data
from nnrobust.threat import ThreatModel

X = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 2, 2)
Y = np.array([0, 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_used_as_they_are(dtype):
    data = Data.of(X.astype(dtype), Y)
    assert data.unit == 1
    assert np.array_equal(data.images, X.astype(dtype).astype(data.images.dtype))


def test_uint8_is_0_to_255_even_where_all_values_are_small():
    data = Data.of(np.ones((2, 3, 2, 2), dtype=np.uint8), Y)
    assert data.unit == 255
    assert data.images.max() == 1


def test_tensors_and_lists_are_arrays():
    data = Data.of(torch.from_numpy(X), [0, 1])
    assert np.array_equal(data.images, X)
    assert data.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (255 * X, Y, r"X: expected floats in \[0, 1\], got 0 to 255; divide by 255, undo a normalisation, or give uint8"),
        (X - 0.5, Y, r"X: expected floats in \[0, 1\], got -0.5 to 0.5"),
        (np.where(X == 1, np.nan, X), Y, "X: expected finite values, got 1 that are NaN or inf"),
        (X.astype(np.int64), Y, r"X: expected uint8 of 0 to 255 or floats in \[0, 1\], got int64"),
        (X.astype(bool), Y, "got bool"),
        (X[:0], Y[:0], r"X: expected at least one image, shape \(n, ...\), got shape \(0, 3, 2, 2\)"),
        (X[:, 0, 0, 0], Y, r"X: expected at least one image, shape \(n, ...\), got shape \(2,\)"),
        (X, Y[:1], r"y: expected whole numbers of shape \(2,\), class ids, got int64 of shape \(1,\)"),
        (X, np.eye(2), r"y: expected whole numbers of shape \(2,\), class ids, got float64 of shape \(2, 2\)"),
        (X, ["cat", "dog"], "y: expected whole numbers"),
        (X, [0, -1], "y: expected class ids from 0 on, got -1"),
    ],
)  # fmt: skip
def test_each_fault_of_the_data_is_one_sentence(images, labels, expected):
    with pytest.raises(DataError, match=expected):
        Data.of(images, labels)


def test_threat_models_come_linf_first():
    expected = [ThreatModel("Linf", 8 / 255), ThreatModel("L2", 0.5)]
    assert threat_models({"L2": 0.5, "Linf": "8/255"}) == expected
    assert threat_models(list(reversed(expected))) == expected


@pytest.mark.parametrize(
    ("threats", "expected"),
    [
        ({}, "threats: expected one or more norms, each once, got .."),
        ([ThreatModel("L2", 1.0), ThreatModel("L2", 2.0)], "each once, got .'L2', 'L2'."),
        ({"l2": 0.5}, "threats: expected norms of Linf, L2, L1, got 'l2'"),
        ({"L2": 0}, "threats: L2: expected an epsilon above 0, .* got 0"),
        ({"L2": "eight"}, "threats: L2: expected a number or a text like"),
    ],
)
def test_each_fault_of_the_threat_models_is_one_sentence(threats, expected):
    with pytest.raises(DataError, match=expected):
        threat_models(threats)


def test_autoattack_is_the_standard_four_and_has_no_targets_among_two_classes():
    names = [spec.name for spec in attack_specs("autoattack", 0, 10)]
    assert names == ["apgd-ce-autoattack", "apgd-t", "fab-t", "square"]
    assert [spec.name for spec in attack_specs("autoattack", 0, 2)] == [names[0], "apgd-margin", *names[2:]]


def test_a_list_of_attacks_is_taken_as_it_is():
    chosen = [AttackSpec("apgd-ce", 5, 2, 7)]
    assert attack_specs(chosen, 0, 10) == chosen


@pytest.mark.parametrize("attacks", ["strong", [], [AttackSpec("pgd", 1, 1, 0)], [AttackSpec("fmn", 1, 1, 0)] * 2])
def test_unknown_attacks_are_refused(attacks):
    with pytest.raises(DataError, match="attacks: expected"):
        attack_specs(attacks, 0, 10)

"""Perturbations measured feature by feature: weights, features that may not change, boxes of their own, proofs, bad input."""

import numpy as np
import pytest

import nnrobust
from made.brute_force import exact_radius
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError

NORMS = ("L2", "Linf", "L1")


def problem(seed, n=24, d=4, n_queries=5):
    generator = np.random.default_rng(seed)
    return generator.random((n, d)), np.arange(n) % 2, generator.random((n_queries, d))


def expected(points, y, queries, labels, norm, box, weights, metric):
    """By brute force on points divided by their weights, with distances as they are; box: a pair of arrays."""
    scaled = metric * weights
    found = []
    for query, label in zip(queries, labels, strict=True):
        sides = None if box is None else tuple(side / weights for side in box)
        found.append(
            exact_radius(
                query / weights, points[y == label] / weights, points[y != label] / weights, norm, sides, scaled
            )
        )
    return found


@pytest.mark.parametrize("is_boxed", [False, True])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("d", "rank"), [(2, None), (4, None), (10, None), (3, 2)])
def test_radii_are_those_of_brute_force_in_units_of_the_weights(d, rank, norm, is_boxed):
    points, y, queries = problem(d, d=d)
    generator = np.random.default_rng(0)
    weights, metric = generator.uniform(0.1, 3, d), None if rank is None else generator.standard_normal((rank, d))
    box = (np.linspace(-0.3, 0, d), np.linspace(1, 1.5, d)) if is_boxed else None
    model = OneNearestNeighbor(n_own=3, n_screened=4, metric=metric).fit(points, y)
    labels = model.predict(queries)
    result = model.robust_radius(queries, norm=norm, box=box, weights=weights)
    known = expected(points, y, queries, labels, norm, box, weights, np.eye(d) if metric is None else metric)
    np.testing.assert_allclose(result.upper, known, rtol=5e-6)
    assert (result.status == "exact").all()
    assert result.verify().all()
    assert (model.predict(result.x_adv) != labels).all()
    orders = {"L1": 1, "L2": 2, "Linf": np.inf}
    np.testing.assert_allclose(
        np.linalg.norm((result.x_adv - queries) / weights, orders[norm], axis=1), result.upper, rtol=1e-9
    )


@pytest.mark.parametrize("norm", NORMS)
def test_a_feature_of_weight_0_stays_as_it_is(norm):
    points, y, queries = problem(7, n=60, d=3, n_queries=12)
    model = OneNearestNeighbor().fit(points, y)
    labels = model.predict(queries)
    result = model.robust_radius(queries, norm=norm, weights=[1.0, 0.0, 2.0], box=(-3, 4))
    small = 1e-5  # of a feature that may change by next to nothing
    near = model.robust_radius(queries, norm=norm, weights=[1.0, small, 2.0], box=(-3, 4))
    is_finite = np.isfinite(result.upper)
    assert is_finite.any()
    np.testing.assert_allclose(result.upper[is_finite], near.upper[is_finite], rtol=1e-3)
    assert (result.x_adv[is_finite, 1] == queries[is_finite, 1]).all()
    assert (model.predict(result.x_adv[is_finite]) != labels[is_finite]).all()
    assert result.verify().all()


def test_a_rival_that_only_a_fixed_feature_tells_apart_is_never_reached():
    model = OneNearestNeighbor().fit([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0]], [0, 1, 1])
    for norm in NORMS:
        result = model.robust_radius([[0.0, 0.0]], norm=norm, weights=[1.0, 0.0])
        assert result.upper[0] == pytest.approx(4.5)
        assert result.verify().all()


def test_a_box_for_each_feature_is_the_same_as_one_for_all_where_its_sides_are():
    points, y, queries = problem(3, n=40, d=5)
    model = OneNearestNeighbor().fit(points, y)
    for norm in NORMS:
        one, all_ = (model.robust_radius(queries, norm=norm, box=box) for box in ((0, 1), (np.zeros(5), np.ones(5))))
        np.testing.assert_array_equal(one.upper, all_.upper)
        assert all_.verify().all()


def test_an_epsilon_for_each_feature_is_decided_at_1(tmp_path):
    points, y, queries = problem(4, n=60, d=5, n_queries=30)
    model, epsilons = OneNearestNeighbor().fit(points, y), np.array([0.02, 0.1, 0.3, 0.05, 0.2])
    radii = model.robust_radius(queries, norm="Linf", weights=epsilons)
    decided = model.robust_radius(queries, norm="Linf", epsilon=epsilons)
    assert np.array_equal(decided.is_robust(1), radii.upper > 1)
    assert 0 < decided.is_robust(1).sum() < 30
    decided.save(tmp_path / "proofs.npz")
    assert nnrobust.verify(tmp_path / "proofs.npz", (points, y)).all()


@pytest.mark.parametrize("forgery", ["weights", "fixed"])
def test_a_certificate_about_other_weights_is_found_out(forgery):
    points, y, queries = problem(5, n=60, d=3)
    claim = OneNearestNeighbor().fit(points, y).robust_radius(queries, weights=[1.0, 2.0, 0.5]).certificate[0]
    assert claim.verify()
    weights = (1.0, 2.1, 0.5) if forgery == "weights" else (1.0, 0.0, 0.5)
    object.__setattr__(claim, "adversary", type(claim.adversary)("L2", None, weights))
    assert not claim.verify()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"weights": [1.0, 2.0]}, r"weights: expected a number, or one for each of 4 features, shape \(4,\), without NaN, got shape \(2,\)"),
    ({"epsilon": np.ones(3)}, r"weights: expected a number, or one for each of 4 features"),
    ({"weights": [1, 1, 1, -1]}, "weights: expected 0 for features that may not change, .* got -1 for feature 3"),
    ({"weights": np.zeros(4)}, "weights: expected one feature at least that may change"),
    ({"weights": np.ones(4), "epsilon": np.ones(4)}, "weights: expected none beside an epsilon for each feature"),
    ({"box": (np.zeros(4), np.ones(3))}, r"box: expected a number, or one for each of 4 features"),
    ({"box": (np.zeros(4), np.zeros(4))}, "box: expected low < high for each feature, got 0 and 0 for feature 0; to hold"),
    ({"box": (np.zeros(4), np.full(4, 0.01))}, r"box: expected every query within it, got .* in row 0, feature 0, where it is \[0, 0.01\]"),
])  # fmt: skip
def test_sizes_that_cannot_be_meant_are_named(arguments, message):
    points, y, queries = problem(6)
    with pytest.raises(DataError, match=message):
        OneNearestNeighbor().fit(points, y).robust_radius(queries, **arguments)

"""Exact radii of k nearest neighbours against an enumeration of all sets of k references, on points, grids and ties."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from made.brute_votes import exact_voting_radius
from made.tries import n_tries, tries
from made.whole_numbers import tiny_problems
from nnrobust import KNearestNeighbor
from nnrobust.nearest.proofs.votes import loses

NORMS = ("L2", "Linf", "L1")
ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}
N_TRIED = n_tries(1500)
"""Small problems of the slow test; NNROBUST_TRIES has others."""


def small_problem(seed):
    """Up to nine references in up to four dimensions, of two to four classes: a third on a grid of whole numbers, full of ties."""
    generator = np.random.default_rng(seed)
    d, k = 1 + seed % 4, (3, 5, 3, 7)[seed % 4] if seed % 3 else 3
    n_classes = 2 + (seed // 2) % 3 if seed % 5 else 2
    n, is_grid = int(generator.integers(max(k + 1, n_classes), 10)), seed % 3 == 2
    points = generator.integers(0, 4, (n, d)).astype(float) if is_grid else generator.random((n, d))
    y = np.r_[np.arange(n_classes), generator.integers(0, n_classes, n - n_classes)]
    query = generator.integers(0, 7, (1, d)) / 2 if is_grid else generator.random((1, d))
    box = (None, (0.0, 3.0) if is_grid else (0.0, 1.0))[(seed // 3) % 2]
    return points, y, query, k, NORMS[(seed // 7) % 3], box


def require_held(problem):
    """Nothing claimed is wrong; whether the lower bound is the radius, as it is but where whole numbers tie."""
    is_sharp = True
    points, y, query, k, norm, box = problem
    is_grid = bool((points == np.round(points)).all())
    model = KNearestNeighbor(k).fit(points, y)
    result, code = model.robust_radius(query, norm=norm, box=box), int(model.predict(query)[0])
    expected = exact_voting_radius(query[0], points, y, code, k, norm, box)
    assert result.verify().all()
    assert result.lower[0] <= expected * (1 + 1e-6) + 1e-7
    assert result.upper[0] >= expected * (1 - 1e-6) - 1e-7
    if np.isinf(expected) and box is None:  # without a box nothing proves that there is no such point anywhere
        assert result.lower[0] > 1e4
    elif not (is_sharp := result.status[0] == "exact" or result.lower[0] >= expected * (1 - 2e-6)):
        assert (
            is_grid
        )  # where planes only touch, float64 may not see the tie that bounds the radius, and says `bounded`
    if result.status[0] == "exact" and 0 < expected < np.inf:
        point = result.x_adv[0]
        assert np.linalg.norm(point - query[0], ORDERS[norm]) == pytest.approx(expected, rel=2e-6)
        assert loses(np.square(points - point).sum(axis=1), y, code, k)
        assert box is None or (point.min() >= box[0] and point.max() <= box[1])
    return is_sharp


@pytest.mark.parametrize("seed", range(30))
def test_radii_are_those_of_an_enumeration_and_their_certificates_hold(seed):
    assert require_held(small_problem(seed))


@pytest.mark.slow
def test_radii_of_thousands_of_small_problems_are_those_of_an_enumeration():
    n_weak = sum(not require_held(small_problem(seed)) for seed in range(30, N_TRIED))
    assert n_weak <= N_TRIED / 500


@tries(25)
@given(tiny_problems(most=8), st.sampled_from([3, 3, 5]), st.sampled_from(NORMS))
def test_votes_on_tiny_grids_claim_nothing_wrong(problem, k, norm):
    points, y, queries, box = problem
    assume(len(points) > k)
    require_held((points, y, queries[:1], k, norm, box))


@pytest.mark.parametrize(("norm", "radius"), [("L2", 0.75), ("Linf", 0.75), ("L1", 0.75)])
def test_one_own_reference_may_be_beaten_without_a_loss(norm, radius):
    # On a line: own 0, 1, 1.5; others 2, 3. The vote is lost where both others are as near as all own ones but one: at 1.75 + ...
    points, y = np.array([[0.0], [1.0], [2.0], [3.0], [1.5]]), [0, 0, 1, 1, 0]
    result = KNearestNeighbor(3).fit(points, y).robust_radius(np.array([[1.25]]), norm=norm)
    # At 2 the nearest are 2, 1.5 and, equally near, 1 and 3.
    assert result.upper[0] == pytest.approx(radius)
    assert result.lower[0] == pytest.approx(radius)


def test_at_equality_ties_count_against_the_label():
    points, y = np.array([[0.0], [1.0], [2.0], [3.0], [1.5]]), [0, 0, 1, 1, 0]
    result = KNearestNeighbor(3).fit(points, y).robust_radius(np.array([[2.0]]), [0])
    assert result.lower.tolist() == result.upper.tolist() == [0]
    assert KNearestNeighbor(3).fit(points, y).predict(np.array([[2.0]])).tolist() == [0]  # the first class counts first


def test_a_tie_of_three_classes_is_lost():
    model = KNearestNeighbor(3).fit(np.array([[0.0], [0.2], [4.0], [5.0]]), [0, 0, 1, 2])
    result = model.robust_radius(np.array([[0.0]]))
    # At 2.6 the four are 2.6, 2.4, 1.4, 2.4 away: one vote of each class, where 0.2 counts in place of 0.
    assert result.upper[0] == pytest.approx(2.5, rel=1e-6)
    assert result.verify().all()


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("norm", NORMS)
def test_beyond_the_radius_the_label_changes_and_nowhere_before_it(k, norm):
    generator = np.random.default_rng(k)
    points, y, queries = generator.random((24, 3)), np.arange(24) % 2, generator.random((4, 3))
    model = KNearestNeighbor(k).fit(points, y)
    result, predicted = model.robust_radius(queries, norm=norm), model.predict(queries)
    directions = generator.standard_normal((100, 3))
    directions /= np.linalg.norm(directions, ORDERS[norm], axis=1)[:, None]
    assert (result.status == "exact").all()
    assert (model.predict(result.x_adv) != predicted).all()
    for query, label, lower, x_adv in zip(queries, predicted, result.lower, result.x_adv, strict=True):
        around = np.r_[query + lower * directions, [query + (x_adv - query) * (1 - 1e-5)]]
        assert (model.predict(around) == label).all()


@pytest.mark.parametrize("norm", NORMS)
def test_radii_are_invariant_as_the_norm_is(norm):
    generator = np.random.default_rng(0)
    points, y, queries = generator.random((30, 4)), np.arange(30) % 3, generator.random((3, 4))
    radii = KNearestNeighbor(3).fit(points, y).robust_radius(queries, norm=norm).upper
    order, axes = generator.permutation(30), generator.permutation(4)
    for moved, factor in (
        (lambda p: 3 * p, 3), (lambda p: p - 40, 1), (lambda p: p[:, axes] * [-1, 1, 1, -1], 1), (lambda p: 1e40 * p, 1e40),
    ):  # fmt: skip
        again = KNearestNeighbor(3).fit(moved(points)[order], y[order]).robust_radius(moved(queries), norm=norm)
        np.testing.assert_allclose(again.upper, factor * radii, rtol=2e-6)
        assert again.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_certified_is_at_most_exact_and_exact_at_most_attacked(norm):
    generator = np.random.default_rng(1)
    points, y, queries = generator.random((30, 6)), np.arange(30) % 2, generator.random((3, 6))
    model = KNearestNeighbor(3).fit(points, y)
    result, predicted = model.robust_radius(queries, norm=norm), model.predict(queries)
    half = np.abs(model.decision_function(queries)) / 2
    for query, label, lower, certified in zip(queries, predicted, result.lower, half, strict=True):
        rest = points[y != label]
        steps = np.linspace(0, 1, 50)[:, None, None]
        tried = (query + steps * (rest - query)).reshape(-1, 6)
        fallen = tried[model.predict(tried) != label]
        assert len(fallen)
        assert lower <= np.linalg.norm(fallen - query, ORDERS[norm], axis=1).min()
        assert certified * (6**-0.5 if norm == "Linf" else 1) <= lower * (1 + 1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_a_decision_at_epsilon_is_that_of_the_radius(norm):
    generator = np.random.default_rng(2)
    points, y, queries = generator.random((30, 4)), np.arange(30) % 2, generator.random((9, 4))
    model = KNearestNeighbor(3).fit(points, y)
    radii = model.robust_radius(queries, norm=norm)
    epsilon = float(np.median(radii.upper))
    decided = model.robust_radius(queries, norm=norm, epsilon=epsilon)
    assert np.array_equal(decided.is_robust(epsilon), radii.upper > epsilon)
    assert 0 < decided.is_robust(epsilon).sum() < 9
    assert decided.verify().all()


def test_a_budget_that_ends_a_search_leaves_bounds_and_says_so():
    generator = np.random.default_rng(3)
    points, y, queries = generator.random((200, 3)), np.arange(200) % 2, generator.random((6, 3))
    full = KNearestNeighbor(5).fit(points, y).robust_radius(queries)
    short = KNearestNeighbor(5, max_problems=12).fit(points, y).robust_radius(queries)
    is_bounded = short.status == "bounded"
    assert is_bounded.any()
    assert set(short.ended_by[is_bounded]) == {"max_problems=12"}
    assert (full.ended_by == "").all()
    assert (short.lower <= full.upper).all()
    assert (short.upper >= full.lower).all()
    assert (short.lower[full.lower > 0] > 0).all()
    assert short.verify().all()


def test_fewer_others_than_can_outvote_never_win():
    result = (
        KNearestNeighbor(3).fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 0, 1]).robust_radius(np.array([[0.0]]))
    )
    assert result.lower.tolist() == result.upper.tolist() == [np.inf]
    assert result.verify().all()


def test_a_box_that_holds_no_lost_point_gives_an_infinite_radius():
    points, y = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]]), [0, 0, 0, 1, 1]
    result = KNearestNeighbor(3).fit(points, y).robust_radius(np.array([[0.5, 0.5]]), box=(0.0, 1.0))
    assert result.lower.tolist() == [np.inf]
    assert result.status.tolist() == ["exact"]
    assert result.verify().all()

"""Exact l2 radii against hand-computed and brute-force answers, on points of any dtype."""

import numpy as np
import pytest

from made.brute_force import exact_radius
from nnrobust import OneNearestNeighbor
from nnrobust.nearest.distances.references import References, cross_distances, error_between
from nnrobust.nearest.distances.screening import Effort, Reach, Rivals, screen
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.search.radius import exact_radii


def rivals_of(own, other):
    own, other = np.asarray(own), np.asarray(other)
    centre = np.concatenate([own, other]).mean(axis=0).astype(np.float32)
    return Rivals.of(References.of(own, centre), References.of(other, centre))


def won(queries, own, other):
    """Which queries some own point is nearer to than every other point."""
    queries, own, other = (np.asarray(a, dtype=float) for a in (queries, own, other))
    return np.linalg.norm(queries[:, None] - own, axis=2).min(axis=1) < np.linalg.norm(
        queries[:, None] - other, axis=2
    ).min(axis=1)


def problem(seed, n=30, d=5, n_queries=12):
    generator = np.random.default_rng(seed)
    own, other, queries = generator.random((n, d)), generator.random((n, d)), generator.random((4 * n_queries, d))
    return queries[won(queries, own, other)][:n_queries], own, other


def test_on_a_line_the_radius_is_the_way_to_the_middle():
    radii = exact_radii(np.array([[0.2]]), rivals_of([[0.0]], [[1.0]]), Effort(4, 4, 64))
    assert radii.lower[0] == pytest.approx(0.3)
    assert radii.upper[0] == pytest.approx(0.3)
    assert radii.is_exact.all()


def test_two_own_references_leave_a_corner_that_is_farther_than_either_bisector():
    # Own at (+-1, 0), other at (0, 2): its cell is the cone 2y >= 1.5 + |x|, and its tip (0, 0.75) is nearest to the query.
    radii = exact_radii(np.array([[0.0, -0.25]]), rivals_of([[-1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0]]), Effort(4, 4, 64))
    assert radii.upper[0] == pytest.approx(1.0)
    assert radii.lower[0] == pytest.approx(1.0)
    assert radii.bisector[0] == pytest.approx((1.5 + 2 * 0.25) / np.sqrt(5))


def test_the_nearest_other_reference_need_not_be_the_one_that_wins():
    # (0, 1.25) is the nearest, but own references stand before it; (1.5, 0) is farther and wins first.
    own = [[0.0, 0.0], [-0.3, 0.7], [0.3, 0.7]]
    radii = exact_radii(np.array([[0.0, 0.0]]), rivals_of(own, [[0.0, 1.25], [1.5, 0.0]]), Effort(4, 4, 64))
    assert radii.upper[0] == pytest.approx(0.75)


@pytest.mark.parametrize("seed", range(40))
def test_the_radius_is_that_of_a_library_solver_with_every_constraint(seed):
    queries, own, other = problem(seed, n=8 + seed, d=2 + seed % 7)
    radii = exact_radii(queries, rivals_of(own, other), Effort(6, 8, 64))
    assert radii.is_exact.all()
    assert (radii.bisector <= radii.lower * (1 + 1e-9)).all()
    for query, lower, upper in zip(queries, radii.lower, radii.upper, strict=True):
        assert lower <= upper
        assert exact_radius(query, own, other, "L2") == pytest.approx(upper, rel=2e-6, abs=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_the_witness_lies_across_the_boundary_and_nothing_nearer_does(seed):
    queries, own, other = problem(seed, n=40, d=3)
    radii = exact_radii(queries, rivals_of(own, other), Effort(4, 8, 64))
    assert not won(radii.witness, own, other).any()
    np.testing.assert_allclose(np.linalg.norm(radii.witness - queries, axis=1), radii.upper, rtol=1e-11)
    towards = (radii.witness - queries) / radii.upper[:, None]
    assert won(queries + radii.lower[:, None] * (1 - 1e-6) * towards, own, other).all()
    directions = np.random.default_rng(seed).standard_normal((500, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for query, lower in zip(queries, radii.lower, strict=True):
        assert won(query + lower * (1 - 1e-9) * directions, own, other).all()


def test_few_constraints_and_few_candidates_to_start_with_lead_to_the_same_radii():
    queries, own, other = problem(3, n=120, d=4, n_queries=30)
    one, few = (exact_radii(queries, rivals_of(own, other), Effort(i, j, 64)) for i, j in ((120, 120), (1, 1)))
    np.testing.assert_allclose(one.upper, few.upper, rtol=1e-6)
    assert few.is_exact.all()


def test_a_radius_above_the_limit_is_left_at_its_proof():
    queries, own, other = problem(4, n=40, d=4, n_queries=30)
    full = exact_radii(queries, rivals_of(own, other), Effort(4, 8, 64))
    limit = float(np.median(full.lower))
    quick = exact_radii(queries, rivals_of(own, other), Effort(4, 8, 64), stop_above=limit)
    above = full.lower > limit
    assert np.isinf(quick.upper[above]).all()
    assert (quick.lower[above] > limit).all()
    assert (quick.lower <= full.upper).all()
    np.testing.assert_allclose(quick.upper[~above], full.upper[~above])


@pytest.mark.parametrize("scale", [1e-3, 255.0])
def test_radii_scale_shift_and_turn_with_the_points(scale):
    queries, own, other = problem(5, n=30, d=6)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    moved = [scale * (points @ rotation + 3.0) for points in (queries, own, other)]
    one = exact_radii(queries, rivals_of(own, other), Effort(4, 8, 64))
    two = exact_radii(moved[0], rivals_of(*moved[1:]), Effort(4, 8, 64))
    np.testing.assert_allclose(scale * one.upper, two.upper, rtol=1e-6)


def test_references_that_occur_twice_and_constant_coordinates_do_no_harm():
    queries, own, other = problem(6, n=20, d=4)
    one = exact_radii(queries, rivals_of(own, other), Effort(4, 8, 64))
    double = [np.c_[points, np.full(len(points), 0.5)] for points in (np.r_[own, own], np.r_[other, other])]
    two = exact_radii(np.c_[queries, np.full(len(queries), 0.5)], rivals_of(*double), Effort(4, 8, 64))
    np.testing.assert_allclose(one.upper, two.upper, rtol=1e-6)
    assert two.is_exact.all()


def test_a_query_that_is_a_reference_and_whole_numbers_as_uint8():
    generator = np.random.default_rng(0)
    own, other = (
        generator.integers(0, 256, (50, 40), dtype=np.uint8),
        generator.integers(0, 256, (50, 40), dtype=np.uint8),
    )
    small = exact_radii(own, rivals_of(own, other), Effort(8, 16, 64))
    large = exact_radii(
        own.astype(np.float64), rivals_of(own.astype(np.float64), other.astype(np.float64)), Effort(8, 16, 64)
    )
    np.testing.assert_allclose(small.upper, large.upper, rtol=1e-9)
    half = np.linalg.norm(own[:, None].astype(float) - other, axis=2).min(axis=1) / 2
    assert (small.lower >= half * (1 - 1e-9)).all()


def test_float32_distances_are_within_their_error():
    generator = np.random.default_rng(0)
    points = generator.random((60, 3072)) * 7 - 2
    references = References.of(points[:40], points.mean(axis=0).astype(np.float32))
    rest = References.of(points[40:], references.centre)
    exact = ((points[40:, None] - points[None, :40]) ** 2).sum(axis=2)
    for squared, error in (
        references.squared_distances(points[40:]),
        (cross_distances(rest, references), error_between(rest, references)),
    ):
        assert (np.abs(squared - exact) <= error).all()
        assert (error < 0.05 * exact.mean()).all()


@pytest.mark.slow
@pytest.mark.parametrize("is_thorough", [False, True])
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
def test_screening_bounds_hold_for_every_reference(norm, box, is_thorough):
    queries, own, other = problem(7, n=60, d=4)
    if box is not None:  # most coordinates are at a side
        queries, own, other = (np.clip(2 * part - 0.5, *box) for part in (queries, own, other))
        queries = queries[won(queries, own, other)]
    adversary = Adversary(norm, box)
    assert (Reach.of(queries, adversary) is None) == (box is None)
    screened = screen(queries, rivals_of(own, other), Effort(5, 10, 64, is_thorough=is_thorough), adversary)
    for q, query in enumerate(queries):
        chosen = screened.others[q].tolist()
        alone = {j: exact_radius(query, own, other[[j]], norm, box) for j in range(60)}
        for place, j in enumerate(chosen):
            assert screened.bounds[q, place] <= alone[j] * (1 + 1e-6)
        assert screened.bounds[q, -1] <= min(alone[j] for j in range(60) if j not in chosen) * (1 + 1e-6)


def sparse(seed, n, d=40):
    """Points of which four in five coordinates are 0."""
    generator = np.random.default_rng(seed)
    return generator.random((n, d)) * (generator.random((n, d)) < 0.2)


@pytest.mark.parametrize("weights", [None, np.r_[np.zeros(5), np.full(35, 2.0)]])
@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
def test_radii_of_points_at_the_sides_of_a_box_are_those_of_a_library_and_proven(norm, weights):
    points, queries, y = sparse(0, 60), sparse(1, 6), np.arange(60) % 3
    model = OneNearestNeighbor(n_screened=2).fit(points, y)
    found = model.robust_radius(queries, norm=norm, box=(0.0, 1.0), weights=weights)
    assert (found.status == "exact").all()
    assert found.verify().all()
    free = np.ones(40) if weights is None else weights
    for query, label, upper in zip(queries, model.predict(queries), found.upper, strict=True):
        # What may not change is the same for all, and comes off both squared distances.
        expected = exact_radius(query, points[y == label], points[y != label], norm, (0.0, 1.0))
        assert (
            upper == pytest.approx(expected, rel=1e-5)
            if weights is None
            else upper >= expected / free.max() * (1 - 1e-6)
        )


def test_where_no_allowed_move_helps_any_rival_the_radius_is_infinite_and_proven():
    # The query is at the lower side in all that the rivals lack, and they have nothing that it could gain.
    own, other = np.zeros((1, 40)), -np.ones((3, 40))
    model = OneNearestNeighbor(n_screened=1).fit(np.concatenate([own, other]), [0, 1, 1, 1])
    found = model.robust_radius(np.zeros((1, 40)), norm="Linf", box=(0.0, 1.0))
    assert np.isinf(found.lower).all()
    assert found.verify().all()

"""Radii in few dimensions among many rivals, where each rival has its problem: brute force, the other search, and proofs."""

import numpy as np
import pytest

from made.brute_force import exact_radius, way_to_polytope
from nnrobust import OneNearestNeighbor
from nnrobust.nearest.convex import plane
from nnrobust.nearest.convex.problems import Problems
from nnrobust.nearest.distances.references import References
from nnrobust.nearest.distances.screening import Effort, Rivals
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.search import radius
from nnrobust.nearest.search.crowded import crowded_radii

NORMS = ("L2", "Linf", "L1")


def apart(seed, n=60, d=2, n_queries=4):
    """Points of two classes on either side of a slanted line, so that most of one class face most of the other; and queries."""
    generator = np.random.default_rng(seed)
    points, queries = generator.random((n, d)), generator.random((n_queries, d))
    return points, (points[:, 0] + 0.3 * points[:, -1] > 0.65).astype(int), queries


def rivals_of(points, y, label):
    centre = np.zeros(points.shape[1], dtype=np.float32)
    return Rivals.of(References.of(points[y == label], centre), References.of(points[y != label], centre))


@pytest.mark.parametrize("box", [None, (0.0, 1.0), (-0.2, 1.1)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 7))])
def test_in_the_plane_radii_are_those_of_brute_force_and_their_certificates_hold(seed, norm, box):
    points, y, queries = apart(seed, n=40 + 5 * seed, d=2)
    model = OneNearestNeighbor(n_screened=4).fit(points, y)
    labels = model.predict(queries)
    result = model.robust_radius(queries, norm=norm, box=box)
    expected = [
        exact_radius(query, points[y == label], points[y != label], norm, box)
        for query, label in zip(queries, labels, strict=True)
    ]
    np.testing.assert_allclose(result.upper, expected, rtol=3e-6)
    assert (result.status == "exact").all()
    assert result.verify().all()
    assert (model.predict(result.x_adv) != labels).all()
    assert box is None or ((result.x_adv >= box[0]) & (result.x_adv <= box[1])).all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("d", [2, 3, 8])
def test_many_rivals_have_the_radii_that_the_search_for_many_dimensions_finds(monkeypatch, d, norm, box):
    points, y, queries = apart(d, n=100, d=d, n_queries=12)
    model = OneNearestNeighbor(n_screened=8).fit(points, y)
    here = model.robust_radius(queries, norm=norm, box=box)
    monkeypatch.setattr(radius, "FEW", 0)
    there = model.robust_radius(queries, norm=norm, box=box)
    np.testing.assert_allclose(here.upper, there.upper, rtol=2e-6)
    assert (here.status == "exact").all()
    assert here.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_in_a_metric_and_among_three_classes_too(monkeypatch, norm):
    points, y, queries = apart(1, n=120, d=3, n_queries=10)
    y = y + (points[:, 2] > 0.6)
    model = OneNearestNeighbor(n_screened=8, metric=[[1.0, 0.2, 0.0], [0.0, 1.0, -0.5]]).fit(points, y)
    here = model.robust_radius(queries, norm=norm, box=(0, 1))
    monkeypatch.setattr(radius, "FEW", 0)
    np.testing.assert_allclose(here.upper, model.robust_radius(queries, norm=norm, box=(0, 1)).upper, rtol=2e-6)
    assert here.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_hundreds_of_near_rivals_are_settled_by_few_references_and_few_problems(norm):
    points, y, queries = apart(3, n=1000, n_queries=20)
    for label in (0, 1):
        rivals = rivals_of(points, y, label)
        mine = queries[(queries[:, 0] + 0.3 * queries[:, 1] > 0.7).astype(int) == label]
        found, is_left = crowded_radii(mine, rivals, Adversary(norm), np.full(len(mine), np.inf), None)
        assert not is_left.any()
        assert found.is_exact.all()
        assert max(len(own) for own in found.own) <= 40
        assert max(len(proofs) for proofs in found.proofs) <= 40


@pytest.mark.parametrize("norm", NORMS)
def test_a_limit_below_the_radius_ends_the_search_and_one_above_does_not(norm):
    points, y, queries = apart(4, n=300, n_queries=20)
    full = OneNearestNeighbor().fit(points, y)
    epsilon = float(np.median(full.robust_radius(queries, norm=norm).upper))
    decided = full.robust_radius(queries, norm=norm, epsilon=epsilon)
    assert np.array_equal(decided.is_robust(epsilon), full.robust_radius(queries, norm=norm).upper > epsilon)
    assert decided.verify().all()


def test_a_query_faces_its_own_group_of_rivals_alone():
    points, y, queries = apart(5, n=90, n_queries=4)
    queries = queries[OneNearestNeighbor().fit(points, y).predict(queries) == 0]
    own, other = points[y == 0], points[y == 1]
    centre = np.zeros(2, dtype=np.float32)
    parts = {7: References.of(other[:20], centre), 9: References.of(other[20:], centre)}
    rivals = Rivals.of_groups(References.of(own, centre), parts)
    for group, part in ((7, other[:20]), (9, other[20:])):
        found = radius.exact_radii(
            queries, rivals, Effort(8, 16, 64), Adversary("Linf"), groups=np.full(len(queries), group)
        )
        expected = [exact_radius(query, own, part, "Linf") for query in queries]
        np.testing.assert_allclose(found.upper, expected, rtol=2e-6)


@pytest.mark.parametrize("norm", ["Linf", "L1"])
@pytest.mark.parametrize("is_boxed", [False, True])
def test_the_best_corner_of_the_plane_is_that_of_a_linear_program(norm, is_boxed):
    generator = np.random.default_rng(0)
    for _ in range(30):
        goal, own = generator.uniform(-1, 1, 2), generator.uniform(-2, 2, (4, 2))
        own = own[np.linalg.norm(own, axis=1) < np.linalg.norm(goal)]
        if len(own) == 0:
            continue
        squared, used = (own**2).sum(axis=1)[None], np.ones((1, len(own)), dtype=bool)
        problems = Problems.of(own[None], (squared, (own @ own.T)[None]), used, goal[None])
        low, high = (
            (np.minimum(goal, 0) - 0.05, np.maximum(goal, 0) + 0.05)
            if is_boxed
            else (-np.full(2, np.inf), np.full(2, np.inf))
        )
        room = (low[None], high[None]) if is_boxed else None
        found = plane.solve(problems, Adversary(norm, (-9.0, 9.0) if is_boxed else None), room)
        a, b = own - goal, (squared[0] - goal @ goal) / 2
        expected = way_to_polytope(a, b, norm, low, high, goal)
        assert found.bounds[0] == pytest.approx(expected, rel=1e-6)
        assert np.linalg.norm(found.points[0], {"Linf": np.inf, "L1": 1}[norm]) == pytest.approx(expected, rel=1e-5)

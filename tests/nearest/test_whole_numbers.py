"""Whole numbers, where constraints meet in degenerate corners: every radius is exact, and that of another solver."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from made.tries import n_tries, tries
from made.whole_numbers import ORDERS, grid_problem, known_radius, tiny_problems
from nnrobust import OneNearestNeighbor


def checked(points, y, queries, norm, box):
    """The result for queries, all of it exact, proven, and as another solver has it."""
    model = OneNearestNeighbor().fit(points, y)
    labels, result = model.predict(queries), model.robust_radius(queries, norm=norm, box=box)
    expected = [
        known_radius(query, points[y == label], points[y != label], norm, box)
        for query, label in zip(queries, labels, strict=True)
    ]
    assert result.status.tolist() == ["exact"] * len(queries)
    assert result.verify().all()
    np.testing.assert_allclose(result.upper, expected, rtol=3e-6, atol=1e-7)
    found = np.isfinite(result.upper)
    moved = np.linalg.norm(result.x_adv - queries, ORDERS[norm], axis=1)[found]
    np.testing.assert_allclose(moved, result.upper[found], rtol=1e-9)
    return result


@pytest.mark.parametrize(("norm", "points", "y", "query", "box", "radius"), [
    ("Linf", [[2, 2], [2, 1], [1, 1]], [1, 0, 0], [1.5, 0.5], None, 1),
    ("L1", [[0, 1], [1, 0], [1, 2]], [1, 1, 0], [0, 1], None, 1),
    ("Linf", [[69, 63], [159, 35], [21, 196], [130, 117], [127, 131]], [1, 1, 1, 0, 1], [14, 159], None, 64.8248031),
    # Of the box, the other class has one corner alone, by a tie: its reference lies outside.
    ("L2", [[0, 0], [2, 2]], [0, 1], [0, 0], (0, 1), np.sqrt(2)),
    ("Linf", [[0, 0], [2, 2]], [0, 1], [0, 0], (0, 1), 1),
    ("L1", [[0, 0], [2, 2]], [0, 1], [0, 0], (0, 1), 2),
    # Nothing of it is in a box that has no upper side, either.
    ("L2", [[1, 1], [-2, 1]], [0, 1], [1, 1], (0, np.inf), np.inf),
    # The same point twice among a query's own references, and once in the other class.
    ("L2", [[0, 0], [3, 0], [3, 0], [3, 0]], [0, 0, 0, 1], [0, 0], None, 1.5),
])  # fmt: skip
def test_degenerate_corners_have_hand_computed_radii(norm, points, y, query, box, radius):
    points, y, query = np.array(points, dtype=float), np.array(y), np.array([query], dtype=float)
    result = OneNearestNeighbor().fit(points, y).robust_radius(query, norm=norm, box=box)
    assert result.status.tolist() == ["exact"]
    assert result.upper[0] == pytest.approx(radius, rel=1e-6)
    assert result.verify().all()


FIRST, OTHERS = range(30), [pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, n_tries(4800) // 48)]


@pytest.mark.parametrize("seed", [*FIRST, *OTHERS])
def test_radii_on_grids_are_exact_and_those_of_a_library_solver(seed):
    generator = np.random.default_rng(seed)
    for _ in range(2):
        points, y, queries, box = grid_problem(generator)
        for norm in ORDERS:
            checked(points, y, queries, norm, box)


OF_BOTH_CLASSES = np.array([[0.0, 0, 0], [0, 0, 0], [2, 1, 1], [0, 0, 0], [0, 1, 1]])
"""A point of both classes, and a corner of the box in which SciPy's nnls ends short of the optimum."""


@example((OF_BOTH_CLASSES, np.array([0, 1, 0, 0, 0]), np.array([[1.0, 1, 1]]), (0, 1)), "L2")
@tries(60)
@given(tiny_problems(), st.sampled_from([*ORDERS]))
def test_bounds_of_tiny_problems_are_on_either_side_of_the_radius_of_a_library_solver(problem, norm):
    points, y, queries, box = problem
    model = OneNearestNeighbor().fit(points, y)
    labels, result = model.predict(queries), model.robust_radius(queries, norm=norm, box=box)
    assert result.verify().all()
    for n, (query, label) in enumerate(zip(queries, labels, strict=True)):
        radius = known_radius(query, points[y == label], points[y != label], norm, box)
        assert result.lower[n] <= radius * (1 + 2e-6) + 1e-7
        assert result.upper[n] >= radius * (1 - 2e-6) - 1e-7
        # A corner of the box may have no digits in binary: no point in it is known then.
        assert result.status[n] == "exact" or (box is not None and np.isinf(result.upper[n]))


@pytest.mark.parametrize("norm", ORDERS)
def test_a_table_of_whole_numbers_has_exact_radii(norm):
    # Two columns of whole numbers with many ties, as minutes and seconds have.
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 272)
    table = np.c_[180 + 90 * y + generator.integers(-60, 60, 272), 54 + 26 * y + generator.integers(-10, 10, 272)]
    checked(table.astype(float), y, table[:40].astype(float), norm, None)


@pytest.mark.parametrize("norm", ORDERS)
def test_without_a_box_there_is_always_a_point_however_far_the_references_are_from_the_origin(norm):
    generator = np.random.default_rng(0)
    for origin, side in ((1e8, 1.0), (1e6, 1e-3), (1e9, 1e-3)):
        points, queries = generator.random((200, 3)) * side + origin, generator.random((40, 3)) * side + origin
        model = OneNearestNeighbor().fit(points, np.arange(200) % 2)
        result = model.robust_radius(queries, norm=norm)
        assert np.isfinite(result.upper).all()
        assert (result.lower <= result.upper).all()
        assert result.verify().all()
        assert (model.predict(result.x_adv) != model.predict(queries)).all()
        # Coordinates at 1e8 are multiples of 1.5e-8: nothing smaller can be said of a point.
        step = np.spacing(origin) * 3
        assert (result.upper - result.lower <= 1e-6 * result.upper + 20 * step).all()


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("box", [(0, np.inf), (-np.inf, 1), (-np.inf, np.inf)])
def test_a_box_without_a_side_has_exact_radii(norm, box):
    generator = np.random.default_rng(0)
    points, queries = generator.random((40, 3)), generator.random((30, 3))
    model = OneNearestNeighbor().fit(points, np.arange(40) % 2)
    result = model.robust_radius(queries, norm=norm, box=box)
    assert (result.status == "exact").all()
    assert np.isfinite(result.upper).all()
    assert result.verify().all()
    wide = tuple(np.clip(box, -1e3, 1e3))
    np.testing.assert_allclose(result.upper, model.robust_radius(queries, norm=norm, box=wide).upper, rtol=1e-6)

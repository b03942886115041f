"""Points of least norm in polytopes within boxes: hand-computed cases, a library's answers, and duality."""

import numpy as np
import pytest

from made.brute_force import way_to_polytope
from nnrobust.nearest.convex import polytopes, quadratic
from nnrobust.nearest.proofs import halfspace

ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}


def solve(a, b, norm, box=None):
    a, b = np.array([a], dtype=float), np.array([b], dtype=float)
    start, _ = quadratic.optimal_multipliers(a @ a.transpose(0, 2, 1), b)
    room = None if box is None else tuple(np.array([side], dtype=float) for side in box)
    multipliers, points = polytopes.multipliers_and_points(a, b, norm, room, start)
    combined, depth = (multipliers[:, None] @ a)[:, 0], -np.vecdot(multipliers, b)
    bound = halfspace.distance(combined, depth, norm, room)[0]
    return multipliers[0], points[0], bound


@pytest.mark.parametrize(("norm", "box", "a", "b"), [
    ("Linf", None, [[-1, -1], [-1, 1]], [-2, -1]), ("L2", ([-9, -9], [9, 9]), [[-1, -1], [-1, 1]], [-2, -1]),
    ("L1", None, [[-2, -1], [-1, -2]], [-3.5, -2.5]),
])  # fmt: skip
def test_where_two_constraints_bind_the_solution_is_their_corner(norm, box, a, b):
    multipliers, found, bound = solve(a, b, norm, box)
    assert found == pytest.approx((1.5, 0.5), rel=1e-6)
    assert bound == pytest.approx(np.linalg.norm((1.5, 0.5), ORDERS[norm]), rel=1e-6)
    assert (multipliers >= 0).all()


@pytest.mark.parametrize(
    ("norm", "a", "point"), [("Linf", [-1, -1], (1.7, 0.3)), ("L1", [-1, -2], (1.4, 0.3)), ("L2", [-1, -1], (1.7, 0.3))]
)
def test_a_box_that_cuts_the_nearest_point_off_moves_it_along_the_constraint(norm, a, point):
    _, found, bound = solve([a], [-2], norm, ([-9, -9], [9, 0.3]))
    assert found == pytest.approx(point, rel=1e-6)
    assert bound == pytest.approx(np.linalg.norm(point, ORDERS[norm]), rel=1e-6)


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("seed", range(30))
def test_value_bound_and_library_agree(norm, seed):
    generator = np.random.default_rng(seed)
    d, k = 2 + seed % 9, 1 + seed % 5
    inside = generator.uniform(-1, 1, d)
    a = generator.standard_normal((k, d))
    # `inside` meets every constraint, and the origin violates the first.
    a[0] *= -np.sign(a[0] @ inside)
    b = a @ inside + generator.random(k)
    b[0] = 0.9 * (a[0] @ inside)
    boxes = [(np.full(d, -np.inf), np.full(d, np.inf)), (-np.ones(d), np.maximum(inside, 0) + 0.01)]
    for low, high in boxes[1:] if norm == "L2" else boxes:
        _, found, bound = solve(a, b, norm, None if np.isinf(low[0]) else (low, high))
        expected = way_to_polytope(a, b, norm, low, high, inside)
        assert bound == pytest.approx(expected, rel=1e-6)
        if np.isfinite(expected):
            assert np.linalg.norm(found, ORDERS[norm]) == pytest.approx(expected, rel=1e-6)
            assert (a @ found - b).max() < 1e-6


def test_a_polytope_that_the_box_excludes_is_proven_to_be_infinitely_far():
    _, _, bound = solve([[-1.0, -1.0]], [-3.0], "Linf", ([-1, -1], [1, 1]))
    assert bound == np.inf


def test_problems_side_by_side_are_solved_as_alone():
    generator = np.random.default_rng(0)
    a = generator.standard_normal((20, 4, 12))
    b = -generator.random((20, 4)) - 0.1
    start, _ = quadratic.optimal_multipliers(a @ a.transpose(0, 2, 1), b)
    for norm in ("Linf", "L1"):
        together, _ = polytopes.multipliers_and_points(a, b, norm, None, start)
        alone = [polytopes.multipliers_and_points(a[[n]], b[[n]], norm, None, start[[n]])[0] for n in range(20)]
        np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)

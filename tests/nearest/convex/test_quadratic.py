import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from nnrobust.nearest.convex.quadratic import optimal_in_box, optimal_multipliers


def solve(rows, limits):
    """The nearest point (d,), its multipliers (k,), and whether it is solved, for one problem."""
    a, b = np.array(rows), np.array(limits)
    multipliers, is_solved = optimal_multipliers((a @ a.T)[None], b[None])
    return -(a.T @ multipliers[0]), multipliers[0], bool(is_solved[0])


def test_one_half_plane_is_reached_along_its_normal():
    point, multipliers, is_solved = solve([[3.0, 4.0]], [-5.0])
    assert is_solved
    assert point.tolist() == pytest.approx([-0.6, -0.8])
    assert multipliers.tolist() == pytest.approx([0.2])


def test_a_corner_is_reached_with_both_planes():
    point, multipliers, _ = solve([[-1.0, 0.0], [0.0, -1.0]], [-1.0, -2.0])
    assert point.tolist() == pytest.approx([1.0, 2.0])
    assert multipliers.tolist() == pytest.approx([1.0, 2.0])


def test_a_plane_that_the_others_imply_gets_no_multiplier():
    point, multipliers, _ = solve([[-1.0, 0.0], [-1.0, -0.1]], [-3.0, -1.0])
    assert point.tolist() == pytest.approx([3.0, 0.0])
    assert multipliers[1] == 0


def test_the_origin_is_its_own_nearest_point():
    point, multipliers, is_solved = solve([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    assert is_solved
    assert not point.any()
    assert not multipliers.any()


def test_equal_constraints_do_no_harm():
    point, _, is_solved = solve([[-1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]], [-1.0, -1.0, -1.0])
    assert is_solved
    assert point.tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("k", "d"), [(3, 2), (6, 10), (12, 30), (16, 16)])
def test_many_problems_at_once_satisfy_the_optimality_conditions(seed, k, d):
    generator = np.random.default_rng(seed)
    a = generator.standard_normal((40, k, d))
    inside = generator.standard_normal((40, d, 1))
    b = (a @ inside)[:, :, 0] + generator.random((40, k))
    multipliers, is_solved = optimal_multipliers(a @ a.transpose(0, 2, 1), b)
    slack = b + (a @ a.transpose(0, 2, 1) @ multipliers[:, :, None])[:, :, 0]
    assert is_solved.all()
    assert (multipliers >= 0).all()
    assert (slack >= -1e-8).all()
    assert np.abs(multipliers * slack).max() < 1e-7


def test_the_length_is_that_of_a_library_solver():
    generator = np.random.default_rng(0)
    for _ in range(10):
        a, inside = generator.standard_normal((5, 6)), generator.standard_normal(6) * 3
        b = a @ inside + generator.random(5)
        reference = minimize(
            lambda v: v @ v / 2, inside, jac=lambda v: v, method="SLSQP", options={"ftol": 1e-14},
            constraints={"type": "ineq", "fun": lambda v, a=a, b=b: b - a @ v, "jac": lambda v, a=a: -a},
        )  # fmt: skip
        point, _, _ = solve(a, b)
        assert np.linalg.norm(point) == pytest.approx(np.linalg.norm(reference.x), rel=1e-6, abs=1e-6)


def test_padding_changes_nothing():
    a = np.array([[-1.0, 0.0], [0.0, -1.0]])
    gram = np.eye(4)[None]
    gram[0, :2, :2] = a @ a.T
    multipliers, is_solved = optimal_multipliers(gram, np.array([[-1.0, -2.0, 1.0, 1.0]]))
    assert is_solved.all()
    assert multipliers[0].tolist() == pytest.approx([1.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k", "d"), [(1, 3), (3, 2), (6, 10), (8, 64)])
def test_points_in_a_box_satisfy_the_optimality_conditions(seed, k, d):
    generator = np.random.default_rng(seed)
    a = generator.standard_normal((40, k, d))
    low, high = -generator.random((40, d)), generator.random((40, d))
    within = low + generator.random((40, d)) * (high - low)
    b = np.matvec(a, within) - 0.3 * generator.random((40, k)) * np.linalg.norm(a, axis=2)
    bounds = np.stack([low, high], axis=2)
    is_met = np.array([linprog(np.zeros(d), a[n], b[n], bounds=bounds[n]).success for n in range(40)])
    a, b, low, high = a[is_met], b[is_met], low[is_met], high[is_met]
    starts, _ = optimal_multipliers(a @ a.transpose(0, 2, 1), b)
    multipliers, is_solved = optimal_in_box(a, b, (low, high), starts)
    way = -np.vecmat(multipliers, a)
    points = np.clip(way, low, high)
    slack = b - np.matvec(a, points)
    assert is_solved.mean() > 0.8
    assert is_solved[np.all(way == points, axis=1)].all()
    # With multipliers of 0 or more and slacks of 0 where they are positive, the clipped way is the nearest point.
    assert (multipliers[is_solved] >= 0).all()
    assert (slack[is_solved] >= -1e-9).all()
    assert np.abs(multipliers * slack)[is_solved].max() < 1e-8


def test_the_nearest_point_in_a_box_goes_round_its_side():
    a, b = np.array([[[-1.0, -1.0]]]), np.array([[-1.0]])
    multipliers, is_solved = optimal_in_box(a, b, (np.zeros((1, 2)), np.array([[0.25, 1.0]])), np.array([[0.5]]))
    assert is_solved.all()
    assert multipliers[0].tolist() == pytest.approx([0.75])


def test_a_polytope_beyond_its_box_is_not_solved():
    a, b = np.array([[[-1.0, -1.0]]]), np.array([[-3.0]])
    _, is_solved = optimal_in_box(a, b, (np.zeros((1, 2)), np.ones((1, 2))), np.array([[1.5]]))
    assert not is_solved.any()

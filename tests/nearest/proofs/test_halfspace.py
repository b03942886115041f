"""The nearest point of a half-space within a box, against hand-computed and a library's answers."""

import numpy as np
import pytest

from made.brute_force import way_to_polytope
from nnrobust.nearest.proofs.halfspace import distance, distance_and_point

ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}


def rows(*values):
    return np.array(values, dtype=float)


@pytest.mark.parametrize(("norm", "size", "point"), [
    ("L2", 1.0, (0.6, 0.8)), ("Linf", 5 / 7, (5 / 7, 5 / 7)), ("L1", 1.25, (0.0, 1.25)),
])  # fmt: skip
def test_without_a_box_the_distance_is_depth_by_dual_norm(norm, size, point):
    found, where = distance_and_point(rows([-3.0, -4.0]), rows(5.0), norm, None)
    assert found[0] == pytest.approx(size)
    assert where[0].tolist() == pytest.approx(point)


@pytest.mark.parametrize(("norm", "size", "point"), [
    # The second coordinate stops at 0.5, so the first must do the other 3 of 5.
    ("L2", np.hypot(1, 0.5), (1.0, 0.5)), ("Linf", 1.0, (1.0, 0.5)), ("L1", 1.5, (1.0, 0.5)),
])  # fmt: skip
def test_a_coordinate_that_the_box_stops_leaves_the_rest_to_the_others(norm, size, point):
    found, where = distance_and_point(rows([-3.0, -4.0]), rows(5.0), norm, (rows([-9.0, -9.0]), rows([9.0, 0.5])))
    assert found[0] == pytest.approx(size)
    assert where[0].tolist() == pytest.approx(point)


@pytest.mark.parametrize("norm", ORDERS)
def test_a_half_space_beyond_the_box_is_infinitely_far_and_one_with_the_origin_at_no_distance(norm):
    box = (rows([-1.0, -1.0], [-1.0, -1.0]), rows([1.0, 1.0], [1.0, 1.0]))
    found = distance(rows([1.0, 1.0], [1.0, 1.0]), rows(2.1, -0.3), norm, box)
    assert found.tolist() == [np.inf, 0.0]


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("seed", range(40))
def test_the_distance_is_that_of_a_library_solver(norm, seed):
    generator = np.random.default_rng(seed)
    d = 1 + seed % 6
    normal = generator.standard_normal(d) * (generator.random(d) < 0.8)
    low, high = -generator.random(d) * (generator.random(d) < 0.8), generator.random(d)
    most = np.where(normal < 0, -normal * high, -normal * low).sum()
    depth = generator.uniform(0.1, 1.1) * most
    found, where = distance_and_point(rows(normal), rows(depth), norm, (rows(low), rows(high)))
    expected = way_to_polytope(normal[None], np.array([-depth]), norm, low, high, np.where(normal < 0, high, low))
    assert found[0] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    if np.isfinite(expected):
        assert ((low <= where[0]) & (where[0] <= high)).all()
        assert normal @ where[0] <= -depth + 1e-12
        assert np.linalg.norm(where[0], ORDERS[norm]) == pytest.approx(found[0])

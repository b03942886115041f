"""One problem of an other-class reference, solved once more with care: the interior-point method fails at degenerate corners.

In Linf and L1 it is a linear problem for the simplex method of HiGHS; in l2, with the sides of the box among its constraints, a
problem of least distance. Both are slow in many dimensions, and rarely needed. Whatever comes back is a proposal: what it proves
is the bound that the multipliers give.
"""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack, vstack

from nnrobust.nearest.convex import quadratic

_MOST = 256
"""Dimensions up to which sides of the box are constraints of the l2 problem: its systems have twice as many unknowns."""
_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_AT_SIDE = 1e-9
"""How near to a side of the box, relative to the length of the solution, a coordinate is taken to be at it."""
_OPTIMAL = 0

Sides = tuple[np.ndarray, np.ndarray]


def solve_with_care(a: np.ndarray, b: np.ndarray, norm: str, box: Sides | None) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (k,) of a_i.v <= b_i, and the v (d,) of least norm that meets them within the box; zeros and NaN without any.

    Where no v does, the multipliers are of a combination that says so.

    Args:
        a: (k, d), not 0; b: (k,). Far from the references rounding may leave none below 0, or k may be 0: v is 0.
        box: low <= 0 and high >= 0 (d,), which may be infinite.
    """
    if not (b < 0).any():
        return np.zeros(len(b)), np.zeros(a.shape[1])
    lengths = np.linalg.norm(a, axis=1)
    a, b = a / lengths[:, None], b / lengths
    size = max(float(-b.min()), 1e-300)
    sides = (np.full(a.shape[1], -np.inf), np.full(a.shape[1], np.inf)) if box is None else box
    low, high = (side / size for side in sides)
    if norm == "L2":
        multipliers, point = _quadratic(a, b / size, low, high)
    else:
        program = _linf if norm == "Linf" else _l1
        multipliers, point = program(a, b / size, low, high)
        if np.isnan(point).any():
            multipliers = _impossible(a, b / size, low, high)
    for side in (low, high):
        point = np.where(np.abs(point - side) <= _AT_SIDE * np.abs(point).max(), side, point)
    return np.maximum(multipliers, 0) / lengths, point * size


def _quadratic(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = a.shape[1]
    if d > _MOST:
        return np.zeros(len(a)), np.full(d, np.nan)
    normals, offsets = np.concatenate([a, np.eye(d), -np.eye(d)]), np.concatenate([b, high, -low])
    normals, offsets = normals[np.isfinite(offsets)], offsets[np.isfinite(offsets)]
    multipliers, _ = quadratic.optimal_multipliers((normals @ normals.T)[None], offsets[None])
    return multipliers[0, : len(a)], -multipliers[0] @ normals


def _linf(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = a.shape[1]
    t = csr_array(np.ones((d, 1)))
    rows = vstack(
        [hstack([csr_array(a), csr_array((len(a), 1))]), hstack([eye_array(d), -t]), hstack([-eye_array(d), -t])]
    )
    sides = [*zip(low, high, strict=True), (0, None)]
    return _solved(np.r_[np.zeros(d), 1.0], (rows, np.r_[b, np.zeros(2 * d)]), sides, (len(a), d))


def _l1(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = a.shape[1]
    sides = [(0, cap) for cap in np.r_[high, -low]]
    multipliers, parts = _solved(np.ones(2 * d), (np.concatenate([a, -a], axis=1), b), sides, (len(a), 2 * d))
    return multipliers, parts[:d] - parts[d:]


def _impossible(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The multipliers of the combination of constraints that is violated most everywhere in the box."""
    d = a.shape[1]
    sides = [*zip(low, high, strict=True), (None, None)]
    return _solved(np.r_[np.zeros(d), 1.0], (np.c_[a, -np.ones(len(a))], b), sides, (len(a), d))[0]


def _solved(
    cost: np.ndarray, constraints: tuple[object, np.ndarray], sides: list, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The multipliers of the first k constraints, and the first d variables, of the least cost."""
    (k, d), (rows, limits) = size, constraints
    found = linprog(cost, A_ub=rows, b_ub=limits, bounds=sides, method="highs-ds", options=_OPTIONS)
    if found.status != _OPTIMAL:
        return np.zeros(k), np.full(d, np.nan)
    return -found.ineqlin.marginals[:k], found.x[:d]

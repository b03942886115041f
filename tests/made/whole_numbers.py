"""Problems on grids of whole numbers, where corners are degenerate, and their radii by solvers of others."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog, lsq_linear, nnls

ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}
DUALS = {"L1": np.inf, "L2": 2, "Linf": 1}


def grid_problem(generator):
    """References (n, d) and their labels, 8 queries on the grid or half way, and a box, open on one side or cutting the grid, or none."""
    d, n, high = (
        int(generator.integers(1, 7)),
        int(generator.integers(3, 60)),
        int(generator.choice([1, 2, 3, 5, 10, 20, 100])),
    )
    points, y = (
        generator.integers(0, high + 1, (n, d)).astype(float),
        generator.integers(0, generator.integers(2, 4), n),
    )
    y[:2] = 0, 1
    queries = generator.integers(0, 2 * high + 1, (8, d)) / 2
    if generator.random() < 0.5:
        queries = np.floor(queries)
    half = max(1, high // 2)
    box = [None, None, (0, high), (0, np.inf), (-1, high + 2), (0, half)][generator.integers(6)]
    return points, y, np.clip(queries, 0, half) if box == (0, half) else queries, box


@st.composite
def tiny_problems(draw, most=7):
    """References in up to three dimensions, many at the same place, their labels, a query or two on the grid, and a box or none."""
    d, n, high = draw(st.integers(1, 3)), draw(st.integers(2, most)), draw(st.sampled_from([1, 2, 4]))
    points, queries = (
        draw(arrays(float, (rows, d), elements=st.integers(0, high))) for rows in (n, draw(st.integers(1, 2)))
    )
    y = draw(arrays(int, n, elements=st.integers(0, 2)))
    y[:2] = 0, 1
    half = max(1, high // 2)
    box = draw(st.sampled_from([None, (0, high), (0, np.inf), (-1, high + 2), (0, half)]))
    queries += draw(st.sampled_from([0, 0.5]))
    return points, y, np.clip(queries, 0, half if box == (0, half) else high), box


def known_radius(query, own, others, norm, box):
    """The least over other references of the distance to the points that they win or tie: HiGHS, or least distance by NNLS."""
    low, high = (np.full(len(query), side) for side in box or (-np.inf, np.inf))
    d_own, d_others = ((own - query) ** 2).sum(axis=1), ((others - query) ** 2).sum(axis=1)
    between = np.linalg.norm(own[:, None] - others, DUALS[norm], axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        bisectors = np.where(between > 0, (d_others - d_own[:, None]) / 2 / between, 0).max(axis=0)
    best = np.inf
    for j in bisectors.argsort():
        if bisectors[j] >= best:
            break
        a, b = own - others[j], (d_own - d_others[j]) / 2
        best = min(best, _way(a, b, norm, low - query, high - query))
    return best


def _way(a, b, norm, low, high):
    d = len(low)
    if norm == "L2":
        normals, offsets = np.r_[a, np.eye(d), -np.eye(d)], np.r_[b, high, -low]
        return _least_distance(normals[np.isfinite(offsets)], offsets[np.isfinite(offsets)])
    if norm == "Linf":
        sides = np.r_[np.c_[np.eye(d), -np.ones(d)], np.c_[-np.eye(d), -np.ones(d)]]
        cost, rows, limits = np.r_[np.zeros(d), 1], np.r_[np.c_[a, np.zeros(len(a))], sides], np.r_[b, np.zeros(2 * d)]
        solved = linprog(cost, A_ub=rows, b_ub=limits, bounds=[*zip(low, high, strict=True), (0, None)])
    else:
        solved = linprog(np.ones(2 * d), A_ub=np.c_[a, -a], b_ub=b, bounds=[(0, cap) for cap in np.r_[high, -low]])
    return solved.fun if solved.status == 0 else np.inf


def _least_distance(a, b):
    """Lawson and Hanson's reduction of the nearest point with a v <= b to non-negative least squares.

    SciPy 1.17's nnls now and then ends short of the optimum in a degenerate corner, which complementarity shows.
    """
    lengths = np.linalg.norm(a, axis=1)
    a, b = a[lengths > 0] / lengths[lengths > 0, None], b[lengths > 0] / lengths[lengths > 0]
    if not len(b):
        return 0.0
    size = max(-b.min(), 1e-12)
    stacked, target = np.vstack([-a.T, -b / size]), np.r_[np.zeros(a.shape[1]), 1.0]
    weights = nnls(stacked, target)[0]
    if np.abs(weights * (stacked.T @ (stacked @ weights - target))).max() > 1e-9:
        weights = lsq_linear(stacked, target, (0, np.inf), method="bvls", tol=1e-14).x
    residual = stacked @ weights - target
    return size * np.linalg.norm(residual[:-1] / residual[-1]) if -residual[-1] > 1e-9 else np.inf

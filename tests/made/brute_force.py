"""The exact radius of 1NN by a library's solver: one problem for each other-class reference, with every constraint."""

import numpy as np
from scipy.optimize import linprog, minimize


def exact_radius(query, own, others, norm, box=None, metric=None):
    """The distance from `query` to the nearest point, in the box, that some other reference is as near to as every own one.

    Distances are those of what `metric` (k, d) makes of points, if there is one.
    """
    query, own, others = (np.asarray(part, dtype=float) for part in (query, own, others))
    d = len(query)
    metric = np.eye(d) if metric is None else metric
    low, high = (np.full(d, -np.inf), np.full(d, np.inf)) if box is None else (box[0] - query, box[1] - query)
    best = np.inf
    for other in others:
        a = (own - other) @ metric.T @ metric
        b = (((own - query) @ metric.T) ** 2).sum(axis=1) / 2 - ((metric @ (other - query)) ** 2).sum() / 2
        best = min(best, way_to_polytope(a, b, norm, low, high, other - query))
    return best


def way_to_polytope(a, b, norm, low, high, inside):
    """The least norm of a v with a v <= b and low <= v <= high, infinity where there is none; `inside` is such a v, or near one."""
    d = len(inside)
    if norm == "L2":
        return _quadratic(a, b, low, high, np.clip(inside, low, high))
    if norm == "Linf":
        sides = np.r_[np.c_[np.eye(d), -np.ones(d)], np.c_[-np.eye(d), -np.ones(d)]]
        solved = linprog(
            np.r_[np.zeros(d), 1.0],
            A_ub=np.r_[np.c_[a, np.zeros(len(a))], sides],
            b_ub=np.r_[b, np.zeros(2 * d)],
            bounds=[*zip(low, high, strict=True), (0, None)],
        )
    else:
        solved = linprog(np.ones(2 * d), A_ub=np.c_[a, -a], b_ub=b, bounds=[(0, h) for h in np.r_[high, -low]])
    return solved.fun if solved.status == 0 else np.inf


def _quadratic(a, b, low, high, start):
    """By sequential quadratic programming, scaled to coordinates of order 1."""
    scale = np.abs(start).max() or 1.0
    lengths = np.maximum(np.linalg.norm(a, axis=1), 1e-300)
    a, b = a / lengths[:, None], b / lengths / scale
    constraints = [{"type": "ineq", "fun": lambda v: b - a @ v, "jac": lambda v: -a}]
    solved = minimize(
        lambda v: v @ v / 2, start / scale, jac=lambda v: v, constraints=constraints, method="SLSQP",
        bounds=list(zip(low / scale, high / scale, strict=True)), options={"ftol": 1e-15, "maxiter": 1000},
    )  # fmt: skip
    is_met = (a @ solved.x - b).max() < 1e-7
    return scale * np.linalg.norm(solved.x) if is_met else np.inf

"""The exact radius of k nearest neighbours by enumeration: one problem for each set of k references that loses the vote."""

import itertools

import numpy as np
from scipy.optimize import linprog, nnls

ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}


def exact_voting_radius(query, points, codes, code, k, norm, box=None):
    """The distance from `query` to the nearest point, in the box, of which some k nearest references do not keep `code`."""
    query, points = np.asarray(query, dtype=float), np.asarray(points, dtype=float)
    d, ways = len(query), points - query
    low, high = (np.full(d, -np.inf), np.full(d, np.inf)) if box is None else (box[0] - query, box[1] - query)
    cells = []
    for chosen in itertools.combinations(range(len(points)), k):
        votes = np.bincount(codes[list(chosen)], minlength=codes.max() + 1)
        if max(votes[other] for other in range(len(votes)) if other != code) < votes[code]:
            continue
        rest = [i for i in range(len(points)) if i not in chosen]
        near, far = (np.array(part) for part in zip(*itertools.product(chosen, rest), strict=True))
        a = ways[far] - ways[near]
        b = ((ways[far] ** 2).sum(axis=1) - (ways[near] ** 2).sum(axis=1)) / 2
        cells.append((least_l2(a, b, low, high), a, b))
    least = d**-0.5 if norm == "Linf" else 1.0
    best = np.inf
    for in_l2, a, b in sorted(cells, key=lambda cell: cell[0]):
        if in_l2 * least >= best:
            break
        best = min(best, in_l2 if norm == "L2" else least_linear(a, b, norm, low, high))
    return best


def least_l2(a, b, low, high):
    """The least length of a v with a v <= b and low <= v <= high, infinity where there is none."""
    d = a.shape[1]
    rows, limits = np.r_[a, np.eye(d), -np.eye(d)], np.r_[b, high, -low]
    rows, limits = rows[np.isfinite(limits)], limits[np.isfinite(limits)]
    lengths = np.linalg.norm(rows, axis=1)
    if (limits[lengths == 0] < 0).any():
        return np.inf
    rows, limits = rows[lengths > 0] / lengths[lengths > 0, None], limits[lengths > 0] / lengths[lengths > 0]
    if not len(limits):
        return 0.0
    scale = max(np.abs(limits).max(), 1e-300)
    u, rest = nnls(np.r_[rows.T, limits[None] / scale], np.r_[np.zeros(d), -1.0])
    total = 1 + u @ limits / scale
    return np.inf if rest < 1e-7 or total <= 0 else scale * np.linalg.norm(u @ rows) / total


def least_linear(a, b, norm, low, high):
    """The same in Linf or L1."""
    d = a.shape[1]
    if norm == "Linf":
        sides = np.r_[np.c_[np.eye(d), -np.ones(d)], np.c_[-np.eye(d), -np.ones(d)]]
        solved = linprog(
            np.r_[np.zeros(d), 1.0], A_ub=np.r_[np.c_[a, np.zeros(len(a))], sides], b_ub=np.r_[b, np.zeros(2 * d)],
            bounds=[*zip(low, high, strict=True), (0, None)],
        )  # fmt: skip
    else:
        solved = linprog(np.ones(2 * d), A_ub=np.c_[a, -a], b_ub=b, bounds=[(0, h) for h in np.r_[high, -low]])
    return solved.fun if solved.status == 0 else np.inf

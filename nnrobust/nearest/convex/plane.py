"""Problems of the plane in Linf and L1, by going through all corners: two dimensions need no iterations.

At the best multipliers no more than two constraints count: one, or two in such parts that the norm of their combination has a
kink. In Linf a coordinate of the combination is 0 there, in L1 both are as large; in L1 within a box either may be.
"""

import numpy as np

from nnrobust.nearest.convex.problems import Problems, Solution
from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.halfspace import Adversary, Box


@np.errstate(all="ignore")
def solve(problems: Problems, adversary: Adversary, room: Box | None) -> Solution:
    """The solutions of n problems of the plane: multipliers of one constraint or two, their bounds, and the corners there."""
    normals = problems.normals()
    n, p = problems.limits.shape
    singles = np.broadcast_to(np.eye(p), (n, p, p))
    candidates = np.concatenate([singles, _kinks(normals, problems.is_used, adversary, room is not None)], axis=1)
    combined, depths = candidates @ normals, -np.matvec(candidates, problems.limits)
    rows, columns = np.nonzero((depths > 0) & np.any(combined != 0, axis=2))
    sides = None if room is None else (room[0][rows], room[1][rows])
    values = np.zeros(depths.shape)
    values[rows, columns] = halfspace.distance(combined[rows, columns], depths[rows, columns], adversary.norm, sides)
    best = np.nan_to_num(values, posinf=np.inf).argmax(axis=1)
    multipliers = candidates[np.arange(n), best]
    whole = problems.combined(multipliers)
    bounds = halfspace.distance(whole, problems.depths(multipliers, room), adversary.norm, room)
    inner = -np.vecdot(multipliers, problems.inner_limits)
    points = halfspace.distance_and_point(whole, inner, adversary.norm, room)[1]
    is_corner = best >= p
    if is_corner.any():
        points[is_corner] = _corners(normals[is_corner], problems.inner_limits[is_corner], multipliers[is_corner])
    sound = np.ones(n, dtype=bool)
    return Solution(multipliers, bounds, points, sound, sound)


def _kinks(normals: np.ndarray, is_used: np.ndarray, adversary: Adversary, is_boxed: bool) -> np.ndarray:
    """Multipliers (n, c, p) of two constraints each, 0 where these have no kink in common."""
    n, p = is_used.shape
    turned = np.stack([normals.sum(axis=2), normals[:, :, 0] - normals[:, :, 1]], axis=2)
    sizes = normals if adversary.norm == "Linf" else turned
    sizes = np.concatenate([normals, turned], axis=2) if adversary.norm == "L1" and is_boxed else sizes
    first, second = np.triu_indices(p, 1)
    here, there = sizes[:, first], sizes[:, second]  # (n, pairs, kinks)
    is_kink = (here * there < 0) & (is_used[:, first] & is_used[:, second])[:, :, None]
    total = np.abs(here) + np.abs(there)
    found = np.zeros((n, len(first), sizes.shape[2], p))
    pairs = np.arange(len(first))
    found[:, pairs, :, first] = np.where(is_kink, np.abs(there) / total, 0.0).transpose(1, 0, 2)
    found[:, pairs, :, second] = np.where(is_kink, np.abs(here) / total, 0.0).transpose(1, 0, 2)
    return found.reshape(n, -1, p)


def _corners(normals: np.ndarray, limits: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """Where the two constraints that count meet (n, 2)."""
    first, second = np.sort((-multipliers).argsort(axis=1)[:, :2], axis=1).T
    rows = np.arange(len(normals))
    a, b = normals[rows, first], normals[rows, second]
    c, d = limits[rows, first], limits[rows, second]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return np.stack([c * b[:, 1] - d * a[:, 1], d * a[:, 0] - c * b[:, 0]], axis=1) / area[:, None]

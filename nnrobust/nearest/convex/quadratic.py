"""The point nearest to the origin in each of many small polytopes, by their dual problems, in float64."""

import numpy as np

from nnrobust.nearest.convex.systems import diagonals, solutions

TOLERANCE = 1e-12
"""Violation that a constraint may have, relative to the distance of the farthest constraint's plane from the origin."""
_MAX_ROUNDS = 20
"""Most problems in a box need three to six."""
_MET_WITHIN = 1e-10
"""Violation that a constraint may have in a box, relative to the largest of the offsets."""


@np.errstate(all="ignore")
def optimal_multipliers(
    gram: np.ndarray, offsets: np.ndarray, starts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of the points nearest to the origin in polytopes {v : a_i.v <= b_i}, and which of them are solved.

    Each of n problems, as the least-squares problem min |A^T u|^2 + (b.u + 1)^2 over u >= 0, by the active-set method of Lawson
    and Hanson: the constraint with the largest gradient enters, the least-squares problem of those within is solved, those whose
    u would be negative leave. The multipliers are m = u / (1 + b.u), the point is v = -A^T m. For any m >= 0, solved or not,
    -m.b / |A^T m| bounds its length from below.

    Args:
        gram: a_i.a_k, float64 (n, k, k).
        offsets: b_i, float64 (n, k). A constraint with a_i = e_i and b_i = 1 is never violated, and serves as padding.
        starts: which constraints are expected to bind (n, k), to save rounds.

    Returns:
        m, float64 (n, k), and a flag (n,) that is False where the method met a singular problem or did not end.

    Source: C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), chapter 23: NNLS and its use for LDP.
    """
    n, k = offsets.shape
    lengths = np.maximum(np.sqrt(diagonals(gram)), 1e-300)
    scale = np.maximum((np.abs(offsets) / lengths).max(axis=1, keepdims=True), 1e-300)
    b = offsets / lengths / scale
    normal = gram / lengths[:, :, None] / lengths[:, None] + b[:, :, None] * b[:, None]
    u, is_within, is_barred = np.zeros_like(b), np.zeros((n, k), dtype=bool), np.zeros((n, k), dtype=bool)
    is_solved = np.zeros(n, dtype=bool)
    live = np.arange(n)
    if starts is not None:
        is_within |= starts
        is_within[~_settle(normal, b, u, is_within, live)] = False
    for _ in range(10 * k):
        gradient = -b[live] - np.matvec(normal[live], u[live])
        gradient[is_within[live] | is_barred[live]] = -np.inf
        largest, entering = gradient.max(axis=1), gradient.argmax(axis=1)
        is_done = largest <= TOLERANCE * (1 + np.vecdot(b[live], u[live]))
        is_solved[live[is_done]] = True
        live, entering = live[~is_done], entering[~is_done]
        if len(live) == 0:
            break
        is_within[live, entering] = True
        is_regular = _settle(normal, b, u, is_within, live)
        # One that those within imply, such as another of the same point, has entered by rounding alone.
        is_within[live[~is_regular], entering[~is_regular]] = False
        is_barred[live[~is_regular], entering[~is_regular]] = True
    total = 1 + np.vecdot(b, u)
    # Nothing is left of it where no point meets all constraints, and u says so.
    multipliers = u / np.where(total > TOLERANCE, total, 1.0)[:, None]
    return multipliers * scale / lengths, is_solved


def optimal_in_box(
    normals: np.ndarray, offsets: np.ndarray, box: tuple[np.ndarray, np.ndarray], multipliers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers m of the points v = clip(-A^T m) nearest to the origin in polytopes within boxes, and which are optimal.

    A primal-dual active-set method: the coordinates that leave the box are held at its sides, the problem of the others is that
    of `optimal_multipliers`, and so on until the same ones leave. Then the conditions of the optimum hold. Problems that do not
    get there in a few rounds are not solved.

    Args:
        normals: a_i, float64 (n, k, d), 0 for padding.
        offsets: b_i, float64 (n, k).
        box: low <= 0 and high >= 0, float64 (n, d).
        multipliers: where the method starts (n, k), such as those without the box.

    Source: M. Hintermueller, K. Ito and K. Kunisch, The primal-dual active set strategy as a semismooth Newton method, SIAM
    Journal on Optimization 13 (2002).
    """
    found, is_solved = multipliers.copy(), np.zeros(len(offsets), dtype=bool)
    live, held = np.arange(len(offsets)), np.zeros_like(box[0], dtype=np.int8)
    is_padding = np.all(normals == 0, axis=2)
    for n_round in range(_MAX_ROUNDS):
        a, low, high = normals[live], box[0][live], box[1][live]
        way = -np.vecmat(found[live], a)
        side = np.subtract(way > high, way < low, dtype=np.int8)
        if n_round > 0:
            is_same = (side == held).all(axis=1)
            met = np.matvec(a, np.clip(way, low, high)) - offsets[live]
            is_solved[live] = is_same & (met.max(axis=1) <= _MET_WITHIN * np.abs(offsets[live]).max(axis=1))
            live, side, a, low, high = live[~is_same], side[~is_same], a[~is_same], low[~is_same], high[~is_same]
        if len(live) == 0:
            break
        gram = (a * (side == 0)[:, None]) @ a.transpose(0, 2, 1)
        diagonals(gram)[:] += is_padding[live]
        at_sides = np.where(side > 0, high, np.where(side < 0, low, 0.0))
        found[live], is_regular = optimal_multipliers(gram, offsets[live] - np.matvec(a, at_sides), found[live] > 0)
        live, held = live[is_regular], side[is_regular]
    return found, is_solved


def _settle(
    gram: np.ndarray, offsets: np.ndarray, multipliers: np.ndarray, is_within: np.ndarray, live: np.ndarray
) -> np.ndarray:
    """Brings the multipliers of the constraints within to their optimum, in place; returns which problems are not singular."""
    remaining, is_regular = live, np.ones(len(gram), dtype=bool)
    for _ in range(offsets.shape[1] + 1):
        within, old = is_within[remaining], multipliers[remaining]
        system = np.where(within[:, :, None] & within[:, None, :], gram[remaining], 0.0)
        diagonals(system)[:] += ~within
        new = solutions(system, np.where(within, -offsets[remaining], 0.0))
        is_singular = np.isnan(new).any(axis=1)
        is_regular[remaining[is_singular]] = False
        leaving = within & (new <= 0)
        is_settled = ~leaving.any(axis=1) & ~is_singular
        multipliers[remaining[is_settled]] = new[is_settled]
        rest = ~is_settled & ~is_singular
        remaining, old, new, leaving, within = remaining[rest], old[rest], new[rest], leaving[rest], within[rest]
        if len(remaining) == 0:
            break
        ratio = np.where(leaving, old / np.maximum(old - new, 1e-300), np.inf)
        step = ratio.min(axis=1, keepdims=True)
        stays = within & ~(leaving & (ratio <= step))
        is_within[remaining] = stays
        multipliers[remaining] = np.where(stays, np.maximum(old + step * (new - old), 0), 0.0)
    return is_regular[live]

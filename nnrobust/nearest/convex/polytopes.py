"""The point of least norm in each of many polytopes, in the norm and box asked for.

In l2 the active sets of the box and of the constraints are found. What that leaves, and the other norms, are problems of the
interior-point method, which starts from the solution in l2 without a box.
"""

import numpy as np

from nnrobust.nearest.convex import quadratic
from nnrobust.nearest.convex.interior import Programs, Rows, State, back, follow
from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.halfspace import Box

_ABOVE, _ABOVE_IN_BOX = 1.3, 32.5
"""Length of a start, relative to the bound that the l2 multipliers give; the second in l1, where a box drives it far beyond."""
_OF_WIDTH, _OF_MEAN = 0.02, 0.3
"""How far from the sides of its box a start lies: this part of its width, or of the mean |z|, if that is less."""
_FAR = 1e9
"""Where sides of a box are at the farthest, in lengths of the l2 solution without the box."""


@np.errstate(all="ignore")
def multipliers_and_points(
    normals: np.ndarray, offsets: np.ndarray, norm: str, box: Box | None, multipliers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (n, k) of constraints a_i.v <= b_i, and the v (n, d) of least norm that meets them within the box.

    Both are as good as the method got: a proof is the bound that the multipliers give, and that v meets every constraint.

    Args:
        normals: a_i, float64 (n, k, d).
        offsets: b_i, float64 (n, k).
        norm: `L1`, `Linf`, or `L2` with a box.
        box: low <= 0 and high >= 0, float64 (n, d), with low < high; sides may be infinite.
        multipliers: those of the problem in l2 without a box, where the method starts; one at least is positive.
    """
    if norm == "L2" and box is not None:
        found, is_solved = quadratic.optimal_in_box(normals, offsets, box, multipliers)
        points, rest = np.clip(-np.vecmat(found, normals), *box), np.flatnonzero(~is_solved)
        if len(rest):
            sides = box[0][rest], box[1][rest]
            found[rest], points[rest] = _by_steps(normals[rest], offsets[rest], norm, sides, multipliers[rest])
        return found, points
    return _by_steps(normals, offsets, norm, box, multipliers)


def _by_steps(
    normals: np.ndarray, offsets: np.ndarray, norm: str, box: Box | None, multipliers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same, by the interior-point method."""
    lengths = np.sqrt(np.vecdot(normals, normals))
    lengths = np.where(lengths > 0, lengths, 1.0)
    a, b, y = normals / lengths[:, :, None], offsets / lengths, multipliers * lengths
    g = back(a, y)
    size = halfspace.distance(g, -np.vecdot(y, b), norm, None)[:, None]
    sides = None if box is None else (np.maximum(box[0] / size, -_FAR), np.minimum(box[1] / size, _FAR))
    programs, state = _PROGRAMS[norm](a, b / size, sides, g, y)
    y, z = follow(programs, state)
    d = normals.shape[2]
    v = z[:, :d] - z[:, d:] if norm == "L1" else z
    return y / lengths, v * size


def _linf(a: np.ndarray, b: np.ndarray, box: Box | None, g: np.ndarray, y: np.ndarray) -> tuple[Programs, State]:
    """z <= t and -z <= t, and the box. Starts where the barrier problem of the l2 multipliers, without the box, is solved."""
    scale = np.abs(g).sum(axis=1, keepdims=True)
    mu = np.full_like(scale, 0.3 * _ABOVE / g.shape[1])
    u = _ABOVE * g / (scale * mu)
    z = _inside(-_ABOVE * u / (1 + np.sqrt(1 + u * u)), box)
    t = np.maximum(np.full_like(z[:, 0], _ABOVE), 1.05 * np.abs(z).max(axis=1))
    zero = np.zeros_like(z)
    sides = [] if box is None else [(1.0, 0.0, box[1]), (-1.0, 0.0, -box[0])]
    programs = Programs(a, b, Rows.of((1.0, 1.0, zero), (-1.0, 1.0, zero), *sides))
    return programs, programs.begin(z, t, y / scale, mu)


def _l2(a: np.ndarray, b: np.ndarray, box: Box | None, g: np.ndarray, y: np.ndarray) -> tuple[Programs, State]:
    """The box alone; without one the problem is solved already. Starts at the solution without the box."""
    assert box is not None
    scale = np.linalg.norm(g, axis=1, keepdims=True)
    z = _inside(-g / scale, box)
    programs = Programs(a, b, Rows.of((1.0, 0.0, box[1]), (-1.0, 0.0, -box[0])), rho=1.0)
    return programs, programs.begin(z, np.zeros_like(z[:, 0]), y / scale, np.full_like(scale, 0.1 / z.shape[1]))


def _l1(a: np.ndarray, b: np.ndarray, box: Box | None, g: np.ndarray, y: np.ndarray) -> tuple[Programs, State]:
    """z = (p, q) with v = p - q, z >= 0 and the box. Starts at multipliers within their limits, ||g||_inf < 1.

    A coordinate that the box lets no way in one direction has no part in it.
    """
    scale = np.abs(g).max(axis=1, keepdims=True) / 0.9
    reduced = np.concatenate([1 + g / scale, 1 - g / scale], axis=1)
    mu = (_ABOVE if box is None else _ABOVE_IN_BOX) / (1 / reduced).sum(axis=1, keepdims=True)
    z, both = mu / reduced, np.concatenate([a, -a], axis=2)
    rows = [(-1.0, 0.0, np.zeros_like(z))]
    if box is not None:
        caps = np.concatenate([box[1], -box[0]], axis=1)
        both = np.where((caps > 0)[:, None], both, 0.0)
        caps = np.where(caps > 0, caps, 1.0)
        z = _inside(z, (np.zeros_like(z), caps))
        rows.append((1.0, 0.0, caps))
    programs = Programs(both, b, Rows.of(*rows), cost=1.0)
    return programs, programs.begin(z, np.zeros_like(z[:, 0]), y / scale, mu)


_PROGRAMS = {"L1": _l1, "L2": _l2, "Linf": _linf}


def _inside(z: np.ndarray, box: Box | None) -> np.ndarray:
    """z, moved inside its box."""
    if box is None:
        return z
    margin = np.minimum(_OF_WIDTH * (box[1] - box[0]), _OF_MEAN * np.abs(z).mean(axis=1, keepdims=True))
    return np.clip(z, box[0] + margin, box[1] - margin)

"""Points that another class wins, where rounding hides it at the solution of a problem: farther on the way to the winner."""

from collections.abc import Callable

import numpy as np

from nnrobust.nearest.distances.metric import Plain
from nnrobust.nearest.distances.references import References
from nnrobust.nearest.proofs.halfspace import Side

_STEPS = (*2.0 ** np.arange(-48, 1, 4), 1.0)
"""What a point is moved at least, of its way to the winner, one after the other, before the last at the winner itself."""
_CLEAR = 2.0**-48
"""How much nearer the winner must be, relative to the squared distances, to be seen by whoever sums them in another order."""

_SHORT = 2.0**-24
"""To what part of the largest coordinate coordinates are rounded, so that sums of their squares are exact."""

_LITTLE = 2.0**-40
"""How far a point may be rounded: squared, relative to its way to the winner."""


def moved_until_won(
    points: np.ndarray, goals: np.ndarray, own: References, metric: Plain, box: tuple[Side, Side] | None
) -> tuple[np.ndarray, np.ndarray]:
    """For each of n points (n, d) the first on its way to a goal that is as near to the goal as to every reference of `own`.

    On a straight way the goal gains on each reference steadily, so where it overtakes the one that is nearest says how far to go;
    others may be nearer there. Goals (n, k) are references, in the image of the metric; one in the box wins where it lies, one
    outside may not be reached. References equal to the goal never beat it.

    Returns:
        The points (n, d), in the box, and which of them are won (n,).
    """
    found, is_won = points if box is None else np.clip(points, *box), np.zeros(len(points), dtype=bool)
    start = found.copy()
    ends = start + metric.ways_to(goals - metric.mapped(start))
    shares, open_rows = np.zeros(len(points)), np.arange(len(points))
    # At a corner that the box leaves of a cell, a tie is all there is: at points of few binary digits float64 sees it.
    for turn in (np.round, np.floor):
        left = np.flatnonzero(~is_won)
        tried = _short(start[left], ends[left], turn)
        tried = tried if box is None else np.clip(tried, *box)
        places = metric.mapped(tried)
        is_tied = _squared(places, goals[left]) <= own.nearest(places, excluded=goals[left])[0]
        is_tied &= _squared(tried, start[left]) <= _LITTLE * _squared(ends[left], start[left])
        found[left[is_tied]], is_won[left[is_tied]] = tried[is_tied], True
    for step in _STEPS:
        if len(open_rows) == 0:
            break
        tried = (1 - shares[open_rows, None]) * start[open_rows] + shares[open_rows, None] * ends[open_rows]
        tried = tried if box is None else np.clip(tried, *box)
        places, targets = metric.mapped(tried), goals[open_rows]
        nearest, worst = own.nearest(places, excluded=targets)
        squared = _squared(places, targets)
        is_clear = squared <= nearest * (1 - _CLEAR)
        # Whoever ties is of another label too; one that wins is better, unless it is far away.
        is_near, is_new = shares[open_rows] < _SHORT, ~is_won[open_rows]
        is_kept = (is_clear & (is_near | is_new)) | ((squared <= nearest) & is_new)
        found[open_rows[is_kept]], is_won[open_rows[is_kept]] = tried[is_kept], True
        # From here the goal gains |x_i - goal|^2 on reference i until it is reached.
        behind = squared - nearest
        rest = behind / (behind + _squared(own.exactly(worst), targets))
        shares[open_rows] += (1 - shares[open_rows]) * np.clip(np.where(np.isfinite(rest), rest, 0.0), step, 1.0)
        open_rows = open_rows[~is_clear]
    return found, is_won


def _short(points: np.ndarray, ends: np.ndarray, turn: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Points (n, d) of few binary digits: rounded by `turn`, for which the way to the ends goes down."""
    size = np.abs(points).max(axis=1, keepdims=True, initial=np.finfo(float).tiny)
    step = 2.0 ** np.ceil(np.log2(size)) * _SHORT * np.where(ends < points, 1.0, -1.0)
    rounded: np.ndarray = turn(points / step) * step
    return rounded


def _squared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    difference = first - second
    return np.vecdot(difference, difference)

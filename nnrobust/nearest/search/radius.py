"""The exact radius of 1NN: the distance from a query to the nearest point that another class wins, in any norm, in a box.

An other-class reference x_j wins at x + v when it is at least as near as every own-class reference x_i, that is in the polytope
a_i.v <= b_i with a_i = x_i - x_j and b_i = (||x_i - x||^2 - ||x_j - x||^2) / 2; `metric` has both for distances elsewhere. The
radius is the smallest distance, over j, from 0 to it. `best_first` searches where few j matter, as in many dimensions, `crowded`
where hundreds do, as in the plane.
"""

from dataclasses import dataclass, replace

import numpy as np

from nnrobust.nearest.distances.measured import Distances
from nnrobust.nearest.distances.screening import Effort, Known, Rivals, screen
from nnrobust.nearest.distances.weighted import Weighted
from nnrobust.nearest.proofs.halfspace import UNBOXED, Adversary
from nnrobust.nearest.search.best_first import BestFirst
from nnrobust.nearest.search.crowded import FEW, crowded_radii
from nnrobust.nearest.search.radii import Radii
from nnrobust.runtime.memory import fitting
from nnrobust.runtime.threads import on_one_thread

PAST = 1 + 1e-6
"""Multiple of an epsilon that a bound must exceed for its query to be left: beyond what roundings take off."""
_MORE = 8
"""Times as many references are screened where the bound of all others is the lowest."""


@on_one_thread
@np.errstate(all="ignore")
def exact_radii(  # noqa: PLR0913
    queries: np.ndarray,
    rivals: Rivals,
    effort: Effort,
    adversary: Adversary = UNBOXED,
    stop_above: np.ndarray | float = np.inf,
    groups: np.ndarray | None = None,
    known: Known | None = None,
) -> Radii:
    """The radii of queries (m, d) of which the nearest reference is of their own class.

    Args:
        effort: with how many references to start; more are taken where these do not suffice.
        groups: (m,), the group of the other-class references that each query faces; None: all of them.
        known: what is known of these queries' distances, where it is there.
        stop_above: (m,) or one for all. A query whose radius is proven to exceed it is left there, with an infinite `upper`.
    """
    x = np.asarray(queries, dtype=np.float64)
    limit = np.broadcast_to(np.asarray(stop_above, dtype=np.float64), len(x))
    is_held = isinstance(rivals.metric, Weighted) and not rivals.metric.is_free.all()
    # Where features may not change a rival may be out of reach, which only `crowded` shows.
    if len(x) and (is_held or (x.shape[1] <= FEW and len(rivals.other) > effort.n_screened)):
        found, is_left = crowded_radii(x, rivals, adversary, limit, groups)
        rows = np.flatnonzero(is_left)
        if len(rows):
            rest = known.take(rows) if known else Known.of(x[rows], rivals, None if groups is None else groups[rows])
            _put(found, rows, _best_first(x[rows], rivals, effort, adversary, limit[rows], rest))
        return found
    return _best_first(x, rivals, effort, adversary, limit, known or Known.of(x, rivals, groups))


@dataclass(frozen=True)
class Search:
    """The radii of blocks of queries, each with what they are beyond of no interest and distances, against the same rivals."""

    rivals: Rivals
    n_own: int
    n_screened: int
    adversary: Adversary

    def __call__(self, question: tuple[np.ndarray, np.ndarray, Distances | None]) -> Radii:
        """Those of queries (m, d), with what stops the search of each (m,); where memory does not suffice, in smaller parts.

        The distances of the queries from the rivals come with them, or are measured.
        """
        queries, stop_above, distances = question

        def radii(rows: np.ndarray) -> Radii:
            effort = Effort(self.n_own, self.n_screened, len(rows))
            x, known = queries[rows], None
            if distances is not None:
                known = Known.of(x, self.rivals, distances=distances.take(rows))
            return exact_radii(x, self.rivals, effort, self.adversary, stop_above[rows], known=known)

        return Radii.joined([part for _, part in fitting(radii, np.arange(len(queries)), len(queries))])


def _put(found: Radii, rows: np.ndarray, more: Radii) -> None:
    """Puts radii in the place of those of these rows."""
    for name in ("lower", "upper", "witness", "bisector", "is_delicate"):
        getattr(found, name)[rows] = getattr(more, name)
    for n, row in enumerate(rows.tolist()):
        found.own[row], found.proofs[row] = more.own[n], more.proofs[n]


def _best_first(
    x: np.ndarray,
    rivals: Rivals,
    effort: Effort,
    adversary: Adversary,
    limit: np.ndarray,
    known: Known,
) -> Radii:
    search = BestFirst(x, rivals, screen(x, rivals, effort, adversary, known), adversary)
    search.run(limit)
    found = search.result(limit)
    rows = np.flatnonzero(search.needs_more)
    if len(rows):
        larger = replace(effort, n_screened=_MORE * effort.n_screened, is_thorough=True)
        _put(found, rows, _best_first(x[rows], rivals, larger, adversary, limit[rows], known.take(rows)))
    return found

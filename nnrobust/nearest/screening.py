"""Which references can decide the radius of a query: bisector bounds for all of them, cheap ones first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.references import ROUNDING, References, cross_distances
from nnrobust.threat import DUAL

_FEW = 16
"""Queries whose candidates are compared at once, coordinate by coordinate (16 x 128 x 3,072 values)."""


@dataclass(frozen=True)
class Effort:
    """How much work a query gets.

    `n_own` nearest own-class references are the i of the bisector bound, and the first constraints of the convex problems.
    `n_screened` other-class references get a bound of their own. `block_size` queries are handled at once, if they fit in memory.
    With `settled_at`, epsilon by norm, nothing but the verdicts at these is sought.
    """

    n_own: int
    n_screened: int
    block_size: int
    settled_at: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Rivals:
    """The references of a query's own class and those of others, with the squared distances between them in float32.

    `groups` (n_other,): the group of each other-class reference, where there are several.
    """

    own: References
    other: References
    between: np.ndarray
    between_error: float
    groups: np.ndarray | None = None

    @classmethod
    def of(cls, own: References, other: References) -> "Rivals":
        """One class against another."""
        return cls(own, other, *cross_distances(own, other))

    @classmethod
    def of_groups(cls, own: References, others: Mapping[int, References]) -> "Rivals":
        """One class against several, of which a query may face any one: the keys are the groups."""
        joined = References.joined(list(others.values()))
        groups = np.concatenate([np.full(len(part), group) for group, part in others.items()])
        return cls(own, joined, *cross_distances(own, joined), groups)

    def exchanged(self) -> "Rivals":
        """Two classes, with the other in the place of the own one."""
        return Rivals(self.other, self.own, np.ascontiguousarray(self.between.T), self.between_error)


@dataclass(frozen=True)
class Screened:
    """The references of both classes that can decide the radii of m queries (m, d).

    `own` (m, i): the own-class references nearest to each query, `offsets` (m, i, d) the ways there, and `own_squared` (m, i)
    their squared lengths, in float64.
    `others` (m, k): other-class references. `bounds` (m, k + 1): lower bounds of the distance, in the norm asked for, at which
    each of them can win the query, and last one that holds for every reference not in `others`, infinite where there is none.
    """

    own: np.ndarray
    offsets: np.ndarray
    own_squared: np.ndarray
    others: np.ndarray
    bounds: np.ndarray


@np.errstate(all="ignore")
def screen(
    queries: np.ndarray, rivals: Rivals, effort: Effort, norm: str = "L2", groups: np.ndarray | None = None
) -> Screened:
    """Screens float64 queries (m, d) with `n_own` own-class and `n_screened` other-class references, or as many as there are.

    The bound is (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q), q dual to `norm`: the distance to the bisector of x_i and x_j. Every j
    gets the l2 bound of the i nearest to the query, which is one in linf when divided by sqrt(d), and one in l1 as it is. The
    `n_screened` lowest get that of the best i in l2, and its bound in `norm`. Errors of float32 distances are on the safe side.
    With `groups` (m,), references of another group than that of the query are infinitely far.
    """
    own = lowest(rivals.own.squared_distances(queries)[0], effort.n_own)
    offsets = rivals.own.exactly(own) - queries[:, None]
    own_squared = np.vecdot(offsets, offsets)
    squared, error = rivals.other.squared_distances(queries)
    if groups is not None and rivals.groups is not None:
        squared[groups[:, None] != rivals.groups] = np.inf
    gaps = np.maximum(squared - error - own_squared.min(axis=1)[:, None], 0)
    anchor = own[np.arange(len(own)), own_squared.argmin(axis=1)]
    between = rivals.between[anchor].astype(np.float64) + rivals.between_error
    by_one = gaps / (2 * np.sqrt(between))
    if norm == "L1":
        by_one = np.maximum(by_one, gaps / (2 * _largest_difference(rivals)))
    k = min(effort.n_screened, len(rivals.other))
    others = lowest(by_one, k + 1)
    by_one, others = np.take_along_axis(by_one, others, axis=1), others[:, :k]
    squared = np.take_along_axis(squared, others, axis=1) - error

    gaps = squared[:, None] - own_squared[:, :, None]
    between = rivals.between[own[:, :, None], others[:, None]].astype(np.float64)
    by_each = gaps / (2 * np.sqrt(between + rivals.between_error))
    by_all, best = by_each.max(axis=1), by_each.argmax(axis=1)
    beyond = by_one[:, k:] if by_one.shape[1] > k else np.full_like(by_one[:, :1], np.inf)
    bounds = np.concatenate([np.maximum(by_all, by_one[:, :k]), beyond], axis=1)
    if norm == "Linf":
        bounds = bounds / queries.shape[1] ** 0.5
    if norm != "L2":
        alone = np.take_along_axis(gaps, best[:, None], axis=1)[:, 0]
        alone /= 2 * _dual_distances(rivals, np.take_along_axis(own, best, axis=1), others, norm)
        bounds[:, :k] = np.maximum(bounds[:, :k], alone)
    return Screened(own, offsets, own_squared, others, bounds)


def lowest(values: np.ndarray, n: int) -> np.ndarray:
    """Where the `n` lowest of each row of values (m, k) are, or all, the lowest first."""
    n = min(n, values.shape[1])
    places = np.argpartition(values, n - 1, axis=1)[:, :n]
    order = np.take_along_axis(values, places, axis=1).argsort(axis=1)
    return np.take_along_axis(places, order, axis=1)


def _dual_distances(rivals: Rivals, own: np.ndarray, others: np.ndarray, norm: str) -> np.ndarray:
    """||x_i - x_j||_q (m, k), q dual to `norm`, of references at positions i and j (m, k), rounded up from float32."""
    order, d = DUAL[norm], rivals.own.points.shape[1]
    found = np.empty(own.shape)
    for start in range(0, len(own), _FEW):
        rows = slice(start, start + _FEW)
        difference = rivals.own.centred[own[rows]] - rivals.other.centred[others[rows]]
        found[rows] = np.linalg.norm(difference, order, axis=2)
    centring = (
        2
        * ROUNDING
        * d ** (1 / order - 1 / 2 if order < 2 else 0)
        * (rivals.own.largest_norm + rivals.other.largest_norm)
    )
    return found * (1 + (d + 8) * ROUNDING) + centring


def _largest_difference(rivals: Rivals) -> float:
    """An upper bound of ||x_i - x_j||_inf over all i and j."""
    own, other = rivals.own.points, rivals.other.points
    low = np.minimum(own.min(axis=0), other.min(axis=0)).astype(np.float64)
    return float((np.maximum(own.max(axis=0), other.max(axis=0)) - low).max())

"""Which references can decide the radius of a query: bisector bounds for all of them, cheap ones first."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnrobust.nearest.distances.between import Between
from nnrobust.nearest.distances.measured import Distances
from nnrobust.nearest.distances.metric import PLAIN, Metric, Plain
from nnrobust.nearest.distances.references import ROUNDING, References
from nnrobust.nearest.proofs.halfspace import UNBOXED, Adversary
from nnrobust.threat import DUAL

_FEW = 16
"""Queries whose candidates are compared at once, coordinate by coordinate (16 x 128 x 3,072 values)."""
_MANY = 2048
"""References whose normals are held at once."""
_IN_CACHE = 2**17
"""Values in float32 that a processor's cache holds."""
_FREE = 0.9
"""The part of the coordinates of queries that the box leaves free on both sides, above which it does not count."""


@dataclass(frozen=True)
class Effort:
    """How much work a query gets.

    `n_own` nearest own-class references are the i of the bisector bound, and the first constraints of the convex problems.
    `n_screened` other-class references get a bound of their own. `block_size` queries are handled at once, if they fit in memory.
    With `settled_at`, epsilon by norm, nothing but the verdicts at these is sought. `is_thorough`: the dual norm of the normal
    with the nearest own reference is taken of every other one, not of the screened ones alone.
    """

    n_own: int
    n_screened: int
    block_size: int
    settled_at: Mapping[str, float] | None = None
    is_thorough: bool = False


@dataclass(frozen=True)
class Rivals:
    """The references of a query's own class and those of others, as `metric` keeps them.

    `n_queries`: how many queries they are for; None: very many. `groups` (n_other,): the group of each other-class reference,
    where there are several. `source`: the same with the two exchanged, where that is there.
    """

    own: References
    other: References
    n_queries: int | None = None
    groups: np.ndarray | None = None
    metric: Plain = PLAIN
    source: "Rivals | None" = None

    @classmethod
    def of(cls, own: References, other: References, *, metric: Plain = PLAIN, n_queries: int | None = None) -> "Rivals":
        """One class against another."""
        return cls(own, other, n_queries, metric=metric)

    @classmethod
    def of_groups(cls, own: References, others: Mapping[int, References], n_queries: int | None = None) -> "Rivals":
        """One class against several, of which a query may face any one: the keys are the groups."""
        joined = References.joined(list(others.values()))
        groups = np.concatenate([np.full(len(part), group) for group, part in others.items()])
        return cls(own, joined, n_queries, groups)

    @cached_property
    def between(self) -> Between:
        """The squared lengths of the normals between own and other references."""
        if self.source is not None:
            return self.source.between.exchanged()
        own, other = self.metric.spread(self.own), self.metric.spread(self.other)
        return Between(own, other, len(own) if self.n_queries is None else self.n_queries)

    def exchanged(self) -> "Rivals":
        """Two classes, with the other in the place of the own one."""
        return Rivals(self.other, self.own, self.n_queries, metric=self.metric, source=self)


@dataclass(frozen=True)
class Screened:
    """The references of both classes that can decide the radii of m queries (m, d).

    `own` (m, i): the own-class references nearest to each query, `own_squared` (m, i) their squared distances in float64, and
    `offsets` (m, i, d) the normals of the ways there, which without a metric are these ways.
    `others` (m, k): other-class references. `bounds` (m, k + 1): lower bounds of the distance, in the norm asked for, at which
    each of them can win the query, and last one that holds for every reference not in `others`, infinite where there is none.
    """

    own: np.ndarray
    offsets: np.ndarray
    own_squared: np.ndarray
    others: np.ndarray
    bounds: np.ndarray


@dataclass(frozen=True)
class Known:
    """The distances of m queries from their rivals, and a bound (m, 1) on the errors of the gaps between those of two rivals."""

    rivals: Rivals
    distances: Distances
    error: np.ndarray

    @classmethod
    def of(
        cls,
        queries: np.ndarray,
        rivals: Rivals,
        groups: np.ndarray | None = None,
        distances: Distances | None = None,
    ) -> "Known":
        """Of float64 queries (m, d), which face their own of `groups`, where there are some; or `distances` as they are."""
        if distances is None:
            is_rival = None if groups is None or rivals.groups is None else groups[:, None] == rivals.groups
            distances = Distances.of(rivals.metric.mapped(queries), rivals.own, rivals.other, is_rival)
        error = distances.error
        if isinstance(rivals.metric, Metric):
            # The gap of two references is off by twice the error of the place times the distance between them.
            farthest = rivals.own.largest_norm + rivals.other.largest_norm
            error = error + 2 * farthest * rivals.metric.errors(queries)[:, None]
        return cls(rivals, distances, error)

    @cached_property
    def between(self) -> np.ndarray:
        """The squared lengths (m, n_other) of the normals between each query's nearest own reference and the others."""
        return self.rivals.between.rows(self.distances.anchor)

    def take(self, rows: np.ndarray) -> "Known":
        part = Known(self.rivals, self.distances.take(rows), self.error[rows])
        if "between" in vars(self):
            vars(part)["between"] = self.between[rows]
        return part


@np.errstate(all="ignore")
def screen(
    queries: np.ndarray,
    rivals: Rivals,
    effort: Effort,
    adversary: Adversary = UNBOXED,
    known: Known | None = None,
) -> Screened:
    """Screens float64 queries (m, d) with `n_own` own-class and `n_screened` other-class references, or as many as there are.

    The bound is (d_j^2 - d_i^2) / (2 ||a||_q), q dual to `norm`, a = x_i - x_j (or its normal in a metric): the distance to the
    bisector of x_i and x_j. Every j gets the l2 bound of the i nearest to the query, which is one in linf when divided by
    sqrt(d), and one in l1 as it is. The `n_screened` lowest get that of the best i in l2, and its bound in the adversary's norm.
    Where the box holds many coordinates of the queries, what they cannot do for x_j is no part of ||a||_q. Errors of float32
    distances are on the safe side.
    `known`: of the queries, where it is there.
    """
    known = known or Known.of(queries, rivals)
    distances, error, norm = known.distances, known.error, adversary.norm
    places = rivals.metric.mapped(queries)
    reach = Reach.of(queries, adversary)
    own = lowest(distances.own, effort.n_own)
    ways = rivals.own.exactly(own) - places[:, None]
    own_squared = np.vecdot(ways, ways)
    gaps = np.maximum(distances.other - error - own_squared.min(axis=1)[:, None], 0)
    between = known.between.astype(np.float64) + rivals.between.error
    by_one = gaps / (2 * np.sqrt(between))
    if norm == "L1":
        by_one = np.maximum(by_one, gaps / (2 * _largest_difference(rivals)))
    if norm == "Linf":
        by_one /= queries.shape[1] ** 0.5
    if effort.is_thorough and not isinstance(rivals.metric, Metric) and (norm != "L2" or reach is not None):
        by_one = np.maximum(by_one, gaps / (2 * _dual_distances_from(rivals, distances.anchor, norm, reach)))
    k = min(effort.n_screened, len(rivals.other))
    others = lowest(by_one, k + 1)
    by_one, others = np.take_along_axis(by_one, others, axis=1), others[:, :k]
    squared = np.take_along_axis(distances.other, others, axis=1) - error

    gaps = squared[:, None] - own_squared[:, :, None]
    between = rivals.between.pairs(own, others).astype(np.float64)
    by_each = gaps / (2 * np.sqrt(between + rivals.between.error))
    by_all, best = by_each.max(axis=1), by_each.argmax(axis=1)
    beyond = by_one[:, k:] if by_one.shape[1] > k else np.full_like(by_one[:, :1], np.inf)
    if norm == "Linf":
        by_all /= queries.shape[1] ** 0.5
    bounds = np.concatenate([np.maximum(by_all, by_one[:, :k]), beyond], axis=1)
    if norm != "L2" or reach is not None:
        alone = np.take_along_axis(gaps, best[:, None], axis=1)[:, 0]
        alone /= 2 * _dual_distances(rivals, np.take_along_axis(own, best, axis=1), others, norm, reach)
        bounds[:, :k] = np.maximum(bounds[:, :k], alone)
    return Screened(own, rivals.metric.normals(ways), own_squared, others, bounds)


def lowest(values: np.ndarray, n: int) -> np.ndarray:
    """Where the `n` lowest of each row of values (m, k) are, or all, the lowest first."""
    n = min(n, values.shape[1])
    places = np.argpartition(values, n - 1, axis=1)[:, :n]
    order = np.take_along_axis(values, places, axis=1).argsort(axis=1)
    return np.take_along_axis(places, order, axis=1)


@dataclass(frozen=True)
class Reach:
    """Of m queries in a box, how far coordinates of a normal count: not at all where the box lets a query go no way against them.

    `low` and `high`, float32 (m, 1, d), are 0 there, and else infinite.
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, queries: np.ndarray, adversary: Adversary) -> "Reach | None":
        """None where the box holds few coordinates, or there is none."""
        room = adversary.room(queries)
        if room is None:
            return None
        falls, rises = room[0] < 0, room[1] > 0
        if (falls & rises).mean() > _FREE:
            return None
        return cls(np.where(rises, -np.float32(np.inf), 0)[:, None], np.where(falls, np.float32(np.inf), 0)[:, None])

    def take(self, rows: slice | int) -> "Reach":
        return Reach(self.low[rows], self.high[rows])

    def useful(self, normals: np.ndarray) -> np.ndarray:
        """What counts of normals (m, k, d), written over them."""
        return np.minimum(np.maximum(normals, self.low, out=normals), self.high, out=normals)


def _dual_distances(rivals: Rivals, own: np.ndarray, others: np.ndarray, norm: str, reach: Reach | None) -> np.ndarray:
    """||a||_q (m, k), q dual to `norm`, of the normals a of references at positions i and j (m, k), rounded up."""
    found, order = np.empty(own.shape), DUAL[norm]
    metric = rivals.metric
    for start in range(0, len(own), _FEW):
        rows, rounding = slice(start, start + _FEW), 0.0
        if isinstance(metric, Metric):
            normals = metric.normals(rivals.own.exactly(own[rows]) - rivals.other.exactly(others[rows]))
            # Of the whole normal, whatever counts of it.
            rounding = metric.rounding * np.linalg.norm(normals, order, axis=2)
        else:
            normals = rivals.own.centred(own[rows]) - rivals.other.centred(others[rows])
        if reach is not None:
            normals = reach.take(rows).useful(normals)
        found[rows] = np.linalg.norm(normals, order, axis=2) + rounding
    return found if isinstance(metric, Metric) else _rounded_up(found, rivals, order)


def _dual_distances_from(rivals: Rivals, anchors: np.ndarray, norm: str, reach: Reach | None) -> np.ndarray:
    """||a||_q (m, n_other) as of `_dual_distances`, of own references at positions (m,) and all others, without a metric."""
    found, order = np.empty((len(anchors), len(rivals.other))), DUAL[norm]
    size = max(1, _IN_CACHE // rivals.own.points.shape[1])
    near = rivals.own.centred(anchors)
    for start in range(0, len(rivals.other), size):
        part = slice(start, start + size)
        points = rivals.other.centred(part)
        for n, point in enumerate(near):
            normals = point - points
            found[n, part] = _lengths(normals if reach is None else reach.take(n).useful(normals), order)
    return _rounded_up(found, rivals, order)


def _lengths(rows: np.ndarray, order: float) -> np.ndarray:
    """The norms (k,) of rows (k, d) in float32, which are written over: sums by products, several times as fast as NumPy's."""
    if order == 2:
        squared: np.ndarray = np.vecdot(rows, rows)
        return np.sqrt(squared)
    sizes = np.abs(rows, out=rows)
    return sizes @ np.ones(rows.shape[1], dtype=rows.dtype) if order == 1 else sizes.max(axis=1)


def _rounded_up(found: np.ndarray, rivals: Rivals, order: float) -> np.ndarray:
    """Norms of differences of centred references in float32, and what rounding may have taken off."""
    d = rivals.own.points.shape[1]
    centring = (
        2
        * ROUNDING
        * d ** (1 / order - 1 / 2 if order < 2 else 0)
        * (rivals.own.largest_norm + rivals.other.largest_norm)
    )
    return found * (1 + (d + 8) * ROUNDING) + centring


def _largest_difference(rivals: Rivals) -> float:
    """An upper bound of the largest coordinate of any normal."""
    (low, high), (other_low, other_high) = (_sides(part, rivals.metric) for part in (rivals.own, rivals.other))
    largest = float((np.maximum(high, other_high) - np.minimum(low, other_low)).max())
    return largest * (1 + rivals.metric.rounding) if isinstance(rivals.metric, Metric) else largest


def _sides(references: References, metric: Plain) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest coordinates (d,) of the normals that references are to the origin."""
    low, high = [], []
    for start in range(0, len(references), _MANY):
        normals = metric.normals(references.points[start : start + _MANY])
        low.append(normals.min(axis=0))
        high.append(normals.max(axis=0))
    return np.min(low, axis=0).astype(np.float64), np.max(high, axis=0).astype(np.float64)

"""The search of `radius` in few dimensions, where hundreds of rivals are about as near as the nearest.

First, on the straight ways to the nearest rivals, the nearest point that another class wins: no rival matters whose bound is as
far. Then the bisector of the best own-class reference settles most rivals, one reference many of them. Those that are left have a
problem each, with few constraints of its own (`pairs`). Everything is float64; a query that meets a degenerate corner is left to
`best_first`.
"""

from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.distances.metric import Plain
from nnrobust.nearest.distances.references import References
from nnrobust.nearest.distances.screening import Rivals, lowest
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.search.pairs import DOWN, OF_SQUARES, TIGHT_WITHIN, Known, Pairs
from nnrobust.nearest.search.radii import Radii
from nnrobust.threat import ORDER

FEW = 8
"""Dimensions up to which this search is the faster one."""
_BEYOND = 1 + 1e-9
"""How far beyond the boundary a point on a straight way is tried, relative to the way there."""
_WAYS = 8
"""Straight ways that are tried for each query."""
_AT_ONCE = 4
"""Rivals whose best own-class references are looked for at once."""
_MOST = 2**19
"""Queries times references that are handled at once, each with some forty bounds at the most."""
_FIRST = 2
"""Rivals of each query whose problems are solved before those of others, for a nearer point."""


@dataclass(frozen=True)
class _Cloud:
    """References, coordinate by coordinate: their places (k, n) and their normals (d, n), which without a metric are the same."""

    places: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, references: References, metric: Plain) -> "_Cloud":
        points = references.exactly(np.arange(len(references)))
        return cls(np.ascontiguousarray(points.T), np.ascontiguousarray(metric.normals(points).T))

    def take(self, columns: np.ndarray) -> "_Cloud":
        return _Cloud(self.places[:, columns], self.normals[:, columns])


@dataclass
class _Near:
    """The rivals that may decide the radius of a query, and the own-class references that may stand before them.

    `others` (n,), `owns` (p,): their positions; `other`, `own`: they themselves, and their squared distances from the query.
    `bounds` (n,): lower bounds of the rivals, `single` (n,): what the best own-class reference gives, where it was looked for;
    `by_own`: the bounds (n,) that an own-class reference at a column gives.
    `beyond`: a bound of all other rivals.
    """

    others: np.ndarray
    owns: np.ndarray
    other: _Cloud
    own: _Cloud
    other_squared: np.ndarray
    own_squared: np.ndarray
    bounds: np.ndarray
    beyond: float
    error: float
    norm: str

    def __post_init__(self) -> None:
        self.single = np.full(len(self.others), np.nan)
        anchor = int(self.own_squared.argmin())
        self.by_own = {anchor: self.bounds.copy()}

    def settle(self, reach: float, n_rounds: int | None = None) -> None:
        """Bounds rivals by single own-class references, until each is beyond `reach` or has had its best one."""
        while n_rounds is None or n_rounds > 0:
            is_open = np.isnan(self.single) & (self.bounds < reach)
            tried = np.flatnonzero(is_open)
            if len(tried) == 0:
                return
            if len(tried) > _AT_ONCE:
                tried = tried[np.argpartition(self.bounds[tried], _AT_ONCE)[:_AT_ONCE]]
            found = self._of_rivals(tried)
            self.single[tried] = found.max(axis=1)
            for i in dict.fromkeys(found.argmax(axis=1).tolist()):
                if i not in self.by_own:
                    self.by_own[i] = self._of_own(i)
                    self.bounds = np.maximum(self.bounds, self.by_own[i])
            n_rounds = None if n_rounds is None else n_rounds - 1

    def first_constraints(self, columns: np.ndarray) -> np.ndarray:
        """The own-class references (n, c) at whose bisectors the problems of rivals at columns begin, the best first."""
        n_constraints = len(self.own.normals) + 2
        found: np.ndarray = self.owns[lowest(-self._of_rivals(columns), n_constraints)]
        return np.pad(found, ((0, 0), (0, n_constraints - found.shape[1])), constant_values=-1)

    def _of_rivals(self, columns: np.ndarray) -> np.ndarray:
        """The bounds (n, p) that all own-class references give rivals at columns (n,)."""
        rivals = _Cloud(self.other.places[:, columns, None], self.other.normals[:, columns, None])
        return _bisectors(
            rivals, self.own, (self.other_squared[columns, None], self.own_squared), self.norm, self.error
        )

    def _of_own(self, column: int) -> np.ndarray:
        """The bounds (n,) that an own-class reference at a column gives all rivals."""
        own = self.own.take(np.array([column]))
        return _bisectors(self.other, own, (self.other_squared, self.own_squared[column]), self.norm, self.error)

    def cover(self, reach: float, is_proven: np.ndarray) -> list[int]:
        """Columns of few own-class references whose bounds reach as far for each rival that is not proven, nearest first."""
        anchor = int(self.own_squared.argmin())
        columns = [anchor, *(i for i in self.by_own if i != anchor)]
        reached = np.stack([self.by_own[i] >= reach for i in columns])
        kept, is_open = [anchor], ~is_proven & ~reached[0]
        while is_open.any():
            gained = (reached & is_open).sum(axis=1)
            best = int(gained.argmax())
            if gained[best] == 0:
                break
            kept.append(columns[best])
            is_open &= ~reached[best]
        return sorted(kept, key=lambda i: self.own_squared[i])


class _Search:
    """The search for m queries; `near` has what is near each of them."""

    def __init__(self, known: Known, groups: np.ndarray | None) -> None:
        self.known, self.groups = known, groups
        self.own, self.other = (_Cloud.of(part, known.rivals.metric) for part in (known.rivals.own, known.rivals.other))
        self.near = [self._around(row) for row in range(len(known.x))]
        self.proofs: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in self.near]

    def run(self) -> None:
        rows = np.arange(len(self.near))
        for near, reach in zip(self.near, self.known.reach(rows), strict=True):
            near.settle(reach, 2)
        self._solve([lowest(near.bounds[None], _FIRST)[0] for near in self.near])
        for near, reach in zip(self.near, self.known.reach(rows), strict=True):
            near.settle(reach)
        self._solve(
            [np.flatnonzero(near.bounds < self.known.reach(np.array([row]))) for row, near in enumerate(self.near)]
        )

    def _around(self, row: int) -> _Near:
        """The rivals whose bound by the nearest own-class reference is less than the distance of a point that some rival wins."""
        known, place = self.known, self.known.places[row][:, None]
        own_squared, other_squared = (_squared(cloud.places - place) for cloud in (self.own, self.other))
        anchor, error = own_squared.argmin(), float(known.errors[row])
        both = other_squared, own_squared[anchor]
        bounds = _bisectors(self.other, self.own.take(np.array([anchor])), both, known.adversary.norm, error)
        if self.groups is not None and known.rivals.groups is not None:
            bounds[known.rivals.groups != self.groups[row]] = np.inf
        self._walk(row, lowest(bounds[None], _WAYS)[0], other_squared, own_squared)
        is_open = bounds < known.reach(np.array([row]))
        others = np.flatnonzero(is_open)
        owns = np.flatnonzero(own_squared < other_squared[others].max(initial=0.0))
        owns = owns if len(owns) else np.array([anchor])
        return _Near(
            others, owns, self.other.take(others), self.own.take(owns), other_squared[others], own_squared[owns],
            bounds[others], float(bounds[~is_open].min(initial=np.inf)), error, known.adversary.norm,
        )  # fmt: skip

    def _walk(self, row: int, others: np.ndarray, other_squared: np.ndarray, own_squared: np.ndarray) -> None:
        """Notes the nearest point on the straight ways to some rivals, where these overtake all own-class references."""
        known, goals = self.known, self.other.places[:, others]
        before = np.flatnonzero(own_squared < other_squared[others].max())
        own = self.own.places[:, before]
        gaps = other_squared[others, None] - own_squared[before]
        shares = np.where(gaps > 0, gaps / (_squared(own[:, None] - goals[:, :, None]) + gaps), 0.0).max(
            axis=1, initial=0.0
        )
        ways = known.rivals.metric.ways_to(goals.T - known.places[row])
        points = known.x[row] + np.minimum(shares * _BEYOND, 1.0)[:, None] * ways
        distances = np.linalg.norm(points - known.x[row], ORDER[known.adversary.norm], axis=1)
        if known.adversary.box is not None:
            low, high = known.adversary.box
            distances[((points < low) | (points > high)).any(axis=1)] = np.inf
        best = distances.argmin()
        place = known.rivals.metric.mapped(points[[best]]).T
        if (
            np.isfinite(distances[best])
            and _squared(goals[:, [best]] - place) < _squared(self.own.places - place).min()
        ):
            known.note(np.array([row]), points[[best]])

    def _solve(self, columns: list[np.ndarray]) -> None:
        """Solves the problems of the rivals at these columns of each query."""
        rows = np.repeat(np.arange(len(columns)), [len(part) for part in columns])
        if len(rows) == 0:
            return
        asked = [(near, part) for near, part in zip(self.near, columns, strict=True) if len(part)]
        others, bounds, starts = (np.concatenate(parts) for parts in zip(
            *((near.others[part], near.bounds[part], near.first_constraints(part)) for near, part in asked), strict=True
        ))  # fmt: skip
        pairs = Pairs(self.known, rows, others, starts, bounds)
        pairs.run()
        columns_of = np.concatenate(columns).tolist()
        for row, column, bound, proof in zip(rows.tolist(), columns_of, pairs.bounds, pairs.proofs, strict=True):
            near = self.near[row]
            near.bounds[column] = bound
            if proof is not None:
                used, multipliers = proof
                is_kept = (multipliers > 0) & np.isfinite(multipliers)
                self.proofs[row][int(near.others[column])] = used[: len(multipliers)][is_kept], multipliers[is_kept]

    def result(self) -> tuple[Radii, np.ndarray]:
        known = self.known
        best = np.array([min(near.bounds.min(initial=np.inf), near.beyond) for near in self.near])
        is_beyond, is_none = best * DOWN > known.limit, np.isinf(best)
        known.upper[is_beyond | is_none] = np.inf
        known.witness[is_beyond | is_none] = known.x[is_beyond | is_none]
        lower = np.minimum(best * DOWN, known.upper)
        is_tight = best >= (1 - TIGHT_WITHIN) * known.upper
        is_left = known.is_left | ~(is_tight & np.isfinite(known.upper) | is_beyond | is_none)
        single = [np.where(np.isnan(near.single), np.inf, near.single).min(initial=np.inf) for near in self.near]
        own, proofs = [], []
        for near, found, bound in zip(self.near, self.proofs, best, strict=True):
            kept = {j: proof for j, proof in found.items() if len(proof[0])}
            by_one = np.stack(list(near.by_own.values())).max(axis=0) >= bound
            kept = {j: kept[j] for j in near.others[~by_one].tolist() if j in kept}
            own.append(near.owns[near.cover(bound, np.isin(near.others, list(kept)))])
            proofs.append(kept)
        bisector = np.minimum(single, lower)
        return Radii(lower, known.upper, known.witness, bisector, own, proofs, known.is_delicate | is_none), is_left


def crowded_radii(
    x: np.ndarray, rivals: Rivals, adversary: Adversary, limit: np.ndarray, groups: np.ndarray | None
) -> tuple[Radii, np.ndarray]:
    """The radii of float64 queries (m, d), as of `radius.exact_radii`, and which of them (m,) are left to another search."""
    size = max(1, _MOST // max(len(rivals.own), len(rivals.other)))
    parts, is_left = [], []
    for rows in (slice(start, start + size) for start in range(0, len(x), size)):
        known = Known(x[rows], rivals, adversary, limit[rows])
        search = _Search(known, None if groups is None else groups[rows])
        search.run()
        found, is_left_here = search.result()
        parts.append(found)
        is_left.append(is_left_here)
    return Radii.joined(parts), np.concatenate(is_left)


def _bisectors(
    other: _Cloud, own: _Cloud, squared: tuple[np.ndarray, np.ndarray], norm: str, error: float
) -> np.ndarray:
    """(d_j^2 - d_i^2) / (2 ||a||_q), rounded down, of rivals j and own-class references i in shapes that broadcast.

    `squared`: d_j^2 and d_i^2. `error`: that of the query's place.
    """
    depths = squared[0] * (0.5 - OF_SQUARES / 2) - squared[1] * (0.5 + OF_SQUARES / 2)
    if error:
        depths -= error * _apart(other.places, own.places, "L2")
    bounds: np.ndarray = depths / _apart(other.normals, own.normals, norm)
    return np.fmax(bounds, 0.0)  # of equal points nothing is known


def _apart(first: np.ndarray, second: np.ndarray, norm: str) -> np.ndarray:
    """The norms, dual to `norm`, of differences of columns (d, ...), coordinate by coordinate: no array holds them all."""
    found: np.ndarray | float = 0.0
    for one, two in zip(first, second, strict=True):
        part = one - two
        part = np.square(part, out=part) if norm == "L2" else np.abs(part, out=part)
        found = np.maximum(found, part, out=part) if norm == "L1" else np.add(found, part, out=part)
    return np.sqrt(found) if norm == "L2" else np.asarray(found)


def _squared(columns: np.ndarray) -> np.ndarray:
    """The squared l2 norms (...) of columns (d, ...)."""
    found: np.ndarray = np.square(columns).sum(axis=0)
    return found

"""Which references can decide the radius of a query: bisector bounds for all of them, cheap ones first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
    between: Tensor
    between_error: float
    groups: Tensor | None = None

    @classmethod
    def of(cls, own: References, other: References) -> "Rivals":
        """One class against another."""
        return cls(own, other, *cross_distances(own, other))

    @classmethod
    def of_groups(cls, own: References, others: Mapping[int, References]) -> "Rivals":
        """One class against several, of which a query may face any one: the keys are the groups."""
        joined = References.joined(list(others.values()))
        groups = torch.cat([torch.full((len(one),), group) for group, one in others.items()])
        return cls(own, joined, *cross_distances(own, joined), groups.to(joined.centred.device))

    def exchanged(self) -> "Rivals":
        """Two classes, with the other in the place of the own one."""
        return Rivals(self.other, self.own, self.between.T.contiguous(), self.between_error)


@dataclass(frozen=True)
class Screened:
    """What m queries (m, d) need of the references of both classes.

    `own` (m, i): the own-class references nearest to each query, `offsets` (m, i, d) the ways there, and `own_squared` (m, i)
    their squared lengths, in float64.
    `others` (m, k): other-class references. `bounds` (m, k + 1): lower bounds of the distance, in the norm asked for, at which
    each of them can win the query, and last one that holds for every reference not in `others`, infinite where there is none.
    """

    own: Tensor
    offsets: Tensor
    own_squared: Tensor
    others: Tensor
    bounds: Tensor


def screen(queries: Tensor, rivals: Rivals, effort: Effort, norm: str = "L2", groups: Tensor | None = None) -> Screened:
    """Screens float64 queries (m, d) with `n_own` own-class and `n_screened` other-class references, or as many as there are.

    The bound is (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q), q dual to `norm`: the distance to the bisector of x_i and x_j. Every j
    gets the l2 bound of the i nearest to the query, which is one in linf when divided by sqrt(d), and one in l1 as it is. The
    `n_screened` lowest get that of the best i in l2, and its bound in `norm`. Errors of float32 distances are on the safe side.
    With `groups` (m,), references of another group than that of the query are infinitely far.
    """
    own, offsets, own_squared = _nearest(queries, rivals.own, effort.n_own)
    squared, error = rivals.other.squared_distances(queries)
    if groups is not None and rivals.groups is not None:
        squared[groups.to(squared.device)[:, None] != rivals.groups] = torch.inf
    gaps = (squared - error - own_squared.amin(dim=1)[:, None].to(error)).clamp(min=0)
    anchor = own.gather(1, own_squared.argmin(dim=1)[:, None])[:, 0]
    between = rivals.between[anchor.to(squared.device)].double() + rivals.between_error
    by_one = gaps / (2 * between.sqrt())
    if norm == "L1":
        by_one = torch.maximum(by_one, gaps / (2 * _largest_difference(rivals)))
    k = min(effort.n_screened, len(rivals.other))
    by_one, others = by_one.topk(min(k + 1, len(rivals.other)), dim=1, largest=False)
    squared = (squared.gather(1, others[:, :k]) - error).cpu()
    by_one, others = by_one.cpu(), others[:, :k].cpu()

    gaps = squared[:, None] - own_squared[:, :, None]
    between = rivals.between[own[:, :, None].to(error.device), others[:, None].to(error.device)].double().cpu()
    by_all, best = (gaps / (2 * (between + rivals.between_error).sqrt())).max(dim=1)
    beyond = by_one[:, k:] if by_one.shape[1] > k else torch.full_like(by_one[:, :1], torch.inf)
    bounds = torch.cat([torch.maximum(by_all, by_one[:, :k]), beyond], dim=1)
    if norm == "Linf":
        bounds = bounds / queries.shape[1] ** 0.5
    if norm != "L2":
        alone = gaps.gather(1, best[:, None])[:, 0] / (2 * _dual_distances(rivals, own.gather(1, best), others, norm))
        bounds[:, :k] = torch.maximum(bounds[:, :k], alone)
    return Screened(own, offsets, own_squared, others, bounds)


def _nearest(queries: Tensor, own: References, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (m, n) of the references nearest to each query, as float32 has it, the ways there and their squared lengths."""
    proposed, _ = own.squared_distances(queries)
    positions = proposed.topk(min(n, len(own)), dim=1, largest=False).indices.cpu()
    offsets = own.exactly(positions) - queries[:, None]
    return positions, offsets, torch.linalg.vecdot(offsets, offsets)


def _dual_distances(rivals: Rivals, own: Tensor, others: Tensor, norm: str) -> Tensor:
    """||x_i - x_j||_q (m, k), q dual to `norm`, of references at positions i and j (m, k), rounded up from float32."""
    order, d = DUAL[norm], rivals.own.points.shape[1]
    found = torch.empty(own.shape, dtype=torch.float64)
    for start in range(0, len(own), _FEW):
        rows = slice(start, start + _FEW)
        difference = rivals.own.centred[own[rows]] - rivals.other.centred[others[rows]]
        found[rows] = torch.linalg.vector_norm(difference, order, dim=2).double().cpu()
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

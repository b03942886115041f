"""Which references can decide the radius of a query: bisector bounds for all of them, cheap ones first."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nnrobust.references import References, cross_distances


@dataclass(frozen=True)
class Rivals:
    """The references of a query's own class and those of another, with the squared distances between them in float32."""

    own: References
    other: References
    between: Tensor
    between_error: float

    @classmethod
    def of(cls, own: References, other: References) -> "Rivals":
        return cls(own, other, *cross_distances(own, other))

    def exchanged(self) -> "Rivals":
        """The same references, with the other class in the place of the own one."""
        return Rivals(self.other, self.own, self.between.T.contiguous(), self.between_error)


@dataclass(frozen=True)
class Screened:
    """What m queries (m, d) need of the references of both classes.

    `own` (m, i): the own-class references nearest to each query, and `own_squared` (m, i) their squared distances, in float64.
    `others` (m, k): other-class references, in ascending order of the bound by one own reference. `by_one` (m, k + 1): these
    bounds, the last of which holds for every reference not in `others` (infinite when there is none). `by_all` (m, k): the
    bounds by all i. Every bound is a lower bound, in l2, of the distance at which that reference can win the query.
    """

    own: Tensor
    own_squared: Tensor
    others: Tensor
    by_one: Tensor
    by_all: Tensor

    def take(self, rows: slice) -> "Screened":
        return Screened(self.own[rows], self.own_squared[rows], self.others[rows], self.by_one[rows], self.by_all[rows])


def screen(queries: Tensor, rivals: Rivals, n_own: int, n_others: int) -> Screened:
    """Screens float64 queries (m, d) with up to `n_own` own-class and `n_others` other-class references.

    The bound is (d_j^2 - d_i^2) / (2 ||x_i - x_j||), the distance to the bisector of x_i and x_j. Float32 distances enter
    with their error on the safe side.
    """
    proposed, _ = rivals.own.squared_distances(queries)
    own = proposed.topk(min(n_own, len(rivals.own)), dim=1, largest=False).indices
    offsets = rivals.own.exactly(own) - queries[:, None]
    own_squared = torch.linalg.vecdot(offsets, offsets)
    nearest = own_squared.argmin(dim=1)
    anchor = own.gather(1, nearest[:, None])[:, 0]

    squared, error = rivals.other.squared_distances(queries)
    gap = squared.double() - error - own_squared.amin(dim=1)[:, None]
    to_anchor = (rivals.between[anchor].double() + rivals.between_error).sqrt()
    by_one = gap.clamp(min=0) / (2 * to_anchor)
    k = min(n_others, len(rivals.other))
    by_one, others = by_one.topk(min(k + 1, len(rivals.other)), dim=1, largest=False)
    if by_one.shape[1] == k:
        by_one = torch.cat([by_one, torch.full_like(by_one[:, :1], torch.inf)], dim=1)
    others = others[:, :k]

    gaps = (squared.gather(1, others).double() - error)[:, None] - own_squared[:, :, None]
    between = rivals.between[own[:, :, None], others[:, None]].double() + rivals.between_error
    by_all = (gaps / (2 * between.sqrt())).amax(dim=1)
    return Screened(own, own_squared, others, by_one, torch.maximum(by_all, by_one[:, :k]))

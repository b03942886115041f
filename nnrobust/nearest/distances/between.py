"""How far apart references of two classes are, as far as their normals tell: all at once, or for what is asked."""

from functools import cached_property

import numpy as np

from nnrobust.nearest.distances.references import References, cross_distances, error_between

_OF_ROW, _OF_PAIRS = 1.3, 8700
"""What a query costs, in distances of one product of all references: 1.3 for each in its row, 8,700 for its 8 x 64 pairs.

Measured on 2 x 5,000 CIFAR-10 images (JPEG copy), 250 queries at once, one thread: all distances 1.21 s, of a query the row 0.31
ms and the pairs 0.42 ms. So from 1,650 queries on all at once are cheaper.
"""
_FEW = 16
"""Queries whose pairs are compared at once (16 x 72 x 3,072 values)."""


def is_cheaper_whole(n_own: int, n_other: int, n_queries: int) -> bool:
    """Whether all distances at once cost no more than what so many queries ask for."""
    return n_queries * (_OF_ROW * n_other + _OF_PAIRS) >= n_own * n_other


class Between:
    """The squared l2 lengths of the normals between own and other references, in float32, each within `error` of the true one.

    Only those asked for are computed where so few queries come that this is cheaper.
    """

    def __init__(self, own: References, other: References, n_queries: int, source: "Between | None" = None) -> None:
        """`own` and `other` are as far apart as their normals are long; `source` has the same with the two exchanged."""
        self.own, self.other, self.n_queries, self._source = own, other, n_queries, source
        self.error = error_between(own, other)
        is_whole = own.on_device is not None or is_cheaper_whole(len(own), len(other), n_queries)
        self.is_whole: bool = is_whole if source is None else source.is_whole

    def exchanged(self) -> "Between":
        return Between(self.other, self.own, self.n_queries, self)

    @cached_property
    def all(self) -> np.ndarray:
        """(n_own, n_other)."""
        if self._source is not None:
            return np.ascontiguousarray(self._source.all.T)
        return cross_distances(self.own, self.other)

    def rows(self, own: np.ndarray) -> np.ndarray:
        """(m, n_other), from own references at positions (m,)."""
        if self.is_whole:
            found: np.ndarray = self.all[own]
            return found
        chosen, places = np.unique(own, return_inverse=True)
        return cross_distances(self.own.take(chosen), self.other)[places]

    def pairs(self, own: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(m, i, k), between own references at positions (m, i) and others at (m, k)."""
        if self.is_whole:
            found: np.ndarray = self.all[own[:, :, None], others[:, None]]
            return found
        squared = np.empty((*own.shape, others.shape[1]), dtype=np.float32)
        for start in range(0, len(own), _FEW):
            part = slice(start, start + _FEW)
            products = self.own.centred(own[part]) @ self.other.centred(others[part]).transpose(0, 2, 1)
            near, far = self.own.squared_norms[own[part]][:, :, None], self.other.squared_norms[others[part]][:, None]
            squared[part] = near.astype(np.float32) + far.astype(np.float32) - 2 * products
        return squared

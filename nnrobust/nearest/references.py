"""Reference points, and their squared distances in float32 with a bound on the error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_WIDTH = 512
_AT_ONCE = 2048
"""Contenders for the nearest reference that are measured at once."""
ROUNDING = 2.0**-24
"""The largest relative error of rounding to float32."""


@dataclass(frozen=True)
class References:
    """n points of d dimensions around a common centre: as given, and centred in float32."""

    points: np.ndarray
    centre: np.ndarray
    centred: Tensor
    squared_norms: Tensor

    @classmethod
    def of(cls, points: np.ndarray, centre: np.ndarray, device: str = "cpu") -> "References":
        """References whose float32 part lies on `device`; `centre` is float32."""
        centred = torch.from_numpy((points - centre).astype(np.float32)).to(device)
        return cls(points, centre, centred, torch.linalg.vecdot(centred.double(), centred.double()))

    @classmethod
    def joined(cls, parts: Sequence["References"]) -> "References":
        """The references of all parts, one after the other; they have one centre."""
        points = np.concatenate([part.points for part in parts]) if len(parts) > 1 else parts[0].points
        centred, squared_norms = (
            torch.cat(one) for one in zip(*((part.centred, part.squared_norms) for part in parts), strict=True)
        )
        return cls(points, parts[0].centre, centred, squared_norms)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def largest_norm(self) -> float:
        return float(self.squared_norms.max().sqrt())

    def exactly(self, positions: Tensor) -> Tensor:
        """The points at `positions`, of any shape, in float64."""
        return torch.from_numpy(self.points[positions.cpu().numpy()]).double()

    def squared_distances(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances (m, n) of float64 queries (m, d), and a bound (m, 1) on their errors.

        Both points are rounded to float32, and so are sums of products of `_WIDTH` coordinates, which float64 adds up.
        """
        centred = (queries - torch.from_numpy(self.centre).double()).float().to(self.centred.device)
        norms = torch.linalg.vecdot(centred.double(), centred.double())
        squared = norms[:, None] + self.squared_norms
        for start in range(0, centred.shape[1], _WIDTH):
            part = slice(start, start + _WIDTH)
            squared -= 2 * (centred[:, part] @ self.centred[:, part].T)
        return squared, self.error(norms.sqrt(), _WIDTH)[:, None]

    def nearest(self, queries: Tensor, excluded: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Squared distances (m,) of float64 queries (m, d) to their nearest references, and the positions (m,) of these.

        Float64 measures all that float32 cannot tell from the nearest. References equal to `excluded` (m, d) do not count; a
        query for which none remains among those measured has distance infinity and position 0.
        """
        squared, error = self.squared_distances(queries)
        is_contender = squared <= squared.amin(dim=1, keepdim=True) + 2 * error
        rows, columns = (part.cpu() for part in is_contender.nonzero(as_tuple=True))
        exact = torch.empty(len(rows), dtype=torch.float64)
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            points = self.exactly(columns[part])
            offsets = points - queries[rows[part]]
            exact[part] = torch.linalg.vecdot(offsets, offsets)
            if excluded is not None:
                exact[part][(points == excluded[rows[part]]).all(dim=1)] = torch.inf
        smallest = torch.full((len(queries),), torch.inf, dtype=torch.float64).scatter_reduce(0, rows, exact, "amin")
        is_smallest = (exact == smallest[rows]) & exact.isfinite()
        position = torch.zeros(len(queries), dtype=torch.long)
        position[rows[is_smallest]] = columns[is_smallest]
        return smallest, position

    def error(self, query_norms: Tensor, width: int | None = None) -> Tensor:
        """A bound on the error of squared distances from queries of these norms, with sums of `width` products (all) in float32.

        (width + 8) u (||q|| + ||x||)^2 with u = 2^-24 covers the rounding of both points to float32, and sums in any order.
        Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
        """
        n_dimensions = self.points.shape[1]
        slack = (min(width or n_dimensions, n_dimensions) + 8) * ROUNDING
        return slack / (1 - slack) * (query_norms + self.largest_norm) ** 2


def cross_distances(first: References, second: References) -> tuple[Tensor, float]:
    """Squared distances, float32 (n, m), between references of one centre, and a bound on the error of any of them."""
    squared = first.squared_norms[:, None].float() + second.squared_norms.float()
    squared.addmm_(first.centred, second.centred.T, alpha=-2)
    return squared, float(second.error(first.squared_norms.max().sqrt()))

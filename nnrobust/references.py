"""Reference points, and their squared distances in float32 with a bound on the error."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_ROUNDING = 2.0**-24


@dataclass(frozen=True)
class References:
    """n points of d dimensions around a common centre: as given, and centred in float32."""

    points: np.ndarray
    centre: np.ndarray
    centred: Tensor
    squared_norms: Tensor

    @classmethod
    def of(cls, points: np.ndarray, centre: np.ndarray) -> "References":
        centred = torch.from_numpy((points - centre).astype(np.float32))
        return cls(points, centre, centred, torch.linalg.vecdot(centred.double(), centred.double()))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def largest_norm(self) -> float:
        return float(self.squared_norms.max().sqrt())

    def exactly(self, positions: Tensor) -> Tensor:
        """The points at `positions`, of any shape, in float64."""
        return torch.from_numpy(self.points[positions.numpy()]).double()

    def squared_distances(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances, float32 (m, n), of float64 queries (m, d), and a bound (m, 1) on their errors.

        (d + 8) u (||q|| + ||x||)^2 with u = 2^-24 covers the rounding of both points to float32, and sums in any order.
        Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
        """
        centred = (queries - torch.from_numpy(self.centre).double()).float()
        norms = torch.linalg.vecdot(centred.double(), centred.double())
        squared = norms[:, None].float() + self.squared_norms.float()
        squared.addmm_(centred, self.centred.T, alpha=-2)
        return squared, self.error(norms.sqrt())[:, None]

    def error(self, query_norms: Tensor) -> Tensor:
        """The bound of `squared_distances` for queries of these norms around the centre."""
        slack = (self.points.shape[1] + 8) * _ROUNDING
        return slack / (1 - slack) * (query_norms + self.largest_norm) ** 2


def cross_distances(first: References, second: References) -> tuple[Tensor, float]:
    """Squared distances, float32 (n, m), between references of one centre, and a bound on the error of any of them."""
    squared = first.squared_norms[:, None].float() + second.squared_norms.float()
    squared.addmm_(first.centred, second.centred.T, alpha=-2)
    return squared, float(second.error(first.squared_norms.max().sqrt()))

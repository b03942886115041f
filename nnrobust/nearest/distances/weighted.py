"""The space of distances for perturbations in other units: each feature of a query divided by a weight."""

from functools import cached_property

import numpy as np

from nnrobust.nearest.distances.metric import Metric, Plain
from nnrobust.nearest.distances.references import References

_OF_SCALING = 128 * 2.0**-53
"""More than the error of a query that is divided and multiplied by weights, relative to it: twice what `proof` takes off."""


class Weighted(Metric):
    """Distances of `base`, of queries x / weights; a feature whose weight is 0 is taken as it is, and may not change.

    With M = diag(weights) W', x_j wins where M(u_i - u_j).v <= b_i, v in the units of the weights: references and distances stay.
    """

    def __init__(self, base: Plain, weights: np.ndarray) -> None:
        is_free = weights > 0
        units = np.where(is_free, weights, 1.0)
        matrix = base.matrix * weights if isinstance(base, Metric) else np.empty((0, 0))
        root, spread = np.empty((0, 0)), weights[is_free]
        if isinstance(base, Metric):
            left, spread, _ = np.linalg.svd(matrix, full_matrices=False)
            root = spread[:, None] * left.T
            spread = spread[spread > spread[0] * max(matrix.shape) * np.finfo(float).eps]
        super().__init__(matrix, root, float(spread.max() / spread.min()))
        for name, value in (("base", base), ("weights", weights), ("units", units), ("is_free", is_free)):
            object.__setattr__(self, name, value)

    base: Plain
    weights: np.ndarray
    units: np.ndarray
    is_free: np.ndarray

    def mapped(self, x: np.ndarray) -> np.ndarray:
        return self.base.mapped(x * self.units)

    def errors(self, x: np.ndarray) -> np.ndarray:
        scaled = x * self.units
        return (
            self.base.errors(scaled) if isinstance(self.base, Metric) else _OF_SCALING * np.linalg.norm(scaled, axis=1)
        )

    def normals(self, ways: np.ndarray) -> np.ndarray:
        return self.base.normals(ways) * self.weights

    def allowed(self, ways: np.ndarray) -> np.ndarray:
        return np.where(self.is_free, ways, 0.0)

    def ways_to(self, ways: np.ndarray) -> np.ndarray:
        return ways @ self._inverse.T if isinstance(self.base, Metric) else self.allowed(ways / self.units)

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.pinv(self.matrix)

    def spread(self, references: References) -> References:
        if isinstance(self.base, Metric):
            return super().spread(references)
        points = (references.points - references.centre.astype(np.float64)) * self.weights
        return References.of(points, np.zeros(points.shape[1], dtype=np.float32), references.device)

    def as_asked(self, x: np.ndarray) -> np.ndarray:
        """Points (m, d) in the units of the features."""
        return x * self.units

"""The space that distances are taken in: that of the points, or the image of a linear map.

Distances are ||W x - W x'||, perturbations those of x. x_j beats x_i at x + v where (W x_i - W x_j).W v <= b_i, a half-space
still, with the normal W'(W x_i - W x_j). So distances come from points in the image, W x, and normals from the ways between them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.nearest.distances.references import References
from nnrobust.nearest.proofs.digest import in_image

FOR_VERIFY = 1 - 1e-9
"""Factor of a reported lower bound, so that `verify` reaches it: its half-spaces lose 2e-11 to rounding in 3,072 dimensions."""
OF_DISTANCE = 1e-14
"""More than the error of half the difference of two distances, relative to the larger one: float64 errs by 1e-15 of it."""
_OF_CONDITION = 1e-12
"""What rounding may take off a half-space's distance, relative to it, by the condition of the map."""
_OF_SUM = 128 * 2.0**-53
"""More than the error of a coordinate of W x, relative to |W| |x|: twice what `proof` takes off."""
_FAR = 2.0**20
"""Coordinates of points far away: what cuts values off is not affine there."""
_IS_AFFINE = 1e-6
"""How far, relative to its size, a transformer may be from what its linear part says."""


class Plain:
    """Distances between the points themselves."""

    def kept(self, points: np.ndarray) -> np.ndarray:
        """References (n, d) as they are stored (n, k)."""
        return points

    def mapped(self, x: np.ndarray) -> np.ndarray:
        """The places (m, k) of float64 queries (m, d)."""
        return x

    def errors(self, x: np.ndarray) -> np.ndarray:
        """Bounds (m,) on the l2 errors of the places of queries (m, d)."""
        return np.zeros(len(x))

    def normals(self, ways: np.ndarray) -> np.ndarray:
        """The normals (..., d) that ways (..., k) between places have."""
        return ways

    def allowed(self, ways: np.ndarray) -> np.ndarray:
        """Ways (m, d) of queries, 0 along features that may not change."""
        return ways

    def ways_to(self, ways: np.ndarray) -> np.ndarray:
        """The shortest ways (m, d) of a query that take its place along ways (m, k)."""
        return ways

    def spread(self, references: References) -> References:
        """Points (n, k) as far apart as the normals between the references are long."""
        return references

    def reported(self, lower: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Lower bounds that `verify` reaches, from those found and the distances to the nearest other-class reference."""
        return lower * FOR_VERIFY - OF_DISTANCE * distance


PLAIN = Plain()


@dataclass(frozen=True)
class Metric(Plain):
    """Distances in the image of x -> W x.

    `matrix`: W, float64 (k, d), of rank k. `root` (k, k): ||root u|| = ||W'u||. `condition`: of the singular values of W, the
    largest over the smallest.
    """

    matrix: np.ndarray
    root: np.ndarray
    condition: float

    @classmethod
    def of(cls, metric: Any, n_features: int) -> "Metric":
        """The map of an array (k, n_features), or of a fitted transformer of scikit-learn that is affine.

        Of a W of rank r < k the same distances have r rows: S V' of its singular value decomposition.

        Raises:
            DataError: naming `metric`, for a wrong shape, values that are not finite, rank 0, or a transformer not affine.
        """
        matrix = _linear_part(metric, n_features) if hasattr(metric, "transform") else _as_matrix(metric)
        if matrix.ndim != 2 or matrix.shape[1] != n_features or len(matrix) == 0:
            raise DataError(f"metric: expected an array of shape (k, {n_features}), one column for each feature, "
                            f"got shape {matrix.shape}")  # fmt: skip
        bad = np.argwhere(~np.isfinite(matrix))
        if len(bad):
            row, column = bad[0].tolist()
            raise DataError(f"metric: expected finite values, got {matrix[row, column]} in row {row}, column {column}")
        largest = np.abs(matrix).max()
        if largest > 0 and not 2.0**-60 < largest < 2.0**60:
            # Distances times a power of two are the same metric, and squares of these are numbers.
            matrix = np.ldexp(matrix, -int(np.frexp(largest)[1]))
        left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
        rank = int((sizes > sizes[0] * max(matrix.shape) * np.finfo(float).eps).sum())
        if rank == 0:
            raise DataError("metric: expected a rank of at least 1, got all zeros: every point would be at distance 0")
        if rank == len(matrix):
            return cls(np.ascontiguousarray(matrix), sizes[:, None] * left.T, float(sizes[0] / sizes[-1]))
        return cls(sizes[:rank, None] * right[:rank], np.diag(sizes[:rank]), float(sizes[0] / sizes[rank - 1]))

    @property
    def rounding(self) -> float:
        """What a bound may lose to rounding, relative to it."""
        return min(1 - FOR_VERIFY + _OF_CONDITION * self.condition, 1.0)

    def kept(self, points: np.ndarray) -> np.ndarray:
        return in_image(points, self.matrix)

    def mapped(self, x: np.ndarray) -> np.ndarray:
        # Row by row: a query has the same place alone as beside others, and in `proof`.
        return np.matvec(self.matrix, x)

    def errors(self, x: np.ndarray) -> np.ndarray:
        return _OF_SUM * np.linalg.norm(np.abs(x) @ np.abs(self.matrix).T, axis=1)

    def normals(self, ways: np.ndarray) -> np.ndarray:
        return ways @ self.matrix

    def ways_to(self, ways: np.ndarray) -> np.ndarray:
        return ways @ np.linalg.pinv(self.matrix).T

    def reported(self, lower: np.ndarray, distance: np.ndarray) -> np.ndarray:
        return lower * (1 - self.rounding)

    def spread(self, references: References) -> References:
        points = (references.points - references.centre.astype(np.float64)) @ self.root.T
        return References.of(points, np.zeros(points.shape[1], dtype=np.float32), references.device)


def _as_matrix(metric: Any) -> np.ndarray:
    try:
        return np.asarray(metric, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"metric: expected an array of numbers or a fitted transformer, got {metric!r}") from error


def _linear_part(transformer: Any, n_features: int) -> np.ndarray:
    """The W (k, d) of a fitted transformer x -> W x + c."""
    try:
        return affine_part(transformer, n_features)[0]
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"metric: expected a transformer fitted to {n_features} features, got {transformer!r}: {error}; "
                        "fit it first, or give its matrix") from error  # fmt: skip
    except NotAffineError as error:
        raise DataError(f"metric: expected an affine transformer, x -> W x + c, got {transformer!r}") from error


class NotAffineError(Exception):
    """A transformer is not affine."""


def affine_part(transformer: Any, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """The W (k, d) and c (k,) of a fitted transformer x -> W x + c, from where it takes unit vectors, and long ones.

    Raises:
        NotAffineError: for one that takes the sum of these elsewhere, or points far away.
    """
    step = 1.0
    for _ in range(2):
        points = np.concatenate([np.zeros((1, n_features)), step * np.eye(n_features), np.full((1, n_features), step)])
        image = np.asarray(transformer.transform(points), dtype=np.float64)
        rows = (image[1:-1] - image[0]) / step
        # As far apart as the offset is large, so that nothing is lost in the differences.
        step = 2.0 ** np.ceil(np.log2(max(np.abs(image[0]).max() / max(np.abs(rows).max(), 1e-300), 1.0)))
    far = np.concatenate([-_FAR * np.ones((1, n_features)), _FAR * np.ones((1, n_features)), points[-1:]])
    error = np.abs(np.asarray(transformer.transform(far), dtype=np.float64) - image[0] - far @ rows)
    if (error.max(axis=1) > _IS_AFFINE * np.abs(far).max(axis=1) * max(np.abs(rows).sum(axis=0).max(), 1e-300)).any():
        raise NotAffineError
    return rows.T, image[0]

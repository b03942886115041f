"""Which references cannot be among the k nearest at any point where the label is lost and that is near enough to the query.

A label that is lost has at most t of the k nearest references, t = k // 2. One of another class that t + 1 own-class references
are surely nearer than is not among them then. So its bisectors with a few own-class references, the (t + 1)-th largest of their
bounds, say how far a lost point must be that it counts at.
"""

import numpy as np

from nnrobust.nearest.voting.field import Field

_DOWN = 1 - 1e-6
"""More than float32 loses of a square root and a quotient."""


class Limits:
    """Limits of all references, from float32, for queries one after the other; distances between references are kept."""

    def __init__(self, field: Field, memory: int) -> None:
        self.field, self.rows = field, dict[int, np.ndarray]()
        self.most = max(1, memory // (4 * len(field)))

    def of(
        self, squared: np.ndarray, error: float, own: tuple[np.ndarray, np.ndarray], m: int, norm: str
    ) -> np.ndarray:
        """Lower bounds (n,), 0 or more, of the distance of such a point in `norm`; infinite for the query's own class.

        Args:
            squared: (n,) squared distances from the query, within `error`.
            own: positions (p,) of the nearest own-class references, at least m, and their squared distances.
            m: the least number of references of other classes among the k.
        """
        positions, own_squared = own
        is_own = self.field.codes == self.field.codes[positions[0]]
        if len(positions) < m:
            return np.where(is_own, np.inf, 0.0)
        gaps = squared - error - own_squared[:, None]
        bounds = gaps / (2 * self._lengths(positions))
        found = np.maximum(np.partition(bounds, len(positions) - m, axis=0)[len(positions) - m], 0) * _DOWN
        if norm == "Linf":
            found /= self.field.parts[0].points.shape[1] ** 0.5
        return np.where(is_own, np.inf, found)

    def _lengths(self, anchors: np.ndarray) -> np.ndarray:
        """Distances (p, n) of references at positions (p,) from all, rounded up."""
        missing = np.array([one for one in anchors.tolist() if one not in self.rows], dtype=np.int64)
        if len(missing):
            if len(self.rows) + len(missing) > self.most:
                self.rows.clear()
                missing = anchors
            squared, error = self.field.between(missing)
            lengths = np.sqrt(np.maximum(squared + np.float32(error), np.float32(1e-30)))
            self.rows.update(zip(missing.tolist(), lengths, strict=True))
        return np.stack([self.rows[one] for one in anchors.tolist()]).astype(np.float64)

    def prepare(self, anchors: np.ndarray) -> None:
        """Takes the distances of many references at once, where there is room."""
        anchors = np.unique(anchors)
        if len(anchors) <= self.most:
            self._lengths(anchors)

"""All references of a classifier, class after class: their distances, and the k nearest, by float64."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnrobust.nearest.references import References

_FEW = 256
"""References whose float64 copies are held at once."""
_LARGEST = 2.0**60
"""The largest distance from the centre whose products float32 holds."""


@dataclass(frozen=True)
class Field:
    """n references, class after class.

    `parts`: those of each class, of one centre. `order` (n,): the position of each in the classifier's own order. `codes` (n,):
    their classes. `starts`: where each class begins, and n.
    """

    parts: list[References]
    order: np.ndarray
    codes: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, parts: list[References], ids: list[np.ndarray]) -> "Field":
        """From the references of each class, and their positions in the classifier's order."""
        sizes = [len(part) for part in ids]
        return cls(parts, np.concatenate(ids), np.repeat(np.arange(len(ids)), sizes), np.cumsum([0, *sizes]))

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def _norms(self) -> np.ndarray:
        """Squared norms (n,) of the centred references."""
        return np.concatenate([part.squared_norms for part in self.parts])

    def exactly(self, positions: np.ndarray) -> np.ndarray:
        """The references at positions (p,), float64 (p, d)."""
        return self._rows(positions, "points").astype(np.float64)

    def _rows(self, positions: np.ndarray, name: str) -> np.ndarray:
        codes = self.codes[positions]
        found = np.empty((len(positions), self.parts[0].points.shape[1]), dtype=getattr(self.parts[0], name).dtype)
        for code in np.unique(codes).tolist():
            is_of_class = codes == code
            found[is_of_class] = getattr(self.parts[code], name)[positions[is_of_class] - self.starts[code]]
        return found

    def approximately(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances (m, n) of float64 queries (m, d), from float32, and bounds (m, 1) on their errors."""
        squared, errors = zip(*(part.squared_distances(queries) for part in self.parts), strict=True)
        return np.concatenate(squared, axis=1), np.max(errors, axis=0)

    def measured(self, point: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Squared distances (p,) in float64, summed as `checker` does it."""
        found = np.empty(len(positions))
        for start in range(0, len(positions), _FEW):
            difference = self.exactly(positions[start : start + _FEW]) - point
            found[start : start + _FEW] = np.square(difference, out=difference).sum(axis=1)
        return found

    def within(self, point: np.ndarray, positions: np.ndarray, reach: float) -> np.ndarray:
        """Those of the references at positions (p,) whose squared distance may be `reach` or less, by float32."""
        if len(positions) <= _FEW or not np.isfinite(reach):
            return positions
        part = self.parts[0]
        offset = point - part.centre.astype(np.float64)
        if np.abs(offset).max() > _LARGEST:
            return positions
        centred, norm = offset.astype(np.float32), float(offset @ offset)
        squared = norm + self._norms[positions] - 2 * (self._rows(positions, "centred") @ centred)
        error = max(float(one.error(np.array([norm**0.5]))[0]) for one in self.parts)
        return positions[squared <= reach + error]

    def around(self, point: np.ndarray, squared: np.ndarray, error: float, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and squared distances of all references that may be among the k nearest, from distances within an error.

        The nearest first; of equally near ones those of the first class.
        """
        k = min(k, len(squared))
        reach = np.partition(squared, k - 1)[k - 1] + 2 * error
        positions = np.flatnonzero(squared <= reach)
        exact = self.measured(point, positions)
        order = np.lexsort((positions, exact))
        return positions[order], exact[order]

    def between(self, anchors: np.ndarray) -> tuple[np.ndarray, float]:
        """Squared distances (p, n) of references at positions (p,) from all, by float32, and a bound on their errors."""
        rows = self._rows(anchors, "centred")
        norms = self._norms
        found = np.empty((len(anchors), len(self)), dtype=np.float32)
        for part, start in zip(self.parts, self.starts[:-1], strict=True):
            found[:, start : start + len(part)] = -2 * (rows @ part.centred.T)
        found += (norms[anchors][:, None] + norms).astype(np.float32)
        return found, float(max(part.error(np.sqrt(norms.max())) for part in self.parts))

"""All references of a classifier, class after class: their distances, and the k nearest, by float64."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnrobust.nearest.distances.references import References

_FEW = 256
"""References whose float64 copies are held at once."""
_LARGEST = 2.0**60
"""The largest distance from the centre whose products float32 holds."""
_DIRECTIONS, _SAMPLED = 64, 512
"""Directions of an outline, and the points that they are taken from; 64 hold some nine tenths of what images differ by."""
_MANY_DIMENSIONS = 256
"""Dimensions from which on references have an outline."""
_OF_ROUNDING, _OF_REST = 1e-6, 1e-6
"""What an outline loses of a squared distance, relative to the square of both distances from the centre, and of the length that
directions leave, relative to their sum: 10 times what rounding to float32, and a difference of squares, may take."""


@dataclass(frozen=True)
class Outline:
    """n points in a few directions (r, d): their coordinates (n, r), and the lengths (n,) of what these leave of them.

    `largest`: of all points, the distance from the centre, which is at 0.
    """

    directions: np.ndarray
    coordinates: np.ndarray
    rests: np.ndarray
    largest: float

    @classmethod
    def of(cls, parts: list[References], squared_norms: np.ndarray) -> "Outline":
        """Of references, part by part, with their squared norms (n,): the directions in which some of them differ most."""
        steps = [slice(None, None, max(1, len(part) * len(parts) // _SAMPLED)) for part in parts]
        sample = np.concatenate([part.centred(step) for part, step in zip(parts, steps, strict=True)]).astype(float)
        sizes, vectors = np.linalg.eigh(sample @ sample.T)
        directions, _ = np.linalg.qr(sample.T @ vectors[:, -min(_DIRECTIONS, len(sizes)) :])
        directions = np.ascontiguousarray(directions.T)
        starts = ((part, start) for part in parts for start in range(0, len(part), _SAMPLED))
        coordinates = np.concatenate([part.centred(slice(at, at + _SAMPLED)) @ directions.T for part, at in starts])
        rests = np.sqrt(np.maximum(squared_norms - np.vecdot(coordinates, coordinates), 0))
        return cls(directions, coordinates, rests, float(np.sqrt(squared_norms.max())))

    def least(self, offset: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Lower bounds (p,) of the squared distances of a point (d,) from those at positions (p,)."""
        norm, along = float(offset @ offset), self.directions @ offset
        ways, rest = self.coordinates[positions] - along, np.sqrt(max(norm - float(along @ along), 0.0))
        farthest = np.sqrt(norm) + self.largest
        rests = np.maximum(np.abs(self.rests[positions] - rest) - _OF_REST * farthest, 0)
        least: np.ndarray = np.vecdot(ways, ways) + np.square(rests) - _OF_ROUNDING * farthest**2
        return least


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
        return self._rows(positions, References.exactly, np.float64)

    def _rows(
        self, positions: np.ndarray, rows_of: Callable[[References, np.ndarray], np.ndarray], dtype: type
    ) -> np.ndarray:
        """What `rows_of` the references of a class gives for those at positions (p,), as (p, d)."""
        codes = self.codes[positions]
        found: np.ndarray = np.empty((len(positions), self.parts[0].points.shape[1]), dtype=dtype)
        for code in np.unique(codes).tolist():
            is_of_class = codes == code
            found[is_of_class] = rows_of(self.parts[code], positions[is_of_class] - self.starts[code])
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

    @cached_property
    def outline(self) -> Outline | None:
        """What `within` looks at first, in many dimensions."""
        if self.parts[0].points.shape[1] < _MANY_DIMENSIONS or self._norms.max() > _LARGEST:
            return None
        return Outline.of(self.parts, self._norms)

    def within(self, point: np.ndarray, positions: np.ndarray, reach: float) -> np.ndarray:
        """Those of the references at positions (p,) whose squared distance may be `reach` or less, by float32."""
        if len(positions) <= _FEW or not np.isfinite(reach):
            return positions
        part = self.parts[0]
        offset = point - part.centre.astype(np.float64)
        if np.abs(offset).max() > _LARGEST:
            return positions
        norm = float(offset @ offset)
        if self.outline is not None:
            positions = positions[self.outline.least(offset, positions) <= reach]
            if len(positions) <= _FEW:
                return positions
        centred = offset.astype(np.float32)
        squared = norm + self._norms[positions] - 2 * (self._rows(positions, References.centred, np.float32) @ centred)
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
        rows = self._rows(anchors, References.centred, np.float32)
        norms = self._norms
        found = np.empty((len(anchors), len(self)), dtype=np.float32)
        for part, start in zip(self.parts, self.starts[:-1], strict=True):
            for columns, points in part.blocks():
                found[:, start + columns.start : start + columns.stop] = -2 * (rows @ points.T)
        found += (norms[anchors][:, None] + norms).astype(np.float32)
        return found, float(max(part.error(np.sqrt(norms.max())) for part in self.parts))

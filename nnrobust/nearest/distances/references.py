"""Reference points, and their squared distances in float32 with a bound on the error, on the CPU or on a device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnrobust.errors import DataError
from nnrobust.nearest.distances import remote

if TYPE_CHECKING:
    from torch import Tensor

_WIDTH = 512
"""Products that are summed before their sums are: in 3,072 dimensions the error bound is a sixth of that of one sum of all."""
_AT_ONCE = 2048
"""Contenders for the nearest reference that are measured at once."""
_ROWS = 1024
"""References whose float32 copies are made at once, where none are held."""
_IN_CACHE = 2**17
"""Values in float64 that a processor's cache holds: 10,000 images have their norms in half the time of larger blocks."""
ROUNDING = 2.0**-24
"""The largest relative error of rounding to float32."""
_UNDERFLOW = 2.0**-146
"""More than the error of a product that is no normal float32 number."""
_LARGEST = 2.0**60
"""The largest distance of a query from the centre whose products with references float32 holds."""
_PLAIN = 2.0**-30, 2.0**50
"""Points are taken in their own units where the largest coordinate lies between these."""


def unit_of(points: np.ndarray) -> float:
    """The power of two that float32 and float64 can take squares of points in units of: 1 for most; above 0, and finite.

    Raises:
        DataError: for points whose largest coordinate is below 1e-290 or above 1e290, other than 0.
    """
    largest = max(float(points.max()), -float(points.min()))
    if largest == 0 or _PLAIN[0] < largest < _PLAIN[1]:
        return 1.0
    if not 1e-290 < largest < 1e290:
        raise DataError(f"X: expected values of up to 1e-290 to 1e290, got up to {largest:g}; scale them")
    return float(np.ldexp(1.0, int(np.frexp(largest)[1])))


@dataclass(frozen=True)
class References:
    """n points of d dimensions around a common centre.

    `held`: the points less the centre in float32 (n, d); None: they are made block by block whenever they are wanted, so that
    uint8 points, in memory or memory-mapped, are all that there is. `on_device`: the same on `device`, if that is not the CPU.
    """

    points: np.ndarray
    centre: np.ndarray
    squared_norms: np.ndarray
    held: np.ndarray | None
    device: str = "cpu"
    on_device: "Tensor | None" = None

    @classmethod
    def of(cls, points: np.ndarray, centre: np.ndarray, device: str = "cpu", is_held: bool = True) -> "References":
        """References whose products are taken on `device`, which holds all of them; `centre` is float32."""
        if is_held or device != "cpu":
            return cls._on(device, points, centre, _less(points, centre))
        parts = [squared_norms(_less(points[part], centre)) for part in _blocks(len(points))]
        return cls(points, centre, np.concatenate(parts), None)

    @classmethod
    def _on(cls, device: str, points: np.ndarray, centre: np.ndarray, centred: np.ndarray) -> "References":
        on_device = None if device == "cpu" else remote.moved(centred, device)
        return cls(points, centre, squared_norms(centred), centred, device, on_device)

    @classmethod
    def joined(cls, parts: Sequence["References"]) -> "References":
        """The references of all parts, one after the other; they have one centre."""
        if len(parts) == 1:
            return parts[0]
        points, centred = (
            np.concatenate(arrays) for arrays in zip(*((one.points, one.centred()) for one in parts), strict=True)
        )
        return cls._on(parts[0].device, points, parts[0].centre, centred)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def largest_norm(self) -> float:
        return float(np.sqrt(self.squared_norms.max()))

    def take(self, positions: np.ndarray) -> "References":
        """The references at positions (k,), on the CPU."""
        return References(self.points[positions], self.centre, self.squared_norms[positions], self.centred(positions))

    def part(self, rows: slice) -> "References":
        """The references at `rows`, where these are."""
        held, on_device = (None if points is None else points[rows] for points in (self.held, self.on_device))
        return References(self.points[rows], self.centre, self.squared_norms[rows], held, self.device, on_device)

    def all_held(self) -> "References":
        """The same, with float32 copies that stay."""
        return self if self.held is not None else References.of(self.points, self.centre)

    def centred(self, positions: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The points at `positions`, of any shape, less the centre, in float32."""
        return _less(self.points[positions], self.centre) if self.held is None else self.held[positions]

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All of the centred points (n, d), as they are held, or a block at a time."""
        for part in _blocks(len(self)) if self.held is None else [slice(0, len(self))]:
            yield part, self.centred(part)

    def exactly(self, positions: np.ndarray) -> np.ndarray:
        """The points at `positions`, of any shape, in float64."""
        return self.points[positions].astype(np.float64)

    def squared_distances(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances (m, n) of float64 queries (m, d), and a bound (m, 1) on their errors.

        Points and products are rounded to float32. Of queries too far away for that nothing is known: their errors are infinite.
        """
        offsets = queries - self.centre.astype(np.float64)
        is_far = np.abs(offsets).max(axis=1, initial=0) > _LARGEST
        centred = (
            np.where(is_far[:, None], 0, offsets).astype(np.float32) if is_far.any() else offsets.astype(np.float32)
        )
        norms = squared_norms(centred)
        if self.on_device is not None:
            squared = remote.squared_distances(centred, norms, self.on_device, self.squared_norms, _WIDTH)
            return squared, np.where(is_far, np.inf, self.error(np.sqrt(norms), _WIDTH))[:, None]
        squared = norms[:, None] + self.squared_norms
        for rows, points in self.blocks():
            squared[:, rows] -= 2 * _products(centred, points)
        return squared, np.where(is_far, np.inf, self.error(np.sqrt(norms), _WIDTH))[:, None]

    def nearest(self, queries: np.ndarray, excluded: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances (m,) of float64 queries (m, d) to their nearest references, and the positions (m,) of these.

        References equal to `excluded` (m, d) do not count; a query for which none remains among those that float32 cannot tell
        from the nearest has distance infinity and position 0.
        """
        squared, error = self.squared_distances(queries)
        return self.settled(queries, squared, error, excluded=excluded)

    def settled(
        self,
        queries: np.ndarray,
        squared: np.ndarray,
        error: np.ndarray,
        positions: np.ndarray | None = None,
        excluded: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances and positions as of `nearest`, from squared distances (m, k) within `error` (m, 1) of the true ones.

        Float64 measures all that may be the nearest; of several that are, the first is. `positions` (m, k) say of which
        references the distances are, None: of all. A query of which all k may be the nearest is compared with every reference.
        """
        is_contender = squared <= squared.min(axis=1, keepdims=True) + 2 * error
        rows, columns = is_contender.nonzero()
        if positions is not None:
            columns = positions[rows, columns]
        exact = np.empty(len(rows))
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            points = self.exactly(columns[part])
            offsets = points - queries[rows[part]]
            exact[part] = np.vecdot(offsets, offsets)
            if excluded is not None:
                exact[part][(points == excluded[rows[part]]).all(axis=1)] = np.inf
        smallest, position = np.full(len(queries), np.inf), np.full(len(queries), len(self))
        np.minimum.at(smallest, rows, exact)
        is_smallest = exact == smallest[rows]
        np.minimum.at(position, rows[is_smallest], columns[is_smallest])
        position[np.isinf(smallest)] = 0
        if squared.shape[1] < len(self):
            for row in is_contender.all(axis=1).nonzero()[0]:
                smallest[[row]], position[[row]] = self.nearest(queries[[row]])
        return smallest, position

    def error(self, query_norms: np.ndarray, width: int | None = None) -> np.ndarray:
        """A bound on the error of squared distances from queries of these norms, with sums of `width` products (all) added up.

        (width + parts + 7) u (||q|| + ||x||)^2 with u = 2^-24 covers the rounding of both points to float32, and sums in any
        order. Last what products that are no normal numbers lose.
        Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
        """
        n_dimensions = self.points.shape[1]
        width = min(width or n_dimensions, n_dimensions)
        slack = (width + -(-n_dimensions // width) + 7) * ROUNDING
        return slack / (1 - slack) * (query_norms + self.largest_norm) ** 2 + n_dimensions * _UNDERFLOW


def cross_distances(first: References, second: References) -> np.ndarray:
    """Squared distances, float32 (n, m), between references of one centre."""
    if first.on_device is None or second.on_device is None:
        squared = np.empty((len(first), len(second)), dtype=np.float32)
        for columns, points in second.blocks():
            for rows, others in first.blocks():
                np.matmul(others, points.T, out=squared[rows, columns])
    else:
        squared = remote.products(first.on_device, second.on_device)
    squared *= -2
    squared += first.squared_norms[:, None].astype(np.float32)
    squared += second.squared_norms.astype(np.float32)
    return squared


def error_between(first: References, second: References) -> float:
    """A bound on the error of any of the `cross_distances`."""
    return float(second.error(np.sqrt(first.squared_norms.max())))


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Inner products (m, n) of points (m, d) and (n, d) in float32: sums of `_WIDTH` coordinates are added up."""
    total: np.ndarray = first[:, :_WIDTH] @ second[:, :_WIDTH].T
    room = np.empty_like(total) if first.shape[1] > _WIDTH else total
    for start in range(_WIDTH, first.shape[1], _WIDTH):
        part = slice(start, start + _WIDTH)
        total += np.matmul(first[:, part], second[:, part].T, out=room)
    return total


def _less(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Points less a centre, in float32."""
    return (points - centre).astype(np.float32, copy=False)


def _blocks(n: int) -> Iterator[slice]:
    """All of n rows, `_ROWS` at a time."""
    return (slice(start, min(start + _ROWS, n)) for start in range(0, n, _ROWS))


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Squared l2 norms, float64 (n,), of float32 rows (n, d), block by block."""
    found, size = np.empty(len(rows)), max(1, _IN_CACHE // max(rows.shape[1], 1))
    for start in range(0, len(rows), size):
        block = rows[start : start + size].astype(np.float64)
        found[start : start + size] = np.vecdot(block, block)
    return found


def centre_of(points: np.ndarray) -> np.ndarray:
    """The mean (d,) of points (n, d) in float32; of uint8 in whole numbers, so that centred values are whole and exact."""
    if points.dtype == np.uint8:
        return np.round(points.sum(axis=0, dtype=np.uint64) / len(points)).astype(np.float32)
    return points.mean(axis=0, dtype=np.float64).astype(np.float32)

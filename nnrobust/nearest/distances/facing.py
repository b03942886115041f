"""Each class against the references of all others: at once, or in parts where memory does not suffice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.distances.between import is_cheaper_whole
from nnrobust.nearest.distances.metric import Plain
from nnrobust.nearest.distances.references import References
from nnrobust.nearest.distances.screening import Rivals

_TOGETHER = 128
"""Queries that parts leave room for, so that products take most of the time."""
_OF_QUERY = 32
"""Bytes that a reference takes for each query that it is compared with."""


@dataclass(frozen=True)
class Facing:
    """References (n, d), whose positions `ids` are by class, and those of each class, of one centre.

    Half of `memory` bytes is for parts. These are views where `ids` are one after the other, so that of references which are
    memory-mapped, in the order of their labels, nothing is copied.
    """

    points: np.ndarray
    ids: list[np.ndarray]
    references: list[References]
    memory: int

    def rivals(self, n_open: list[int], metric: Plain) -> Iterator[tuple[int, Rivals, np.ndarray]]:
        """Each class that has open queries, `n_open` by class, with the references of all others, and the positions of these."""
        previous: Rivals | None = None
        for code in np.flatnonzero(n_open).tolist():
            # Two classes have one product between them, in either direction.
            n_queries = sum(n_open) if len(n_open) == 2 else n_open[code]
            own, ids = self.references[code], np.concatenate(self.ids[:code] + self.ids[code + 1 :])
            if len(ids) * self._bytes_at_once(own) > self.memory // 2:
                held = self._held(own)
                for part, others in self._parts(code, n_queries):
                    yield code, Rivals.of(held, others, metric=metric, n_queries=n_queries), part
                continue
            if previous is not None and previous.other is own:  # two classes, whose distances are there already
                previous = previous.exchanged()
            else:
                others = References.joined(self.references[:code] + self.references[code + 1 :])
                previous = Rivals.of(own, others, metric=metric, n_queries=n_queries)
            yield code, previous, ids

    def _bytes_at_once(self, own: References) -> int:
        """What another reference takes where all are held at once: two copies, and its distances from the class."""
        return 4 * len(own) + 8 * own.points.shape[1]

    def _held(self, own: References) -> References:
        """The class with float32 copies, which each point that is checked is compared with, where they take an eighth at most."""
        return own.all_held() if 32 * own.points.size <= self.memory else own

    def _parts(self, code: int, n_queries: int) -> Iterator[tuple[np.ndarray, References]]:
        """The references of all other classes, part by part, and their positions."""
        own, order = self.references[code], np.concatenate(self.ids)
        norms = np.concatenate([one.squared_norms for one in self.references])
        ends = np.cumsum([0, *map(len, self.ids)])
        size = self._part_size(own, n_queries)
        sides = range(0, ends[code], size), range(ends[code + 1], len(order), size)
        for side, stop in zip(sides, (ends[code], len(order)), strict=True):
            for start in side:
                rows = slice(start, min(start + size, stop))
                points = rows_at(self.points, order[rows])
                if own.on_device is not None:
                    yield order[rows], References.of(points, own.centre, own.device)
                else:
                    yield order[rows], References(points, own.centre, norms[rows], None)

    def _part_size(self, own: References, n_queries: int) -> int:
        """References of a part."""
        if own.on_device is not None:
            return max(1, self.memory // 2 // self._bytes_at_once(own))
        each = self.points.itemsize * self.points.shape[1] + _OF_QUERY * min(n_queries, _TOGETHER)
        size = max(1, self.memory // 2 // each)
        if is_cheaper_whole(len(own), size, n_queries):
            size = max(1, self.memory // 2 // (each + 4 * len(own)))
        return size


def rows_at(points: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The points at positions (k,), a view where these are one after the other."""
    is_run = len(positions) > 0 and bool((np.diff(positions) == 1).all())
    return points[positions[0] : positions[-1] + 1] if is_run else points[positions]

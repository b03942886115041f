"""How far queries are from references in float32, with a bound on the error: measured once, for predictions and for screening."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nnrobust.nearest.distances.metric import Plain
from nnrobust.nearest.distances.references import References
from nnrobust.runtime.memory import fitting
from nnrobust.runtime.threads import in_threads, n_threads

MOST = 256
"""Queries handled at once, however much memory there is: more are no faster."""
_LEAST = 32
"""Queries that a thread measures at least."""


@dataclass(frozen=True)
class Distances:
    """Squared distances of m queries from own references (m, n_own) and others (m, n_other), and a bound (m, 1) on their errors.

    `anchor` (m,): the nearest own reference. Other references that are no rivals of a query are infinitely far from it.
    """

    own: np.ndarray
    other: np.ndarray
    error: np.ndarray
    anchor: np.ndarray

    @classmethod
    def of(
        cls, places: np.ndarray, own: References, other: References, is_rival: np.ndarray | None = None
    ) -> "Distances":
        """Of queries at float64 places (m, k); `is_rival` (m, n_other), None: all are."""
        to_own, own_error = own.squared_distances(places)
        to_other, error = other.squared_distances(places)
        if is_rival is not None:
            to_other[~is_rival] = np.inf
        return cls(to_own, to_other, error, own.settled(places, to_own, own_error)[1])

    def take(self, rows: np.ndarray) -> "Distances":
        return Distances(*(getattr(self, part.name)[rows] for part in fields(self)))


@dataclass(frozen=True)
class ToClasses:
    """Of m queries and each class: the squared distance (m, n_classes) to its `nearest` reference, by float64, and which that is.

    `squared`: by class the squared distances (m, n) from all of its references, within `errors` (m, n_classes); None: not kept.
    """

    nearest: np.ndarray
    positions: np.ndarray
    errors: np.ndarray
    squared: list[np.ndarray] | None

    @classmethod
    def of(
        cls, x: np.ndarray, metric: Plain, references: Sequence[References], n_at_once: int, is_kept: bool = False
    ) -> "ToClasses":
        """Of queries (m, d), so many at once at most, over all threads, or fewer where memory does not suffice."""
        shape = (len(x), len(references))
        nearest, positions, errors = np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape)
        squared = [np.empty((len(x), len(one))) for one in references] if is_kept else None

        def measure(rows: np.ndarray) -> None:
            places = metric.mapped(x[rows].astype(np.float64))
            for code, one in enumerate(references):
                found, error = one.squared_distances(places)
                nearest[rows, code], positions[rows, code] = one.settled(places, found, error)
                errors[rows, code] = error[:, 0]
                if squared is not None:
                    squared[code][rows] = found

        n = 1 if references[0].on_device is not None else max(1, min(n_threads(), len(x) // _LEAST))

        def measure_part(rows: np.ndarray) -> None:
            for _ in fitting(measure, rows, min(MOST, max(1, n_at_once // n))):
                pass

        rows = np.arange(len(x))
        if n == 1:
            measure_part(rows)
        else:
            in_threads(measure_part, np.array_split(rows, n))
        return cls(nearest, positions, errors, squared)

    def against_others(self, code: int, rows: np.ndarray) -> Distances | None:
        """Of the queries at `rows`, which are of the class `code`, from it and from all others, these one after the other.

        None where they are not kept.
        """
        if self.squared is None:
            return None
        is_other = np.arange(len(self.squared)) != code
        other = [squared[rows] for squared, is_one in zip(self.squared, is_other, strict=True) if is_one]
        error = self.errors[np.ix_(rows, is_other)].max(axis=1, keepdims=True)
        return Distances(self.squared[code][rows], np.concatenate(other, axis=1), error, self.positions[rows, code])

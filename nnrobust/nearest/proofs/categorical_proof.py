"""Why a radius holds where some features are categories: certificates of all rows of categories that could be nearer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import isqrt, prod, sqrt
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import Certificate, labels_of, split

DOWN, UP = 1 - 2.0**-48, 1 + 2.0**-48
"""Rounding of a cost to a safe side, many times what its formula errs by."""


@dataclass(frozen=True)
class Category:
    """Columns that are one category together, and the rows of values that they may have, one for each choice."""

    columns: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]

    def of(self, x: np.ndarray) -> int | None:
        """Which of the rows a point (d,) has, or none."""
        row = tuple(x[list(self.columns)].tolist())
        return self.rows.index(row) if row in self.rows else None


def cost(norm: str, n_changed: int, size: float, rounding: float = 1.0) -> float:
    """The norm of changes of numbers of this size in it, and of a 1 for each category that is changed.

    Times `rounding`, `DOWN` or `UP`, where float64 may not have it exactly.
    """
    if norm == "Linf":
        return max(size, 1.0 if n_changed else 0.0)
    if n_changed == 0 or (norm == "L1" and size == 0):
        return n_changed + size
    if norm == "L1":
        return (n_changed + size) * rounding
    if size == 0 and isqrt(n_changed) ** 2 == n_changed:
        return float(isqrt(n_changed))
    return sqrt(n_changed + size**2) * rounding


def n_choices(categories: Sequence[Category], n_changed: int) -> int:
    """In how many ways so many categories can be changed."""
    return sum(prod(len(one.rows) - 1 for one in changed) for changed in combinations(categories, n_changed))


def changed(query: np.ndarray, categories: Sequence[Category], n_changed: int) -> Iterator[np.ndarray]:
    """The query (d,) with so many of its categories changed, in every way."""
    for some in combinations(categories, n_changed):
        now = [one.of(query) for one in some]
        for choice in product(*([m for m in range(len(one.rows)) if m != n] for one, n in zip(some, now, strict=True))):
            point = query.copy()
            for one, place in zip(some, choice, strict=True):
                point[list(one.columns)] = one.rows[place]
            yield point


@dataclass(frozen=True)
class CategoricalCertificate:
    """Why no row that costs less than `lower` is labelled otherwise than `label`, and why one that costs `upper` is, or ties.

    A row has other numbers, and in some of the `categories` other values; it costs the norm of both, each category 1 (`cost`).
    `parts`: the certificates of the query with its categories changed in every way that costs less than `lower` by itself, and
    held there: `adversary` has weight 0 for their columns. `ended_by`: the budget that ended the search, or nothing.
    `digest` is that of the references and labels.
    """

    query: np.ndarray
    label: object
    digest: str
    adversary: Adversary
    categories: tuple[Category, ...]
    lower: float
    upper: float
    x_adv: np.ndarray
    parts: tuple[Certificate, ...]
    ended_by: str = ""

    def verify(self) -> bool:
        """True when both bounds hold: each part by itself, all of them are there, and costs are added on the safe side."""
        return bool(self.which_hold([self])[0])

    def digest_now(self) -> str:
        """The digest of the references, labels and metric that are here now."""
        return self.parts[0].digest_now()

    @staticmethod
    def which_hold(certificates: "Sequence[CategoricalCertificate]") -> np.ndarray:
        """Which certificates hold (n,)."""
        held = Certificate.which_hold([part for one in certificates for part in one.parts])
        parts = split(held, np.array([len(one.parts) for one in certificates]))
        return np.array(
            [bool(part.all()) and one._follows() for one, part in zip(certificates, parts, strict=True)], dtype=bool
        )

    def _follows(self) -> bool:
        """Whether the bounds follow from parts that hold."""
        return self._is_well_formed() and self._shows_lower() and self._shows_upper()

    def _is_well_formed(self) -> bool:
        columns, sizes = [column for one in self.categories for column in one.columns], self.adversary.weights
        return bool(
            0 <= self.lower <= self.upper
            and self.query.ndim == 1
            and len(columns) == len(set(columns)) and all(0 <= column < len(self.query) for column in columns)
            and sizes is not None and len(sizes) == len(self.query) and not any(sizes[column] for column in columns)
            and all(len(row) == len(one.columns) for one in self.categories for row in one.rows)
            and all(one.of(self.query) is not None for one in self.categories)
            and all(part.digest == self.digest and part.label == self.label for part in self.parts)
            and all(part.adversary == self.adversary for part in self.parts)
        )  # fmt: skip

    def _shows_lower(self) -> bool:
        """Whether every choice of categories that costs less than `lower` has a part that does not with its numbers."""
        known = {part.query.tobytes(): part.lower for part in self.parts}
        for n_changed in range(len(self.categories) + 1):
            if cost(self.adversary.norm, n_changed, 0.0, DOWN) >= self.lower:
                return True
            if n_choices(self.categories, n_changed) > len(known):
                return False
            for point in changed(self.query, self.categories, n_changed):
                lower = known.get(point.tobytes())
                if lower is None or not cost(self.adversary.norm, n_changed, lower, DOWN) >= self.lower:
                    return False
        return True

    def _shows_upper(self) -> bool:
        """Whether x_adv is the point of a part, at no more than `upper`."""
        if np.isinf(self.upper):
            return True
        for part in self.parts:
            if np.array_equal(part.x_adv, self.x_adv):
                n_changed = sum(one.of(part.query) != one.of(self.query) for one in self.categories)
                is_row = all(one.of(part.query) is not None for one in self.categories)
                return is_row and cost(self.adversary.norm, n_changed, part.upper, UP) <= self.upper
        return False

    @staticmethod
    def to_arrays(certificates: "Sequence[CategoricalCertificate]") -> dict[str, np.ndarray]:
        """What `of_arrays` takes, besides what all proofs have."""
        categories, parts = certificates[0].categories, [part for one in certificates for part in one.parts]
        if any(one.categories != categories for one in certificates):
            raise DataError("result: expected certificates about the same categories, got several")
        of_parts = {
            name: np.stack([getattr(part, name) for part in parts]) for name in ("query", "x_adv", "lower", "upper")
        }
        return {
            "label": labels_of(certificates),
            "ended_by": np.array([one.ended_by for one in certificates]),
            "n_parts": np.array([len(one.parts) for one in certificates], dtype=np.int64),
            "n_columns": np.array([len(one.columns) for one in categories], dtype=np.int64),
            "columns": np.array([column for one in categories for column in one.columns], dtype=np.int64),
            "n_values": np.array([len(one.rows) * len(one.columns) for one in categories], dtype=np.int64),
            "values": np.array([value for one in categories for row in one.rows for value in row], dtype=np.float64),
            **{f"part_{name}": values for name, values in (of_parts | Certificate.to_arrays(parts)).items()},
        }

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], references: Any, digest: str, adversary: Adversary
    ) -> "list[CategoricalCertificate]":
        """The certificates that `to_arrays` made arrays of, about references and labels, or those of a fitted classifier.

        Raises:
            DataError: for references of another shape.
        """
        of_parts = {name.removeprefix("part_"): values for name, values in arrays.items() if name.startswith("part_")}
        parts = Certificate.of_arrays(of_parts, references, digest, adversary)
        ends = np.cumsum(arrays["n_parts"])
        columns, values = split(arrays["columns"], arrays["n_columns"]), split(arrays["values"], arrays["n_values"])
        categories = tuple(
            Category(tuple(some.tolist()), tuple(map(tuple, rows.reshape(-1, len(some)).tolist())))
            for some, rows in zip(columns, values, strict=True)
        )
        return [
            cls(
                query=arrays["query"][n], label=arrays["label"][n], digest=digest, adversary=adversary, categories=categories,
                lower=float(arrays["lower"][n]), upper=float(arrays["upper"][n]), x_adv=arrays["x_adv"][n],
                parts=tuple(parts[end - count : end]), ended_by=str(arrays["ended_by"][n]),
            )
            for n, (end, count) in enumerate(zip(ends.tolist(), arrays["n_parts"].tolist(), strict=True))
        ]  # fmt: skip

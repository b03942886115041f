"""What callers pass, checked: one DataError names the argument, what was expected, and the first value that is wrong."""

import math
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from nnrobust.errors import DataError
from nnrobust.nearest.halfspace import Adversary
from nnrobust.threat import NORMS

TYPES = (np.float64, np.float32, np.uint8)
"""The types of points that are kept as they are; all others become float64."""


def as_rows(X: Any) -> Any:  # noqa: N803
    """X (n, ...) as (n, features); left alone where it is no array, for scikit-learn to judge."""
    X = X if hasattr(X, "ndim") else np.asarray(X)  # noqa: N806
    return np.asarray(X).reshape(len(X), -1) if X.ndim > 2 else X


def checked(estimator: Any, X: Any, y: Any = "no_validation", reset: bool = False) -> tuple[np.ndarray, Any]:  # noqa: N803
    """X as (n, features), of one of the three types and finite, and y as it is, for a scikit-learn estimator."""
    found = validate_data(estimator, as_rows(X), y, reset=reset, dtype=TYPES, ensure_all_finite=False)
    X, y = found if isinstance(found, tuple) else (found, None)  # noqa: N806
    require_finite(X)
    return X, y


def require_finite(X: np.ndarray) -> None:  # noqa: N803
    """Nothing, where all values of X (n, d) are finite; else a DataError that names the first that is not."""
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = bad[0].tolist()
        kind = "NaN" if np.isnan(X[row, column]) else "inf"
        raise DataError(f"X: expected finite values, got {kind} in row {row}, feature {column} "
                        f"({len(bad)} such values in all); drop those rows, or impute them")  # fmt: skip


def known_norm(norm: str) -> str:
    """The norm, if it is one of the three."""
    if norm not in NORMS:
        raise DataError(f"norm: expected one of {', '.join(NORMS)}, got {norm!r}")
    return norm


def number(name: str, value: object, least: float, is_open: bool) -> float:
    """The finite number that the argument is, not below `least`, and above it if `is_open`."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if known and math.isfinite(value) and (value > least or (value == least and not is_open)):  # type: ignore[arg-type, operator]
        return float(value)  # type: ignore[arg-type]
    wanted = f"above {least:g}" if is_open else f"of at least {least:g}"
    raise DataError(f"{name}: expected a finite number {wanted}, got {value!r}")


def adversary_of(norm: str, box: tuple[float, float] | None, X: np.ndarray) -> Adversary:  # noqa: N803
    """The adversary of this norm, and of this box, which holds every query X (m, d)."""
    known_norm(norm)
    if box is None:
        return Adversary(norm)
    low, high = (float(side) for side in box)
    if not low < high:
        raise DataError(f"box: expected (low, high) with low < high, got {box!r}")
    outside = np.argwhere(~((low <= X) & (high >= X)))
    if len(outside):
        row, column = outside[0].tolist()
        raise DataError(f"box: expected every query within [{low:g}, {high:g}], got {X[row, column]:g} in row {row}, "
                        f"feature {column}; give the box in the units of the data")  # fmt: skip
    return Adversary(norm, (low, high))


def codes_of(y: object, classes: np.ndarray, n: int) -> np.ndarray:
    """The labels (n,) as positions in `classes`, which are sorted."""
    y = np.asarray(y)
    if y.shape != (n,):
        raise DataError(f"y: expected one label for each of {n} queries, shape ({n},), got shape {y.shape}")
    unknown = y[~np.isin(y, classes)]
    if len(unknown):
        raise DataError(f"y: expected labels out of {classes.tolist()}, got {unknown[0]}")
    return np.searchsorted(classes, y)

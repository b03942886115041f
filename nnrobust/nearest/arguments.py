"""What callers pass, checked: one DataError names the argument, what was expected, and the first value that is wrong."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from nnrobust.errors import DataError, DataWarning
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.threat import NORMS

TYPES = (np.float64, np.float32, np.uint8)
"""The types of points that are kept as they are; all others become float64."""


_LEAST_WEIGHT = 1e-60
"""The smallest weight other than 0: squares of features divided by it are numbers."""
SPELLINGS = {"linf": "Linf", "l_inf": "Linf", "inf": "Linf", "l2": "L2", "2": "L2", "l1": "L1", "1": "L1"}
"""How norms are written elsewhere, in small letters."""


def as_rows(X: Any) -> Any:  # noqa: N803
    """X (n, ...) as (n, features); left alone where it is no array, for scikit-learn to judge.

    Raises:
        DataError: for a masked array with masked values, and for no images.
    """
    _require_unmasked("X", X)
    X = X if hasattr(X, "ndim") else np.asarray(X)  # noqa: N806
    if X.ndim > 2 and 0 in X.shape:
        raise DataError(f"X: expected one image at least, got an array of shape {tuple(X.shape)}")
    return np.asarray(X).reshape(len(X), -1) if X.ndim > 2 else X


def _require_unmasked(name: str, values: Any) -> None:
    """Nothing, but for a masked array with masked values a DataError: what lies under its mask is no data."""
    n_masked = int(np.ma.getmaskarray(values).sum()) if isinstance(values, np.ma.MaskedArray) else 0
    if n_masked:
        raise DataError(f"{name}: expected values throughout, got a masked array with {n_masked} missing ones; "
                        "drop their rows, or fill them in")  # fmt: skip


def checked(estimator: Any, X: Any, y: Any = "no_validation", reset: bool = False) -> tuple[np.ndarray, Any]:  # noqa: N803
    """X as (n, features), of one of the three types and finite, and y as it is, for a scikit-learn estimator."""
    _require_unmasked("y", y)
    try:
        found = validate_data(estimator, as_rows(X), y, reset=reset, dtype=TYPES, ensure_all_finite=False)
    except DataError:
        raise
    except ValueError as error:  # scikit-learn's, whose words its own checks of an estimator ask for
        wanted = "rows of numbers" if isinstance(y, str) else "rows of numbers, and one label for each"
        raise DataError(f"X: expected {wanted}, got others: {' '.join(str(error).split())[:300]}") from error
    X, y = found if isinstance(found, tuple) else (found, None)  # noqa: N806
    require_finite(X)
    if y is not None:
        _require_classes(y)
    return X, y


def _require_classes(y: np.ndarray) -> None:
    """Nothing, where the labels y (n,) are names of classes that can be told apart and sorted; else a DataError."""
    try:
        check_classification_targets(y)
        np.unique(y)
    except (TypeError, ValueError) as error:
        raise DataError(f"y: expected whole numbers or texts, not both, got others: {' '.join(str(error).split())}; "
                        "name the classes so") from error  # fmt: skip


def require_finite(X: np.ndarray) -> None:  # noqa: N803
    """Nothing, where all values of X (n, d) are finite; else a DataError that names the first that is not."""
    if X.dtype.kind in "biu":
        return
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = bad[0].tolist()
        kind = "NaN" if np.isnan(X[row, column]) else "inf"
        raise DataError(f"X: expected finite values, got {kind} in row {row}, feature {column} "
                        f"({len(bad)} such values in all); drop those rows, or impute them")  # fmt: skip


def known_norm(norm: object) -> str:
    """The norm, if it is one of the three, or spelt as elsewhere: `linf`, `l2`, `np.inf`, 2."""
    is_spelt = isinstance(norm, (str, int, float, np.integer)) and not isinstance(norm, bool)
    known = norm if norm in NORMS else SPELLINGS.get(f"{norm:g}" if isinstance(norm, float) else str(norm).lower())
    if not is_spelt or known is None:
        raise DataError(f"norm: expected one of {', '.join(NORMS)}, got {norm!r}")
    return str(known)


def whole_number(name: str, value: object, least: int) -> int:
    """The whole number of at least `least` that the argument is."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise DataError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def known_device(device: object) -> str:
    """The device, if it is `cpu`, or PyTorch finds one of that name.

    Raises:
        DataError: for any other.
    """
    if device == "cpu":
        return "cpu"
    try:
        import torch

        torch.empty(0, device=torch.device(device) if isinstance(device, str) else "none")
    except (ImportError, RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"device: expected cpu, or a device that PyTorch finds here, got {device!r} ({reason})"
        ) from error
    return str(device)


def known_jobs(n_jobs: object) -> None:
    """Nothing, where joblib takes it for a number of processes; else a DataError."""
    is_whole = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (is_whole and n_jobs != 0):
        raise DataError(f"n_jobs: expected None, or a whole number other than 0, -1 for all processors, got {n_jobs!r}")


def number(name: str, value: object, least: float, is_open: bool) -> float:
    """The finite number that the argument is, not below `least`, and above it if `is_open`."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if known and math.isfinite(value) and (value > least or (value == least and not is_open)):  # type: ignore[arg-type, operator]
        return float(value)  # type: ignore[arg-type]
    wanted = f"above {least:g}" if is_open else f"of at least {least:g}"
    raise DataError(f"{name}: expected a finite number {wanted}, got {value!r}")


def adversary_of(norm: object, box: tuple[float, float] | None, X: np.ndarray) -> Adversary:  # noqa: N803
    """The adversary of this norm, and of this box, which holds every query X (m, d); without sides it is none."""
    known = known_norm(norm)
    if box is None:
        return Adversary(known)
    is_pair = isinstance(box, (tuple, list, np.ndarray)) and len(box) == 2
    if not is_pair or not all(isinstance(side, (int, float, np.integer, np.floating)) for side in box):
        raise DataError(f"box: expected (low, high), two numbers, or None, got {box!r}")
    low, high = (float(side) for side in box)
    if not low < high:
        raise DataError(f"box: expected (low, high) with low < high, got {box!r}")
    outside = np.argwhere(~((low <= X) & (high >= X)))
    if len(outside):
        row, column = outside[0].tolist()
        raise DataError(f"box: expected every query within [{low:g}, {high:g}], got {X[row, column]:g} in row {row}, "
                        f"feature {column}; give the box in the units of the data")  # fmt: skip
    return Adversary(known, None if math.isinf(low) and math.isinf(high) else (low, high))


def weighted_adversary_of(
    norm: object,
    box: Any,
    X: np.ndarray,  # noqa: N803
    weights: Any,
) -> Adversary:
    """The adversary as `adversary_of`, with sides of the box and weights that may be arrays, one value for each feature."""
    sides = list(box) if isinstance(box, (tuple, list, np.ndarray)) and len(box) == 2 else []
    if weights is None and not any(np.ndim(side) for side in sides):
        return adversary_of(norm, box, X)
    known, d = known_norm(norm), X.shape[1]
    sizes = None if weights is None else _weights(weights, d)
    if box is None:
        return Adversary(known, None, sizes)
    if len(sides) != 2:
        raise DataError(f"box: expected (low, high), numbers or arrays of shape ({d},), or None, got {box!r}")
    low, high = (feature_by_feature("box", side, d) for side in sides)
    bad = np.flatnonzero(~(low < high))
    if len(bad):
        column = int(bad[0])
        raise DataError(f"box: expected low < high for each feature, got {low[column]:g} and {high[column]:g} for "
                        f"feature {column}; to hold a feature, give it the epsilon or weight 0")  # fmt: skip
    outside = np.argwhere(~((low <= X) & (high >= X)))
    if len(outside):
        row, column = outside[0].tolist()
        raise DataError(f"box: expected every query within it, got {X[row, column]:g} in row {row}, feature {column}, "
                        f"where it is [{low[column]:g}, {high[column]:g}]; give the box in the units of the data")  # fmt: skip
    return Adversary(known, (tuple(low.tolist()), tuple(high.tolist())), sizes)


def feature_by_feature(name: str, value: Any, d: int) -> np.ndarray:
    """The number, or the array of one for each of d features, as (d,)."""
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: expected numbers, got {value!r}") from error
    if found.shape not in ((), (d,)) or np.isnan(found).any():
        raise DataError(f"{name}: expected a number, or one for each of {d} features, shape ({d},), without NaN, "
                        f"got shape {found.shape}")  # fmt: skip
    return np.broadcast_to(found, (d,))


def _weights(weights: Any, d: int) -> tuple[float, ...]:
    """Weights of d features, of which one at least may change."""
    found = feature_by_feature("weights", weights, d)
    bad = np.flatnonzero(~((found == 0) | ((found > _LEAST_WEIGHT) & (found < 1 / _LEAST_WEIGHT))))
    if len(bad):
        raise DataError(f"weights: expected 0 for features that may not change, and else from {_LEAST_WEIGHT:g} to "
                        f"{1 / _LEAST_WEIGHT:g}, got {found[bad[0]]:g} for feature {bad[0]}")  # fmt: skip
    if not found.any():
        raise DataError("weights: expected one feature at least that may change, got all zeros")
    return tuple(found.tolist())


def warn_of_units(references: tuple[float, float], X: np.ndarray) -> None:  # noqa: N803
    """A DataWarning, where one of references, from low to high, and queries X are 0 to 255 as it seems, and the other 0 to 1."""
    queries = float(X.min()), float(X.max())
    is_share = any(
        _are_shares(*one) and _are_bytes(*other) for one, other in ((references, queries), (queries, references))
    )
    if is_share and X.shape[1] > 1 and queries[1] > 0:
        said = f"{references[0]:g} to {references[1]:g}, got values from {queries[0]:g} to {queries[1]:g}"
        warnings.warn(f"X: expected queries in the units of the references, {said}; multiply or divide them by 255",
                      DataWarning, stacklevel=4)  # fmt: skip


def _are_shares(low: float, high: float) -> bool:
    return low >= 0 and high <= 1


def _are_bytes(low: float, high: float) -> bool:
    return low >= 0 and 100 < high <= 255


def codes_of(y: object, classes: np.ndarray, n: int) -> np.ndarray:
    """The labels (n,) as positions in `classes`, equal as Python has it: "1" is not 1, no number is rounded."""
    _require_unmasked("y", y)
    try:
        y = np.asarray(y)
    except ValueError as error:
        raise DataError(f"y: expected one label for each of {n} queries, got lists of several lengths") from error
    if y.shape != (n,):
        raise DataError(f"y: expected one label for each of {n} queries, shape ({n},), got shape {y.shape}")
    known, labels = {label: code for code, label in enumerate(classes.tolist())}, y.tolist()
    try:
        codes = np.array([known.get(label, -1) for label in labels], dtype=np.int64)
    except TypeError as error:  # a list, which no label can be
        raise DataError(f"y: expected labels out of {classes.tolist()}, got {error}") from error
    if (codes < 0).any():
        raise DataError(f"y: expected labels out of {classes.tolist()}, got {labels[int(codes.argmin())]!r}")
    return codes

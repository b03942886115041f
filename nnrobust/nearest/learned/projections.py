"""Simple metrics for `OneNearestNeighbor`: principal components, whitened to a power, and low spatial frequencies."""

from collections.abc import Mapping

import numpy as np
from scipy.fft import dct
from scipy.linalg import eigh

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import as_rows, number, require_finite
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.learned.selection import Norm, best_of, hold_out

_AT_ONCE = 2048
"""Points that are centred at once."""


def principal_components(X: np.ndarray, n_components: int, power: float = 0.0) -> np.ndarray:  # noqa: N803
    """W (n_components, d): the directions of largest variance, each divided by its standard deviation to a power.

    Power 0: principal components as they are; 1: whitened; below 0: large variances count more than they do.

    Args:
        X: points (n, ...).

    Raises:
        DataError: for values that are not finite, or more components than directions in which the points vary.
    """
    rows = np.asarray(as_rows(X))
    require_finite(rows)
    n, d = rows.shape
    wanted = int(number("n_components", n_components, 1, is_open=False))
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((d, d))
    for start in range(0, n, _AT_ONCE):
        centred = rows[start : start + _AT_ONCE] - mean
        covariance += centred.T @ centred / n
    first = max(d - wanted, 0)
    variances, directions = eigh(covariance, subset_by_index=(first, d - 1))
    variances, directions = variances[::-1], directions.T[::-1]
    n_varying = int((variances > variances[0] * max(n, d) * np.finfo(float).eps).sum())
    if wanted > n_varying:
        raise DataError(
            f"n_components: expected at most {n_varying}, the directions in which the points vary, got {wanted}"
        )
    # The sign of a direction is that of its largest coordinate, whatever the library's.
    signs = np.sign(directions[np.arange(wanted), np.abs(directions).argmax(axis=1)])
    return directions * (signs * variances ** (-power / 2))[:, None]


def low_pass(shape: tuple[int, ...], n_frequencies: int) -> np.ndarray:
    """W (k, d): the lowest spatial frequencies of images of this shape, (height, width) or (channels, height, width).

    Of each channel the cosines of the first `n_frequencies` in both directions, orthonormal: k = channels * n_frequencies^2.

    Raises:
        DataError: for another shape, or more frequencies than pixels.
    """
    if len(shape) not in (2, 3):
        raise DataError(f"shape: expected (height, width) or (channels, height, width), got {shape}")
    wanted = int(number("n_frequencies", n_frequencies, 1, is_open=False))
    if wanted > min(shape[-2:]):
        raise DataError(f"n_frequencies: expected at most {min(shape[-2:])}, as many as pixels, got {wanted}")
    down, across = (dct(np.eye(size), norm="ortho", axis=0)[:wanted] for size in shape[-2:])
    return np.kron(np.eye(shape[0] if len(shape) == 3 else 1), np.kron(down, across))


def choose_metric(  # noqa: PLR0913
    X: np.ndarray,  # noqa: N803
    y: np.ndarray,
    metrics: Mapping[str, np.ndarray | None],
    norm: Norm,
    epsilon: float,
    held_out_fraction: float,
    seed: int,
) -> str:
    """The name, out of `metrics`, of the one with the highest exact robust accuracy on held-out points; of equals the first.

    Args:
        X: points (n, ...), with labels y (n,).
        metrics: by name, W (k, d); None: distances of the points themselves.
        norm: of the perturbations, and `epsilon`, their size, in the units of the points; without a box.
        held_out_fraction: of each class, above 0 and below 1; references are the rest.
        seed: of the split.

    Raises:
        DataError: for no metric, a fraction that leaves a class without points, or as 1NN does.
    """
    if not metrics:
        raise DataError("metrics: expected metrics to choose from, got none")
    kept, held, kept_y, held_y = hold_out(np.asarray(as_rows(X)), np.asarray(y), held_out_fraction, seed)
    models = (OneNearestNeighbor(metric=metric).fit(kept, kept_y) for metric in metrics.values())
    return list(metrics)[best_of(models, held, held_y, norm, epsilon)]

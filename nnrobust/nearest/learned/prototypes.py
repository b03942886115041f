"""Other references than the training points, for `OneNearestNeighbor.fit`: class means, prototypes, copies moved or mirrored."""

from collections.abc import Iterable

import numpy as np
from sklearn.cluster import KMeans

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import as_rows, number, require_finite
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.learned.selection import Norm, best_of, hold_out

Labelled = tuple[np.ndarray, np.ndarray]
"""References (n, ...), and their labels (n,)."""


def class_means(X: np.ndarray, y: np.ndarray) -> Labelled:  # noqa: N803
    """The mean of each class, float64 (n_classes, d), and the classes, sorted.

    1NN on them is the nearest-class-mean classifier, scikit-learn's NearestCentroid, which is linear.

    Args:
        X: points (n, ...), with labels y (n,).

    Raises:
        DataError: for values that are not finite, or another number of labels.
    """
    rows, y = _checked(X, y)
    classes = np.unique(y)
    return np.stack([rows[y == label].mean(axis=0, dtype=np.float64) for label in classes]), classes


def prototypes(X: np.ndarray, y: np.ndarray, k: int, seed: int, n_starts: int = 1) -> Labelled:  # noqa: N803
    """k prototypes of each class by k-means, float64 (n_classes * k, d), class by class, and their labels.

    A class of no more than k different points keeps these.

    Args:
        X: points (n, ...), with labels y (n,).
        k: prototypes of one class, 1 or more; 1: the class means.
        seed: of the starts, by k-means++.
        n_starts: the one of least squared distances counts.

    Raises:
        DataError: for a k below 1, values that are not finite, or another number of labels.
    """
    rows, y = _checked(X, y)
    k = int(number("k", k, 1, is_open=False))
    if k == 1:
        return class_means(rows, y)
    parts, classes = [], np.unique(y)
    for label in classes:
        members = rows[y == label].astype(np.float64)
        part = np.unique(members, axis=0)
        if len(part) > k:
            part = KMeans(k, n_init=n_starts, random_state=seed).fit(members).cluster_centers_
        parts.append(part)
    return np.concatenate(parts), np.repeat(classes, [len(part) for part in parts])


def choose_prototypes(  # noqa: PLR0913
    X: np.ndarray,  # noqa: N803
    y: np.ndarray,
    ks: Iterable[int],
    norm: Norm,
    epsilon: float,
    held_out_fraction: float,
    seed: int,
) -> int:
    """The k out of `ks` of the highest exact robust accuracy on held-out points; of those equally good the smallest.

    Args:
        X: points (n, ...), with labels y (n,).
        norm: of the perturbations, and `epsilon`, their size, in the units of the points; without a box.
        held_out_fraction: of each class, above 0 and below 1; prototypes are those of the rest.
        seed: of the split and of k-means.

    Raises:
        DataError: for no k, a fraction that leaves a class without points, or values that are not finite.
    """
    rows, y = _checked(X, y)
    candidates = sorted(set(ks))
    if not candidates:
        raise DataError("ks: expected numbers of prototypes to choose from, got none")
    kept, held, kept_y, held_y = hold_out(rows, y, held_out_fraction, seed)
    models = (OneNearestNeighbor().fit(*prototypes(kept, kept_y, k, seed)) for k in candidates)
    return candidates[best_of(models, held, held_y, norm, epsilon)]


def with_flips(X: np.ndarray, y: np.ndarray) -> Labelled:  # noqa: N803
    """Images X (n, ..., height, width), and after them their mirror images, left for right; labels y (n,), twice."""
    images, y = _images(X), np.asarray(y)
    return np.concatenate([images, images[..., ::-1]]), np.concatenate([y, y])


def with_shifts(X: np.ndarray, y: np.ndarray, pixels: int) -> Labelled:  # noqa: N803
    """Images X (n, ..., height, width), then these moved down, up, right and left by `pixels`; labels y (n,), five times.

    The rows or columns that come in are those of the edge, repeated.

    Raises:
        DataError: for X that are no images, or a shift below 1 or as large as the images.
    """
    images, y = _images(X), np.asarray(y)
    pixels = int(number("pixels", pixels, 1, is_open=False))
    if pixels >= min(images.shape[-2:]):
        raise DataError(f"pixels: expected a shift below the size of the images, {images.shape[-2:]}, got {pixels}")
    moved = [images]
    for axis in (-2, -1):
        places = np.arange(images.shape[axis])
        moved += [images.take(np.clip(places - step, 0, places[-1]), axis=axis) for step in (pixels, -pixels)]
    return np.concatenate(moved), np.tile(y, len(moved))


def _images(X: np.ndarray) -> np.ndarray:  # noqa: N803
    images = np.asarray(X)
    if images.ndim < 3:
        raise DataError(f"X: expected images of shape (n, ..., height, width), got shape {images.shape}")
    return images


def _checked(X: np.ndarray, y: np.ndarray) -> Labelled:  # noqa: N803
    """X as (n, d), finite, and as many labels."""
    rows, y = np.asarray(as_rows(X)), np.asarray(y)
    if y.shape != (len(rows),):
        raise DataError(f"y: expected one label for each of {len(rows)} points, got shape {y.shape}")
    require_finite(rows)
    return rows, y

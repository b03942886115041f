"""What a certificate names its references and labels by, and how references are stored where there is a metric."""

import hashlib

import numpy as np

_GRID = 2.0**-40
"""Points in the image are rounded to this part of the largest coordinate, so that points which W makes equal are equal."""


def digest_of(references: np.ndarray, labels: np.ndarray, *others: np.ndarray | None) -> str:
    """The sha256 of references, whatever their byte order in memory, of labels, whatever their type, and of other arrays."""
    classes, codes = np.unique(labels, return_inverse=True)
    found = hashlib.sha256(repr(classes.tolist()).encode())
    for part in (codes.astype("<i8"), references, *others):
        if part is not None:
            part = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.data)
    return found.hexdigest()


def in_image(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The image of points (n, d) under a metric's W (k, d), as references are stored there (n, k)."""
    return rounded(points.astype(np.float64) @ matrix.T)


def rounded(image: np.ndarray) -> np.ndarray:
    """Points (n, k) in the image as references are stored there."""
    # A power of two, so that differences of rounded coordinates are exact.
    step = 2.0 ** np.ceil(np.log2(max(np.abs(image).max(), np.finfo(float).tiny))) * _GRID
    return np.round(image / step) * step

"""Images and labels as they are given, checked before anything is measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrobust.errors import DataError


@dataclass(frozen=True)
class Data:
    """Images (n, ...), uint8 or floats in [0, 1], and class ids (n,), int64. `unit`: a pixel's highest value, 255 or 1."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def unit(self) -> float:
        return 255.0 if self.images.dtype == np.uint8 else 1.0

    @classmethod
    def of(cls, X: Any, y: Any) -> "Data":  # noqa: N803
        """Arrays or tensors as they were given.

        Their type says in which units images are: uint8 means 0 to 255, floats mean [0, 1].

        Raises:
            DataError: naming the argument, what was expected, and what it is.
        """
        images, labels = (_array(values) for values in (X, y))
        if images.ndim < 2 or 0 in images.shape:
            raise DataError(f"X: expected at least one image, shape (n, ...), got shape {images.shape}")
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise DataError(
                f"X: expected uint8 of 0 to 255 or floats in [0, 1], got {images.dtype}; convert it to the one that it is"
            )
        if images.dtype.kind == "f":
            if not np.isfinite(images).all():
                raise DataError(
                    f"X: expected finite values, got {int((~np.isfinite(images)).sum())} that are NaN or inf"
                )
            if images.min() < 0 or images.max() > 1:
                raise DataError(f"X: expected floats in [0, 1], got {images.min():g} to {images.max():g}; divide by 255, undo a "
                                "normalisation, or give uint8")  # fmt: skip
            images = images.astype(np.float64 if images.dtype == np.float64 else np.float32)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise DataError(
                f"y: expected whole numbers of shape ({len(images)},), class ids, got {labels.dtype} of shape {labels.shape}"
            )
        if labels.min() < 0:
            raise DataError(f"y: expected class ids from 0 on, got {labels.min()}")
        return cls(np.ascontiguousarray(images), labels.astype(np.int64))


def _array(values: Any) -> np.ndarray:
    """An array of an array, a list or a tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)

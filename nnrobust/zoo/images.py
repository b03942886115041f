"""Which images the pretrained models are measured on: the same for every model, and listed with the results."""

import numpy as np

from nnrobust.data.datasets import first_per_class
from nnrobust.errors import DataError


def zoo_images(labels: np.ndarray, n: int, order: str, split: str) -> np.ndarray:
    """Positions, ascending, of `n` images among those with these labels (m,).

    `first`: the first n as they are stored, which for CIFAR-10's own files are RobustBench's. `first_per_class`: as many of
    each class, for folders, which are sorted by class.

    Raises:
        DataError: when there are fewer, or n is no multiple of the number of classes.
    """
    if n > len(labels):
        raise DataError(f"zoo.n_{split}: expected at most the {len(labels)} images of the split, got {n}")
    if order == "first":
        return np.arange(n)
    counts = np.bincount(labels)
    if n % len(counts):
        raise DataError(f"zoo.n_{split}: expected a multiple of {len(counts)} classes for first_per_class, got {n}")
    if n // len(counts) > counts.min():
        raise DataError(f"zoo.n_{split}: expected at most {counts.min()} images of each class, got {n // len(counts)}")
    return first_per_class(labels, n // len(counts))

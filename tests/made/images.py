"""Small made images."""

import numpy as np

from nnrobust.data.datasets import Split


def split_of(n_per_class: int, n_classes: int, shape: tuple[int, int, int], seed: int) -> Split:
    """Random images whose classes differ in brightness."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    noise = generator.integers(0, 120, (len(labels), *shape))
    images = (noise + (labels * 100 // max(1, n_classes - 1))[:, None, None, None]).astype(np.uint8)
    return Split(images, labels.astype(np.int64), [f"{i}" for i in range(len(labels))])

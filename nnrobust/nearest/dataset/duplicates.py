"""The nearest training image of each test image, brightness aside: where the two are almost the same, 1NN has it easy."""

import numpy as np
import pandas as pd

from nnrobust.data.datasets import Split
from nnrobust.nearest.dataset.neighbors import UNIT
from nnrobust.nearest.distances.references import References
from nnrobust.runtime.progress import Progress, silent

_N_REFERENCES, _N_QUERIES = 2_000, 500
"""Training and test images that are compared at once: 2,000 of CIFAR-10 take 75 MB, their distances 8 MB."""


def nearest_training_images(train: Split, test: Split, progress: Progress = silent) -> pd.DataFrame:
    """One row for each test image: the nearest training image of any class, in l2, both less their own mean brightness.

    Columns: `index` and `label` of the test image, `train_index` and `train_label` of the training image; `difference`, the root
    of the mean squared difference of their values, in pixel units [0, 1]; `relative_difference`, the same in standard deviations
    of the test image's own values: 0 for images that are equal up to brightness, about 1 for an image as flat as its mean.
    Of several equally near the first counts.
    """
    queries = _flat(test)
    squared, nearest = _nearest(_flat(train), queries, progress)
    difference = np.sqrt(squared / queries.shape[1])
    parts = (queries[start : start + _N_QUERIES] for start in range(0, len(queries), _N_QUERIES))
    contrast = np.concatenate([part.std(axis=1, dtype=np.float64) for part in parts])
    relative = np.full(len(difference), np.inf)
    np.divide(difference, contrast, out=relative, where=contrast > 0)
    relative[difference == 0] = 0
    return pd.DataFrame(
        {
            "index": np.arange(len(test.labels)),
            "label": test.labels,
            "train_index": nearest,
            "train_label": train.labels[nearest],
            "difference": (difference / UNIT).round(6),
            "relative_difference": relative.round(6),
        }
    )


def _flat(split: Split) -> np.ndarray:
    return np.asarray(split.images).reshape(len(split.images), -1)


def _nearest(references: np.ndarray, queries: np.ndarray, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (m,) of uint8 queries (m, d) to the nearest of uint8 references (n, d), brightness aside, and which."""
    squared, nearest = np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
    centre = np.zeros(references.shape[1], dtype=np.float32)
    for start in progress(range(0, len(references), _N_REFERENCES), "near-duplicates"):
        block = References.of(_without_brightness(references[start : start + _N_REFERENCES]), centre)
        for first in range(0, len(queries), _N_QUERIES):
            rows = slice(first, first + _N_QUERIES)
            found, position = block.nearest(_without_brightness(queries[rows]))
            is_nearer = found < squared[rows]
            squared[rows] = np.where(is_nearer, found, squared[rows])
            nearest[rows] = np.where(is_nearer, start + position, nearest[rows])
    return squared, nearest


def _without_brightness(rows: np.ndarray) -> np.ndarray:
    """Each row in float64, less its mean."""
    return rows - rows.mean(axis=1, dtype=np.float64, keepdims=True)

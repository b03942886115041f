"""1NN certified class by class, so that processes may share the classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nnrobust.data.datasets import opened
from nnrobust.nearest.certificate import Bounds, certify
from nnrobust.nearest.neighbors import ClassIndex, load_indexes
from nnrobust.nearest.screening import Effort
from nnrobust.runtime.machine import Engine
from nnrobust.runtime.progress import Progress, silent

OfClass = tuple[str, int]
"""The images of one class: a split and a class id."""


@dataclass(frozen=True)
class Work:
    """What `certify` gives of the images of a class of the dataset prepared in `folder`, in whichever process.

    `indexes` is the folder that `index` left, `efforts` are by split; references are held on `device`.
    """

    folder: Path
    indexes: Path
    device: str
    efforts: Mapping[str, Effort]

    def __call__(self, item: OfClass) -> Bounds:
        split, label = item
        part = getattr(opened(self.folder).dataset, split)
        rows = np.flatnonzero(part.labels == label)
        indexes = _indexes(self.indexes, self.folder, self.device)
        return certify(part.images[rows], part.labels[rows], indexes, self.efforts[split])


@lru_cache(maxsize=1)
def _indexes(folder: Path, data: Path, device: str) -> list[ClassIndex]:
    dataset = opened(data).dataset
    return load_indexes(folder, dataset.train, len(dataset.classes), device)


def certified(
    work: Work, splits: Mapping[str, np.ndarray], engine: Engine, progress: Progress = silent
) -> dict[str, Bounds]:
    """The bounds of all images of each split, whose labels (n,) are given; equal to what one call of `certify` gives.

    Splits are worked through in their order; `engine` spreads classes.
    """
    items = [(split, int(label)) for split, labels in splits.items() for label in np.unique(labels)]
    whole: dict[str, Bounds] = {}
    for _, (number, found) in zip(progress(items, "certify"), engine.map(work, items), strict=True):
        split, label = items[number]
        bounds = whole.setdefault(split, Bounds.unknown(len(splits[split]), found.other.shape[1]))
        bounds.put(np.flatnonzero(splits[split] == label), found)
    return whole

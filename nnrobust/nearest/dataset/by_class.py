"""1NN certified in parts that workers may share: images of a class, a block at a time, against some of the other references."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nnrobust.data.datasets import opened
from nnrobust.nearest.dataset.certificate import Bounds, certify_against
from nnrobust.nearest.dataset.neighbors import ClassIndex, load_indexes
from nnrobust.nearest.dataset.shards import Shard, groups_of
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.machine import Engine
from nnrobust.runtime.progress import Progress, silent

BLOCK = 1000
"""Images of a class that are one part: enough for distances between references to be had at once."""


@dataclass(frozen=True)
class Part:
    """The images `rows` of a split, which are of class `label`, and the other references that they are held against."""

    split: str
    label: int
    rows: np.ndarray
    group: list[Shard]


@dataclass(frozen=True)
class Work:
    """The bounds of a part of the dataset prepared in `folder`, in whichever process.

    `indexes` is the folder that `index` left, `efforts` are by split; references are held on `device`. Workers on other machines
    find both folders under the same paths.
    """

    folder: Path
    indexes: Path
    device: str
    efforts: Mapping[str, Effort]

    def __call__(self, part: Part) -> Bounds:
        images = getattr(opened(self.folder).dataset, part.split).images[part.rows]
        indexes = _indexes(self.indexes, self.folder, self.device)
        return certify_against(images, part.label, part.group, indexes, self.efforts[part.split])


@lru_cache(maxsize=1)
def _indexes(folder: Path, data: Path, device: str) -> list[ClassIndex]:
    dataset = opened(data).dataset
    return load_indexes(folder, dataset.train, len(dataset.classes), device)


def certified(
    work: Work, splits: Mapping[str, np.ndarray], engine: Engine, progress: Progress = silent
) -> dict[str, Bounds]:
    """The bounds of all images of each split, whose labels (n,) are given; equal for every engine.

    Splits are worked through in their order; `engine` spreads blocks of images and shards of the references that these are held
    against: the least bounds of all shards count. A point is only taken for won where no own-class reference is nearer, and of
    these every worker has all.
    """
    dataset = opened(work.folder).dataset
    sizes = np.bincount(dataset.train.labels, minlength=len(dataset.classes)).tolist()
    whole = {split: Bounds.unknown(len(labels), len(sizes)) for split, labels in splits.items()}
    parts = [part for split, labels in splits.items() for part in _parts(split, labels, sizes)]
    for _, (number, found) in zip(progress(parts, "certify"), engine.map(work, parts), strict=True):
        part = parts[number]
        whole[part.split].put(part.rows, found)
    return whole


def _parts(split: str, labels: np.ndarray, sizes: list[int]) -> list[Part]:
    """All images of a split, by class and block, against all other references."""
    members = {label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()}
    return [
        Part(split, label, rows[start : start + BLOCK], group)
        for label, rows in members.items()
        for start in range(0, len(rows), BLOCK)
        for group in groups_of(sizes, label)
    ]

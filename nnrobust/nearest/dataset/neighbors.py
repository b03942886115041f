"""Exact nearest neighbours of uint8 images in l2: FAISS proposes, `references` concludes as it does for the estimator."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.data.datasets import Split
from nnrobust.errors import DataError
from nnrobust.nearest.dataset.shards import Shard
from nnrobust.nearest.distances.references import References, centre_of, squared_norms
from nnrobust.runtime.progress import Progress, silent
from nnrobust.runtime.seals import seal, unbroken

UNIT = 255.0
"""Distances are computed on pixel values 0 to 255, where squared distances are integers and float64 holds them exactly."""


@dataclass(frozen=True)
class ClassIndex:
    """The uint8 references of one class, their positions in the training split, and the exact FAISS index over them.

    A part of a class has no index: its distances are those of `references`.
    """

    references: References
    ids: np.ndarray
    index: Any

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, shard: Shard) -> "ClassIndex":
        """These references of the class; nothing is copied."""
        if (shard.start, shard.stop) == (0, len(self)):
            return self
        rows = slice(shard.start, shard.stop)
        return ClassIndex(self.references.part(rows), self.ids[rows], None)


def build_indexes(train: Split, n_classes: int, device: str = "cpu") -> list[ClassIndex]:
    """One exact l2 index for each class, with references on `device`; they serve every pair and the problem of all classes."""
    import faiss

    indexes = []
    for references, ids in _references(train, n_classes, centre_of(_flat(train)), device):
        index = faiss.IndexFlatL2(references.points.shape[1])
        index.add(references.centred())
        indexes.append(ClassIndex(references, ids, index))
    return indexes


def _flat(train: Split) -> np.ndarray:
    return np.asarray(train.images).reshape(len(train.images), -1)


def _references(train: Split, n_classes: int, centre: np.ndarray, device: str) -> list[tuple[References, np.ndarray]]:
    flat = _flat(train)
    members = [np.flatnonzero(train.labels == class_id) for class_id in range(n_classes)]
    return [(References.of(flat[ids], centre, device), ids) for ids in members]


def save_indexes(indexes: list[ClassIndex], folder: Path) -> None:
    """Writes `<class id>.faiss` for each class, the common centre, and the hashes of all."""
    import faiss

    np.save(folder / "centre.npy", indexes[0].references.centre)
    for class_id, built in enumerate(indexes):
        faiss.write_index(built.index, str(folder / f"{class_id}.faiss"))
    seal(folder)


def load_indexes(folder: Path | str, train: Split, n_classes: int, device: str = "cpu") -> list[ClassIndex]:
    """The indexes that `save_indexes` wrote for this training split, with references on `device`.

    Raises:
        DataError: when a file is missing, another than was written, or was built over another number of images.
    """
    import faiss

    folder = Path(folder)
    unbroken(folder, "run `dvc repro index`")
    try:
        centre = np.load(folder / "centre.npy")
        read = [faiss.read_index(str(folder / f"{class_id}.faiss")) for class_id in range(n_classes)]
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{folder}: expected the indexes of {n_classes} classes: {error}; run `dvc repro index`"
        ) from error
    indexes = []
    for class_id, ((references, ids), index) in enumerate(
        zip(_references(train, n_classes, centre, device), read, strict=True)
    ):
        if (index.ntotal, index.d) != references.points.shape:
            n, d = references.points.shape
            raise DataError(f"{folder}/{class_id}.faiss: expected {n} images of {d} values, got {index.ntotal} of {index.d}; "
                            "run `dvc repro index`")  # fmt: skip
        indexes.append(ClassIndex(references, ids, index))
    return indexes


def propose(index: ClassIndex, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `k` references that FAISS finds nearest to each query in float32; `k` is cut to the number of references.

    Args:
        queries: uint8 (m, d).

    Returns:
        Squared distances (m, k) in squared pixel values, ascending, a bound (m, 1) on their errors, and positions (m, k).
    """
    centred = np.ascontiguousarray(queries - index.references.centre, dtype=np.float32)
    distances, positions = index.index.search(centred, min(k, len(index)))
    return distances, index.references.error(np.sqrt(squared_norms(centred)))[:, None], positions


def search(index: ClassIndex, queries: np.ndarray, n_proposed: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (m,) of uint8 queries (m, d) to their nearest references, and the positions (m,) of these, exactly."""
    if index.index is None:
        return index.references.nearest(queries.astype(np.float64))
    return index.references.settled(queries, *propose(index, queries, n_proposed))


def class_distances(train: Split, classes: list[str], progress: Progress = silent) -> pd.DataFrame:
    """d0 of every pair of classes: the smallest l2 distance between their training images, in pixel range [0, 1].

    Columns `first`, `second` (class names), `distance`, and `first_index`, `second_index`: the two images, by position in
    the training split. Theorem 2 promises robustness of every training image up to distance / 2.
    Source: arXiv 2404.06313, section 3.
    """
    indexes = build_indexes(train, len(classes))
    rows = []
    for a, b in progress(list(combinations(range(len(classes)), 2)), "class distances"):
        squared, position = search(indexes[b], indexes[a].references.points)
        best = int(squared.argmin())
        rows.append(
            {
                "first": classes[a],
                "second": classes[b],
                "distance": round(float(np.sqrt(squared[best])) / UNIT, 9),
                "first_index": int(indexes[a].ids[best]),
                "second_index": int(indexes[b].ids[position[best]]),
            }
        )
    return pd.DataFrame(rows)

"""Exact nearest neighbours of uint8 images in l2: FAISS proposes in float32, float64 concludes."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.data.datasets import Split
from nnrobust.errors import DataError
from nnrobust.nearest.references import References
from nnrobust.runtime.progress import Progress, silent

UNIT = 255.0
"""Distances are computed on pixel values 0 to 255, where squared distances are integers and float64 holds them exactly."""


@dataclass(frozen=True)
class ClassIndex:
    """The uint8 references of one class, their positions in the training split, and the exact FAISS index over them."""

    references: References
    ids: np.ndarray
    index: Any

    def __len__(self) -> int:
        return len(self.ids)


def build_indexes(train: Split, n_classes: int, device: str = "cpu") -> list[ClassIndex]:
    """One exact l2 index for each class, with references on `device`; they serve every pair and the problem of all classes."""
    import faiss

    indexes = []
    for references, ids in _references(train, n_classes, _centre(train), device):
        index = faiss.IndexFlatL2(references.points.shape[1])
        index.add(references.centred)
        indexes.append(ClassIndex(references, ids, index))
    return indexes


def _centre(train: Split) -> np.ndarray:
    """The mean image in whole numbers, so that centred pixels are whole numbers too, which float32 holds exactly."""
    flat = np.asarray(train.images).reshape(len(train.images), -1)
    return np.round(flat.mean(axis=0, dtype=np.float64)).astype(np.float32)


def _references(train: Split, n_classes: int, centre: np.ndarray, device: str) -> list[tuple[References, np.ndarray]]:
    flat = np.asarray(train.images).reshape(len(train.images), -1)
    members = [np.flatnonzero(train.labels == class_id) for class_id in range(n_classes)]
    return [(References.of(flat[ids], centre, device), ids) for ids in members]


def save_indexes(indexes: list[ClassIndex], folder: Path) -> None:
    """Writes `<class id>.faiss` for each class, and the common centre."""
    import faiss

    np.save(folder / "centre.npy", indexes[0].references.centre)
    for class_id, one in enumerate(indexes):
        faiss.write_index(one.index, str(folder / f"{class_id}.faiss"))


def load_indexes(folder: Path | str, train: Split, n_classes: int, device: str = "cpu") -> list[ClassIndex]:
    """The indexes that `save_indexes` wrote for this training split, with references on `device`.

    Raises:
        DataError: when a file is missing, or was built over another number of images.
    """
    import faiss

    folder = Path(folder)
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


def propose(index: ClassIndex, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` references that float32 finds nearest to each query.

    Args:
        queries: uint8 (m, d).

    Returns:
        Positions in the class, int64 (m, k), and squared distances in squared pixel values, float32 (m, k),
        ascending, each within `References.error` of the true one. `k` is cut to the number of references.
    """
    centred = np.ascontiguousarray(queries - index.references.centre, dtype=np.float32)
    distances, positions = index.index.search(centred, min(k, len(index)))
    return positions, distances


def squared_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Exact squared distances, float64 (m, k), of uint8 queries (m, d) to uint8 references (m, k, d), row by row."""
    difference = references.astype(np.float64) - queries[:, None].astype(np.float64)
    return np.einsum("mkd,mkd->mk", difference, difference)


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference of each of m queries: its position in the class, its squared distance in pixel values, exactly."""

    position: np.ndarray
    squared: np.ndarray


def search(index: ClassIndex, queries: np.ndarray, n_proposed: int = 8) -> Neighbours:
    """The exact nearest reference of each uint8 query (m, d); of several the first.

    Every one of the `n_proposed` candidates that float32 cannot tell from the nearest is measured in float64; a query of which
    all candidates are such is compared with all references.
    """
    candidates, proposed = propose(index, queries, n_proposed)
    norms = np.sqrt(_squared_norms(queries - index.references.centre))
    error = index.references.error(norms)
    is_contender = proposed <= proposed[:, :1] + 2 * error[:, None]
    rows, columns = np.nonzero(is_contender)
    exact = np.full(candidates.shape, np.inf)
    for start in range(0, len(rows), 1024):
        r, c = rows[start : start + 1024], columns[start : start + 1024]
        exact[r, c] = squared_distances(queries[r], index.references.points[candidates[r, c]][:, None])[:, 0]
    squared = exact.min(axis=1)
    last = np.iinfo(np.int64).max
    position = np.where(exact == squared[:, None], candidates, last).min(axis=1)
    if candidates.shape[1] < len(index):
        for row in np.flatnonzero(is_contender.all(axis=1)):
            everything = _to_all(queries[row], index)
            position[row], squared[row] = int(everything.argmin()), everything.min()
    return Neighbours(position, squared)


def _squared_norms(rows: np.ndarray) -> np.ndarray:
    """Squared l2 norms, float64 (n,), of rows (n, d), block by block."""
    blocks = [rows[b : b + 1024].astype(np.float64) for b in range(0, len(rows), 1024)]
    return np.concatenate([np.einsum("nd,nd->n", block, block) for block in blocks])


def _to_all(query: np.ndarray, index: ClassIndex) -> np.ndarray:
    """Exact squared distances of one query to every reference of a class."""
    blocks = range(0, len(index), 1024)
    return np.concatenate(
        [squared_distances(query[None], index.references.points[None, b : b + 1024])[0] for b in blocks]
    )


def class_distances(train: Split, classes: list[str], progress: Progress = silent) -> pd.DataFrame:
    """d0 of every pair of classes: the smallest l2 distance between their training images, in pixel range [0, 1].

    Columns `first`, `second` (class names), `distance`, and `first_index`, `second_index`: the two images, by position in
    the training split. Theorem 2 promises robustness of every training image up to distance / 2.
    Source: arXiv 2404.06313, section 3.
    """
    indexes = build_indexes(train, len(classes))
    rows = []
    for a, b in progress(list(combinations(range(len(classes)), 2)), "class distances"):
        found = search(indexes[b], indexes[a].references.points)
        best = int(found.squared.argmin())
        rows.append(
            {
                "first": classes[a],
                "second": classes[b],
                "distance": round(float(np.sqrt(found.squared[best])) / UNIT, 9),
                "first_index": int(indexes[a].ids[best]),
                "second_index": int(indexes[b].ids[found.position[best]]),
            }
        )
    return pd.DataFrame(rows)

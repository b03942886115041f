"""Exact nearest neighbours of uint8 images in l2: FAISS proposes in float32, float64 concludes."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.datasets import Split
from nnrobust.errors import DataError
from nnrobust.progress import Progress, silent

UNIT = 255.0
"""Distances are computed on pixel values 0 to 255, where squared distances are integers and float64 holds them exactly."""


@dataclass(frozen=True)
class ClassIndex:
    """The references of one class and the exact FAISS index over them, centred at `centre`.

    `references` is uint8 (n, d); `ids` (n,) are their positions in the training split.
    """

    references: np.ndarray
    ids: np.ndarray
    centre: np.ndarray
    index: Any
    largest_squared_norm: float

    def __len__(self) -> int:
        return len(self.references)


def build_indexes(train: Split, n_classes: int) -> list[ClassIndex]:
    """One exact l2 index for each class; together they serve every pair and the problem of all classes."""
    import faiss

    flat = np.asarray(train.images).reshape(len(train.images), -1)
    centre = np.round(flat.mean(axis=0, dtype=np.float64)).astype(np.float32)
    indexes = []
    for class_id in range(n_classes):
        ids = np.flatnonzero(train.labels == class_id)
        index = faiss.IndexFlatL2(flat.shape[1])
        index.add(np.ascontiguousarray(flat[ids] - centre))
        indexes.append(_class_index(flat[ids], ids, centre, index))
    return indexes


def _class_index(references: np.ndarray, ids: np.ndarray, centre: np.ndarray, index: Any) -> ClassIndex:
    return ClassIndex(references, ids, centre, index, float(_squared_norms(references - centre).max()))


def save_indexes(indexes: list[ClassIndex], folder: Path) -> None:
    """Writes `<class id>.faiss` for each class, and the common centre."""
    import faiss

    np.save(folder / "centre.npy", indexes[0].centre)
    for class_id, one in enumerate(indexes):
        faiss.write_index(one.index, str(folder / f"{class_id}.faiss"))


def load_indexes(folder: Path | str, train: Split, n_classes: int) -> list[ClassIndex]:
    """The indexes that `save_indexes` wrote for this training split.

    Raises:
        DataError: when a file is missing, or was built over another number of images.
    """
    import faiss

    folder = Path(folder)
    flat = np.asarray(train.images).reshape(len(train.images), -1)
    indexes = []
    for class_id in range(n_classes):
        ids = np.flatnonzero(train.labels == class_id)
        try:
            index = faiss.read_index(str(folder / f"{class_id}.faiss"))
            centre = np.load(folder / "centre.npy")
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{folder}: expected the index of class {class_id}: {error}; run `dvc repro index`"
            ) from error
        if (index.ntotal, index.d) != (len(ids), flat.shape[1]):
            raise DataError(f"{folder}/{class_id}.faiss: expected {len(ids)} images of {flat.shape[1]} values, got "
                            f"{index.ntotal} of {index.d}; run `dvc repro index`")  # fmt: skip
        indexes.append(_class_index(flat[ids], ids, centre, index))
    return indexes


def propose(index: ClassIndex, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` references that float32 finds nearest to each query.

    Args:
        queries: uint8 (m, d).

    Returns:
        Positions in `index.references`, int64 (m, k), and squared distances in squared pixel values, float32 (m, k),
        ascending, each within `float32_error` of the true one. `k` is cut to the number of references.
    """
    centred = np.ascontiguousarray(queries - index.centre, dtype=np.float32)
    distances, positions = index.index.search(centred, min(k, len(index)))
    return positions, distances


def float32_error(queries: np.ndarray, index: ClassIndex) -> np.ndarray:
    """A bound, float64 (m,), on the error of any squared distance that float32 finds for each query.

    For ||q||^2 + ||x||^2 - 2 q.x in any order of summation, with q and x exact after centring on whole numbers:
    (d + 4) u (||q|| + ||x||)^2 with u = 2^-24. Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    query_norms = np.sqrt(_squared_norms(queries - index.centre))
    reference_norm = np.sqrt(index.largest_squared_norm)
    d = queries.shape[1]
    return (d + 4) * 2.0**-24 / (1 - (d + 4) * 2.0**-24) * (query_norms + reference_norm) ** 2


def _squared_norms(whole_numbers: np.ndarray) -> np.ndarray:
    """Squared l2 norms, float64 (n,), of rows (n, d), block by block."""
    blocks = [whole_numbers[b : b + 1024].astype(np.float64) for b in range(0, len(whole_numbers), 1024)]
    return np.concatenate([np.einsum("nd,nd->n", block, block) for block in blocks])


def squared_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Exact squared distances, float64 (m, k), of uint8 queries (m, d) to uint8 references (m, k, d), row by row."""
    difference = references.astype(np.float64) - queries[:, None].astype(np.float64)
    return np.einsum("mkd,mkd->mk", difference, difference)


@dataclass(frozen=True)
class Neighbours:
    """What a search in one class found for m queries.

    `position` (m,) and `squared` (m,) are the nearest reference and its squared distance, exactly (float64, in squared pixel
    values). `candidates` (m, k) are the k references nearest in float32, with `proposed` (m, k), their squared distances,
    each within `error` (m,) of the true one; every reference not among them is at least proposed[:, -1] - error away.
    """

    position: np.ndarray
    squared: np.ndarray
    candidates: np.ndarray
    proposed: np.ndarray
    error: np.ndarray


def search(index: ClassIndex, queries: np.ndarray, k: int = 8) -> Neighbours:
    """The exact nearest reference of each uint8 query (m, d), and the `k` nearest in float32.

    Of several nearest references the first is given. Every candidate that float32 cannot tell from the nearest is measured
    in float64; a query of which all candidates are such is compared with all references.
    """
    candidates, proposed = propose(index, queries, k)
    error = float32_error(queries, index)
    is_contender = proposed <= proposed[:, :1] + 2 * error[:, None]
    rows, columns = np.nonzero(is_contender)
    exact = np.full(candidates.shape, np.inf)
    for start in range(0, len(rows), 1024):
        r, c = rows[start : start + 1024], columns[start : start + 1024]
        exact[r, c] = squared_distances(queries[r], index.references[candidates[r, c]][:, None])[:, 0]
    squared = exact.min(axis=1)
    last = np.iinfo(np.int64).max
    position = np.where(exact == squared[:, None], candidates, last).min(axis=1)
    if candidates.shape[1] < len(index):
        for row in np.flatnonzero(is_contender.all(axis=1)):
            everything = _to_all(queries[row], index)
            position[row], squared[row] = int(everything.argmin()), everything.min()
    return Neighbours(position, squared, candidates, proposed, error)


def _to_all(query: np.ndarray, index: ClassIndex) -> np.ndarray:
    """Exact squared distances of one query to every reference of a class."""
    blocks = range(0, len(index), 1024)
    return np.concatenate([squared_distances(query[None], index.references[None, b : b + 1024])[0] for b in blocks])


def class_distances(train: Split, classes: list[str], progress: Progress = silent) -> pd.DataFrame:
    """d0 of every pair of classes: the smallest l2 distance between their training images, in pixel range [0, 1].

    Columns `first`, `second` (class names), `distance`, and `first_index`, `second_index`: the two images, by position in
    the training split. Theorem 2 promises robustness of every training image up to distance / 2.
    Source: arXiv 2404.06313, section 3.
    """
    indexes = build_indexes(train, len(classes))
    rows = []
    for a, b in progress(list(combinations(range(len(classes)), 2)), "class distances"):
        found = search(indexes[b], indexes[a].references)
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

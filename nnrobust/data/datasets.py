"""A labelled image dataset: its two splits, its caps, its pairs of classes, and its form on disk."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnrobust.errors import DataError
from nnrobust.runtime.outputs import write_json
from nnrobust.runtime.seals import seal, unbroken

SPLITS = ("train", "test")
_REMEDY = "run `dvc repro prepare`"


@dataclass(frozen=True)
class Split:
    """Images (n, channels, height, width) in uint8, labels (n,) in int64 as class ids, and one name for each image."""

    images: np.ndarray
    labels: np.ndarray
    names: list[str]

    def take(self, indices: np.ndarray) -> "Split":
        return Split(self.images[indices], self.labels[indices], [self.names[i] for i in indices])


@dataclass(frozen=True)
class Dataset:
    """Training and test images of the same classes; a class id is a position in `classes`."""

    name: str
    classes: list[str]
    train: Split
    test: Split

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"{self.name}: expected at least two classes, got {self.classes}")
        for split in SPLITS:
            part: Split = getattr(self, split)
            if part.images.dtype != np.uint8 or part.images.ndim != 4:
                raise DataError(f"{self.name}, {split}: expected uint8 images (n, channels, height, width), got "
                                f"{part.images.dtype} {part.images.shape}")  # fmt: skip
            if not len(part.images) == len(part.labels) == len(part.names):
                raise DataError(f"{self.name}, {split}: {len(part.images)} images, {len(part.labels)} labels and "
                                f"{len(part.names)} names; expected as many of each")  # fmt: skip
            if part.images.shape[1:] != self.train.images.shape[1:]:
                raise DataError(f"{self.name}, {split}: expected images of shape {self.train.images.shape[1:]} as in "
                                f"train, got {part.images.shape[1:]}")  # fmt: skip
            absent = sorted(set(range(len(self.classes))) - set(part.labels.tolist()))
            if absent:
                raise DataError(f"{self.name}, {split}: no image of class {self.classes[absent[0]]}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return self.train.images.shape[1:]

    @property
    def n_dimensions(self) -> int:
        return int(np.prod(self.image_shape))


@dataclass(frozen=True)
class Pair:
    """Two class ids, first < second; written `3-5` in columns and tensor names."""

    first: int
    second: int

    def __str__(self) -> str:
        return f"{self.first}-{self.second}"

    def indices(self, labels: np.ndarray) -> np.ndarray:
        """Positions of the images of the two classes, in the order of the split."""
        return np.flatnonzero((labels == self.first) | (labels == self.second))

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """0 for the first class and 1 for the second, as the outputs of a two-class network are numbered."""
        return (labels == self.second).astype(np.int64)

    def class_ids(self) -> np.ndarray:
        """The class id of each output of a two-class network."""
        return np.array([self.first, self.second])


@dataclass(frozen=True)
class AllClasses:
    """Every class id at once, where a pair has two; written `all`."""

    n_classes: int

    def __str__(self) -> str:
        return "all"

    def indices(self, labels: np.ndarray) -> np.ndarray:
        """Positions of all images."""
        return np.arange(len(labels))

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """The class ids themselves."""
        return labels.astype(np.int64)

    def class_ids(self) -> np.ndarray:
        return np.arange(self.n_classes)


Problem = Pair | AllClasses
"""The classes that a classifier tells apart."""


def select_pairs(classes: list[str], wanted: str | list[tuple[str, str]]) -> list[Pair]:
    """Every pair of classes for `"all"`, else those named.

    Raises:
        DataError: for an unknown class, a class paired with itself, or a pair named twice.
    """
    if isinstance(wanted, str):
        return [Pair(a, b) for a, b in combinations(range(len(classes)), 2)]
    pairs = []
    for names in wanted:
        unknown = [name for name in names if name not in classes]
        if unknown or names[0] == names[1]:
            raise DataError(f"data.pairs: expected two different classes of {classes}, got {list(names)}")
        first, second = sorted(classes.index(name) for name in names)
        pairs.append(Pair(first, second))
    if len(set(pairs)) != len(pairs) or not pairs:
        raise DataError(f"data.pairs: expected at least one pair and each pair once, got {[list(p) for p in wanted]}")
    return pairs


def cap_per_class(dataset: Dataset, n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    """The dataset with at most so many images of each class, drawn by `seed` and kept in order; None keeps all.

    Raises:
        DataError: when a class has fewer images than asked.
    """
    return replace(
        dataset,
        train=_capped(dataset, "train", n_train, seed),
        test=_capped(dataset, "test", n_test, seed),
    )


def _capped(dataset: Dataset, split: str, n_per_class: int | None, seed: int) -> Split:
    part: Split = getattr(dataset, split)
    if n_per_class is None:
        return part
    kept = []
    for class_id, name in enumerate(dataset.classes):
        members = np.flatnonzero(part.labels == class_id)
        if len(members) < n_per_class:
            raise DataError(f"{dataset.name}, {split}, class {name}: expected at least {n_per_class} images "
                            f"(data.n_{split}_per_class), got {len(members)}")  # fmt: skip
        generator = np.random.default_rng([seed, SPLITS.index(split), class_id])
        kept.append(generator.choice(members, n_per_class, replace=False))
    return part.take(np.sort(np.concatenate(kept)))


def first_per_class(labels: np.ndarray, n_per_class: int | None) -> np.ndarray:
    """Positions, in order, of the first `n_per_class` images of each class; all of them for None."""
    if n_per_class is None:
        return np.arange(len(labels))
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:n_per_class] for c in np.unique(labels)]))


def save_dataset(dataset: Dataset, pairs: list[Pair], folder: Path) -> None:
    """Writes the splits, `dataset.json` with classes, pairs and channel statistics of the training images, and all hashes."""
    for split in SPLITS:
        part: Split = getattr(dataset, split)
        np.save(folder / f"{split}_images.npy", np.ascontiguousarray(part.images))
        np.save(folder / f"{split}_labels.npy", part.labels)
        (folder / f"{split}_names.txt").write_text("\n".join(part.names) + "\n", encoding="utf-8")
    mean, std = channel_statistics(dataset.train.images)
    about = {
        "name": dataset.name,
        "classes": dataset.classes,
        "image_shape": list(dataset.image_shape),
        "n_train": len(dataset.train.labels),
        "n_test": len(dataset.test.labels),
        "pairs": [[pair.first, pair.second] for pair in pairs],
        "channel_mean": mean,
        "channel_std": std,
    }
    write_json(folder / "dataset.json", about)
    seal(folder)


def channel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in pixel units [0, 1], rounded to 6 decimals."""
    counts = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(images.shape[1])]).astype(float)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    variance = counts @ values**2 / counts.sum(axis=1) - mean**2
    return [round(float(m), 6) for m in mean], [round(float(max(v, 1e-12) ** 0.5), 6) for v in variance]


@dataclass(frozen=True)
class Prepared:
    """A dataset as `prepare` left it, with its pairs and its channel statistics."""

    dataset: Dataset
    pairs: list[Pair]
    channel_mean: list[float]
    channel_std: list[float]

    def problems(self, kind: Literal["pairs", "all_classes"]) -> list[Problem]:
        """Those that a variant with that `problem` has a network for: the pairs, or all classes at once."""
        return [AllClasses(len(self.dataset.classes))] if kind == "all_classes" else [*self.pairs]


def load_dataset(folder: Path | str) -> Prepared:
    """The dataset that `save_dataset` wrote; images stay on disk until read.

    Raises:
        DataError: when a file is missing, damaged, or another than was written.
    """
    folder = Path(folder)
    unbroken(folder, _REMEDY)
    try:
        about: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        splits = {
            split: Split(
                np.load(folder / f"{split}_images.npy", mmap_mode="r"),
                np.load(folder / f"{split}_labels.npy"),
                (folder / f"{split}_names.txt").read_text(encoding="utf-8").splitlines(),
            )
            for split in SPLITS
        }
        dataset = Dataset(about["name"], about["classes"], splits["train"], splits["test"])
        pairs = [Pair(first, second) for first, second in about["pairs"]]
        return Prepared(dataset, pairs, about["channel_mean"], about["channel_std"])
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder}: expected a prepared dataset: {error}; {_REMEDY}") from error


@lru_cache(maxsize=1)
def opened(folder: Path) -> Prepared:
    """What `load_dataset` gives, read once in each process: work on it goes to other processes by the folder's name."""
    return load_dataset(folder)

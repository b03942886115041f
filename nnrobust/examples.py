"""A few training images with the nearest image that fools a classifier on each, for the figures that show them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.errors import DataError
from nnrobust.runtime.seals import load_arrays, save_arrays

CHANGES = [
    "classifier", "index", "label", "is_found", "is_inside", "norm", "largest_change", "ssim", "share_below", "share_above",
]  # fmt: skip
SSIM_WINDOW = 7
"""Pixels along the side of the square windows in which two images are compared; less in images that are smaller."""


@dataclass(frozen=True)
class Examples:
    """Images uint8 (n, c, h, w), and `adversarial` float64, in [0, 1]: the nearest found that is classified differently.

    `is_found` says whether there is one; there is none where the image itself is classified wrongly. `indices` in the training
    split; `labels` and `predictions`, of the stored images, as class ids; `norms`, the l2 distance of the two images in pixel
    units; each (n,).
    """

    images: np.ndarray
    adversarial: np.ndarray
    is_found: np.ndarray
    indices: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    norms: np.ndarray

    def inside(self, epsilon: float) -> np.ndarray:
        """Which of the nearest images that fool lie in the l2 ball (n,)."""
        return self.is_found & (self.norms <= epsilon * (1 + 1e-6))

    def largest_changes(self) -> np.ndarray:
        """By how much the pixel value changes that changes most (n,), in pixel units: the distance in Linf."""
        return np.abs(self.adversarial - self.images / 255).reshape(len(self.images), -1).max(axis=1)

    def ssim(self) -> np.ndarray:
        """The structural similarity (n,) of each image and its adversarial one: 1 for equal images.

        The mean over all whole windows of `SSIM_WINDOW` pixels, evenly weighted, and over channels, of pixel values in [0, 1].
        Source: Wang et al., IEEE Transactions on Image Processing 13 (2004), 600-612, as scikit-image has it. Differs from it in
        the window, of 11 pixels with Gaussian weights there, which do not fit images of 8.
        """
        from skimage.metrics import structural_similarity

        side = min(SSIM_WINDOW, *self.images.shape[2:])
        options = {"win_size": side - (side % 2 == 0), "data_range": 1.0, "use_sample_covariance": False}
        pairs = zip(self.images / 255, self.adversarial, strict=True)
        return np.array([structural_similarity(*pair, channel_axis=0, **options) for pair in pairs])

    def save(self, path: Path) -> None:
        """Writes them as one npz file, whole or not at all."""
        save_arrays(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Examples":
        """What `save` wrote.

        Raises:
            DataError: when the file is missing or damaged.
        """
        stored = load_arrays(path, "run `dvc repro examples`")
        names = [field.name for field in fields(cls)]
        if sorted(stored) != sorted(names):
            raise DataError(f"{path}: expected the arrays {names}, got {list(stored)}; run `dvc repro examples`")
        return cls(**stored)


def load_each(folder: Path, classifiers: Iterable[str]) -> dict[str, Examples]:
    """The examples by classifier, of those that have any: under `dvc repro --keep-going` one's stage may have failed.

    Raises:
        DataError: as `Examples.load`.
    """
    paths = {name: folder / f"{name}.npz" for name in classifiers}
    return {name: Examples.load(path) for name, path in paths.items() if path.exists()}


def class_ids_of(problem: str | list[str], classes: list[str]) -> np.ndarray:
    """The class ids, ascending, of `all` or of two class names.

    Raises:
        DataError: for an unknown class, or one named twice.
    """
    names = classes if isinstance(problem, str) else problem
    if set(names) - set(classes) or len(set(names)) != len(names):
        raise DataError(f"examples.problem: expected all, or two different classes of {classes}, got {problem}")
    return np.array(sorted(classes.index(name) for name in names))


def first_in_turn(labels: np.ndarray, class_ids: np.ndarray, n: int) -> np.ndarray:
    """Positions of n images: the first of each class, then the second of each, and so on.

    Raises:
        DataError: when the classes have fewer images.
    """
    members = [np.flatnonzero(labels == class_id) for class_id in class_ids]
    turns = [
        member_rows[turn]
        for turn in range(max(map(len, members)))
        for member_rows in members
        if turn < len(member_rows)
    ]
    if len(turns) < n:
        raise DataError(f"examples.n_images: expected at most the {len(turns)} training images of its classes, got {n}")
    return np.array(turns[:n])


def changes_table(examples: Examples, classifier: str, epsilon: dict[str, float]) -> pd.DataFrame:
    """One row for each image: how many of its pixel values the adversarial image changes, and by how much.

    Columns `CHANGES`: among them is_inside (the l2 ball of `epsilon`), norm (l2), largest_change (Linf), ssim, and share_below,
    share_above, the shares of values changed by less, and by more, than the Linf epsilon; the last five NaN where none was found.
    """
    change = np.abs(examples.adversarial - examples.images / 255).reshape(len(examples.images), -1)
    sizes = {
        "norm": examples.norms,
        "largest_change": examples.largest_changes(),
        "ssim": examples.ssim(),
        "share_below": (change < epsilon["Linf"]).mean(axis=1),
        "share_above": (change > epsilon["Linf"]).mean(axis=1),
    }
    return pd.DataFrame(
        {
            "classifier": classifier,
            "index": examples.indices,
            "label": examples.labels,
            "is_found": examples.is_found,
            "is_inside": examples.inside(epsilon["L2"]),
            **{name: np.where(examples.is_found, values, np.nan).round(6) for name, values in sizes.items()},
        }
    )

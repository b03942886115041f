"""How a classifier is chosen: by its exact robust accuracy on points that it was not made from."""

from collections.abc import Iterable
from typing import Literal, Protocol

import numpy as np
from sklearn.model_selection import train_test_split

from nnrobust.errors import DataError
from nnrobust.nearest.proofs.proof import RobustRadius

Norm = Literal["L2", "Linf", "L1"]
Halves = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""The points kept, those held out, and their labels."""


class Certified(Protocol):
    """A fitted classifier with exact radii."""

    def robust_radius(self, X: np.ndarray, y: np.ndarray, *, norm: Norm, epsilon: float) -> RobustRadius:  # noqa: N803
        """The radii of queries, decided at epsilon."""


def robust_accuracy(model: Certified, X: np.ndarray, y: np.ndarray, norm: Norm, epsilon: float) -> float:  # noqa: N803
    """The share of points X (n, ...), with labels y (n,), whose radius without a box is proven to exceed epsilon."""
    return float((model.robust_radius(X, y, norm=norm, epsilon=epsilon).lower > epsilon).mean())


def best_of(models: Iterable[Certified], X: np.ndarray, y: np.ndarray, norm: Norm, epsilon: float) -> int:  # noqa: N803
    """Which of the models has the highest `robust_accuracy`, the first of equals; only one is needed at a time."""
    return int(np.argmax([robust_accuracy(model, X, y, norm, epsilon) for model in models]))


def hold_out(X: np.ndarray, y: np.ndarray, fraction: float, seed: int) -> Halves:  # noqa: N803
    """Points and labels in two, of each class the same share `fraction` in the second, at random by seed.

    Raises:
        DataError: for a fraction that leaves a class without points on either side.
    """
    try:
        kept, held, kept_y, held_y = train_test_split(X, y, test_size=fraction, random_state=seed, stratify=y)
    except ValueError as error:
        raise DataError(f"held_out_fraction: expected a share that leaves points of each class on both sides, "
                        f"got {fraction!r} of {len(y)} points: {error}") from error  # fmt: skip
    if len(np.unique(kept_y)) < len(np.unique(y)) or len(np.unique(held_y)) < len(np.unique(y)):
        raise DataError(f"held_out_fraction: expected a share that leaves points of each class on both sides, "
                        f"got {fraction!r} of {len(y)} points; give a larger one, or more points")  # fmt: skip
    return kept, held, kept_y, held_y

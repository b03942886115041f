"""Tasks of training, and their results."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import Prepared, Problem
from nnrobust.errors import TrainingError
from nnrobust.networks.architectures import builder

Row = dict[str, float | None]
"""One epoch of a network: `loss`, and `clean_accuracy` and `robust_accuracy` on held-out images, None where not taken."""


@dataclass(frozen=True)
class Task:
    """One network to train: its classes, the positions in the split of its training and its held-out images, its recipe."""

    pair: Problem
    indices: np.ndarray
    held: np.ndarray
    recipe: Recipe

    @property
    def shape(self) -> tuple[object, ...]:
        """The values that tasks trained side by side share; learning rate, weight decay, beta and epsilon may differ."""
        r = self.recipe
        inner = r.trades and (r.trades.combine, tuple((p.norm, p.steps) for p in r.trades.perturbations))
        network = (r.architecture, r.width, len(self.pair.class_ids()))
        course = (r.epochs, r.batch_size, r.momentum, r.schedule, r.milestones, r.decay, r.augment, r.weight_averaging)
        return (*network, len(self.indices), len(self.held), *course, inner)

    def fresh(self, build: Callable[[], nn.Module]) -> nn.Module:
        """An untrained network whose weights the task's seed decides; torch's own generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._entropy()[0])
            return build()

    def generator(self, device: torch.device) -> torch.Generator:
        """The source of all that is random in the task's training."""
        return torch.Generator(device).manual_seed(self._entropy()[1])

    def _entropy(self) -> list[int]:
        sequence = np.random.SeedSequence([self.recipe.seed, *self.pair.class_ids().tolist()])
        return [int(word >> np.uint64(1)) for word in sequence.generate_state(2, np.uint64)]


def hold_out(pair: Problem, labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a pair's training images to train on, and to validate on: `fraction` of each class, at least one.

    Raises:
        TrainingError: when a class has a single image.
    """
    kept, held = [], []
    for class_id in pair.class_ids():
        members = np.flatnonzero(labels == class_id)
        if len(members) < 2:
            raise TrainingError(f"pair {pair}: expected two training images of class {class_id} to hold one out, got 1")
        order = np.random.default_rng([seed, class_id]).permutation(members)
        n_held = max(1, round(fraction * len(members)))
        held.append(order[:n_held])
        kept.append(order[n_held:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held))


@dataclass(frozen=True)
class TrainingSet:
    """Images uint8 (n, c, h, w) and class ids (n,) of the training split, and how an untrained network is made."""

    images: np.ndarray
    labels: np.ndarray
    build: Callable[[], nn.Module]

    @classmethod
    def of(cls, prepared: Prepared, recipe: Recipe, n_classes: int = 2) -> "TrainingSet":
        """The training split of a prepared dataset, read into memory, for networks of a recipe and so many classes."""
        train = prepared.dataset.train
        return cls(np.array(train.images), train.labels, builder(prepared, recipe, n_classes))


@dataclass(frozen=True)
class Trained:
    """A trained network: the `state_dict` of both checkpoints, and a row for each epoch.

    `best_epoch` counts from 1. `failure` says why training failed, None where it did not; `seconds` is the network's share of
    the time of those trained beside it.
    """

    recipe: Recipe
    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_epoch: int
    rows: list[Row]
    failure: str | None
    seconds: float

    @property
    def checkpoints(self) -> dict[str, dict[str, Tensor]]:
        """The `state_dict` at each checkpoint."""
        return {"best": self.best, "last": self.last}

    @property
    def state(self) -> dict[str, Tensor]:
        """The checkpoint that the recipe asks for."""
        return self.best if self.recipe.checkpoint == "best" else self.last

    @property
    def epoch(self) -> int:
        """The epoch of that checkpoint, from 1."""
        return self.best_epoch if self.recipe.checkpoint == "best" and self.best_epoch else len(self.rows)

    @property
    def row(self) -> Row:
        """The row of that epoch."""
        return self.rows[self.epoch - 1]

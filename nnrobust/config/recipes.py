"""How a network is trained: plain values that need no validation library, so that they travel to workers and to bare machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nnrobust.threat import parse_epsilon


@dataclass(frozen=True)
class Perturbation:
    """One inner attack: `epsilon` and `step_size` in pixel units, range [0, 1]."""

    norm: str
    epsilon: float
    step_size: float
    steps: int


@dataclass(frozen=True)
class Trades:
    """The TRADES loss: weight of the KL term, and how the terms of several perturbations are combined."""

    beta: float
    combine: str
    perturbations: tuple[Perturbation, ...]


@dataclass(frozen=True)
class Recipe:
    """All that decides a network but its images: a variant of params.yaml, or one setting of its search.

    `checkpoint` says which network is kept: `best` on validation, or the `last`.
    """

    architecture: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    milestones: tuple[int, ...]
    decay: float
    augment: bool
    checkpoint: str
    seed: int
    trades: Trades | None

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> "Recipe":
        """The recipe that a variant's block of params.yaml describes; the block is taken to be valid."""
        trades = block["trades"]
        if trades is not None:
            inner = tuple(
                Perturbation(p["norm"], parse_epsilon(p["epsilon"]), parse_epsilon(p["step_size"]), p["steps"])
                for p in trades["perturbations"]
            )
            trades = Trades(float(trades["beta"]), trades["combine"], inner)
        numbers = {name: float(block[name]) for name in ("learning_rate", "momentum", "weight_decay", "decay")}
        return cls(**{**block, **numbers, "milestones": tuple(block["milestones"]), "trades": trades})

    @property
    def norms(self) -> tuple[str, ...]:
        """The norms that validation attacks in: those trained against, Linf for standard training."""
        return ("Linf",) if self.trades is None else tuple(dict.fromkeys(p.norm for p in self.trades.perturbations))

    def learning_rate_in(self, epoch: int) -> float:
        """The learning rate in an epoch, counted from 0."""
        return self.learning_rate * self.decay ** sum(milestone <= epoch for milestone in self.milestones)

    def shortened(self, epochs: int) -> "Recipe":
        """This recipe in another number of epochs, its milestones at the same fractions of the whole, before the last epoch."""
        last = max(1, epochs - 1)
        milestones = tuple(min(last, max(1, round(one * epochs / self.epochs))) for one in self.milestones)
        return replace(self, epochs=epochs, milestones=milestones)

    def slowed(self) -> "Recipe":
        """This recipe at half the learning rate."""
        return replace(self, learning_rate=self.learning_rate / 2)

    def content(self) -> dict[str, Any]:
        """The recipe as dictionaries and lists, for fingerprints and provenance."""
        return asdict(self)


@dataclass(frozen=True)
class Setting:
    """One point of a search space: what a recipe with a single perturbation takes in place of its own values.

    `epsilon` is that of training, `relative_step_size` the step size in epsilons; milestones stay at their fractions of `epochs`.
    """

    beta: float
    epsilon: float
    steps: int
    relative_step_size: float
    learning_rate: float
    weight_decay: float
    epochs: int
    batch_size: int
    augment: bool

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with this setting."""
        assert recipe.trades is not None
        (old,) = recipe.trades.perturbations
        inner = Perturbation(old.norm, self.epsilon, self.relative_step_size * self.epsilon, self.steps)
        return replace(
            recipe.shortened(self.epochs),
            trades=replace(recipe.trades, beta=self.beta, perturbations=(inner,)),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            augment=self.augment,
        )

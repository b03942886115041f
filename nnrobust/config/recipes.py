"""How a network is trained: plain values that need no validation library, so that they travel to workers and to bare machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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

    `width` is that of architectures which leave it open, else None. `schedule` is `steps`, with `milestones` and `decay`, or
    `one_cycle`, without. `weight_averaging` is the decay, by step, of the moving average of the weights that is validated and
    kept in their place; None: they are kept themselves. `checkpoint` says which network is kept: `best` on validation, or the
    `last`.
    """

    architecture: str
    width: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    milestones: tuple[int, ...]
    decay: float
    augment: bool
    weight_averaging: float | None
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
        decay = block["weight_averaging"]
        averaging = None if decay is None else float(decay)
        values = {
            **block,
            **numbers,
            "weight_averaging": averaging,
            "milestones": tuple(block["milestones"]),
            "trades": trades,
        }
        return cls(**{field.name: values[field.name] for field in fields(cls)})

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

    @classmethod
    def space_of(cls, block: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The values of each field in a `search.space` of params.yaml; the block is taken to be valid."""
        read = {"epsilon": parse_epsilon} | dict.fromkeys(
            ("steps", "epochs", "batch_size", "augment"), lambda value: value
        )
        return {
            field.name: [read.get(field.name, float)(value) for value in block[field.name]] for field in fields(cls)
        }

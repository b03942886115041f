"""The blocks of `params.yaml`: frozen, typed, without defaults."""

from collections.abc import Callable
from dataclasses import fields
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nnrobust.config.checks import check_ascending, check_each_once
from nnrobust.config.reader import DECIMAL
from nnrobust.config.recipes import Recipe, Setting
from nnrobust.config.rosters import check_names, no_bare_word
from nnrobust.threat import ThreatModel, parse_epsilon


def _number(value: object) -> object:
    """YAML readers differ on `5e-4` (PyYAML: a text), so a text that spells a decimal number counts as one."""
    return float(value) if isinstance(value, str) and value and DECIMAL.fullmatch(value) else value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0.001, lt=1)]
Epsilon = Annotated[float, BeforeValidator(parse_epsilon), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**8)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Norm = Literal["Linf", "L2"]
Problems = Literal["all_classes", "pairs", "both"]
MOST_SETTINGS = 100_000
"""Combinations of a space to search; the paper tried 600."""
AttackName = Literal[
    "apgd-ce", "apgd-margin", "apgd-dlr", "apgd-t", "fmn",
    "apgd-ce-autoattack", "fab", "fab-t", "square", "pgd-foolbox", "pgd-cleverhans",
]  # fmt: skip


def _once(key: str) -> Callable[[list[Any]], list[Any]]:
    """A validator: the list itself, which has each value once."""

    def checked(values: list[Any]) -> list[Any]:
        check_each_once(key, values)
        return values

    return checked


WITH_WIDTH = ("resnet18",)
"""The architectures whose width is left open."""


class Block(BaseModel):
    """Base of all blocks: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Block):
    name: str
    source: Literal["digits", "cifar10", "mnist", "fashion_mnist", "image_folder"]
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    n_train_per_class: Count | None
    n_test_per_class: Count | None
    test_fraction: Fraction
    seed: Seed
    pairs: Literal["all"] | list[tuple[str, str]]

    @model_validator(mode="before")
    @classmethod
    def _pairs_as_tuples(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("pairs"), list):
            pairs = [tuple(pair) if isinstance(pair, list) else pair for pair in value["pairs"]]
            return {**value, "pairs": pairs}
        return value


class Epsilons(Block):
    Linf: Epsilon
    L2: Epsilon

    def threat_models(self) -> list[ThreatModel]:
        """The threat models that everything is measured under, Linf first."""
        return [ThreatModel("Linf", self.Linf), ThreatModel("L2", self.L2)]


class Compute(Block):
    reproducible: bool
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16"]
    attack_precision: Literal["auto", "float32", "bfloat16"]
    attack_compile: bool
    group_size: Count
    n_streams: Count
    engine: Literal["local", "processes", "ray"]
    n_workers: Count | None
    gpus_per_worker: NonNegative
    batch_size: Count
    block_size: Count


class Certify(Block):
    n_own: Count
    n_screened: Count
    up_to: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None


class Growth(Block):
    classifiers: Annotated[list[str], AfterValidator(_once("classifiers"))]
    halvings: Annotated[int, Field(ge=0, le=30)]
    seeds: Annotated[list[Seed], AfterValidator(_once("seeds"))]
    n_test_per_class: Count | None


class Curves(Block):
    n_points: Annotated[int, Field(ge=2, le=10_000)]
    end: Annotated[Positive, Field(le=1_000)]


class Perturbation(Block):
    norm: Norm
    epsilon: Epsilon
    step_size: Epsilon
    steps: Count


class Trades(Block):
    beta: NonNegative
    combine: Literal["sum", "average", "max"]
    perturbations: Annotated[list[Perturbation], Field(min_length=1)]


class Variant(Block):
    problem: Literal["pairs", "all_classes"]
    architecture: Literal["resnet18", "cnn_a", "mnist_cnn", "small_cnn"]
    width: Count | None
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    momentum: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: NonNegative
    schedule: Literal["steps", "one_cycle"]
    milestones: list[Count]
    decay: Positive
    augment: bool
    weight_averaging: Annotated[Number, Field(gt=0, lt=1)] | None
    checkpoint: Literal["best", "last"]
    seed: Seed
    trades: Trades | None

    @model_validator(mode="after")
    def _keys_agree(self) -> "Variant":
        if (self.width is None) == (self.architecture in WITH_WIDTH):
            wanted = "a number of channels" if self.width is None else "null, as its width is fixed,"
            raise ValueError(f"width: expected {wanted} with architecture {self.architecture}, got {self.width}")
        if self.schedule == "one_cycle" and (self.milestones or self.decay != 1):
            raise ValueError(
                f"expected milestones [] and decay 1 with schedule one_cycle, got {self.milestones} and {self.decay:g}"
            )
        return self

    def recipe(self) -> Recipe:
        """The same values as the training engine takes them."""
        return Recipe.of(self.model_dump())


class Validation(Block):
    fraction: Annotated[Fraction, Field(le=0.9)]
    steps: Count
    every: Count
    seed: Seed


class Space(Block):
    beta: Annotated[list[NonNegative], Field(min_length=1)]
    epsilon: Annotated[list[Epsilon], Field(min_length=1)]
    steps: Annotated[list[Count], Field(min_length=1)]
    relative_step_size: Annotated[list[Positive], Field(min_length=1)]
    learning_rate: Annotated[list[Positive], Field(min_length=1)]
    weight_decay: Annotated[list[NonNegative], Field(min_length=1)]
    epochs: Annotated[list[Count], Field(min_length=1)]
    batch_size: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    augment: Annotated[list[bool], Field(min_length=1)]

    @property
    def n_settings(self) -> int:
        """The number of combinations."""
        return prod(len(getattr(self, field.name)) for field in fields(Setting))

    def settings(self) -> list[Setting]:
        """Every combination, in the order of the lists."""
        return [Setting(*values) for values in product(*(getattr(self, field.name) for field in fields(Setting)))]


class Search(Block):
    variants: Annotated[list[str], Field(max_length=1)]
    n_settings: Count
    n_trials: Count
    n_at_once: Count
    min_epochs: Count
    max_epochs: Count
    reduction_factor: Annotated[int, Field(ge=2)]
    seed: Seed
    space: Space

    @model_validator(mode="after")
    def _numbers_agree(self) -> "Search":
        for field in fields(Setting):
            check_each_once(f"space.{field.name}", getattr(self.space, field.name))
        n = self.space.n_settings
        if n > MOST_SETTINGS:
            raise ValueError(f"space: expected at most {MOST_SETTINGS:,} combinations, got {n:,}; shorten its lists")
        if n != self.n_settings:
            raise ValueError(f"space has {n} combinations, but n_settings says {self.n_settings}; make them agree")
        if self.n_trials > n:
            raise ValueError(f"n_trials: expected at most the {n} settings of the space, got {self.n_trials}")
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"expected min_epochs <= max_epochs, got {self.min_epochs} > {self.max_epochs}")
        return self


class OneAttack(Block):
    name: AttackName
    steps: Count
    restarts: Count


class Strength(Block):
    n_test_per_class: Count
    attacks: Annotated[list[AttackName], Field(min_length=1), AfterValidator(_once("attacks"))]
    steps: Annotated[list[Count], Field(min_length=1)]
    restarts: Count

    @model_validator(mode="after")
    def _steps_ascend(self) -> "Strength":
        check_ascending("steps", self.steps)
        return self


def _each_once(attacks: list[OneAttack]) -> list[OneAttack]:
    names = [attack.name for attack in attacks]
    if len(set(names)) != len(names):
        raise ValueError(f"expected each attack once, as results go by name, got {', '.join(names)}")
    return attacks


Attacks = Annotated[list[OneAttack], Field(min_length=1), AfterValidator(_each_once)]


class Attack(Block):
    attacks: Attacks
    strength: Strength
    n_train_per_class: Count | None
    n_test_per_class: Count | None
    seed: Seed


class Zoo(Block):
    models: Annotated[list[str], BeforeValidator(no_bare_word)]
    local_dir: str | None
    n_train: Count
    n_test: Count
    order: Literal["first", "first_per_class"]
    attacks: Attacks
    seed: Seed
    problems: Problems

    @model_validator(mode="after")
    def _names_are_known(self) -> "Zoo":
        check_names(self.models)
        return self


class Plane(Block):
    n_points: Annotated[int, Field(ge=8, le=100_000, multiple_of=4)]
    center: Positive
    variance: Positive
    flipped: Annotated[Number, Field(ge=0, le=0.5)]
    epsilon: Epsilon
    betas: Annotated[list[NonNegative], Field(min_length=1)]
    hidden: Annotated[int, Field(ge=1, le=10_000)]
    epochs: Count
    learning_rate: Positive
    steps: Count
    step_size: Positive
    square_size: Annotated[int, Field(ge=2, le=1_000)]
    grid_size: Annotated[int, Field(ge=2, le=10_000)]
    seed: Seed

    @model_validator(mode="after")
    def _panels_differ(self) -> "Plane":
        if len({f"{beta:g}" for beta in self.betas}) < len(self.betas):
            raise ValueError(f"betas: expected each once, to six digits, as panels go by it, got {self.betas}")
        return self


class Summary(Block):
    confidence: Fraction
    n_decimals: Annotated[int, Field(ge=1, le=15)]


class Duplicates(Block):
    threshold: Annotated[Number, Field(ge=0, lt=1)]


class ExampleImages(Block):
    problem: Literal["all"] | Annotated[list[str], Field(min_length=2, max_length=2)]
    n_images: Annotated[int, Field(ge=1, le=1_000)]
    classifiers: Annotated[dict[str, str], Field(min_length=1)]


class Claims(Block):
    confidence: Fraction
    margin: Positive


class Plot(Block):
    dots_per_inch: Annotated[int, Field(ge=1, le=1_200)]

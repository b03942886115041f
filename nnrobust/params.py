"""The one reader of `params.yaml`: frozen, typed, without defaults; a wrong key stops everything before anything runs."""

import difflib
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nnrobust.errors import ParamError
from nnrobust.recipes import Recipe, Setting
from nnrobust.threat import ThreatModel, parse_epsilon


def _number(value: object) -> object:
    """YAML readers differ on `5e-4` (PyYAML: a text), so a text that spells a number counts as one."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Epsilon = Annotated[float, BeforeValidator(parse_epsilon), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Norm = Literal["Linf", "L2"]


class Block(BaseModel):
    """Base of all blocks: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Block):
    name: str
    source: Literal["digits", "cifar10", "image_folder"]
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
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16"]
    group_size: Count
    n_streams: Count
    engine: Literal["local", "ray"]
    gpus_per_worker: NonNegative
    batch_size: Count
    block_size: Count


class Certify(Block):
    n_own: Count
    n_screened: Count


class Growth(Block):
    halvings: Annotated[int, Field(ge=0)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    n_test_per_class: Count | None


class Curves(Block):
    n_points: Annotated[int, Field(ge=2)]
    end: Positive


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
    architecture: Literal["resnet18", "small_cnn"]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    momentum: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: NonNegative
    milestones: list[Count]
    decay: Positive
    augment: bool
    checkpoint: Literal["best", "last"]
    seed: Seed
    trades: Trades | None

    def recipe(self) -> Recipe:
        """The same values as the training engine takes them."""
        return Recipe.of(self.model_dump())


class Validation(Block):
    fraction: Fraction
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

    def settings(self) -> list[Setting]:
        """Every combination, in the order of the lists."""
        return [Setting(*values) for values in product(*(getattr(self, one.name) for one in fields(Setting)))]


class Search(Block):
    variant: str
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
        n = len(self.space.settings())
        if n != self.n_settings:
            raise ValueError(f"space has {n} combinations, but n_settings says {self.n_settings}; make them agree")
        if self.n_trials > n:
            raise ValueError(f"n_trials: expected at most the {n} settings of the space, got {self.n_trials}")
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"expected min_epochs <= max_epochs, got {self.min_epochs} > {self.max_epochs}")
        return self


class Attack(Block):
    steps: Count
    restarts: Count
    n_train_per_class: Count | None
    n_test_per_class: Count | None
    seed: Seed


class Zoo(Block):
    models: list[str]
    local_dir: str | None
    n_train: Count
    n_test: Count
    steps: Count
    restarts: Count
    seed: Seed


class Summary(Block):
    confidence: Fraction
    n_decimals: Count


class Plot(Block):
    dots_per_inch: Count


class Params(Block):
    """Everything in `params.yaml`."""

    profile: str
    data: Data
    epsilon: Epsilons
    compute: Compute
    certify: Certify
    growth: Growth
    validation: Validation
    variants: dict[str, Variant]
    search: Search
    attack: Attack
    zoo: Zoo
    summary: Summary
    curves: Curves
    plot: Plot

    @model_validator(mode="after")
    def _names_agree(self) -> "Params":
        for name in self.variants:
            if not name.replace("_", "").isalnum() or name == "1NN":
                raise ValueError(f"variants: expected names of letters, digits and _, not 1NN, got {name!r}")
        if self.variants and self.search.variant not in self.variants:
            raise ValueError(f"search.variant: expected one of {sorted(self.variants)}, got {self.search.variant!r}")
        trades = self.variants[self.search.variant].trades if self.variants else None
        if self.variants and (trades is None or len(trades.perturbations) != 1):
            raise ValueError(
                f"search.variant: expected a variant with a trades block of one perturbation, got {self.search.variant!r}"
            )
        if len(set(self.zoo.models)) != len(self.zoo.models):
            raise ValueError("zoo.models: expected each model once")
        return self

    @property
    def classifiers(self) -> list[str]:
        """1NN and the trained variants, in the order of the file."""
        return ["1NN", *self.variants]


def read_params(path: Path | str) -> Params:
    """The parameters in the YAML file at `path`.

    Raises:
        ParamError: one line for each wrong key, with file, key, expected and got.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamError(f"{path}: expected a parameters file, found none; copy one from profiles/") from error
    except yaml.YAMLError as error:
        raise ParamError(f"{path}: expected YAML: {error}") from error
    if not isinstance(content, dict):
        raise ParamError(f"{path}: expected blocks of keys, got {type(content).__name__}; copy one from profiles/")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamError("\n".join(_explain(str(path), entry) for entry in error.errors())) from error


def _explain(path: str, entry: Any) -> str:
    """One line for one validation error: file, key, expected, got."""
    names = [
        str(part) for part in entry["loc"] if not str(part).startswith(("literal", "list[", "tuple[", "function-"))
    ]
    key, got = ".".join(names), entry["input"]
    if entry["type"] == "missing":
        return f"{path}: {key}: expected this key, got none; add it (profiles/ has complete files)"
    if entry["type"] == "extra_forbidden":
        siblings = _keys_beside(entry["loc"])
        close = difflib.get_close_matches(names[-1], siblings, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(siblings)}"
        return f"{path}: {key}: unknown key; {hint}"
    message = entry["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if entry["type"] == "value_error":
        return f"{path}: {key}: {message}" if key else f"{path}: {message}"
    return f"{path}: {key}: expected {message}, got {got!r} ({type(got).__name__})"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the block around `location` knows."""
    block: Any = Params
    for part in location[:-1]:
        if isinstance(block, type) and issubclass(block, BaseModel) and part in block.model_fields:
            block = block.model_fields[str(part)].annotation
        for choice in get_args(block) if not isinstance(block, type) or get_args(block) else ():
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                block = choice
    return list(block.model_fields) if isinstance(block, type) and issubclass(block, BaseModel) else []

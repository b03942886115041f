"""The one reader of `params.yaml`: a wrong key stops everything before anything runs."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from nnrobust.config.blocks import (
    Attack,
    Block,
    Certify,
    Claims,
    Compute,
    Curves,
    Data,
    Epsilons,
    ExampleImages,
    Growth,
    Plane,
    Plot,
    Search,
    Summary,
    Validation,
    Variant,
    Zoo,
)
from nnrobust.config.classifiers import KINDS, Classifier
from nnrobust.config.rosters import did_you_mean
from nnrobust.errors import ParamError


class Params(Block):
    """Everything in `params.yaml`."""

    profile: str
    data: Data
    epsilon: Epsilons
    compute: Compute
    certify: Certify
    growth: Growth
    classifiers: dict[str, Classifier]
    validation: Validation
    variants: dict[str, Variant]
    search: Search
    attack: Attack
    zoo: Zoo
    plane: Plane
    summary: Summary
    curves: Curves
    examples: ExampleImages
    claims: Claims
    plot: Plot

    @model_validator(mode="after")
    def _names_agree(self) -> "Params":
        for place, names in (("classifiers", self.classifiers), ("variants", self.variants)):
            for name in names:
                if not name.replace("_", "").isalnum() or name == "1NN":
                    raise ValueError(f"{place}: expected names of letters, digits and _, not 1NN, got {name!r}")
        both = sorted(set(self.classifiers) & set(self.variants))
        if both:
            raise ValueError(f"classifiers: expected names that no variant has, as records go by name, got {both[0]!r}")
        if len(self.search.variants) != min(1, len(self.variants)):
            raise ValueError(
                "search.variants: expected one of the variants in a list, or [] where there are no variants, got "
                f"{self.search.variants}"
            )
        if self.searched not in (None, *self.variants):
            raise ValueError(f"search.variants: expected one of {sorted(self.variants)}, got {self.searched!r}")
        searched = self.variants[self.searched] if self.searched else None
        if searched and (searched.trades is None or len(searched.trades.perturbations) != 1):
            raise ValueError(
                f"search.variants: expected a variant with a trades block of one perturbation, got {self.searched!r}"
            )
        if searched and searched.problem != "pairs":
            raise ValueError(f"search.variants: expected a variant with problem pairs, got {self.searched!r}")
        return self

    @model_validator(mode="after")
    def _examples_can_be_made(self) -> "Params":
        problem, zoo = self.examples.problem, set(self.zoo.models)
        for name in self.examples.classifiers:
            if name not in {"1NN", *self.variants, *zoo}:
                raise ValueError(f"examples.classifiers: expected 1NN, variants or zoo.models, got {name!r}")
            if name in self.variants and problem == "all":
                raise ValueError(f"examples.problem: expected two class names for the variant {name}, got all")
            if name in zoo and problem != "all":
                raise ValueError(f"examples.problem: expected all for the zoo model {name}, got {problem}")
        return self

    @property
    def measured(self) -> list[str]:
        """All that have records: 1NN, the simple classifiers and the trained variants, in the order of the file."""
        return ["1NN", *self.classifiers, *self.variants]

    @property
    def searched(self) -> str | None:
        """The variant whose settings are searched; None where nothing is trained."""
        return self.search.variants[0] if self.search.variants else None


def read_params(path: Path | str) -> Params:
    """The parameters in the YAML file at `path`.

    Raises:
        ParamError: one line for each wrong key, with file, key, expected and got.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ParamError(f"{path}: expected a parameters file, found none; run `make profile P=embedded`") from error
    return parse_params(text, path)


def parse_params(text: str, path: Path | str) -> Params:
    """The parameters in a text of YAML, which errors say is from `path`.

    Raises:
        ParamError: as `read_params`.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParamError(f"{path}: expected YAML: {error}") from error
    if not isinstance(content, dict):
        got = type(content).__name__
        raise ParamError(f"{path}: expected blocks of keys, got {got}; `make profile P=embedded` writes a whole file")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamError("\n".join(explain(Params, str(path), entry) for entry in error.errors())) from error


def explain(root: type[BaseModel], path: str, entry: Any) -> str:
    """One line for one of pydantic's validation errors: file, key, expected, got; `root` is the model of the whole file."""
    names = [
        str(part)
        for part in _without_kind(entry["loc"])
        if not str(part).startswith(("literal", "list[", "tuple[", "function-"))
    ]
    key, got = ".".join(names), entry["input"]
    if entry["type"].startswith("union_tag"):
        kind = got.get("kind") if isinstance(got, dict) else got
        return f"{path}: {key}.kind: expected one of {', '.join(KINDS)}, got {kind!r}"
    if entry["type"] == "missing":
        return f"{path}: {key}: expected this key, got none; add it, as profiles/base.yaml has it"
    if entry["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {did_you_mean(names[-1], _keys_beside(root, entry['loc']))}"
    message = entry["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if entry["type"] == "value_error":
        return f"{path}: {key}: {message}" if key else f"{path}: {message}"
    return f"{path}: {key}: expected {message}, got {got!r} ({type(got).__name__})"


def _without_kind(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The location of a fault, in which pydantic puts the kind of a classifier after its name, as the file has it."""
    return location[:2] + location[3:] if location[:1] == ("classifiers",) else location


def _keys_beside(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the block around `location` knows."""
    block: Any = root
    if location[0] == "classifiers":
        return list(KINDS[str(location[2])].model_fields)
    for part in location[:-1]:
        if isinstance(block, type) and issubclass(block, BaseModel) and part in block.model_fields:
            block = block.model_fields[str(part)].annotation
        for choice in get_args(block) if not isinstance(block, type) or get_args(block) else ():
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                block = choice
    return list(block.model_fields) if isinstance(block, type) and issubclass(block, BaseModel) else []

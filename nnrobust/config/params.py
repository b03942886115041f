"""The one reader of `params.yaml`: a wrong key stops everything before anything runs."""

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from nnrobust.config.blocks import (
    Attack,
    Block,
    Certify,
    Claims,
    Compute,
    Curves,
    Data,
    Duplicates,
    Epsilons,
    ExampleImages,
    Growth,
    Plane,
    Plot,
    Problems,
    Search,
    Summary,
    Validation,
    Variant,
    Zoo,
)
from nnrobust.config.checks import (
    check_classifiers,
    check_data,
    check_epsilons,
    check_examples,
    check_growth,
    check_imported,
    check_names,
    check_objectives,
    check_search,
    check_variants,
)
from nnrobust.config.classifiers import KINDS, Classifier
from nnrobust.config.networks import Bounds, Network, check_bounds, check_networks
from nnrobust.config.reader import read_text, read_yaml, shortened
from nnrobust.config.rosters import did_you_mean
from nnrobust.errors import ParamError


class Params(Block):
    """Everything in `params.yaml`."""

    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    data: Data
    epsilon: Epsilons
    compute: Compute
    certify: Certify
    growth: Growth
    classifiers: dict[str, Classifier]
    validation: Validation
    variants: dict[str, Variant]
    imported: dict[str, str]
    search: Search
    attack: Attack
    models: dict[str, Network]
    zoo: Zoo
    bounds: Bounds
    plane: Plane
    summary: Summary
    duplicates: Duplicates
    curves: Curves
    examples: ExampleImages
    claims: Claims
    plot: Plot

    @model_validator(mode="after")
    def _blocks_agree(self) -> "Params":
        check_data(self.data)
        check_epsilons(self.epsilon, self.data)
        check_names("classifiers", self.classifiers, {"variant": self.variants, "zoo model": self.zoo.models})
        check_names("models", self.models, {"zoo model": self.zoo.models, "classifier or variant": self.measured})
        check_networks(self.models, self.data)
        check_bounds(self.bounds, self.models)
        check_names("variants", self.variants, {"zoo model": self.zoo.models})
        check_imported(
            self.imported,
            {"variant": [*self.variants], "simple classifier": [*self.classifiers], "zoo model": self.zoo.models},
        )
        check_classifiers(self.classifiers, self.data)
        check_growth(self.growth, self.classifiers)
        check_variants(self.variants, self.data)
        check_search(self.search, self.variants, self.data)
        check_examples(self.examples, self.variants, self.zoo.models, self.data)
        on_pairs = [*self.variants, *(name for name, problems in self.pretrained.items() if problems != "all_classes")]
        check_objectives("attack.attacks", [attack.name for attack in self.attack.attacks], on_pairs)
        check_objectives("attack.strength.attacks", self.attack.strength.attacks, [*self.variants])
        return self

    @property
    def made(self) -> list[str]:
        """All that the run itself measures: 1NN, the simple classifiers and the trained variants, in the order of the file."""
        return ["1NN", *self.classifiers, *self.variants]

    @property
    def measured(self) -> list[str]:
        """All that have records: those that the run makes, then those that are imported."""
        return [*self.made, *self.imported]

    @property
    def pretrained(self) -> dict[str, Problems]:
        """The problems that each network of others is measured on, those of `models` first, in the order of the file."""
        found: dict[str, Problems] = {name: block.problems for name, block in self.models.items()}
        return found | dict.fromkeys(self.zoo.models, self.zoo.problems)

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
        text = read_text(path)
    except FileNotFoundError as error:
        raise ParamError(f"{path}: expected a parameters file, found none; run `make profile P=embedded`") from error
    return parse_params(text, path)


def parse_params(text: str, path: Path | str) -> Params:
    """The parameters in a text of YAML, which errors say is from `path`.

    Raises:
        ParamError: as `read_params`.
    """
    content = read_yaml(text, path)
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
    return f"{path}: {key}: expected {message}, got {shortened(repr(got))} ({type(got).__name__})"


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

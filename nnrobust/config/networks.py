"""The blocks of `models`: what has to be stated of each network that others trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from nnrobust.config.blocks import Block, Count, Number, Positive, Problems
from nnrobust.config.checks import CLASSES, check_each_once
from nnrobust.config.rosters import no_bare_word

if TYPE_CHECKING:
    from nnrobust.config.blocks import Data

Share = Annotated[Number, Field(ge=0, le=1)]


class Network(Block):
    source: str
    commit: str
    path: str
    sha256: str | None
    licence: str
    copyright: str
    dataset: str
    architecture: str
    entry: str
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)]
    value_range: Annotated[list[Number], Field(min_length=2, max_length=2)]
    mean: list[Number]
    std: list[Positive]
    layout: Literal["NCHW", "NHWC"]
    classes: Annotated[list[str], Field(min_length=2)]
    trained_for: str
    clean_accuracy: Share | None
    published: str
    allowance: Share
    problems: Problems


class Bounds(Block):
    models: Annotated[list[str], BeforeValidator(no_bare_word)]


def check_bounds(bounds: Bounds, models: Mapping[str, Network]) -> None:
    """Networks that are there, each once.

    Raises:
        ValueError: naming the key, expected and got.
    """
    check_each_once("bounds.models", bounds.models)
    for name in bounds.models:
        if name not in models:
            known = ", ".join(models) or "none"
            raise ValueError(
                f"bounds.models: expected names of models, which are {known}, got {name[:60]!r}; add its block, or take it out"
            )


def check_networks(models: Mapping[str, Network], data: "Data") -> None:
    """A mean and a deviation for each channel, and the dataset's classes, where those are known, in any order.

    Raises:
        ValueError: naming the key, expected and got.
    """
    for name, block in models.items():
        check_each_once(f"models.{name}.classes", block.classes)
        for key in ("mean", "std"):
            n = len(getattr(block, key))
            if n != block.shape[0]:
                raise ValueError(
                    f"models.{name}.{key}: expected {block.shape[0]} numbers, one a channel of shape, got {n}"
                )
        known = CLASSES.get(data.source)
        if known and sorted(block.classes) != sorted(known):
            raise ValueError(
                f"models.{name}.classes: expected those of {data.source}, {', '.join(known)}, in the order of the network's "
                f"outputs, got {', '.join(block.classes)}; leave the network out, or name its dataset"
            )

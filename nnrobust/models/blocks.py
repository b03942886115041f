"""What has to be stated of a model before it is loaded, and the roster `verification`: 24 networks that others published."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from nnrobust.config.rosters import networks
from nnrobust.errors import FetchError, ParamError

LAYOUTS = ("NCHW", "NHWC")
PUBLIC = "github:"
LOCAL = "local"


@dataclass(frozen=True)
class Model:
    """One model, and all that a wrong guess about would cost accuracy without an error.

    Where it is from: `source`, `github:OWNER/NAME` with a full `commit`, or `local`; `path`, of its file in there; `sha256` of
    the file, None for a local one alone; `licence` and `copyright`.

    What the file holds: weights for a named `architecture`, of `architectures.ARCHITECTURES` or timm's (`timm:resnet18`), or for
    the network that a function of a Python file makes (`mine.py:build`); or the network itself (`onnx`, `exported`). `entry` says
    where in the file the weights lie, as `state_dict[0]`; empty: they are found by themselves, or are all of it.

    What it takes and gives: images of `shape` (channels, height, width), first mapped from [0, 1] to `value_range`, then
    (x - mean) / std by channel, in `layout`; logits of `classes` in this order, the names as the dataset has them.

    What others say of it: what it was `trained_for`, its `clean_accuracy` in [0, 1] on the official test images of `dataset`,
    None where none is known, and what else is `published`, in words.

    Raises:
        ParamError: when a value is not of that kind.
    """

    name: str
    source: str
    commit: str
    path: str
    sha256: str | None
    licence: str
    copyright: str
    dataset: str
    architecture: str
    entry: str
    shape: tuple[int, int, int]
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str
    classes: tuple[str, ...]
    trained_for: str
    clean_accuracy: float | None
    published: str

    def __post_init__(self) -> None:
        rules = {
            ("source", "github:OWNER/NAME, or local"): bool(re.fullmatch(r"github:[\w.-]+/[\w.-]+|local", self.source)),
            ("commit", "40 hex digits for a public repository"): self.is_local or _is_hex(self.commit, 40),
            ("sha256", "64 hex digits, or none for a local file"): (
                self.is_local if self.sha256 is None else _is_hex(self.sha256, 64)
            ),
            ("mean", f"{self.shape[0]} numbers, one a channel"): len(self.mean) == self.shape[0],
            ("std", f"{self.shape[0]} numbers above 0"): len(self.std) == self.shape[0] and min(self.std) > 0,
            ("value_range", "two numbers, the lower first"): self.value_range[0] < self.value_range[1],
            ("layout", f"one of {', '.join(LAYOUTS)}"): self.layout in LAYOUTS,
            ("classes", "two or more different names"): len(set(self.classes)) == len(self.classes) >= 2,
            ("clean_accuracy", "a fraction, or none"): self.clean_accuracy is None or 0 <= self.clean_accuracy <= 1,
        }
        for (key, expected), holds in rules.items():
            if not holds:
                raise ParamError(f"models.{self.name}.{key}: expected {expected}, got {getattr(self, key)!r}")

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> "Model":
        """The model that a block of `params.yaml` states; keys that say how it is measured are left out.

        Raises:
            ParamError: when a value is not of its kind.
        """
        known = {field.name for field in fields(cls)} & set(values)
        plain: dict[str, Any] = {
            key: tuple(values[key]) if isinstance(values[key], list) else values[key] for key in known
        }
        return cls(name=name, **plain)

    @property
    def is_local(self) -> bool:
        return self.source == LOCAL

    @property
    def repository(self) -> str:
        """`OWNER/NAME`, empty for a local file."""
        return "" if self.is_local else self.source.removeprefix(PUBLIC)

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.path).name


def verification() -> dict[str, Model]:
    """The networks of the roster `verification`, by name: CIFAR-10, MNIST and Fashion-MNIST, 24 of them in 23.5 MB."""
    return {name: Model.of(name, values) for name, values in networks().items()}


def find_model(name: str) -> Model:
    """The network of that name in the roster.

    Raises:
        FetchError: when there is none.
    """
    models = verification()
    if name not in models:
        raise FetchError(f"{name}: expected a network of the roster verification, got an unknown name; "
                         f"known here: {', '.join(models)}")  # fmt: skip
    return models[name]


def _is_hex(text: str, n: int) -> bool:
    return bool(re.fullmatch(f"[0-9a-f]{{{n}}}", text))

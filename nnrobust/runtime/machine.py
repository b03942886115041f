"""Where the work runs, and how it is spread."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from nnrobust.errors import ParamError
from nnrobust.runtime.store import NoStore, WorkStore

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Engine(Protocol):
    """What maps work over items."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The number of each item and what `work` makes of it, as they are finished."""


class Local:
    """Maps in this process, one item after the other."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        for number, item in enumerate(items):
            yield number, work(item)


@dataclass(frozen=True)
class Machine:
    """The device; how many networks run on it side by side; and on how many images each of them, at once, in an attack.

    `n_streams` groups of networks share a GPU at a time. Networks are trained in `precision`. `store` keeps what training has
    done so far; without one a killed run starts anew. `engine` spreads groups over workers.
    """

    device: torch.device
    group_size: int
    batch_size: int
    n_streams: int = 1
    precision: torch.dtype = torch.float32
    store: WorkStore | NoStore = field(default_factory=NoStore)
    engine: Engine = field(default_factory=Local)


def machine(device: str, group_size: int, batch_size: int) -> Machine:
    """The machine that params describe; `auto` takes the GPU where there is one.

    Raises:
        ParamError: when `cuda` is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ParamError("compute.device: expected a CUDA device for 'cuda', found none; set it to auto or cpu")
    name = "cuda" if has_gpu and device != "cpu" else "cpu"
    return Machine(torch.device(name), group_size, batch_size)


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """The precision that params name; `auto` is bfloat16 on a GPU and float32 on a CPU, where results are equal to the bit."""
    return PRECISIONS[("bfloat16" if device.type == "cuda" else "float32") if name == "auto" else name]


@contextmanager
def plain_float32() -> Iterator[None]:
    """Convolutions in float32 as they are, without the GPU's shorter TF32: what an attack finds must fool once more."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def describe(device: torch.device) -> str:
    """The name of the device, for provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"

"""Where the work runs."""

from dataclasses import dataclass, field

import torch

from nnrobust.errors import ParamError
from nnrobust.store import NoStore, WorkStore


@dataclass(frozen=True)
class Machine:
    """The device; how many networks run on it side by side; and on how many images each of them, at once, in an attack.

    `store` keeps what training has done so far; without one a killed run starts anew.
    """

    device: torch.device
    group_size: int
    batch_size: int
    store: WorkStore | NoStore = field(default_factory=NoStore)


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


def describe(device: torch.device) -> str:
    """The name of the device, for provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"

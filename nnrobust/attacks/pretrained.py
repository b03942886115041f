"""A pretrained model under attack."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from nnrobust.attacks.victim import Victim, of_network
from nnrobust.zoo.load import load
from nnrobust.zoo.models import ZooModel


@dataclass(frozen=True)
class ZooSource:
    """The victim out of a model's files under `folder`, whose hashes are in `lock`; `precision` is that of the search."""

    keeps_failures: ClassVar[bool] = True
    model: ZooModel
    folder: Path
    lock: Path
    precision: torch.dtype = torch.float32
    is_compiled: bool = False

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The model's network; loaded once in each process."""
        return _loaded(self, device)


@lru_cache(maxsize=1)
def _loaded(source: ZooSource, device: torch.device) -> Victim:
    network = load(source.model, source.folder, source.lock).to(device, memory_format=torch.channels_last)
    return of_network(network, source.precision, source.is_compiled)

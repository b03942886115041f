"""The two-class networks of a dataset's pairs: built, timed, stored and loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nnrobust.data.datasets import Pair, Prepared
from nnrobust.errors import DataError
from nnrobust.networks.architectures import build_network
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import Machine
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.timing import inference_seconds
from nnrobust.training.tasks import Task, Trained, TrainingSet


@dataclass(frozen=True)
class PairNetworks:
    """Images uint8 (n, c, h, w) and class ids (n,) of a split, the architecture, and the machine that networks run on."""

    images: np.ndarray
    labels: np.ndarray
    build: Callable[[], nn.Module]
    machine: Machine

    @classmethod
    def of(cls, prepared: Prepared, split: str, architecture: str, machine: Machine) -> "PairNetworks":
        part = getattr(prepared.dataset, split)
        shape = prepared.dataset.image_shape
        build = partial(build_network, architecture, shape, prepared.channel_mean, prepared.channel_std, 2)
        return cls(np.array(part.images), part.labels, build, machine)

    @property
    def training_set(self) -> TrainingSet:
        return TrainingSet(self.images, self.labels, self.build)

    def inference_seconds(self, state: dict[str, Tensor]) -> dict[str, float]:
        """How long a network takes for an image, by batch size, from this machine's memory and back."""
        stack = Stack.loaded(self.build, [state], self.machine.device).frozen()

        def classify(images: np.ndarray) -> Tensor:
            pixels = torch.from_numpy(images).to(self.machine.device).float() / 255
            return stack.logits(pixels[None], training=False).cpu()

        return inference_seconds(classify, self.images)


def save_networks(tasks: list[Task], trained: list[Trained], path: Path | str) -> None:
    """Writes both checkpoints of each pair's network as one safetensors file, whole or not at all; failed ones are left out.

    Tensors are named `3-5/best/<parameter>` and `3-5/last/<parameter>`.
    """
    tensors = {
        f"{task.pair}/{checkpoint}/{name}": tensor
        for task, one in zip(tasks, trained, strict=True)
        if not one.failure
        for checkpoint, state in (("best", one.best), ("last", one.last))
        for name, tensor in state.items()
    }
    with finished_file(path) as temporary:
        save_file(tensors, str(temporary))


def load_networks(path: Path | str, pairs: list[Pair], checkpoint: str) -> list[dict[str, Tensor]]:
    """The `state_dict` of each pair's network, at its `best` on validation or at its `last` epoch.

    Raises:
        DataError: when the file is missing or damaged, or holds no network for a pair.
    """
    try:
        tensors = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: expected trained networks: {error}; run `dvc repro train`") from error
    states = [
        {name.split("/", 2)[2]: value for name, value in tensors.items() if name.startswith(f"{pair}/{checkpoint}/")}
        for pair in pairs
    ]
    for pair, state in zip(pairs, states, strict=True):
        if not state:
            raise DataError(f"{path}: no network for pair {pair}; run `dvc repro train`")
    return states

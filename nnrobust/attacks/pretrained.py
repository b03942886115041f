"""Pretrained models under attack, on all classes and, by their two logits, on pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import RestrictedSource, pair_inputs, problem_records
from nnrobust.attacks.verdicts import AttackInputs, attack_records
from nnrobust.attacks.victim import AttackSpec, Victim, of_network
from nnrobust.data.datasets import SPLITS, Pair, Prepared
from nnrobust.errors import AttackError
from nnrobust.models.blocks import Model
from nnrobust.models.load import load_block
from nnrobust.records import ALL_CLASSES, name_on_pairs
from nnrobust.runtime.machine import Machine
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel
from nnrobust.zoo.load import load
from nnrobust.zoo.models import IMAGE_SHAPE, N_CLASSES, ZooModel, zoo_images

if TYPE_CHECKING:
    from nnrobust.config.blocks import Problems
    from nnrobust.config.params import Params


class Pretrained(Protocol):
    """A model by its files; equal ones are loaded once in each process, so it is hashable."""

    @property
    def name(self) -> str: ...

    def network(self) -> nn.Module:
        """In eval mode, on the CPU.

        Raises:
            FetchError: when a file is missing, another than stated, or does not fit.
        """
        ...

    def check_data(self, classes: Sequence[str], shape: tuple[int, ...]) -> None:
        """Checks that the model is for such images of such classes.

        Raises:
            AttackError: when it is not.
        """
        ...


@dataclass(frozen=True)
class ZooFiles:
    """A model of RobustBench's, its files under `folder`, whose hashes are in `lock`."""

    model: ZooModel
    folder: Path
    lock: Path

    @property
    def name(self) -> str:
        return self.model.name

    def network(self) -> nn.Module:
        return load(self.model, self.folder, self.lock)

    def check_data(self, classes: Sequence[str], shape: tuple[int, ...]) -> None:
        if shape != IMAGE_SHAPE or len(classes) != N_CLASSES:
            raise AttackError(f"{self.name}: expected {N_CLASSES} classes of images {IMAGE_SHAPE}, as CIFAR-10 has, got "
                              f"{len(classes)} of {shape}; empty zoo.models for this dataset")  # fmt: skip


@dataclass(frozen=True)
class ModelFile:
    """A model by its block, its file in `folder`; its logits are brought into the order of `classes`, the dataset's."""

    model: Model
    folder: Path
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.model.name

    def network(self) -> nn.Module:
        return load_block(self.model, self.folder, self.classes)

    def check_data(self, classes: Sequence[str], shape: tuple[int, ...]) -> None:
        if shape != self.model.shape:
            raise AttackError(
                f"{self.name}: expected images {self.model.shape}, got {shape}; take it out of models for this dataset"
            )


@dataclass(frozen=True)
class PretrainedSource:
    """The victim that a pretrained model is; `precision` is that of the search."""

    keeps_failures: ClassVar[bool] = True
    files: Pretrained
    precision: torch.dtype = torch.float32
    is_compiled: bool = False

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The model's network; loaded once in each process."""
        return _loaded(self, device)


@lru_cache(maxsize=1)
def _loaded(source: PretrainedSource, device: torch.device) -> Victim:
    network = source.files.network().to(device, memory_format=torch.channels_last)
    return of_network(network, source.precision, source.is_compiled)


@dataclass(frozen=True)
class Effort:
    """Attacks under threat models, and how many images of a split: in all (on all classes) or of each class (on pairs)."""

    attacks: list[AttackSpec]
    threats: list[ThreatModel]
    n: Mapping[str, int | None]


def is_correct(source: PretrainedSource, prepared: Prepared, machine: Machine) -> np.ndarray:
    """Which of the test images (n,) the model is right on.

    Raises:
        FetchError: as the model's files are loaded.
        AttackError: when the model raises or gives malformed logits, or is not for such images.
    """
    dataset = prepared.dataset
    source.files.check_data(dataset.classes, dataset.image_shape)
    victim, test = source.victim(np.zeros(1, dtype=np.int64), machine.device), dataset.test
    found = []
    for start in range(0, len(test.labels), machine.batch_size):
        pixels = np.array(test.images[start : start + machine.batch_size])  # a copy: torch wants what it may write to
        images = torch.from_numpy(pixels).to(machine.device).float() / 255
        outputs = victim.answers(images, torch.zeros(len(images), dtype=torch.int64, device=machine.device))
        found.append(outputs.cpu().numpy() == test.labels[start : start + machine.batch_size])
    return np.concatenate(found)


def on_problems(
    source: PretrainedSource, prepared: Prepared, problems: "Problems", params: "Params", machine: Machine,
    progress: Progress = silent,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The records of a model on the problems named: all classes by the numbers of `zoo`, pairs by those of `attack`.

    Raises:
        DataError, AttackError, FetchError: as `on_all_classes`.
    """
    zoo, pairs, threats = params.zoo, params.attack, params.epsilon.threat_models()
    if problems != "pairs":
        attacks = [AttackSpec(**block.model_dump(), seed=zoo.seed) for block in zoo.attacks]
        effort = Effort(attacks, threats, {"train": zoo.n_train, "test": zoo.n_test})
        yield from on_all_classes(source, prepared, zoo.order, effort, machine, progress)
    if problems != "all_classes":
        attacks = [AttackSpec(**block.model_dump(), seed=pairs.seed) for block in pairs.attacks]
        effort = Effort(attacks, threats, {"train": pairs.n_train_per_class, "test": pairs.n_test_per_class})
        yield from on_pairs(source, prepared, effort, machine, progress)


def on_all_classes(
    source: PretrainedSource, prepared: Prepared, order: str, effort: Effort, machine: Machine, progress: Progress = silent
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The records of a model that tells all classes apart, on images in the `order` of `zoo_images`.

    Raises:
        DataError: when there are fewer images.
        AttackError, FetchError: as `is_correct`.
    """
    dataset = prepared.dataset
    source.files.check_data(dataset.classes, dataset.image_shape)
    source.victim(np.zeros(1, dtype=np.int64), machine.device)  # what keeps it from loading stops here
    for split in SPLITS:
        part, wanted = getattr(dataset, split), effort.n[split]
        assert wanted is not None
        indices = zoo_images(part.labels, wanted, order, split)
        inputs = AttackInputs(np.asarray(part.images[indices]), part.labels[indices], np.zeros_like(indices), indices)
        verdicts = attack_in_blocks(source, inputs, effort.threats, effort.attacks, machine, progress)
        about = {"dataset": dataset.name, "split": split, "classifier": source.files.name, "pair": ALL_CLASSES}
        for threat in effort.threats:
            yield attack_records(about, inputs, np.arange(len(dataset.classes)), verdicts[threat.norm], threat)


def on_pairs(
    source: PretrainedSource, prepared: Prepared, effort: Effort, machine: Machine, progress: Progress = silent
) -> Iterator[pd.DataFrame]:
    """The records, of a classifier called `name_on_pairs`, of a model's two logits on each pair.

    Raises:
        AttackError, FetchError: as `is_correct`.
    """
    dataset, pairs = prepared.dataset, list[Pair](prepared.pairs)
    source.files.check_data(dataset.classes, dataset.image_shape)
    restricted = RestrictedSource(source, np.stack([pair.class_ids() for pair in pairs]))
    for split in SPLITS:
        about = {"dataset": dataset.name, "split": split, "classifier": name_on_pairs(source.files.name)}
        inputs = pair_inputs(getattr(dataset, split), pairs, effort.n[split])
        # Pairs share the network, so as many go together as fill a batch: a call has a cost that images do not.
        at_once = max(1, machine.batch_size // int(np.bincount(inputs.networks).max()))
        grouped = replace(machine, group_size=at_once)
        verdicts = attack_in_blocks(restricted, inputs, effort.threats, effort.attacks, grouped, progress)
        yield from problem_records(about, inputs, pairs, verdicts, effort.threats)

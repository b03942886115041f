"""RobustBench's pretrained CIFAR-10 models, the 69 of the paper's time and newer ones, and the images they are measured on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnrobust.config.rosters import Roster, rows, where
from nnrobust.data.datasets import first_per_class
from nnrobust.errors import DataError, FetchError

N_CLASSES = 10
IMAGE_SHAPE = (3, 32, 32)
LAYOUT = Path("cifar10") / "Linf"
"""Where `robustbench.load_model` looks for weights, under the folder it is given."""
NOT_ADVERSARIALLY_TRAINED = frozenset({"Standard"})


@dataclass(frozen=True)
class ZooModel:
    """One pretrained network, as RobustBench publishes it.

    `identifiers` are Google Drive's ids, or one `timm:` name. Accuracies are percentages at Linf 8/255: `autoattack_accuracy` by
    AutoAttack, `external_accuracy` by a stronger attack of others where RobustBench lists one. `epsilon` is what it was trained
    for, `n_parameters` are millions, `has_extra_data` RobustBench's flag for real
    images beyond CIFAR-10's: generated ones do not count (None: not known here).
    """

    name: str
    identifiers: tuple[str, ...]
    architecture: str
    venue: str
    epsilon: str
    clean_accuracy: float
    autoattack_accuracy: float
    external_accuracy: float | None
    n_parameters: float | None
    has_extra_data: bool | None

    @property
    def is_adversarially_trained(self) -> bool:
        return self.name not in NOT_ADVERSARIALLY_TRAINED

    @property
    def is_timm(self) -> bool:
        return self.identifiers[0].startswith("timm:")

    @property
    def file_names(self) -> list[str]:
        """The names under which `robustbench.load_model` looks for the weights; an ensemble has one for each member."""
        if len(self.identifiers) == 1:
            return [f"{self.name}.pt"]
        return [f"{self.name}.pt_m{i}.pt" for i in range(len(self.identifiers))]


def roster() -> dict[str, ZooModel]:
    """The 69 models that RobustBench's CIFAR-10 Linf zoo held from 2023-09-04 to 2024-03-16, by name, in the zoo's order.

    One of them, `Standard`, is not adversarially trained; four were trained for 0.031 in place of 8/255.
    """
    return _models("published")


def newer() -> dict[str, ZooModel]:
    """Models that joined the zoo later and that robustbench 1.1.1 can load, by name."""
    return _models("newer")


def _models(roster: Roster) -> dict[str, ZooModel]:
    def number(text: str) -> float | None:
        return float(text) if text else None

    return {
        row["name"]: ZooModel(
            name=row["name"],
            identifiers=tuple(row["gdrive_or_timm"].split("|")),
            architecture=row["architecture_label"],
            venue=row["venue"],
            epsilon=row["eps"],
            clean_accuracy=float(row["clean_acc"]),
            autoattack_accuracy=float(row["autoattack_acc"]),
            external_accuracy=number(row["external"]),
            n_parameters=number(row["params_M"]),
            has_extra_data={"True": True, "False": False}.get(row["extra_data"]),
        )
        for row in rows(roster)
    }


def find(name: str) -> ZooModel:
    """The model of that name, of the 69 or newer.

    Raises:
        FetchError: when there is none.
    """
    models = roster() | newer()
    if name in models:
        return models[name]
    raise FetchError(
        f"{name}: expected one of {len(models)} models (zoo.models), got an unknown name; {where(name, list(models))}"
    )


def zoo_images(labels: np.ndarray, n: int, order: str, split: str) -> np.ndarray:
    """Positions, ascending, of `n` images among those with these labels (m,).

    `first`: the first n as they are stored, which for CIFAR-10's own files are RobustBench's. `first_per_class`: as many of
    each class, for folders, which are sorted by class.

    Raises:
        DataError: when there are fewer, or n is no multiple of the number of classes.
    """
    if n > len(labels):
        raise DataError(f"zoo.n_{split}: expected at most the {len(labels)} images of the split, got {n}")
    if order == "first":
        return np.arange(n)
    counts = np.bincount(labels)
    if n % len(counts):
        raise DataError(f"zoo.n_{split}: expected a multiple of {len(counts)} classes for first_per_class, got {n}")
    if n // len(counts) > counts.min():
        raise DataError(f"zoo.n_{split}: expected at most {counts.min()} images of each class, got {n // len(counts)}")
    return first_per_class(labels, n // len(counts))

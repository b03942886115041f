"""What linear bounds prove of the images that a network was attacked on: the `radius_lower` of its attacked records."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from torch import nn

from nnrobust.bounds.layers import Layer, layers_of
from nnrobust.bounds.margins import BEYOND, margins
from nnrobust.data.datasets import SPLITS, AllClasses, Dataset, Pair, Problem, opened
from nnrobust.errors import DataError, RecordError
from nnrobust.records import ALL_CLASSES
from nnrobust.runtime.machine import Engine, Local
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel

_IMAGES = 64
"""Of a piece of work."""
Item = tuple[str, str, ThreatModel, list[int]]
"""The problem that a network is of (`Networks.key`), a split, a threat model, and images by their positions in the split."""


class Networks(Protocol):
    """The networks that records are of: one of all classes, measured on any problem, or one of each pair."""

    def __hash__(self) -> int: ...

    def key(self, problem: str) -> str:
        """The problem, as records name it, that the network was made for which `problem` is measured with."""

    def layers(self, key: str) -> list[Layer]:
        """Those of the network of a problem.

        Raises:
            DataError: when there are no linear bounds for it.
        """


@dataclass(frozen=True, eq=False)
class Given:
    """Networks as they are, by the problem that each was made for, as records name it; for images of this shape."""

    name: str
    networks: dict[str, nn.Module]
    shape: tuple[int, int, int]

    def key(self, problem: str) -> str:
        return problem if problem in self.networks else ALL_CLASSES

    def layers(self, key: str) -> list[Layer]:
        return chain_of(self.networks[key], self.shape, self.name, "variants")


Bounds = dict[tuple[str, str], dict[int, np.ndarray]]
"""By the problem of a network and the split, the lower bounds (outputs,) on the margins of images, by their positions."""


@dataclass(frozen=True)
class Proofs:
    """Takes the bounds of images, in whichever process: `data` is the dataset, or the folder it was prepared in.

    `known` are those taken before, by threat model: a network of all classes has the same for every pair.
    """

    networks: Networks
    data: Dataset | Path
    known: dict[ThreatModel, Bounds] = field(default_factory=dict, compare=False)

    @property
    def dataset(self) -> Dataset:
        return self.data if isinstance(self.data, Dataset) else opened(self.data).dataset

    def __call__(self, item: Item) -> dict[int, np.ndarray]:
        """By position, the lower bounds (outputs,) on the margins of each image."""
        key, split, threat, indices = item
        part, problem = getattr(self.dataset, split), problem_of(key, self.dataset)
        targets = problem.targets(part.labels[indices])
        found = margins(_layers(self.networks, key), np.asarray(part.images[indices]), targets, threat)
        return dict(zip(indices, found, strict=True))


def chain_of(network: nn.Module, shape: tuple[int, ...], name: str, place: str) -> list[Layer]:
    """The layers of the network of that name, which is in `place` of `bounds`.

    Raises:
        DataError: when there are no linear bounds for it.
    """
    try:
        return layers_of(network, shape)
    except DataError as error:
        raise DataError(f"{name}: {error}; take it out of bounds.{place}") from error


def problem_of(name: str, dataset: Dataset) -> Problem:
    """The problem that records call so."""
    return AllClasses(len(dataset.classes)) if name == ALL_CLASSES else Pair(*map(int, name.split("-")))


@lru_cache(maxsize=1)
def _layers(networks: Networks, key: str) -> list[Layer]:
    return networks.layers(key)


def with_proofs(
    proofs: Proofs, attacked: pd.DataFrame, engine: Engine | None = None, progress: Progress = silent
) -> pd.DataFrame:
    """The attacked records of a network with its proofs: `radius_lower` is above epsilon where an image is proven robust.

    An image that no attack left standing has nothing to prove, nor has one in a ball around another in which nothing was
    proven.

    Raises:
        DataError: when there are no linear bounds for the network.
        RecordError: when what is proven robust fell, on another problem on which it stands, or is not right unperturbed.
    """
    found = attacked.reset_index(drop=True)
    places = found[["split", "pair", "norm"]].astype(str).assign(index=found["index"], epsilon=found["epsilon"])
    places["key"] = places["pair"].map({name: proofs.networks.key(name) for name in places["pair"].unique()})
    lower, is_open = np.zeros(len(found)), found["is_robust"].to_numpy(copy=True)
    done: list[tuple[ThreatModel, set[tuple[str, str, int]]]] = []
    for threat in _smallest_first(places, proofs.dataset.n_dimensions):
        mine = places[(places["norm"] == threat.norm) & (places["epsilon"] == threat.epsilon)]
        left = mine[is_open[mine.index]]
        for smaller, proven in done:
            if threat.contains(smaller, proofs.dataset.n_dimensions):
                left = left[_among(left, proven)]
        beyond = ThreatModel(threat.norm, threat.epsilon * BEYOND)
        bounds = _bounds(proofs, left, beyond, engine or Local(), progress)
        lower[mine.index] = np.where(_is_proven(mine, bounds, proofs.dataset), beyond.epsilon, 0.0)
        is_mine = lower[mine.index] > 0
        columns = (mine.loc[is_mine, name] for name in ("split", "pair", "index"))
        done.append((threat, set(zip(*columns, strict=True))))
    wrong = found[(lower > 0) & ~is_open]
    if len(wrong):
        raise RecordError(
            f"{len(wrong)} images are proven robust and yet fell, or are not right unperturbed, which says that the proof or the "
            f"attack is not of this network; the first: {wrong.iloc[0].to_dict()}"
        )
    return found.assign(radius_lower=lower)


def _among(places: pd.DataFrame, proven: set[tuple[str, str, int]]) -> np.ndarray:
    """Which places (n,) are proven; boolean where n is 0 too, as pandas takes an empty list for no columns."""
    triples = zip(places["split"], places["pair"], places["index"], strict=True)
    return np.array([place in proven for place in triples], dtype=bool)


def _smallest_first(places: pd.DataFrame, n_dimensions: int) -> list[ThreatModel]:
    """The threat models, each behind those whose balls its own contains."""
    rows = places[["norm", "epsilon"]].drop_duplicates().itertuples(index=False)
    threats = [ThreatModel(str(norm), float(epsilon)) for norm, epsilon in rows]
    return sorted(threats, key=lambda one: sum(one.contains(other, n_dimensions) for other in threats))


def _bounds(proofs: Proofs, places: pd.DataFrame, threat: ThreatModel, engine: Engine, progress: Progress) -> Bounds:
    items: list[Item] = []
    found = proofs.known.setdefault(threat, {})
    for split in SPLITS:
        for key, rows in places[places["split"] == split].groupby("key"):
            indices = sorted({*rows["index"].tolist()} - {*found.get((str(key), split), {})})
            parts = (indices[start : start + _IMAGES] for start in range(0, len(indices), _IMAGES))
            items += [(str(key), split, threat, part) for part in parts]
    mapped = engine.map(replace(proofs, known={}), items)
    for _, (number, bounds) in zip(progress(items, f"bounds in {threat.norm}"), mapped, strict=True):
        found.setdefault(items[number][:2], {}).update(bounds)
    return found


def _is_proven(places: pd.DataFrame, bounds: Bounds, dataset: Dataset) -> np.ndarray:
    """Where (n,) every other class of an image's problem has a margin above 0."""
    is_proven = np.zeros(len(places), dtype=bool)
    for (key, split, name), rows in places.reset_index(drop=True).groupby(["key", "split", "pair"]):
        known, problem = bounds.get((key, split), {}), problem_of(name, dataset)
        # The outputs that tell the classes of the problem apart.
        outputs = problem.class_ids() if key == ALL_CLASSES else np.arange(len(problem.class_ids()))
        is_proven[rows.index] = [index in known and bool((known[index][outputs] > 0).all()) for index in rows["index"]]
    return is_proven

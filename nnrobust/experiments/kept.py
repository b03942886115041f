"""The trained networks that a campaign keeps in its `.work`, for what is asked of them after it."""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from nnrobust.bounds.layers import Layer
from nnrobust.bounds.records import chain_of, problem_of
from nnrobust.data.datasets import Dataset, channel_statistics
from nnrobust.errors import DataError
from nnrobust.networks.architectures import build_network
from nnrobust.records import ALL_CLASSES
from nnrobust.runtime.store import WorkStore


@dataclass(frozen=True, eq=False)
class Kept:
    """The networks of a variant, by the problem that each was trained for, as records name it; for images of this shape."""

    name: str
    networks: dict[str, nn.Module]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, name: str, history: pd.DataFrame, store: WorkStore, dataset: Dataset) -> "Kept":
        """Those that the folder of the store has, each known by the losses of its epochs in `history`, a campaign's history.csv.

        Raises:
            DataError: when the network of a problem is not there, or a file of the folder cannot be read.
        """
        mine = history[history["classifier"] == name].sort_values("epoch")
        wanted = {_course(part["loss"]): str(pair) for pair, part in mine.groupby("pair")}
        networks = {}
        for content in store.contents():
            if "recipe" not in content:  # it is under way
                continue
            pair = wanted.get(_course(pd.Series([row["loss"] for row in content["rows"]])))
            if pair is not None:
                networks[pair] = _network(content, pair, dataset)
        missing = [pair for pair in wanted.values() if pair not in networks]
        if missing or not wanted:
            raise DataError(
                f"{store.folder}: expected the network of each pair that history.csv has of {name}, known by its losses; got "
                f"{len(networks)} of {len(wanted)}, without {', '.join(missing) or 'any in history.csv'}; name the folder that "
                "the campaign had as --work, or another variant"
            )
        return cls(name, networks, dataset.image_shape)

    def key(self, problem: str) -> str:
        return problem if problem in self.networks else ALL_CLASSES

    def layers(self, key: str) -> list[Layer]:
        return chain_of(self.networks[key], self.shape, self.name, "variants")


def _course(losses: pd.Series) -> tuple[float, ...]:
    return tuple(round(float(loss), 6) for loss in losses)


def _network(content: dict, pair: str, dataset: Dataset) -> nn.Module:
    recipe, n_classes = content["recipe"], len(problem_of(pair, dataset).class_ids())
    statistics = channel_statistics(dataset.train.images)
    with torch.random.fork_rng(devices=[]):
        network = build_network(recipe["architecture"], dataset.image_shape, *statistics, n_classes, recipe["width"])
    network.load_state_dict(content[recipe["checkpoint"]])
    return network.cpu().eval()

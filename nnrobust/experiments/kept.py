"""The trained networks that a campaign keeps in its `.work`, for what is asked of them after it."""

from collections.abc import Iterable

import pandas as pd

from nnrobust.bounds.records import Given, problem_of
from nnrobust.data.datasets import Dataset, channel_statistics
from nnrobust.errors import DataError
from nnrobust.networks.architectures import build_network
from nnrobust.runtime.store import WorkStore


def kept(name: str, history: pd.DataFrame, store: WorkStore, dataset: Dataset) -> Given:
    """The networks of a variant that the store's folder has, known by the losses of their epochs in a campaign's history.csv.

    Raises:
        DataError: when the network of a problem is not there, or a file of the folder cannot be read.
    """
    mine = history[history["classifier"] == name].sort_values("epoch")
    wanted = {_course(part["loss"]): str(pair) for pair, part in mine.groupby("pair")}
    statistics, networks = channel_statistics(dataset.train.images), {}
    for content in store.contents():
        # Without a recipe it is under way.
        pair = wanted.get(_course(row["loss"] for row in content["rows"])) if "recipe" in content else None
        if pair is None:
            continue
        recipe, n_classes = content["recipe"], len(problem_of(pair, dataset).class_ids())
        network = build_network(recipe["architecture"], dataset.image_shape, *statistics, n_classes, recipe["width"])
        network.load_state_dict(content[recipe["checkpoint"]])
        networks[pair] = network.cpu().eval()
    missing = [pair for pair in wanted.values() if pair not in networks]
    if missing or not wanted:
        raise DataError(
            f"{store.folder}: expected the network of each pair that history.csv has of {name}, known by its losses; got "
            f"{len(networks)} of {len(wanted)}, without {', '.join(missing) or 'any in history.csv'}; name the folder that "
            "the campaign had as --work, or another variant"
        )
    return Given(name, networks, dataset.image_shape)


def _course(losses: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(loss), 6) for loss in losses)

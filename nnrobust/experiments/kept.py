"""The trained networks that a campaign keeps in its `.work`, for what is asked of them after it."""

from collections.abc import Collection, Iterable

import pandas as pd

from nnrobust.bounds.records import Given, problem_of
from nnrobust.data.datasets import Dataset, channel_statistics
from nnrobust.errors import DataError
from nnrobust.networks.architectures import build_network
from nnrobust.records import ALL_CLASSES
from nnrobust.runtime.store import WorkStore


def kept(name: str, problems: Collection[str], history: pd.DataFrame, store: WorkStore, dataset: Dataset) -> Given:
    """The networks that a variant is measured on these problems with, as records name them, out of the store's folder.

    They are known by the losses of their epochs in a campaign's history.csv: a network of each problem, or one of all classes.

    Raises:
        DataError: when the network of a problem is not there, or a file of the folder cannot be read.
    """
    mine = history[history["classifier"] == name].sort_values("epoch")
    courses = {str(pair): _course(part["loss"]) for pair, part in mine.groupby("pair")}
    keys = [ALL_CLASSES] if ALL_CLASSES in courses else [*problems]
    wanted = {courses[key]: key for key in keys if key in courses}
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
    missing = [key for key in keys if key not in networks]
    if missing:
        raise DataError(
            f"{store.folder}: expected the networks of {name} on what is to be proven, each known by its losses in history.csv, "
            f"got {len(networks)} of {len(keys)}, without {', '.join(missing)}; name the folder that the campaign had as --work, "
            "or another variant"
        )
    return Given(name, networks, dataset.image_shape)


def _course(losses: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(loss), 6) for loss in losses)

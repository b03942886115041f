"""Seconds of training and of inference on this machine, each measured many times."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from nnrobust.config.params import Params
from nnrobust.data.datasets import AllClasses, Prepared, Problem, Split
from nnrobust.nearest.dataset.neighbors import build_indexes, propose
from nnrobust.networks.architectures import builder
from nnrobust.networks.stack import Stack, classifier
from nnrobust.networks.storage import load_networks, stored_pairs
from nnrobust.runtime.machine import describe, machine
from nnrobust.runtime.provenance import stage_costs
from nnrobust.runtime.timing import ALONE, BATCH, MANY, TRAINING, interleaved

TIMES = ["classifier", "quantity", "seconds", "device"]
N_ALONE = 32
"""Images that are classified one at a time in each round."""
Classify = Callable[[np.ndarray], object]


def measured_times(params: Params, prepared: Prepared, costs: Path, networks: Path) -> pd.DataFrame:
    """Seconds of each measurement: columns `TIMES`; a row for each, quantities as in `runtime.timing`.

    Training is that of each pair as its stage last ran here, and of 1NN the building of its index; networks trained side by side
    are one measurement. Inference is that of 1NN and of the networks on test images of the first pair, one at a time and 512 at
    once (or all that there are), in turn. A stage whose outputs came from a cache leaves no times.

    Args:
        costs: where `run_stage` leaves what stages cost.
        networks: the folder of the trained networks.

    Raises:
        DataError: when trained networks are missing, or other than were written.
    """
    pair, test = prepared.pairs[0], prepared.dataset.test
    images = np.ascontiguousarray(test.images[pair.indices(test.labels)][:BATCH])
    two = prepared.dataset.train.take(pair.indices(prepared.dataset.train.labels))
    two = replace(two, labels=pair.targets(two.labels))
    classifiers = {"1NN": (_nearest(two), f"CPU, {faiss.omp_get_max_threads()} threads")}
    classifiers |= dict(_networks(params, prepared, networks))
    work: dict[tuple[str, str], Callable[[], object]] = {("1NN", TRAINING): partial(build_indexes, two, 2)}
    for name, (classify, _) in classifiers.items():
        work[name, ALONE] = partial(_each, classify, images[:N_ALONE])
        work[name, MANY] = partial(classify, images)
    counts = {TRAINING: 1, ALONE: len(images[:N_ALONE]), MANY: len(images)}
    found = [
        (name, quantity, one / counts[quantity], classifiers[name][1])
        for (name, quantity), seconds in interleaved(work).items()
        for one in seconds
    ]
    for stage, cost in stage_costs(costs, [*params.classifiers, *params.variants]).items():
        kind, _, name = stage.partition("@")
        if kind in ("fit", "train") and "training_seconds" in cost:
            found += [(name, TRAINING, one, str(cost["device"])) for one in dict.fromkeys(cost["training_seconds"])]
    order = {name: place for place, name in enumerate(params.made)}
    return pd.DataFrame(sorted(found, key=lambda row: order[row[0]]), columns=TIMES)


def _networks(params: Params, prepared: Prepared, folder: Path) -> Iterator[tuple[str, tuple[Classify, str]]]:
    """A network of each variant, of all classes or of the first pair that it was trained for with success, and its device."""
    device = machine(params.compute.device, 1, params.compute.batch_size).device
    every: list[Problem] = [AllClasses(len(prepared.dataset.classes)), *prepared.pairs]
    for name, variant in params.variants.items():
        there = stored_pairs(folder / f"{name}.safetensors")
        for problem in [one for one in every if str(one) in there][:1]:
            states = load_networks(folder / f"{name}.safetensors", [problem], variant.checkpoint)
            build = builder(prepared, variant.recipe(), len(problem.class_ids()))
            yield name, (classifier(Stack.loaded(build, states, device)), describe(device))


def _nearest(train: Split) -> Classify:
    """1NN by its indexes of two classes, which propose the nearest image of each."""
    indexes = build_indexes(train, 2)

    def classify(images: np.ndarray) -> None:
        for index in indexes:
            propose(index, images.reshape(len(images), -1), 1)

    return classify


def _each(classify: Classify, images: np.ndarray) -> None:
    for place in range(len(images)):
        classify(images[place : place + 1])

"""One problem, a pair or all classes: a classifier fitted to its training images and measured on all of its images, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.config.classifiers import Simple
from nnrobust.data.datasets import SPLITS, AllClasses, Dataset, Pair, opened
from nnrobust.runtime.progress import Progress, silent
from nnrobust.runtime.store import NoStore, WorkStore, fingerprint
from nnrobust.runtime.timing import clock
from nnrobust.simple.fitted import Fitted, fitted
from nnrobust.simple.measured import as_points, radii, simple_records
from nnrobust.threat import ThreatModel

Problem = Pair | AllClasses
Columns = dict[str, dict[str, dict[str, np.ndarray]]]
"""Columns of records by split and norm."""


@dataclass(frozen=True)
class Measured:
    """A classifier on one problem: how its fit ended, what its radii are by norm, seconds of the fit, and columns of records."""

    fit: dict[str, Any]
    methods: dict[str, str]
    seconds: float
    columns: Columns


def measure(
    options: Simple, dataset: Dataset, problem: Problem, threats: Sequence[ThreatModel], progress: Progress = silent
) -> Measured:
    """Fits to all training images of the problem; training images get verdicts at the epsilons, test images whole radii."""
    now = clock("cpu")
    start = now()
    found = _fitted(options, dataset, problem)
    seconds = now() - start
    columns: Columns = {split: {} for split in SPLITS}
    for split in SPLITS:
        part = getattr(dataset, split)
        rows = problem.indices(part.labels)
        images, labels = np.asarray(part.images[rows]), part.labels[rows]
        for threat in threats:
            columns[split][threat.norm] = radii(found.classifier, images, labels, threat, split == "train", progress)
    return Measured(found.about(), dict(found.methods), seconds, columns)


def _fitted(options: Simple, dataset: Dataset, problem: Problem) -> Fitted:
    rows = problem.indices(dataset.train.labels)
    return fitted(options, as_points(dataset.train.images[rows], np.float32), dataset.train.labels[rows])


def measured_once(
    options: Simple,
    dataset: Dataset,
    problem: Problem,
    threats: Sequence[ThreatModel],
    store: WorkStore | NoStore,
    progress: Progress = silent,
) -> Measured:
    """What `measure` gives, from the store where it is there, and in it from then on."""
    import torch  # here: what tensors are kept in

    parts = [(part.images[rows], part.labels[rows]) for part in (dataset.train, dataset.test)
             for rows in (problem.indices(part.labels),)]  # fmt: skip
    data = [np.ascontiguousarray(array).tobytes() for part in parts for array in part]
    key = fingerprint(options.model_dump(), [(one.norm, one.epsilon) for one in threats], str(problem), *data)
    kept = store.found(key)
    if kept is not None:
        return Measured(**kept | {"columns": _each(kept["columns"], lambda tensor: tensor.numpy())})
    found = measure(options, dataset, problem, threats, progress)
    store.save(key, vars(found) | {"columns": _each(found.columns, torch.from_numpy)})
    return found


@dataclass(frozen=True)
class Work:
    """What `measured_once` gives of a problem of the dataset prepared in `folder`, in whichever process.

    `progress` shows the blocks of images where the problem is all classes, which take the longest.
    """

    folder: Path
    options: Simple
    threats: Sequence[ThreatModel]
    store: WorkStore | NoStore
    progress: Progress = silent

    def __call__(self, problem: Problem) -> Measured:
        progress = self.progress if isinstance(problem, AllClasses) else silent
        return measured_once(self.options, opened(self.folder).dataset, problem, self.threats, self.store, progress)


def _each(columns: Any, change: Any) -> Any:
    """The same nested dictionaries with every array changed."""
    if isinstance(columns, dict):
        return {name: _each(one, change) for name, one in columns.items()}
    return change(columns)


def records(
    name: str, found: Measured, dataset: Dataset, problem: Problem, threats: Sequence[ThreatModel]
) -> Iterator[pd.DataFrame]:
    """The records of the classifier `name` on one problem, by split and threat model."""
    for split in SPLITS:
        labels = getattr(dataset, split).labels
        indices = problem.indices(labels)
        about = {"dataset": dataset.name, "split": split, "classifier": name, "pair": str(problem)}
        for threat in threats:
            columns, method = found.columns[split][threat.norm], found.methods[threat.norm]
            yield simple_records(about, indices, labels[indices], columns, threat, method)


def fit_row(name: str, problem: Problem, found: Measured, mine: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """A row of the table of fits: how this one ended, and of its records how many there are and lack an exact verdict.

    All certificates of the records were checked, else there would be none.
    """
    n_open = sum(int((frame["kind"] != "exact").sum()) for frame in mine)
    return {"classifier": name, "pair": str(problem), **found.fit, "n_records": sum(map(len, mine)), "n_open": n_open}

"""How the robust accuracy of 1NN (theorem 3) and of other simple classifiers depends on the number of training images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.classifiers import Simple
from nnrobust.data.datasets import Dataset, Pair, Split, first_per_class, opened
from nnrobust.nearest.dataset.certificate import certificate_records, certify
from nnrobust.nearest.dataset.neighbors import build_indexes
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.machine import Engine
from nnrobust.runtime.progress import Progress, silent
from nnrobust.simple.fitted import fitted
from nnrobust.simple.measured import as_points, radii, simple_records
from nnrobust.tables.accuracy import accuracy_table, mean_over_pairs
from nnrobust.threat import ThreatModel

NEAREST = "1NN"


def part_of(split: Split, share: float, seed: int) -> Split:
    """A random share of each class, one image at least. Of one seed, a smaller share is part of a larger one."""
    generator = np.random.default_rng(seed)
    kept = []
    for label in np.unique(split.labels):
        members = generator.permutation(np.flatnonzero(split.labels == label))
        kept.append(members[: max(1, round(share * len(members)))])
    return split.take(np.sort(np.concatenate(kept)))


@dataclass(frozen=True)
class Growth:
    """Shares of the training images, from 2^-`halvings` to all, a random part for each of `seeds`, and who is measured on them.

    `effort` is that of 1NN's certificates; `simple` describes others by name, as params do. `n_test_per_class` test images are
    classified, all for None.
    """

    halvings: int
    seeds: Sequence[int]
    effort: Effort
    simple: Mapping[str, Simple]
    n_test_per_class: int | None = None

    def parts(self) -> Iterator["Part"]:
        """Of each share with each seed, the largest first; all images are the same ones for every seed, and come once."""
        for halving in range(self.halvings + 1):
            for seed in self.seeds if halving else self.seeds[:1]:
                yield from (Part(2.0**-halving, seed, name) for name in (NEAREST, *self.simple))


@dataclass(frozen=True)
class Part:
    """A share of the training images, the seed that it is drawn by, and the classifier that is measured on it."""

    share: float
    seed: int
    name: str


@dataclass(frozen=True)
class _Work:
    """The rows of a part of the dataset prepared in `folder`, in whichever process."""

    folder: Path
    threats: Sequence[ThreatModel]
    growth: Growth

    def __call__(self, part: Part) -> pd.DataFrame:
        prepared = opened(self.folder)
        whole, threats = prepared.dataset, self.threats
        test = whole.test.take(first_per_class(whole.test.labels, self.growth.n_test_per_class))
        some = replace(whole, train=part_of(whole.train, part.share, part.seed), test=test)
        if part.name == NEAREST:
            records = list(_nearest_records(some, prepared.pairs, threats, self.growth.effort))
        else:
            options = self.growth.simple[part.name]
            records = [
                frame for pair in prepared.pairs for frame in _simple_records(part.name, options, some, pair, threats)
            ]
        means = mean_over_pairs(accuracy_table(pd.concat(records, ignore_index=True), 0.95))
        n_train = int(np.bincount(some.train.labels).min())
        return means.assign(fraction=part.share, n_train_per_class=n_train, seed=part.seed)


def growth_table(
    folder: Path, threats: Sequence[ThreatModel], growth: Growth, engine: Engine, progress: Progress = silent
) -> pd.DataFrame:
    """Mean accuracies over pairs, on test images, with ever larger parts of the training images prepared in `folder`.

    One row for each classifier, share, seed, norm and method, with `fraction`, `n_train_per_class` (of the smallest class) and
    `seed`, the smallest share first. Verdicts are sought at the epsilons of `threats` alone; all are exact, or certified and said
    to be. `engine` spreads classifiers and parts.
    """
    parts, work = list(growth.parts()), _Work(folder, threats, growth)
    found = dict(finished for _, finished in zip(progress(parts, "growth"), engine.map(work, parts), strict=True))
    order = sorted(range(len(parts)), key=lambda number: parts[number].share)
    return pd.concat([found[number] for number in order], ignore_index=True).drop(columns="split")


def _nearest_records(
    dataset: Dataset, pairs: Sequence[Pair], threats: Sequence[ThreatModel], effort: Effort
) -> Iterator[pd.DataFrame]:
    """1NN's records of the test images of each pair."""
    effort = replace(effort, settled_at={threat.norm: threat.epsilon for threat in threats})
    test, indexes = dataset.test, build_indexes(dataset.train, len(dataset.classes))
    bounds = certify(test.images, test.labels, indexes, effort)
    for pair in pairs:
        for threat in threats:
            about = {"dataset": dataset.name, "split": "test", "classifier": NEAREST, "pair": str(pair)}
            yield certificate_records(about, pair.indices(test.labels), test.labels, pair.class_ids(), bounds, threat)


def _simple_records(
    name: str, options: Simple, dataset: Dataset, pair: Pair, threats: Sequence[ThreatModel]
) -> Iterator[pd.DataFrame]:
    """Another classifier's, fitted to the training images of the pair."""
    train, test = dataset.train, dataset.test
    known, rows = pair.indices(train.labels), pair.indices(test.labels)
    found = fitted(options, as_points(train.images[known], np.float32), train.labels[known])
    about = {"dataset": dataset.name, "split": "test", "classifier": name, "pair": str(pair)}
    for threat in threats:
        columns = radii(found.classifier, test.images[rows], test.labels[rows], threat, is_verdict_enough=True)
        yield simple_records(about, rows, test.labels[rows], columns, threat, found.methods[threat.norm])

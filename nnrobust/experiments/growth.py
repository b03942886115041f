"""How the robust accuracy of 1NN (theorem 3) and of other simple classifiers depends on the number of training images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nnrobust.config.classifiers import Simple
from nnrobust.data.datasets import Dataset, Pair, Prepared, Split
from nnrobust.nearest.certificate import certificate_records, certify
from nnrobust.nearest.neighbors import build_indexes
from nnrobust.nearest.screening import Effort
from nnrobust.runtime.progress import Progress, silent
from nnrobust.simple.fitted import fitted
from nnrobust.simple.measured import as_points, radii, simple_records
from nnrobust.tables.accuracy import accuracy_table, mean_over_pairs
from nnrobust.threat import ThreatModel


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

    `effort` is that of 1NN's certificates; `simple` describes others by name, as params do.
    """

    halvings: int
    seeds: Sequence[int]
    effort: Effort
    simple: Mapping[str, Simple]

    def shares(self) -> Iterator[tuple[float, int]]:
        """Each share with each seed; all images are the same ones for every seed, and come once."""
        for halving in range(self.halvings, -1, -1):
            for seed in self.seeds if halving else self.seeds[:1]:
                yield 2.0**-halving, seed


def growth_table(
    prepared: Prepared, threats: Sequence[ThreatModel], growth: Growth, progress: Progress = silent
) -> pd.DataFrame:
    """Mean accuracies over pairs, on all test images, with ever larger parts of the training images.

    One row for each classifier, share, seed, norm and method, with `fraction`, `n_train_per_class` (of the smallest class) and
    `seed`. Verdicts are sought at the epsilons of `threats` alone; all are exact, or certified and said to be.
    """
    dataset, tables = prepared.dataset, []
    for share, seed in growth.shares():
        train = part_of(dataset.train, share, seed)
        some = replace(dataset, train=train)
        records = [*_nearest_records(some, prepared.pairs, threats, growth.effort, progress)]
        for name, options in growth.simple.items():
            for pair in progress(prepared.pairs, f"{name} on {share:g} of the training images"):
                records += _simple_records(name, options, some, pair, threats)
        means = mean_over_pairs(accuracy_table(pd.concat(records, ignore_index=True), 0.95))
        n_train = int(np.bincount(train.labels).min())
        tables.append(means.assign(fraction=share, n_train_per_class=n_train, seed=seed))
    return pd.concat(tables, ignore_index=True).drop(columns="split")


def _nearest_records(
    dataset: Dataset, pairs: Sequence[Pair], threats: Sequence[ThreatModel], effort: Effort, progress: Progress
) -> Iterator[pd.DataFrame]:
    """1NN's records of the test images of each pair."""
    effort = replace(effort, settled_at={threat.norm: threat.epsilon for threat in threats})
    test, indexes = dataset.test, build_indexes(dataset.train, len(dataset.classes))
    bounds = certify(test.images, test.labels, indexes, effort, progress)
    for pair in pairs:
        for threat in threats:
            about = {"dataset": dataset.name, "split": "test", "classifier": "1NN", "pair": str(pair)}
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

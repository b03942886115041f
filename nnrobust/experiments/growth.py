"""How the robust accuracy of 1NN depends on the number of training images (theorem 3)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nnrobust.data.datasets import Prepared, Split
from nnrobust.nearest.certificate import certificate_records, certify
from nnrobust.nearest.neighbors import build_indexes
from nnrobust.nearest.screening import Effort
from nnrobust.runtime.progress import Progress, silent
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


def growth_table(
    prepared: Prepared,
    threats: Sequence[ThreatModel],
    halvings: int,
    seeds: Sequence[int],
    effort: Effort,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Mean accuracies of 1NN over pairs, on all test images, with 2^-halvings to all of the training images.

    One row for each share, seed, norm and method, with `fraction`, `n_train_per_class` (of the smallest class) and `seed`; all
    training images are the same ones for every seed, and come once. Verdicts are sought at the epsilons of `threats` alone.
    """
    effort = replace(effort, settled_at={threat.norm: threat.epsilon for threat in threats})
    dataset, tables = prepared.dataset, []
    test = dataset.test
    for halving in range(halvings, -1, -1):
        for seed in seeds if halving else seeds[:1]:
            train = part_of(dataset.train, 2.0**-halving, seed)
            indexes = build_indexes(train, len(dataset.classes))
            bounds = certify(test.images, test.labels, indexes, effort, progress)
            about = {"dataset": dataset.name, "split": "test", "classifier": "1NN"}
            records = [
                certificate_records(
                    {**about, "pair": str(pair)},
                    pair.indices(test.labels),
                    test.labels,
                    pair.class_ids(),
                    bounds,
                    threat,
                )
                for pair in prepared.pairs
                for threat in threats
            ]
            means = mean_over_pairs(accuracy_table(pd.concat(records, ignore_index=True), 0.95))
            n_train = int(np.bincount(train.labels).min())
            tables.append(means.assign(fraction=2.0**-halving, n_train_per_class=n_train, seed=seed))
    return pd.concat(tables, ignore_index=True).drop(columns=["classifier", "split"])

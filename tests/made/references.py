"""Small sets of references and queries, and their bounds."""

from dataclasses import replace

import numpy as np

from nnrobust.data.datasets import Split
from nnrobust.nearest.dataset.certificate import certify
from nnrobust.nearest.dataset.neighbors import build_indexes
from nnrobust.nearest.distances.screening import Effort

EVERYTHING = Effort(n_own=1000, n_screened=1000, block_size=64)


def points(rows, labels):
    images = np.array(rows, dtype=np.uint8).reshape(len(rows), 1, 1, -1)
    return Split(images, np.array(labels), [str(i) for i in range(len(rows))])


def bounds_of(train, queries, labels, effort=EVERYTHING, settled_at=None, n_classes=2):
    effort = replace(effort, settled_at=settled_at)
    return certify(queries, np.asarray(labels), build_indexes(train, n_classes), effort)


def random_problem(seed, n=24, d=5, n_queries=10, n_classes=2, low=0, high=256):
    generator = np.random.default_rng(seed)
    train = points(generator.integers(low, high, (n, d)), np.arange(n) % n_classes)
    queries = generator.integers(low, high, (n_queries, 1, 1, d)).astype(np.uint8)
    return train, queries, np.arange(n_queries) % n_classes

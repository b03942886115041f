"""Certifies 1NN on every image, for every pair and for all classes at once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.params import read_params
from nnrobust.data.datasets import SPLITS, load_dataset
from nnrobust.nearest.certificate import certificate_records, certify
from nnrobust.nearest.neighbors import load_indexes
from nnrobust.nearest.screening import Effort
from nnrobust.records import ALL_CLASSES, write_records
from nnrobust.runtime.machine import machine
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown

INPUT = Path("data/prepared")
INDEX = Path("models/index")
OUTPUT = Path("data/records/1NN.parquet")


def records() -> Iterator[pd.DataFrame]:
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    dataset, options, threats = prepared.dataset, params.certify, params.epsilon.threat_models()
    device = str(machine(params.compute.device, params.compute.group_size, params.compute.batch_size).device)
    indexes = load_indexes(INDEX, dataset.train, len(dataset.classes), device)
    # Nearly every training image is settled by its half gap, so only the others get more.
    settled_at = {"train": {threat.norm: threat.epsilon for threat in threats}, "test": None}
    for split in SPLITS:
        part = getattr(dataset, split)
        effort = Effort(options.n_own, options.n_screened, params.compute.block_size, settled_at[split])
        bounds = certify(part.images, part.labels, indexes, effort, shown)
        problems = [(str(pair), pair.indices(part.labels), pair.class_ids()) for pair in prepared.pairs]
        problems.append((ALL_CLASSES, np.arange(len(part.labels)), np.arange(len(dataset.classes))))
        for name, indices, class_ids in problems:
            about = {"dataset": dataset.name, "split": split, "classifier": "1NN", "pair": name}
            for threat in threats:
                yield certificate_records(about, indices, part.labels, class_ids, bounds, threat)


def main() -> None:
    write_records(records(), OUTPUT)


if __name__ == "__main__":
    run_stage(main)

"""Certifies 1NN on every image, for every pair and for all classes at once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.params import read_params
from nnrobust.data.datasets import SPLITS, load_dataset
from nnrobust.nearest.dataset.by_class import Work, certified
from nnrobust.nearest.dataset.certificate import certificate_records
from nnrobust.nearest.distances.screening import Effort
from nnrobust.records import ALL_CLASSES, write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.machine import machine
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown

INPUT = Path("data/prepared")
INDEX = Path("models/index")
OUTPUT = Path("data/records/1NN.parquet")


def records() -> Iterator[pd.DataFrame]:
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    dataset, options, threats = prepared.dataset, params.certify, params.epsilon.threat_models()
    device = machine(params.compute.device, params.compute.group_size, params.compute.batch_size).device
    epsilons = {threat.norm: threat.epsilon for threat in threats}
    every = Effort(options.n_own, options.n_screened, params.compute.block_size)
    if options.up_to is not None:
        every = replace(every, settled_at={norm: options.up_to * epsilon for norm, epsilon in epsilons.items()})
    # Nearly every training image is settled by its half gap, so only the others get more.
    settled = replace(every, settled_at=epsilons)
    work = Work(INPUT.resolve(), INDEX.resolve(), str(device), {"test": every, "train": settled})
    labels = {
        split: getattr(dataset, split).labels for split in work.efforts
    }  # the test images first, which take longer
    found = certified(work, labels, engine_of(params.compute, device), shown)
    for split in SPLITS:
        problems = [(str(pair), pair.indices(labels[split]), pair.class_ids()) for pair in prepared.pairs]
        problems.append((ALL_CLASSES, np.arange(len(labels[split])), np.arange(len(dataset.classes))))
        for name, indices, class_ids in problems:
            about = {"dataset": dataset.name, "split": split, "classifier": "1NN", "pair": name}
            for threat in threats:
                yield certificate_records(about, indices, labels[split], class_ids, found[split], threat)


def main() -> None:
    write_records(records(), OUTPUT)


if __name__ == "__main__":
    run_stage(main)

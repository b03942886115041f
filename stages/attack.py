"""Attacks one variant's networks on their train and test images: `python stages/attack.py VARIANT`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.attacks import Strength
from nnrobust.compute import machine
from nnrobust.datasets import SPLITS, first_per_class, load_dataset
from nnrobust.outcomes import trained_pairs
from nnrobust.pair_networks import PairNetworks, load_networks
from nnrobust.params import read_params
from nnrobust.process import run_stage
from nnrobust.progress import shown
from nnrobust.records import write_records
from nnrobust.verdicts import attack_records, untrained_records

INPUT = Path("data/prepared")


def main() -> None:
    name = sys.argv[1]
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    variant = params.variants[name]
    computer = machine(params.compute.device, params.compute.group_size, params.compute.batch_size)
    strength = Strength(params.attack.steps, params.attack.restarts, params.attack.seed)
    threats, frames = params.epsilon.threat_models(), []
    trained = trained_pairs(pd.read_csv(Path("data/records/training") / f"{name}.csv"))
    pairs = [pair for pair in prepared.pairs if str(pair) in trained]
    states = load_networks(Path("models/trained") / f"{name}.safetensors", pairs, variant.checkpoint)
    for split in SPLITS:
        networks = PairNetworks.of(prepared, split, variant.architecture, computer)
        wanted = params.attack.n_train_per_class if split == "train" else params.attack.n_test_per_class
        attacked = first_per_class(networks.labels, wanted)
        indices = {pair: np.intersect1d(pair.indices(networks.labels), attacked) for pair in prepared.pairs}
        inputs = networks.inputs(pairs, [indices[pair] for pair in pairs])
        verdicts = networks.attack(networks.stack(states), inputs, threats, strength, shown) if pairs else {}
        for pair in prepared.pairs:
            about = {"dataset": prepared.dataset.name, "split": split, "classifier": name, "pair": str(pair)}
            for threat in threats:
                if pair in pairs:
                    rows = np.flatnonzero(inputs.networks == pairs.index(pair))
                    mine = verdicts[threat.norm].take(rows)
                    frames.append(attack_records(about, inputs.take(rows), pair.class_ids(), mine, threat))
                else:
                    unseen = networks.inputs([pair], [indices[pair]])
                    frames.append(untrained_records(about, unseen, pair.class_ids(), threat))
    write_records(frames, Path("data/records") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

"""Attacks one variant's networks on their train and test images: `dvc repro attack@VARIANT`."""

from pathlib import Path

import numpy as np

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.convergence import ladder, strength_curve
from nnrobust.attacks.pairs import PairSource, pair_inputs
from nnrobust.attacks.verdicts import attack_records, untrained_records
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.params import read_params
from nnrobust.data.datasets import SPLITS, load_dataset
from nnrobust.networks.architectures import builder
from nnrobust.networks.storage import load_networks, stored_pairs
from nnrobust.records import write_records
from nnrobust.runtime.cluster import attack_machine
from nnrobust.runtime.machine import precision_of
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    options, variant, threats = params.attack, params.variants[name], params.epsilon.threat_models()
    machine, frames = attack_machine(params.compute), []
    attacks = [AttackSpec(**block.model_dump(), seed=options.seed) for block in options.attacks]
    path = Path("models/trained") / f"{name}.safetensors"
    trained = stored_pairs(path)
    pairs = [pair for pair in prepared.pairs if str(pair) in trained]
    states = load_networks(path, pairs, variant.checkpoint)
    precision = precision_of(params.compute.attack_precision, machine.device)
    source = PairSource(builder(prepared, variant.architecture), states, precision, params.compute.attack_compile)
    for split, wanted in zip(SPLITS, (options.n_train_per_class, options.n_test_per_class), strict=True):
        part = getattr(prepared.dataset, split)
        inputs = pair_inputs(part, pairs, wanted)
        verdicts = attack_in_blocks(source, inputs, threats, attacks, machine, shown) if pairs else {}
        for pair in prepared.pairs:
            about = {"dataset": prepared.dataset.name, "split": split, "classifier": name, "pair": str(pair)}
            for threat in threats:
                if pair in pairs:
                    rows = np.flatnonzero(inputs.networks == pairs.index(pair))
                    mine = verdicts[threat.norm].take(rows)
                    frames.append(attack_records(about, inputs.take(rows), pair.class_ids(), mine, threat))
                else:
                    frames.append(untrained_records(about, pair_inputs(part, [pair], wanted), pair.class_ids(), threat))
    write_records(frames, Path("data/records") / f"{name}.parquet")
    rungs = ladder(options.strength.attacks, options.strength.steps, options.strength.restarts, options.seed)
    few = pair_inputs(prepared.dataset.test, pairs, options.strength.n_test_per_class)
    curve = strength_curve(source, few, threats, rungs if pairs else [], machine, shown)
    write_csv(Path("data/records/strength") / f"{name}.csv", curve.round(6).assign(classifier=name))


if __name__ == "__main__":
    run_stage(main)

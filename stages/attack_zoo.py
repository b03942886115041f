"""Attacks one pretrained RobustBench model on the first train and test images: `python stages/attack_zoo.py NAME`."""

import sys
from pathlib import Path

import numpy as np

from nnrobust.attacks import AttackInputs, Strength, attack_in_blocks
from nnrobust.compute import machine
from nnrobust.datasets import SPLITS, load_dataset
from nnrobust.errors import AttackError
from nnrobust.params import read_params
from nnrobust.process import run_stage
from nnrobust.progress import shown
from nnrobust.records import ALL_CLASSES, write_records
from nnrobust.verdicts import attack_records
from nnrobust.zoo import IMAGE_SHAPE, N_CLASSES, find, load

INPUT = Path("data/prepared")


def main() -> None:
    name = sys.argv[1]
    params, dataset = read_params("params.yaml"), load_dataset(INPUT).dataset
    if dataset.image_shape != IMAGE_SHAPE or len(dataset.classes) != N_CLASSES:
        raise AttackError(f"{name}: expected {N_CLASSES} classes of images {IMAGE_SHAPE}, as CIFAR-10 has, got "
                          f"{len(dataset.classes)} of {dataset.image_shape}; empty zoo.models for this dataset")  # fmt: skip
    computer = machine(params.compute.device, 1, params.compute.batch_size)
    network = load(find(name), Path("models/zoo") / name).to(computer.device)
    strength = Strength(params.zoo.steps, params.zoo.restarts, params.zoo.seed)
    threats, frames = params.epsilon.threat_models(), []
    for split, wanted in zip(SPLITS, (params.zoo.n_train, params.zoo.n_test), strict=True):
        part = getattr(dataset, split)
        indices = np.sort(np.random.default_rng(params.zoo.seed).permutation(len(part.labels))[:wanted])
        inputs = AttackInputs(np.asarray(part.images[indices]), part.labels[indices], np.zeros_like(indices), indices)
        verdicts = attack_in_blocks(lambda _: lambda x, _: network(x), inputs, threats, strength, computer, shown)
        about = {"dataset": dataset.name, "split": split, "classifier": name, "pair": ALL_CLASSES}
        frames += [attack_records(about, inputs, np.arange(N_CLASSES), verdicts[t.norm], t) for t in threats]
    write_records(frames, Path("data/records/zoo") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

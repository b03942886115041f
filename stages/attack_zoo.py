"""Attacks one pretrained RobustBench model on the first train and test images: `dvc repro attack_zoo@NAME`."""

from pathlib import Path

import numpy as np

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pretrained import ZooSource
from nnrobust.attacks.verdicts import AttackInputs, attack_records
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.params import read_params
from nnrobust.data.datasets import SPLITS, load_dataset
from nnrobust.errors import AttackError
from nnrobust.records import ALL_CLASSES, write_records
from nnrobust.runtime.cluster import attack_machine
from nnrobust.runtime.machine import precision_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown
from nnrobust.zoo.models import IMAGE_SHAPE, N_CLASSES, find, zoo_images

LOCK = Path("models/zoo.lock.json")


def main() -> None:
    name = stage_item()
    params, dataset = read_params("params.yaml"), load_dataset("data/prepared").dataset
    if dataset.image_shape != IMAGE_SHAPE or len(dataset.classes) != N_CLASSES:
        raise AttackError(f"{name}: expected {N_CLASSES} classes of images {IMAGE_SHAPE}, as CIFAR-10 has, got "
                          f"{len(dataset.classes)} of {dataset.image_shape}; empty zoo.models for this dataset")  # fmt: skip
    options, threats, frames = params.zoo, params.epsilon.threat_models(), []
    machine = attack_machine(params.compute, group_size=1)
    precision = precision_of(params.compute.attack_precision, machine.device)
    source = ZooSource(find(name), Path("models/zoo") / name, LOCK, precision, params.compute.attack_compile)
    attacks = [AttackSpec(**block.model_dump(), seed=options.seed) for block in options.attacks]
    source.victim(np.zeros(1, dtype=np.int64), machine.device)  # what keeps it from loading stops here
    for split, wanted in zip(SPLITS, (options.n_train, options.n_test), strict=True):
        part = getattr(dataset, split)
        indices = zoo_images(part.labels, wanted, options.order, split)
        inputs = AttackInputs(np.asarray(part.images[indices]), part.labels[indices], np.zeros_like(indices), indices)
        verdicts = attack_in_blocks(source, inputs, threats, attacks, machine, shown)
        about = {"dataset": dataset.name, "split": split, "classifier": name, "pair": ALL_CLASSES}
        frames += [attack_records(about, inputs, np.arange(N_CLASSES), verdicts[t.norm], t) for t in threats]
    write_records(frames, Path("data/records/zoo") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

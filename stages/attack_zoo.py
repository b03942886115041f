"""Attacks one pretrained RobustBench model on all classes, on pairs, or both: `dvc repro attack_zoo@NAME`."""

from pathlib import Path

import pandas as pd

from nnrobust.attacks.pretrained import Effort, PretrainedSource, ZooFiles, on_all_classes, on_pairs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.records import write_records
from nnrobust.runtime.cluster import attack_machine
from nnrobust.runtime.machine import precision_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown
from nnrobust.zoo.models import find

LOCK = Path("models/zoo.lock.json")


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    zoo, pairs, threats = params.zoo, params.attack, params.epsilon.threat_models()
    machine = attack_machine(params.compute, group_size=1)
    precision = precision_of(params.compute.attack_precision, machine.device)
    files = ZooFiles(find(name), Path("models/zoo") / name, LOCK)
    source = PretrainedSource(files, precision, params.compute.attack_compile)
    frames: list[pd.DataFrame] = []
    if zoo.problems != "pairs":
        attacks = [AttackSpec(**block.model_dump(), seed=zoo.seed) for block in zoo.attacks]
        effort = Effort(attacks, threats, {"train": zoo.n_train, "test": zoo.n_test})
        frames += on_all_classes(source, prepared, zoo.order, effort, machine, shown)
    if zoo.problems != "all_classes":
        attacks = [AttackSpec(**block.model_dump(), seed=pairs.seed) for block in pairs.attacks]
        effort = Effort(attacks, threats, {"train": pairs.n_train_per_class, "test": pairs.n_test_per_class})
        frames += on_pairs(source, prepared, effort, machine, shown)
    write_records(frames, Path("data/records/zoo") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

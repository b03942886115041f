"""Compares one network of `models` with its stated clean accuracy, then attacks it: `dvc repro attack_model@NAME`."""

import sys
from pathlib import Path

import pandas as pd

from nnrobust.attacks.pretrained import Effort, ModelFile, PretrainedSource, is_correct, on_all_classes, on_pairs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.models.blocks import Model
from nnrobust.models.guard import check_clean, clean_line
from nnrobust.records import write_records
from nnrobust.runtime.cluster import attack_machine
from nnrobust.runtime.machine import precision_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    zoo, pairs, threats, block = params.zoo, params.attack, params.epsilon.threat_models(), params.models[name]
    machine = attack_machine(params.compute, group_size=1)
    precision = precision_of(params.compute.attack_precision, machine.device)
    model = Model.of(name, block.model_dump())
    files = ModelFile(model, Path("models/networks") / name, tuple(prepared.dataset.classes))
    source = PretrainedSource(files, precision, params.compute.attack_compile)
    correct = is_correct(source, prepared, machine)
    print(clean_line(name, model.clean_accuracy, correct), file=sys.stderr)
    if model.clean_accuracy is not None:
        check_clean(name, model.clean_accuracy, correct, block.allowance)
    frames: list[pd.DataFrame] = []
    if block.problems != "pairs":
        attacks = [AttackSpec(**one.model_dump(), seed=zoo.seed) for one in zoo.attacks]
        effort = Effort(attacks, threats, {"train": zoo.n_train, "test": zoo.n_test})
        frames += on_all_classes(source, prepared, zoo.order, effort, machine, shown)
    if block.problems != "all_classes":
        attacks = [AttackSpec(**one.model_dump(), seed=pairs.seed) for one in pairs.attacks]
        effort = Effort(attacks, threats, {"train": pairs.n_train_per_class, "test": pairs.n_test_per_class})
        frames += on_pairs(source, prepared, effort, machine, shown)
    write_records(frames, Path("data/records/models") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

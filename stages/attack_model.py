"""Compares one network of `models` with its stated clean accuracy, then attacks it: `dvc repro attack_model@NAME`."""

import sys
from pathlib import Path

from nnrobust.attacks.pretrained import ModelFile, PretrainedSource, is_correct, on_problems
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
    block = params.models[name]
    machine = attack_machine(params.compute, group_size=1)
    precision = precision_of(params.compute.attack_precision, machine.device)
    model = Model.of(name, block.model_dump())
    files = ModelFile(model, Path("models/networks") / name, tuple(prepared.dataset.classes))
    source = PretrainedSource(files, precision, params.compute.attack_compile)
    correct = is_correct(source, prepared, machine)
    print(clean_line(name, model.clean_accuracy, correct), file=sys.stderr)
    if model.clean_accuracy is not None:
        check_clean(name, model.clean_accuracy, correct, block.allowance)
    frames = list(on_problems(source, prepared, block.problems, params, machine, shown))
    write_records(frames, Path("data/records/models") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

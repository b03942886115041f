"""Attacks one pretrained RobustBench model on all classes, on pairs, or both: `dvc repro attack_zoo@NAME`."""

from pathlib import Path

from nnrobust.attacks.pretrained import PretrainedSource, ZooFiles, on_problems
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
    machine = attack_machine(params.compute, group_size=1)
    precision = precision_of(params.compute.attack_precision, machine.device)
    files = ZooFiles(find(name), Path("models/zoo") / name, LOCK)
    source = PretrainedSource(files, precision, params.compute.attack_compile)
    frames = list(on_problems(source, prepared, params.zoo.problems, params, machine, shown))
    write_records(frames, Path("data/records/zoo") / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

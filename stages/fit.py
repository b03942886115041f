"""Fits one simple classifier with exact robustness to every pair and to all classes, and certifies it: `dvc repro fit@NAME`."""

from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.params import read_params
from nnrobust.data.datasets import AllClasses, load_dataset
from nnrobust.records import write_records
from nnrobust.runtime.machine import describe, machine
from nnrobust.runtime.outputs import write_csv, write_json
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown, silent
from nnrobust.runtime.store import WorkStore
from nnrobust.simple.problem import Problem, fit_row, measured_once, records, seconds_per_image

RECORDS, TIMINGS = Path("data/records"), Path("metrics/timings")


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    options, threats, dataset = params.classifiers[name], params.epsilon.threat_models(), prepared.dataset
    store = WorkStore.of_loaded_code(Path(".work").resolve())
    problems: list[Problem] = [*prepared.pairs, AllClasses(len(dataset.classes))]
    found, frames, rows = [], [], []
    for problem in shown(problems, f"fit {name}"):
        progress = shown if isinstance(problem, AllClasses) else silent
        found.append(measured_once(options, dataset, problem, threats, store, progress))
        mine = list(records(name, found[-1], dataset, problem, threats))
        rows.append(fit_row(name, problem, found[-1], mine))
        frames += mine
    write_records(frames, RECORDS / f"{name}.parquet")
    write_csv(RECORDS / "fits" / f"{name}.csv", pd.DataFrame(rows))
    timings = {
        "training_seconds_per_pair": float(np.mean([one.seconds for one in found[: len(prepared.pairs)]])),
        "inference_seconds_per_image": seconds_per_image(options, dataset, prepared.pairs[0]),
        "device": describe(machine("cpu", 1, 1).device),
    }
    write_json(TIMINGS / f"{name}.json", timings)


if __name__ == "__main__":
    run_stage(main)

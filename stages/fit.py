"""Fits one simple classifier with exact robustness to every pair and to all classes, and certifies it: `dvc repro fit@NAME`."""

from pathlib import Path

import pandas as pd
import torch

from nnrobust.config.params import read_params
from nnrobust.data.datasets import AllClasses, load_dataset
from nnrobust.records import write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.machine import Local, describe
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown, silent
from nnrobust.runtime.store import WorkStore
from nnrobust.simple.problem import Problem, Work, fit_row, records

INPUT, RECORDS = Path("data/prepared"), Path("data/records")
DEVICE = torch.device("cpu")


def main() -> dict[str, object]:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    options, threats, dataset = params.classifiers[name], params.epsilon.threat_models(), prepared.dataset
    engine = engine_of(params.compute, DEVICE)
    progress = shown if isinstance(engine, Local) else silent
    work = Work(INPUT.resolve(), options, threats, WorkStore.of_loaded_code(Path(".work").resolve()), progress)
    # The largest first, so that it is not left over for one process at the end.
    problems: list[Problem] = [AllClasses(len(dataset.classes)), *prepared.pairs]
    mapped = engine.map(work, problems)
    found = dict(finished for _, finished in zip(shown(problems, f"fit {name}"), mapped, strict=True))
    frames, rows = [], []
    for number in [*range(1, len(problems)), 0]:
        mine = list(records(name, found[number], dataset, problems[number], threats))
        rows.append(fit_row(name, problems[number], found[number], mine))
        frames += mine
    write_records(frames, RECORDS / f"{name}.parquet")
    write_csv(RECORDS / "fits" / f"{name}.csv", pd.DataFrame(rows))
    seconds = [found[number].seconds for number in range(1, len(problems))]
    return {"training_seconds": seconds, "device": describe(DEVICE)}


if __name__ == "__main__":
    run_stage(main)

"""Certifies one network of `models` by linear bounds, on the images that it was attacked on: `dvc repro bound@NAME`."""

from pathlib import Path

import torch

from nnrobust.bounds.records import Work, bound_all
from nnrobust.config.params import read_params
from nnrobust.models.blocks import Model
from nnrobust.records import read_records, write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown

RECORDS = Path("data/records")


def main() -> None:
    name = stage_item()
    params = read_params("params.yaml")
    model = Model.of(name, params.models[name].model_dump())
    work = Work(model, Path("models/networks").resolve() / name, Path("data/prepared").resolve())
    attacked = read_records(RECORDS / "models" / f"{name}.parquet")
    engine = engine_of(params.compute, torch.device("cpu"))
    frames = list(bound_all(work, attacked, params.epsilon.threat_models(), engine, shown))
    write_records(frames, RECORDS / "bounds" / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

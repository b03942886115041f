"""Proves what linear bounds can of a network of others, on the images that it was attacked on: `dvc repro bound@NAME`."""

from pathlib import Path

import torch

from nnrobust.bounds.files import FromFile
from nnrobust.bounds.records import Proofs, with_proofs
from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.models.blocks import Model
from nnrobust.records import read_records, write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown

RECORDS, PREPARED = Path("data/records"), Path("data/prepared")


def main() -> None:
    name = stage_item()
    params, dataset = read_params("params.yaml"), load_dataset(PREPARED).dataset
    model = Model.of(name, params.models[name].model_dump())
    networks = FromFile(model, Path("models/networks").resolve() / name, tuple(dataset.classes))
    attacked = read_records(RECORDS / "models" / f"{name}.parquet")
    engine = engine_of(params.compute, torch.device("cpu"))
    found = with_proofs(Proofs(networks, PREPARED.resolve()), attacked, engine, shown)
    write_records([found], RECORDS / "bounds" / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

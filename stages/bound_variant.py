"""Proves what linear bounds can of a variant's networks, on the images attacked: `dvc repro bound_variant@VARIANT`."""

from pathlib import Path

import torch

from nnrobust.bounds.files import OfVariant
from nnrobust.bounds.records import Proofs, with_proofs
from nnrobust.config.params import read_params
from nnrobust.records import read_records, write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown

RECORDS, PREPARED = Path("data/records"), Path("data/prepared")


def main() -> None:
    name = stage_item()
    params = read_params("params.yaml")
    variant, path = params.variants[name], Path("models/trained").resolve() / f"{name}.safetensors"
    networks = OfVariant(path, PREPARED.resolve(), variant.recipe(), variant.problem == "all_classes")
    attacked = read_records(RECORDS / f"{name}.parquet")
    engine = engine_of(params.compute, torch.device("cpu"))
    found = with_proofs(Proofs(networks, PREPARED.resolve()), attacked, engine, shown)
    write_records([found], RECORDS / "bounds" / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

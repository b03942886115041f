"""Proves what linear bounds can of a network of others, or of a variant's: `dvc repro bound@NAME`, `bound_variant@VARIANT`.

It does so on the images that they were attacked on; an attack that fools nobody proves nothing.
"""

from pathlib import Path

import torch

from nnrobust.bounds.records import FromFile, Networks, OfVariant, Proofs, with_proofs
from nnrobust.config.params import Params, read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.models.blocks import Model
from nnrobust.records import read_records, write_records
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown

RECORDS, PREPARED = Path("data/records"), Path("data/prepared")


def networks(name: str, params: Params) -> tuple[Networks, Path]:
    """The networks of that name, and the file of their attacked records."""
    if name in params.models:
        model = Model.of(name, params.models[name].model_dump())
        classes = tuple(load_dataset(PREPARED).dataset.classes)
        return FromFile(
            model, Path("models/networks").resolve() / name, classes
        ), RECORDS / "models" / f"{name}.parquet"
    variant, path = params.variants[name], Path("models/trained").resolve() / f"{name}.safetensors"
    is_whole = variant.problem == "all_classes"
    return OfVariant(path, PREPARED.resolve(), variant.recipe(), is_whole), RECORDS / f"{name}.parquet"


def main() -> None:
    name = stage_item()
    params = read_params("params.yaml")
    found, attacked = networks(name, params)
    engine = engine_of(params.compute, torch.device("cpu"))
    records = with_proofs(Proofs(found, PREPARED.resolve()), read_records(attacked), engine, shown)
    write_records([records], RECORDS / "bounds" / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

"""Brings the file of one network of `models` here: `dvc repro fetch_model@NAME`."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.models.blocks import Model
from nnrobust.models.fetch import fetch_model
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown


def main() -> None:
    name, params = stage_item(), read_params("params.yaml")
    model = Model.of(name, params.models[name].model_dump())
    local_dir = params.zoo.local_dir
    fetch_model(model, Path("models/networks") / name, Path(local_dir) if local_dir else None, shown)


if __name__ == "__main__":
    run_stage(main)

"""Takes over the records of a network that a campaign has measured on the same images: `dvc repro import_records@NAME`."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.experiments.run_folder import imported_records
from nnrobust.records import write_records
from nnrobust.runtime.process import run_stage, stage_item

RECORDS = Path("data/records")


def main() -> None:
    name = stage_item()
    params, dataset = read_params("params.yaml"), load_dataset("data/prepared").dataset
    found = imported_records(Path(params.imported[name]), name, dataset, params.epsilon.model_dump())
    write_records([found], RECORDS / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(main)

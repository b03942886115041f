"""Brings one pretrained RobustBench model here: `dvc repro fetch@NAME`."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown
from nnrobust.zoo.fetch import fetch
from nnrobust.zoo.models import find

# No dep and no out of DVC's: it grows while models are fetched, and is committed, so that all see the same files.
LOCK = Path("models/zoo.lock.json")


def main() -> None:
    name = stage_item()
    local_dir = read_params("params.yaml").zoo.local_dir
    fetch(find(name), Path("models/zoo") / name, LOCK, Path(local_dir) if local_dir else None, shown)


if __name__ == "__main__":
    run_stage(main)

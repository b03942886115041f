"""Brings one pretrained RobustBench model here: `python stages/fetch.py NAME`."""

import sys
from pathlib import Path

from nnrobust.outputs import finished_folder
from nnrobust.params import read_params
from nnrobust.process import run_stage
from nnrobust.zoo import fetch, find


def main() -> None:
    name = sys.argv[1]
    local_dir = read_params("params.yaml").zoo.local_dir
    model = find(name)
    with finished_folder(Path("models/zoo") / name) as folder:
        fetch(model, folder, Path(local_dir) if local_dir else None)


if __name__ == "__main__":
    run_stage(main)

"""Draws the figures, and writes their tables."""

from dataclasses import asdict
from pathlib import Path

import torch

from nnrobust.config.params import read_params
from nnrobust.figures.gallery import gallery
from nnrobust.figures.pictures import FigureFiles
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.outputs import finished_folder, write_json
from nnrobust.runtime.process import run_stage
from nnrobust.tables.runs import Run

PREPARED, METRICS, EXAMPLES = Path("data/prepared"), Path("metrics"), Path("data/records/examples")
REGIONS, PLOTS = Path("data/plane.npz"), Path("plots")


def main() -> None:
    params = read_params("params.yaml")
    run = Run.read(params, PREPARED, METRICS, EXAMPLES, REGIONS)
    with (
        finished_folder(PLOTS / "images") as images,
        finished_folder(PLOTS / "pdf") as pdf,
        finished_folder(PLOTS / "tables") as tables,
    ):
        files = FigureFiles(images, pdf, tables, params.plot.dots_per_inch)
        drawn = dict(engine_of(params.compute, torch.device("cpu")).map(files, gallery(run)))
    write_json(PLOTS / "pictures.json", [asdict(drawn[number]) for number in sorted(drawn)])


if __name__ == "__main__":
    run_stage(main)

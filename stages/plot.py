"""Draws the figures, and writes their tables and the report."""

import json
from pathlib import Path

import pandas as pd
import torch

from nnrobust.claims.judge import setting_of
from nnrobust.config.params import read_params
from nnrobust.figures.gallery import gallery
from nnrobust.report.contents import report_of
from nnrobust.report.pictures import FigureFiles
from nnrobust.report.report import render
from nnrobust.runtime.cluster import engine_of
from nnrobust.runtime.outputs import finished_file, finished_folder
from nnrobust.runtime.process import COSTS, run_stage
from nnrobust.runtime.provenance import provenance
from nnrobust.runtime.seals import unbroken
from nnrobust.tables.runs import Run

PREPARED, METRICS, EXAMPLES = Path("data/prepared"), Path("metrics"), Path("data/records/examples")
REGIONS, PARAMS = Path("data/plane.npz"), Path("params.yaml")
PLOTS, REPORT = Path("plots"), Path("report/index.html")


def main() -> None:
    params = read_params(PARAMS)
    run = Run.read(params, PREPARED, METRICS, EXAMPLES, REGIONS)
    with (
        finished_folder(PLOTS / "images") as images,
        finished_folder(PLOTS / "pdf") as pdf,
        finished_folder(PLOTS / "tables") as tables,
    ):
        engine = engine_of(params.compute, torch.device("cpu"))
        files = FigureFiles(images, pdf, tables, params.plot.dots_per_inch)
        drawn = dict(engine.map(files, gallery(run)))
    pictures = [drawn[number] for number in sorted(drawn)]
    devices = [str(timing["device"]) for timing in run.timings.values()]
    items = {*params.made, *params.pretrained}
    about = json.loads((PREPARED / "dataset.json").read_text(encoding="utf-8"))
    hashes = unbroken(PREPARED, "run `dvc repro prepare`")
    origin = provenance(Path(), COSTS, about | {"sha256": hashes}, devices, items)
    origin["params"] = PARAMS.read_text(encoding="utf-8")
    claims, controls = (pd.read_csv(METRICS / f"{name}.csv", keep_default_na=False) for name in ("claims", "controls"))
    times = pd.read_csv(METRICS / "times.csv", keep_default_na=False).set_index("id")
    claims = claims.set_index("id")
    claims.update(times)
    claims = claims.reset_index()
    page = render(report_of(run, pictures, claims, controls, setting_of(params.profile, run.dataset), origin))
    with finished_file(REPORT) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)

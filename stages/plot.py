"""Draws the figures, and writes their tables and the report."""

import json
from pathlib import Path

import pandas as pd

from nnrobust.claims.judge import setting_of
from nnrobust.config.params import read_params
from nnrobust.figures.gallery import Drawing, gallery
from nnrobust.figures.style import save, settled, style
from nnrobust.report.contents import picture_of, report_of
from nnrobust.report.report import Picture, render
from nnrobust.runtime.outputs import finished_file, finished_folder, write_csv
from nnrobust.runtime.process import COSTS, run_stage
from nnrobust.runtime.provenance import provenance
from nnrobust.runtime.seals import unbroken
from nnrobust.tables.runs import Run

PREPARED, METRICS, EXAMPLES = Path("data/prepared"), Path("metrics"), Path("data/records/examples")
REGIONS, PARAMS = Path("data/plane.npz"), Path("params.yaml")
PLOTS, REPORT = Path("plots"), Path("report/index.html")


def drawn(one: Drawing, images: Path, pdf: Path, tables: Path, dots_per_inch: int) -> Picture:
    """The drawing for the report, after writing it as PNG and PDF, and its table as CSV."""
    figure = settled(one.figure)
    save(figure, images / f"{one.name}.png", dots_per_inch)
    save(figure, pdf / f"{one.name}.pdf", dots_per_inch)
    write_csv(tables / f"{one.name}.csv", one.table)
    return picture_of(one, figure)


def main() -> None:
    params = read_params(PARAMS)
    run = Run.read(params, PREPARED, METRICS, EXAMPLES, REGIONS)
    with (
        finished_folder(PLOTS / "images") as images,
        finished_folder(PLOTS / "pdf") as pdf,
        finished_folder(PLOTS / "tables") as tables,
        style(),
    ):
        pictures = [drawn(drawing, images, pdf, tables, params.plot.dots_per_inch) for drawing in gallery(run)]
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

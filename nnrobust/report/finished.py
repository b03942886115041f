"""The report of a finished run: what its stages left, and what differs from run to run, its times and its provenance."""

import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnrobust.claims.judge import ledger, ledger_table, setting_of
from nnrobust.claims.measures import Evidence
from nnrobust.claims.paper import CLAIMS, TIMED
from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.errors import RecordError
from nnrobust.figures.pictures import Picture
from nnrobust.report.contents import report_of
from nnrobust.report.report import render
from nnrobust.report.stopwatch import measured_times
from nnrobust.report.times import times_table
from nnrobust.runtime.outputs import write_csv, write_json
from nnrobust.runtime.process import COSTS
from nnrobust.runtime.provenance import provenance
from nnrobust.runtime.seals import unbroken
from nnrobust.tables.runs import Run
from nnrobust.zoo.models import roster


@dataclass(frozen=True)
class Finished:
    """The page, the whole ledger, the medians of the times (`report.times.times_table`), and where all of it comes from."""

    page: str
    claims: list[dict[str, object]]
    times: pd.DataFrame
    provenance: dict[str, object]

    def write(self, folder: Path) -> None:
        """Writes `report.html`, `claims.json`, `claims.csv`, `times.csv` and `provenance.json`."""
        (folder / "report.html").write_text(self.page, encoding="utf-8")
        write_json(folder / "claims.json", self.claims)
        write_csv(folder / "claims.csv", ledger_table(self.claims))
        write_csv(folder / "times.csv", self.times)
        write_json(folder / "provenance.json", self.provenance)


def finished(root: Path, note: str = "") -> Finished:
    """The report of the workflow in `root`, as `dvc repro` left it, with times that are measured now; `note`: for the provenance.

    Raises:
        RecordError: when `dvc repro plot` would run something: the outputs are then not those of the code and the params.
        DataError: when an output is damaged, or another than was written.
    """
    _check_up_to_date(root)
    params, prepared = read_params(root / "params.yaml"), load_dataset(root / "data/prepared")
    metrics, confidence = root / "metrics", params.claims.confidence
    run = Run.read(params, root / "data/prepared", metrics, root / "data/records/examples", root / "data/plane.npz")
    measured = measured_times(params, prepared, root / COSTS, root / "models/trained")
    setting = setting_of(params.profile, run.dataset)
    evidence = Evidence.of_scores(run.scores, run.epsilon, run.n_dimensions, len(roster()), confidence)
    timed = [claim for claim in CLAIMS if claim.id in TIMED]
    entries = json.loads((metrics / "claims.json").read_text(encoding="utf-8"))
    entries += ledger(replace(evidence, timings=measured), params.claims.margin, setting, timed)
    entries = [entry for claim in CLAIMS for entry in entries if entry["id"] == claim.id]
    about = json.loads((root / "data/prepared/dataset.json").read_text(encoding="utf-8"))
    about["sha256"] = unbroken(root / "data/prepared", "run `dvc repro prepare`")
    origin = provenance(root, root / COSTS, about, {*params.made, *params.pretrained}) | {"note": note}
    pictures = [Picture(**one) for one in json.loads((root / "plots/pictures.json").read_text(encoding="utf-8"))]
    controls = pd.read_csv(metrics / "controls.csv", keep_default_na=False)
    shown = origin | {"params": (root / "params.yaml").read_text(encoding="utf-8")}
    page = render(report_of(run, pictures, (ledger_table(entries), controls), setting, shown, measured))
    return Finished(page, entries, times_table(measured, confidence), origin)


def _check_up_to_date(root: Path) -> None:
    command = ["dvc", "status", "--with-deps", "plot"]
    state = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if state.returncode:
        raise RecordError(f"expected `{' '.join(command)}` to say what has changed, got: {state.stderr.strip()}")
    if "up to date" not in state.stdout:
        changed = re.findall(r"^(\S+):$", state.stdout, re.MULTILINE)
        raise RecordError(
            "expected outputs of this code and these params, got changes; run `dvc repro` first, which has to run "
            f"{', '.join(sorted(changed)) or state.stdout.strip()}"
        )

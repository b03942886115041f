"""Publishes a run as results/NAME, and lists all that are published in results/README.md and index.html.

`python scripts/publish.py NAME`: the run of this working tree, as `dvc repro` left it, with its figures and its report.
`python scripts/publish.py NAME FOLDER [FOLDER ...]`: folders that `campaign.py` left, added up. A pair trained in two folders is
taken from the first. Claims about 1NN stay open there, as such folders hold networks alone.
`python scripts/publish.py`: only the pages over all runs.
"""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from nnrobust.runtime.kernels import pin_kernels

pin_kernels(ROOT / "params.yaml")  # before libraries are loaded: times are those of the kernels that stages use

import numpy as np
import pandas as pd

from nnrobust.claims.judge import ledger, ledger_table, setting_of
from nnrobust.claims.measures import Evidence
from nnrobust.config.params import read_params
from nnrobust.errors import RecordError
from nnrobust.experiments import run_folder
from nnrobust.figures.accuracies import means_figure, means_table
from nnrobust.figures.curves import training_figure
from nnrobust.figures.style import WIDE, save, style
from nnrobust.records import read_records
from nnrobust.report.finished import finished
from nnrobust.report.published import as_markdown, keep_records, publish_run, runs_table
from nnrobust.report.runs_page import runs_page
from nnrobust.runtime.outputs import finished_file, finished_folder, write_csv, write_json
from nnrobust.runtime.process import one_sentence
from nnrobust.tables.accuracy import accuracy_table, check_threat_models, mean_over_pairs, summary, union_table
from nnrobust.tables.comparison import scores
from nnrobust.tables.runs import counts, training_table
from nnrobust.threat import parse_epsilon
from nnrobust.training.search import optimism
from nnrobust.zoo.models import roster

RESULTS = ROOT / "results"
KEY = ["classifier", "pair"]
TRIALS = "search_trials.csv"
TABLES = ("benchmark.csv", "precision.csv")
PAGE = """# Published runs

`index.html` here, opened from disk, has all of them on one page with leaderboards. Written by `make publish NAME=...`.
Accuracies are means over pairs on test images, in percent. 1NN is exact; networks are attacked: an upper bound. `claims.csv`
of a run judges the paper's sentences, `provenance.json` says where its numbers come from, and `report.html`, where there is
one, opens from disk. `make compare A=NAME B=NAME` sets two runs side by side.

"""


def taken(folders: list[Path]) -> dict[Path, set[tuple[str, str]]]:
    """Of each folder the classifiers and pairs that it has finished (`training.csv`) and none before it has.

    Raises:
        RecordError: when a folder has finished none.
    """
    keys: dict[Path, set[tuple[str, str]]] = {}
    for folder in dict.fromkeys(folders):
        finished = pd.read_csv(existing(folder / "training.csv"))
        keys[folder] = set(zip(*(finished[name] for name in KEY), strict=True)).difference(*keys.values())
    return keys


def added_up(folders: list[Path], name: str) -> pd.DataFrame:
    """A table of all folders, of each classifier and pair from the first that has finished it.

    Raises:
        RecordError: when a folder lacks it.
    """
    tables: list[pd.DataFrame] = []
    for folder, mine in taken(folders).items():
        if name.endswith(".parquet"):
            finished = pd.read_csv(folder / "training.csv")
            parts = [existing(folder / f"{classifier}.parquet") for classifier in dict.fromkeys(finished["classifier"])]
            table = pd.concat([read_records(path) for path in parts], ignore_index=True)
            table = table.astype(dict.fromkeys((*KEY, "split", "norm", "kind", "method"), str))
        else:
            table = pd.read_csv(existing(folder / name))
        tables.append(of(table, mine))
    return pd.concat(tables, ignore_index=True)


def of(table: pd.DataFrame, keys: set[tuple[str, str]]) -> pd.DataFrame:
    named = zip(*(table[name] for name in KEY), strict=True)
    return table[np.array([key in keys for key in named], dtype=bool)]  # an empty list would be no columns


def check_proofs(folders: list[Path], records: pd.DataFrame) -> None:
    """Checks that a variant that some folder proved something of is proven on all problems, in the folder each is taken from."""
    bare = [note | {"problems": []} for note in noted(folders, run_folder.proofs_of)]
    for folder, mine in taken(folders).items():
        run_folder.check_proven(of(records, mine), bare + run_folder.proofs_of(folder), folder)


def existing(path: Path) -> Path:
    if not path.exists():
        raise RecordError(f"{path}: expected a file that scripts/campaign.py leaves, found none; let it run for longer")
    return path


def noted(folders: list[Path], entries_of: Callable[[Path], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What folders noted, once: a resumed folder has its predecessors' notes."""
    entries: list[dict[str, Any]] = []
    for folder in folders:
        existing(folder / "provenance.json")
        entries += [entry for entry in entries_of(folder) if entry not in entries]
    return entries


def draw(out: Path, table: pd.DataFrame, history: pd.DataFrame, dataset: str, profile: dict[str, Any]) -> None:
    classifiers = list(dict.fromkeys(table["classifier"]))
    with style():
        for name, split in (("figure_4", "train"), ("figure_5", "test")):
            means = means_table(table, split, classifiers, profile["claims"]["confidence"])
            save(means_figure(means, split, dataset, WIDE), out / f"{name}.png", 150)
        histories = {name: history[history["classifier"] == name] for name in classifiers}
        save(training_figure(training_table(histories), dataset, WIDE), out / "training.png", 150)


def judged(table: pd.DataFrame, call: dict[str, Any]) -> list[dict[str, object]]:
    """The ledger of networks alone."""
    profile = call["profile"]
    epsilon = {norm: parse_epsilon(value) for norm, value in profile["epsilon"].items()}
    options = profile["claims"]
    evidence = Evidence.of_scores(table, epsilon, math.prod(call["image_shape"]), len(roster()), options["confidence"])
    return ledger(evidence, options["margin"], setting_of(profile["profile"], call["dataset"]))


def write_search(folders: list[Path], out: Path, n_decimals: int) -> None:
    """The trials of all folders that have some, and what a run says of them."""
    having = [folder for folder in folders if (folder / TRIALS).exists()]
    if having:
        trials = added_up(having, TRIALS)
        write_csv(out / TRIALS, trials)
        write_json(out / "search.json", optimism(trials, n_decimals))


def publish_folders(name: str, folders: list[Path], note: str = "") -> Path:
    """Writes results/NAME from folders of `campaign.py`, whole or not at all; `note` goes into the provenance."""
    history, training, records = (
        added_up(folders, file) for file in ("history.csv", "training.csv", "records.parquet")
    )
    calls, proofs = noted(folders, run_folder.calls_of), noted(folders, run_folder.proofs_of)
    run_folder.check_alike(calls, folders[0])
    check_proofs(folders, records)
    call, confidence = calls[0], calls[0]["profile"]["summary"]["confidence"]
    check_threat_models(records, math.prod(call["image_shape"]))
    table, unions = accuracy_table(records, confidence), union_table(records, confidence)
    n_decimals = call["profile"]["summary"]["n_decimals"]
    score, content = scores(table, unions), summary(table, n_decimals)
    for variant, part in training.groupby("classifier"):
        content.setdefault(str(variant), {}).update(counts(part))
    entries = judged(score, call)
    with finished_folder(RESULTS / name) as out:
        tables = {"pairs": table, "means": mean_over_pairs(table), "unions": unions}
        tables |= {"training": training, "claims": ledger_table(entries)}
        for file, one in tables.items():
            write_csv(out / f"{file}.csv", one.round(6))
        write_search(folders, out, n_decimals)
        for file in TABLES:
            found = [folder / file for folder in folders if (folder / file).exists()]
            if found:
                (out / file).write_text(found[0].read_text())
        about = [{key: value for key, value in call.items() if key != "profile"} for call in calls]
        origin = {"commit": calls[-1]["commit"], "calls": about, "proofs": proofs}
        origin |= {"profile": call["profile"], "note": note}
        for file, value in (("summary", content), ("claims", entries), ("provenance", origin)):
            write_json(out / f"{file}.json", value)
        draw(out, score, history, call["dataset"], call["profile"])
        keep_records(RESULTS / name, out)
    return RESULTS / name


def publish_here(name: str, note: str = "") -> Path:
    """Writes results/NAME from this working tree; `note` goes into the provenance.

    Raises:
        RecordError: when `dvc repro plot` would run something: the outputs are then not those of the code and the params.
    """
    params = read_params(ROOT / "params.yaml")
    extra = {
        "params.yaml": ROOT / "params.yaml",
        "controls.json": ROOT / "metrics/controls.json",
        "class_distances.csv": ROOT / "data/prepared/class_distances.csv",
    }
    if params.searched:
        extra |= {name: ROOT / "metrics" / name for name in ("search.json", "search_settings.json")}
    publish_run(ROOT / "metrics", ROOT / "plots" / "images", extra, finished(ROOT, note).write, RESULTS / name)
    return RESULTS / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="of the folder in results/; none: only the pages over all runs")
    parser.add_argument("folders", nargs="*", type=Path, help="that campaign.py left; none: this working tree")
    parser.add_argument("--note", default="", help="what a reader of the provenance should know")
    options = parser.parse_args()
    with one_sentence():
        if options.folders:
            print(publish_folders(options.name, options.folders, options.note))
        elif options.name:
            print(publish_here(options.name, options.note))
        runs = sorted(path.parent for path in RESULTS.glob("*/claims.json"))
        pages = {"README.md": PAGE + as_markdown(runs_table(runs)), "index.html": runs_page(runs)}
        for file, text in pages.items():
            with finished_file(RESULTS / file) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

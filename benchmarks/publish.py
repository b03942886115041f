"""Turns folders that `gpu.py` left, added up, into a published run: `python benchmarks/publish.py NAME FOLDER [FOLDER ...]`.

results/NAME gets accuracies by pair and their means, how training went, the benchmarks, the figures of what is there, and
provenance. A pair trained in two folders is taken from the first.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd

from nnrobust import figures
from nnrobust.accuracy import accuracy_table, check_threat_models, mean_over_pairs
from nnrobust.errors import NnrobustError, RecordError
from nnrobust.outputs import finished_folder, write_csv, write_json
from nnrobust.records import ALL_CLASSES, read_records
from nnrobust.threat import parse_epsilon
from nnrobust.training_figure import training_figure, training_table

RESULTS = Path(__file__).parent.parent / "results"
CONFIDENCE = 0.95
KEY = ["classifier", "pair"]
TABLES = ("benchmark.csv", "precision.csv")


def added_up(folders: list[Path], name: str) -> pd.DataFrame:
    """A table of all folders, each classifier and pair from the first folder that has it.

    Raises:
        RecordError: when a folder lacks it.
    """
    tables = []
    for number, folder in enumerate(folders):
        if not (folder / name).exists():
            raise RecordError(f"{folder / name}: expected a file that benchmarks/gpu.py leaves, found none")
        tables.append(pd.read_csv(folder / name).assign(folder=number))
    table = pd.concat(tables, ignore_index=True)
    first = table.groupby(KEY)["folder"].transform("min")
    return table[table["folder"] == first].drop(columns="folder")


def records_of(folders: list[Path]) -> pd.DataFrame:
    """The records of all folders, each classifier and pair from the first folder that has it; checked against each other."""
    frames = []
    for number, folder in enumerate(folders):
        frames += [read_records(path).assign(folder=number) for path in sorted(folder.glob("records_*.parquet"))]
    if not frames:
        raise RecordError(
            f"{folders[0]}: expected records_NN.parquet, found none; let benchmarks/gpu.py run for longer"
        )
    records = pd.concat(frames, ignore_index=True).astype(dict.fromkeys((*KEY, "split", "norm", "kind", "method"), str))
    records = records[records["folder"] == records.groupby(KEY)["folder"].transform("min")]
    return records.drop(columns="folder")


def draw(out: Path, means: pd.DataFrame, history: pd.DataFrame, dataset: str, epsilon: dict[str, float]) -> None:
    classifiers = list(dict.fromkeys(means["classifier"]))
    with figures.style():
        for name, split in (("figure_4", "train"), ("figure_5", "test")):
            table = figures.bars_table(means, split, classifiers)
            figures.save(figures.bars(table, split, dataset, epsilon), out / name, 150)
        histories = {name: history[history["classifier"] == name] for name in classifiers}
        figures.save(training_figure(training_table(histories), dataset), out / "training", 150)
    for path in out.glob("*.pdf"):
        path.unlink()


def publish(name: str, folders: list[Path]) -> Path:
    """Writes results/NAME, whole or not at all."""
    history, training, records = (
        added_up(folders, "history.csv"),
        added_up(folders, "training.csv"),
        records_of(folders),
    )
    calls = [call for folder in folders for call in json.loads((folder / "provenance.json").read_text())["calls"]]
    profile = calls[0]["profile"]
    if any(call["profile"]["variants"] != profile["variants"] for call in calls):
        raise RecordError("expected runs of one profile, got several; publish them apart")
    check_threat_models(records, math.prod(calls[0]["image_shape"]))
    table = accuracy_table(records, CONFIDENCE)
    means = mean_over_pairs(table[table["pair"] != ALL_CLASSES])
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with finished_folder(RESULTS / name) as out:
        for file, content in (("pairs.csv", table.round(6)), ("means.csv", means.round(6)), ("training.csv", training)):
            write_csv(out / file, content)
        for file in TABLES:
            found = [folder / file for folder in folders if (folder / file).exists()]
            if found:
                (out / file).write_text(found[0].read_text())
        about = [{key: value for key, value in call.items() if key != "profile"} for call in calls]
        write_json(out / "provenance.json", {"published_at": commit, "calls": about, "profile": profile})
        epsilon = {norm: parse_epsilon(value) for norm, value in profile["epsilon"].items()}
        draw(out, means, history, calls[0]["dataset"], epsilon)
    return RESULTS / name


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    try:
        print(publish(sys.argv[1], [Path(folder) for folder in sys.argv[2:]]))
    except NnrobustError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main()

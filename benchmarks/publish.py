"""Turns folders that `gpu.py` left, added up, into a published run: `python benchmarks/publish.py NAME FOLDER [FOLDER ...]`.

results/NAME gets accuracies by pair and their means, how training went, the benchmarks, the figures of what is there, and
provenance. A pair trained in two folders is taken from the first.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from nnrobust import figures
from nnrobust.accuracy import accuracy_table, check_threat_models, mean_over_pairs
from nnrobust.errors import NnrobustError, RecordError
from nnrobust.outputs import finished_folder, write_csv, write_json
from nnrobust.records import read_records
from nnrobust.threat import parse_epsilon
from nnrobust.training_figure import training_figure, training_table

RESULTS = Path(__file__).parent.parent / "results"
CONFIDENCE = 0.95
KEY = ["classifier", "pair"]
TABLES = ("benchmark.csv", "precision.csv")


def added_up(folders: list[Path], name: str) -> pd.DataFrame:
    """A table of all folders, of each classifier and pair that a folder has finished (`training.csv`), from the first that has.

    Raises:
        RecordError: when a folder lacks it.
    """
    tables, seen = [], set()
    for folder in folders:
        finished = pd.read_csv(existing(folder / "training.csv"))
        mine = set(zip(finished["classifier"], finished["pair"], strict=True)) - seen
        if name.endswith(".parquet"):
            parts = sorted(folder.glob(name)) or [existing(folder / name)]
            table = pd.concat([read_records(path) for path in parts], ignore_index=True)
            table = table.astype(dict.fromkeys((*KEY, "split", "norm", "kind", "method"), str))
        else:
            table = pd.read_csv(existing(folder / name))
        is_mine = [key in mine for key in zip(table["classifier"], table["pair"], strict=True)]
        tables.append(table[is_mine])
        seen |= mine
    return pd.concat(tables, ignore_index=True)


def existing(path: Path) -> Path:
    if not path.exists():
        raise RecordError(f"{path}: expected a file that benchmarks/gpu.py leaves, found none; let it run for longer")
    return path


def calls_of(folders: list[Path]) -> list[dict[str, Any]]:
    """What each call noted, once: a resumed folder has its predecessors' notes.

    Raises:
        RecordError: when calls differ in what decides the numbers.
    """
    calls: list[dict[str, Any]] = []
    for folder in folders:
        calls += [
            one for one in json.loads(existing(folder / "provenance.json").read_text())["calls"] if one not in calls
        ]
    for key in ("profile", "n_attacked_per_class", "code", "archive_sha256", "torch", "device"):
        if any(call[key] != calls[0][key] for call in calls):
            raise RecordError(f"{folders[0]}: expected calls with one {key}, got several; publish them apart")
    return calls


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
        added_up(folders, file) for file in ("history.csv", "training.csv", "records_*.parquet")
    )
    calls = calls_of(folders)
    check_threat_models(records, math.prod(calls[0]["image_shape"]))
    table = accuracy_table(records, CONFIDENCE)
    means = mean_over_pairs(table)
    with finished_folder(RESULTS / name) as out:
        for file, content in (("pairs.csv", table.round(6)), ("means.csv", means.round(6)), ("training.csv", training)):
            write_csv(out / file, content)
        for file in TABLES:
            found = [folder / file for folder in folders if (folder / file).exists()]
            if found:
                (out / file).write_text(found[0].read_text())
        profile = calls[0]["profile"]
        about = [{key: value for key, value in call.items() if key != "profile"} for call in calls]
        write_json(out / "provenance.json", {"calls": about, "profile": profile})
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

"""The table of the pretrained models, with the classifiers that have proofs on the same images beside them."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from nnrobust.records import ALL_CLASSES, read_records
from nnrobust.tables.accuracy import TABLE_COLUMNS, accuracy_table, check_threat_models
from nnrobust.zoo.models import IMAGE_SHAPE, find

MISSING = "missing: not fetched, or not attacked with these settings"
COLUMNS = [
    *TABLE_COLUMNS, "status", "note", "architecture", "is_adversarially_trained", "trained_for", "has_extra_data",
    "published_clean_accuracy", "published_autoattack_accuracy",
]  # fmt: skip


def zoo_records(
    folder: Path, models: list[str], attacks: str, epsilon: Mapping[str, float], n: Mapping[str, int]
) -> dict[str, pd.DataFrame | None]:
    """The records of each model in `folder`; None where there are none, or only those of an earlier run of other settings.

    `attacks` are the attacks now, joined by ` + `; `epsilon` is by norm, `n` the number of images by split. A stage that failed
    leaves the records of its last success where they are.

    Raises:
        RecordError: as `check_threat_models`.
    """
    found: dict[str, pd.DataFrame | None] = {}
    for name in models:
        path = folder / f"{name}.parquet"
        records = read_records(path) if path.exists() else None
        if records is not None:
            check_threat_models(records, math.prod(IMAGE_SHAPE))
        found[name] = records if records is not None and _is_current(records, attacks, epsilon, n) else None
    return found


def _is_current(records: pd.DataFrame, attacks: str, epsilon: Mapping[str, float], n: Mapping[str, int]) -> bool:
    measured = records[records["status"] == "ok"]
    counts = records.astype({"norm": str, "split": str}).groupby(["norm", "epsilon", "split"]).size()
    expected = {(norm, size, split): count for norm, size in epsilon.items() for split, count in n.items()}
    return set(measured["attacks"].astype(str)) <= {attacks} and counts.to_dict() == expected


def zoo_table(models: Mapping[str, pd.DataFrame | None], proven: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """A row for each model, split, norm and set of attacks; one for each model that has no records or failed; and proven ones.

    `models` has the records of each, None where there are none; `proven` those of 1NN and of other classifiers with proofs, of
    which all classes and the images that a model was attacked on count. Published accuracies are RobustBench's, as fractions.
    """
    tables, there = [], [records for records in models.values() if records is not None]
    for name, records in models.items():
        table = (
            pd.DataFrame({"classifier": [name], "status": [MISSING]})
            if records is None
            else _of_one(name, records, confidence)
        )
        about = find(name)
        tables.append(
            table.assign(
                architecture=about.architecture,
                is_adversarially_trained=about.is_adversarially_trained,
                trained_for=about.epsilon,
                has_extra_data=about.has_extra_data,
                published_clean_accuracy=round(about.clean_accuracy / 100, 4),
                published_autoattack_accuracy=round(about.autoattack_accuracy / 100, 4),
            )
        )
    if there:
        images = pd.concat([records[["split", "index"]].astype({"split": str}) for records in there]).drop_duplicates()
        everything = proven[proven["pair"] == ALL_CLASSES].astype({"split": str, "classifier": str})
        for _, mine in everything.merge(images, on=["split", "index"]).groupby("classifier", sort=False):
            tables.append(accuracy_table(mine, confidence).assign(status="ok"))
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS) if tables else pd.DataFrame(columns=COLUMNS)


def _of_one(name: str, records: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The accuracies over the images that have a verdict, and a row for what kept the others from one."""
    notes = "; ".join(f"{note} ({n} records)" for note, n in records["note"].astype(str).value_counts().items() if note)
    tables = [accuracy_table(records, confidence).assign(status="ok", note=notes)]
    failed = records[records["status"] != "ok"]
    for (status, split, norm), part in failed.groupby(["status", "split", "norm"], observed=True):
        row = {"classifier": name, "status": status, "split": split, "norm": norm, "n": len(part)}
        tables.append(pd.DataFrame([row]))
    return pd.concat(tables, ignore_index=True)


def zoo_counts(table: pd.DataFrame) -> dict[str, object]:
    """How many models were asked for, and how many of them have a verdict on every image."""
    models = table[table["architecture"].notna()]
    is_whole = models.groupby("classifier")["status"].agg(lambda statuses: (statuses == "ok").all())
    return {"n_models": len(is_whole), "n_measured": int(is_whole.sum())}

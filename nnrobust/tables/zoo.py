"""The table of the pretrained models, with the classifiers that have proofs on the same images beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnrobust.config.checks import CLASSES
from nnrobust.errors import RecordError
from nnrobust.records import ALL_CLASSES, read_records
from nnrobust.tables.accuracy import TABLE_COLUMNS, accuracy_table, check_threat_models
from nnrobust.zoo.models import IMAGE_SHAPE, find, newer, roster

MISSING = "missing: not fetched, or not attacked with these settings"
ABOUT = [
    "architecture", "is_adversarially_trained", "trained_for", "has_extra_data", "published_clean_accuracy",
    "published_autoattack_accuracy", "published",
]  # fmt: skip
COLUMNS = [*TABLE_COLUMNS, "status", "note", *ABOUT]
N_PUBLISHED = 10_000
"""Images that RobustBench's numbers are of: CIFAR-10's official test images."""
PUBLISHED_EPSILON = 8 / 255
"""The Linf epsilon that they are of."""
PUBLISHED = [
    "classifier", "architecture", "has_extra_data", "trained_for", "n", "n_correct", "n_robust", "clean_accuracy",
    "robust_accuracy",
]  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What records are of that were made with these params: attacks joined by ` + `, epsilon by norm, images by split.

    `n` counts all images, on pairs those of a class; None: all that there are, which is not checked.
    """

    attacks: str
    epsilon: Mapping[str, float]
    n: Mapping[str, int | None]
    n_dimensions: int = math.prod(IMAGE_SHAPE)


def zoo_records(
    folder: Path, models: Sequence[str], expected: Expected, is_of_pairs: bool = False
) -> dict[str, pd.DataFrame | None]:
    """The records of each model in `folder`, on all classes or on pairs; None where there are none of these settings.

    A stage that failed leaves the records of its last success where they are.

    Raises:
        RecordError: as `check_threat_models`.
    """
    found: dict[str, pd.DataFrame | None] = {}
    for name in models:
        path = folder / f"{name}.parquet"
        records = read_records(path) if path.exists() else None
        if records is not None:
            check_threat_models(records, expected.n_dimensions)
            records = records[(records["pair"] != ALL_CLASSES) == is_of_pairs]
        is_current = records is not None and (_are_of_pairs if is_of_pairs else _are_current)(records, expected)
        found[name] = records if is_current else None
    return found


def certified_records(path: Path, attacked: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The certified records of a network in the file at `path`, a record for each of its attacked ones.

    Raises:
        RecordError: when they are of other images or epsilons than those, or say that an image is robust which fell.
    """
    key = ["split", "pair", "norm", "epsilon", "index"]
    as_text = dict.fromkeys(key[:3], str)
    proven = read_records(path)
    if not attacked:
        return proven[:0]
    mine = pd.concat(attacked, ignore_index=True)[[*key, "is_robust"]].astype(as_text)
    both = mine.merge(proven.astype(as_text), on=key, how="left", suffixes=("_under_attack", ""))
    if both["is_robust"].isna().any():
        raise RecordError(f"{path}: expected one for each of {len(mine)} attacked records, of the same images and epsilons, got "
                          f"{int(both['is_robust'].notna().sum())}; run `dvc repro`")  # fmt: skip
    is_proven = both["is_robust"].astype(bool)
    fell = both[is_proven & ~both["is_robust_under_attack"]]
    if len(fell):
        raise RecordError(
            f"{path}: {len(fell)} images are proven robust and yet fell; the first: {fell.iloc[0].to_dict()}"
        )
    return both[proven.columns].assign(is_robust=is_proven)


def _are_current(records: pd.DataFrame, expected: Expected) -> bool:
    measured = records[records["status"] == "ok"]
    counts = records.astype({"norm": str, "split": str}).groupby(["norm", "epsilon", "split"]).size()
    wanted = {(norm, size, split): n for norm, size in expected.epsilon.items() for split, n in expected.n.items()}
    return set(measured["attacks"].astype(str)) <= {expected.attacks} and counts.to_dict() == wanted


def _are_of_pairs(records: pd.DataFrame, expected: Expected) -> bool:
    """Whether all have the attacks and epsilons; and, of a number of images, every pair as many, where it has them."""
    key = ["norm", "epsilon", "split"]
    counts = records.astype(dict.fromkeys((*key[::2], "pair"), str)).groupby([*key, "pair"]).size()
    most = counts.groupby(level=key).max()
    wanted = {(norm, size, split): n for norm, size in expected.epsilon.items() for split, n in expected.n.items()}
    attacks = set(records.loc[records["status"] == "ok", "attacks"].astype(str))
    return (
        attacks <= {expected.attacks}
        and set(most.index) == set(wanted)
        and all(n is None or most[place] <= 2 * n for place, n in wanted.items())
    )


def about_zoo(names: Sequence[str]) -> dict[str, dict[str, object]]:
    """What RobustBench says of models: columns `ABOUT`, accuracies as fractions."""
    return {
        name: {
            "architecture": model.architecture,
            "is_adversarially_trained": model.is_adversarially_trained,
            "trained_for": model.epsilon,
            "has_extra_data": model.has_extra_data,
            "published_clean_accuracy": round(model.clean_accuracy / 100, 4),
            "published_autoattack_accuracy": round(model.autoattack_accuracy / 100, 4),
        }
        for name, model in ((name, find(name)) for name in names)
    }


def about_networks(blocks: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """The same of networks of `models`, out of their blocks."""
    return {
        name: {
            "architecture": block["architecture"],
            "trained_for": block["trained_for"],
            "published_clean_accuracy": block["clean_accuracy"],
            "published": block["published"],
        }
        for name, block in blocks.items()
    }


def zoo_table(
    models: Mapping[str, pd.DataFrame | None],
    proven: pd.DataFrame,
    confidence: float,
    about: Mapping[str, Mapping[str, object]],
) -> pd.DataFrame:
    """A row for each model, split, norm and set of attacks; one for each model that has no records or failed; and proven ones.

    `models` has the records of each, None where there are none; `proven` those of 1NN and of other classifiers with proofs, of
    which all classes and the images that a model was attacked on count; `about` the columns `ABOUT` of each model.
    """
    tables, there = [], [records for records in models.values() if records is not None]
    for name, records in models.items():
        table = (
            pd.DataFrame({"classifier": [name], "status": [MISSING]})
            if records is None
            else _of_one(name, records, confidence)
        )
        tables.append(table.assign(**about[name]))
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


def published_table(image_shape: tuple[int, ...], classes: Sequence[str], epsilon: float) -> pd.DataFrame:
    """RobustBench's accuracies, by AutoAttack on the official test images: a row of `PUBLISHED` for each of 76 models.

    No rows where a run's images or classes are not CIFAR-10's, by shape and name, or its Linf `epsilon` is another.
    """
    if (
        image_shape != IMAGE_SHAPE
        or sorted(classes) != sorted(CLASSES["cifar10"])
        or abs(epsilon - PUBLISHED_EPSILON) > 1e-9
    ):
        return pd.DataFrame(columns=PUBLISHED)
    rows = []
    for name, model in (roster() | newer()).items():
        n_correct, n_robust = (
            round(value / 100 * N_PUBLISHED) for value in (model.clean_accuracy, model.autoattack_accuracy)
        )
        rows.append((name, model.architecture, model.has_extra_data, model.epsilon, N_PUBLISHED, n_correct, n_robust,
                     n_correct / N_PUBLISHED, n_robust / N_PUBLISHED))  # fmt: skip
    return pd.DataFrame(rows, columns=PUBLISHED)

"""Accuracies with and without the test images that have a near-duplicate among the training images."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from nnrobust.records import ALL_CLASSES
from nnrobust.tables.comparison import headline
from nnrobust.tables.leaderboard import ON_ALL, ON_PAIRS

ACCURACIES = ("clean_accuracy", "clean_accuracy_without", "robust_accuracy", "robust_accuracy_without")
COLUMNS = ["classifier", "problem", "norm", "kind", "method", "n_pairs", "n", "n_without", *ACCURACIES]


class Change(NamedTuple):
    """The change of an accuracy, in [-1, 1]: of a classifier on pairs or all classes; `measure` is clean or the norm."""

    classifier: str
    problem: str
    measure: str
    value: float


def near_duplicates(nearest: pd.DataFrame, threshold: float) -> np.ndarray:
    """Which test images differ from the nearest training image by less than `threshold` of their own standard deviation.

    `nearest` as `nearest.duplicates.nearest_training_images` gives it; 0 finds none.
    """
    return nearest.loc[nearest["relative_difference"] < threshold, "index"].to_numpy()


def without_them(records: pd.DataFrame, duplicates: np.ndarray) -> pd.DataFrame:
    """The records of test images that are none of `duplicates`."""
    return records[(records["split"] == "test") & ~records["index"].isin(duplicates)]


def duplicates_table(table: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """One row for each classifier, norm and problem (pairs: means over them; all classes): columns `COLUMNS`.

    From the accuracy tables of all records and of those `without_them`; on test images, of the proofs and attacks that figures
    have. `n` and `n_without` count images, of each pair anew; `n_pairs` is 0 for all classes. A pair that has no images left, or
    whose verdicts are proven by another method without the duplicates, is in neither column.
    """
    key = ["classifier", "pair", "norm", "kind", "method"]
    counted = ["n", "clean_accuracy", "robust_accuracy"]
    mine = headline(table[table["split"] == "test"])
    both = mine[key + counted].merge(kept[key + counted], on=key, suffixes=("", "_without"))
    both["is_pair"] = both["pair"] != ALL_CLASSES
    both["problem"] = np.where(both["is_pair"], ON_PAIRS, ON_ALL)
    return both.groupby(COLUMNS[:5], sort=False, as_index=False).agg(
        n_pairs=("is_pair", "sum"),
        n=("n", "sum"),
        n_without=("n_without", "sum"),
        **{name: (name, "mean") for name in ACCURACIES},
    )[COLUMNS]


def largest_change(table: pd.DataFrame) -> Change | None:
    """The accuracy of a `duplicates_table` that changes most without the duplicates, the first of several; None for no table."""
    if table.empty:
        return None
    changes = pd.DataFrame(
        {name: table[f"{name}_accuracy_without"] - table[f"{name}_accuracy"] for name in ("clean", "robust")}
    ).stack()
    row, kind = changes.abs().idxmax()
    about = table.loc[row]
    measure = "clean" if kind == "clean" else str(about["norm"])
    return Change(str(about["classifier"]), str(about["problem"]), measure, float(changes[row, kind]))


def duplicate_counts(
    nearest: pd.DataFrame, duplicates: np.ndarray, table: pd.DataFrame, n_decimals: int
) -> dict[str, object]:
    """For the summary: test images, those with a near-duplicate, and the largest change of an accuracy without them."""
    largest = largest_change(table)
    change = 0.0 if largest is None else round(largest.value, n_decimals)
    return {"n_test_images": len(nearest), "n_near_duplicates": len(duplicates), "largest_change": change}

"""What training, search and attacks left beside the records of images, joined over the variants."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnrobust.records import TRAINED_SLOWER, UNTRAINED

STRENGTH = ["norm", "epsilon", "attack", "steps", "restarts", "n", "robust_accuracy", "classifier"]
TRIALS = ["pair", "state", "robust_accuracy"]


@dataclass(frozen=True)
class Details:
    """How the training of each variant's pairs ended, by variant; means by epoch; attacks alone; every trial of the search.

    The trials are without the seconds they took, so that equal searches are equal tables. Without variants the tables are empty.
    """

    outcomes: dict[str, pd.DataFrame]
    training: pd.DataFrame
    strength: pd.DataFrame
    trials: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, variants: list[str]) -> "Details":
        """From a folder of records."""

        def of_each(name: str) -> dict[str, pd.DataFrame]:
            return {variant: pd.read_csv(folder / name / f"{variant}.csv") for variant in variants}

        if not variants:
            return cls({}, training_table({}), pd.DataFrame(columns=STRENGTH), pd.DataFrame(columns=TRIALS))
        strength = pd.concat(of_each("strength").values(), ignore_index=True)
        trials = pd.read_csv(folder / "search_trials.csv").drop(columns="seconds")
        return cls(of_each("training"), training_table(of_each("history")), strength, trials)


def training_table(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Means over pairs by variant and epoch: columns variant, epoch, n_pairs, loss, clean_accuracy, robust_accuracy."""
    quantities = ("loss", "clean_accuracy", "robust_accuracy")
    tables = [pd.DataFrame(columns=["variant", "epoch", "n_pairs", *quantities])]
    for variant, table in histories.items():
        means = table.groupby("epoch", as_index=False).agg(
            n_pairs=("pair", "size"), **{name: (name, "mean") for name in quantities}
        )
        tables.append(means.assign(variant=variant)[tables[0].columns])
    return (pd.concat(tables[1:], ignore_index=True) if histories else tables[0]).round(6)


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many pairs have a network, how many of those only at half the learning rate, and how many have none."""
    status = table["status"]
    return {
        "n_pairs": int((status != UNTRAINED).sum()),
        "n_pairs_retried": int((status == TRAINED_SLOWER).sum()),
        "n_pairs_failed": int((status == UNTRAINED).sum()),
    }

"""What training, search and attacks left beside the records of images, joined over the variants."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnrobust.training.outcomes import training_table

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

"""What a run of the workflow left: for its figures and report, and what training, search and attacks left beside the records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.params import Params
from nnrobust.examples import Examples, load_each
from nnrobust.records import ALL_CLASSES, TRAINED_SLOWER, UNTRAINED, name_on_pairs
from nnrobust.runtime.seals import load_arrays, unbroken
from nnrobust.tables.comparison import scores

TABLES = (
    "pairs", "means", "unions", "curves", "zoo", "training", "strength", "growth", "plane", "changes", "paired", "seeds", "fits",
    "published", "leaderboard", "duplicates",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a run has to show.

    `classifiers` are all that have records, `simple` those of them with exact robustness beside 1NN, `imported` networks
    that were measured elsewhere; `pretrained` are networks of others that were measured on pairs, under the names of those
    records.
    `tables` by the names of `metrics/`, and `class_distances`; `examples` by classifier, in the order of params;
    `regions` of the 2-D problem. `searched` is the variant that figure 6 sets against 1NN; `epsilon` is by norm.
    """

    dataset: str
    classes: list[str]
    n_dimensions: int
    classifiers: list[str]
    simple: list[str]
    imported: list[str]
    pretrained: list[str]
    searched: str | None
    epsilon: dict[str, float]
    confidence: float
    plane_seed: int
    scores: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    examples: Mapping[str, Examples]
    regions: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, params: Params, prepared: Path, metrics: Path, examples: Path, regions: Path) -> "Run":
        """From the folders of the prepared data, the metrics and the examples, and the file of the regions.

        Raises:
            DataError: when prepared data, examples or regions are missing, or other than were written.
        """
        unbroken(prepared, "run `dvc repro prepare`")
        about = json.loads((prepared / "dataset.json").read_text(encoding="utf-8"))
        tables = {name: pd.read_csv(metrics / f"{name}.csv") for name in TABLES}
        return cls(
            dataset=about["name"],
            classes=about["classes"],
            n_dimensions=int(np.prod(about["image_shape"])),
            classifiers=params.measured,
            simple=list(params.classifiers),
            imported=list(params.imported),
            pretrained=[
                one for one in map(name_on_pairs, params.pretrained) if one in set(tables["pairs"]["classifier"])
            ],
            searched=params.searched,
            epsilon=params.epsilon.model_dump(),
            confidence=params.claims.confidence,
            plane_seed=params.plane.seed,
            scores=scores(tables["pairs"], tables["unions"]),
            tables=tables | {"class_distances": pd.read_csv(prepared / "class_distances.csv")},
            examples=load_each(examples, params.examples.classifiers),
            regions=load_arrays(regions, "run `dvc repro plane`"),
        )


STRENGTH = ["norm", "epsilon", "attack", "steps", "restarts", "n", "robust_accuracy", "classifier"]
TRIALS = ["pair", "state", "robust_accuracy"]
FITS = ["classifier", "pair", "gap", "tolerance", "is_converged", "n_iterations", "n_prototypes", "n_records", "n_open"]


@dataclass(frozen=True)
class Details:
    """How the training of each variant's pairs ended, by variant; means by epoch; attacks alone; every trial of the search.

    Without variants the tables are empty.
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
        trials = pd.read_csv(folder / "search_trials.csv")
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


def fits_table(folder: Path, names: list[str]) -> pd.DataFrame:
    """How near its optimum each fit of the simple classifiers came, out of a folder of records: columns `FITS`."""
    tables = [pd.read_csv(folder / "fits" / f"{name}.csv") for name in names]
    return pd.concat(tables, ignore_index=True)[FITS] if tables else pd.DataFrame(columns=FITS)


def fit_counts(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By classifier: its fits, how many of them have converged, the largest gap, and its records without an exact verdict."""
    return {
        str(name): {
            "n_fits": len(mine),
            "n_fits_converged": int(mine["is_converged"].sum()),
            "largest_gap": float(mine["gap"].max()),
            "n_open_records": int(mine["n_open"].sum()),
        }
        for name, mine in table.groupby("classifier", sort=False)
    }


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many pairs have a network, how many of those only at half the learning rate, and how many have none."""
    status = table.loc[table["pair"] != ALL_CLASSES, "status"]
    return {
        "n_pairs": int((status != UNTRAINED).sum()),
        "n_pairs_retried": int((status == TRAINED_SLOWER).sum()),
        "n_pairs_failed": int((status == UNTRAINED).sum()),
    }

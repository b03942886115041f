"""Checks the records against each other, and turns them into accuracies."""

from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.config.params import Params, read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.records import ALL_CLASSES, read_records
from nnrobust.runtime.outputs import write_csv, write_json
from nnrobust.runtime.process import run_stage
from nnrobust.tables.accuracy import (
    accuracy_table,
    check_certificates,
    check_threat_models,
    epsilon_curves,
    mean_over_pairs,
    summary,
    union_table,
)
from nnrobust.tables.comparison import common_scores
from nnrobust.tables.duplicates import duplicate_counts, duplicates_table, near_duplicates, without_them
from nnrobust.tables.leaderboard import leaderboard
from nnrobust.tables.runs import Details, counts, fit_counts, fits_table
from nnrobust.tables.zoo import (
    Expected,
    about_networks,
    about_zoo,
    published_table,
    zoo_counts,
    zoo_records,
    zoo_table,
)

RECORDS, METRICS, COMMON = Path("data/records"), Path("metrics"), Path("data/common.csv")
NO_CURVES = pd.DataFrame()
"""Of networks of others, whose lines would hide the ones that are compared."""
Found = dict[str, pd.DataFrame | None]


def pretrained_records(params: Params, n_dimensions: int) -> tuple[Found, Found]:
    """The records of each network of others on all classes, and on pairs; None where there are none of these settings."""
    zoo, pairs, epsilon = params.zoo, params.attack, params.epsilon.model_dump()
    on_all = Expected(
        " + ".join(one.name for one in zoo.attacks), epsilon, {"train": zoo.n_train, "test": zoo.n_test}, n_dimensions
    )
    on_pairs = Expected(
        " + ".join(one.name for one in pairs.attacks), epsilon,
        {"train": pairs.n_train_per_class, "test": pairs.n_test_per_class}, n_dimensions,
    )  # fmt: skip
    found: tuple[Found, Found] = ({}, {})
    for folder, names in (("models", params.models), ("zoo", params.zoo.models)):
        for into, expected, without in ((found[0], on_all, "pairs"), (found[1], on_pairs, "all_classes")):
            for name in (name for name in names if params.pretrained[name] != without):
                place = RECORDS / ("bounds" if name in params.bounds.models else folder)
                into.update(zoo_records(place, [name], expected, is_of_pairs=expected is on_pairs))
    return found


def accuracies(
    records: pd.DataFrame, confidence: float, duplicates: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The accuracies of one classifier, those in all norms at once, and those without near-duplicates of training images."""
    kept = accuracy_table(without_them(records, duplicates), confidence)
    return accuracy_table(records, confidence), union_table(records, confidence), kept


def main() -> None:
    params, dataset = read_params("params.yaml"), load_dataset("data/prepared").dataset
    confidence, parts, whole, measured = params.summary.confidence, [], [], []
    nearest = pd.read_csv(RECORDS / "nearest_training.csv")
    duplicates = near_duplicates(nearest, params.duplicates.threshold)
    for name in params.measured:
        records = read_records((RECORDS / "bounds" if name in params.bounds.variants else RECORDS) / f"{name}.parquet")
        if name not in params.variants:
            whole.append(records[records["pair"] == ALL_CLASSES])
        measured.append(records)
        check_threat_models(records, dataset.n_dimensions)
        check_certificates(records)
        curves = epsilon_curves(records, "test", params.curves.n_points, params.curves.end)
        parts.append((*accuracies(records, confidence, duplicates), curves))
    pretrained, on_pairs = pretrained_records(params, dataset.n_dimensions)
    for found in (*pretrained.values(), *on_pairs.values()):
        if found is not None:
            parts.append((*accuracies(found, confidence, duplicates), NO_CURVES))
    measured += [found for found in on_pairs.values() if found is not None]
    table, unions, kept, curves = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    about = about_zoo(params.zoo.models) | about_networks({k: v.model_dump() for k, v in params.models.items()})
    zoo = zoo_table(pretrained, pd.concat(whole, ignore_index=True), confidence, about)
    published = published_table(dataset.image_shape, dataset.classes, params.epsilon.Linf)
    fits = fits_table(RECORDS, list(params.classifiers))
    details = Details.read(RECORDS, list(params.variants))
    tables = {"pairs": table, "means": mean_over_pairs(table), "unions": unions, "curves": curves, "zoo": zoo}
    tables |= {"training": details.training, "strength": details.strength, "fits": fits}
    tables |= {"published": published, "leaderboard": leaderboard(table, unions, published)}
    tables["duplicates"] = duplicates_table(table, kept)
    for name, content in tables.items():
        write_csv(METRICS / f"{name}.csv", content.round(6))
    write_csv(METRICS / "search_trials.csv", details.trials)
    write_csv(COMMON, common_scores(measured, confidence))
    content = summary(table, params.summary.n_decimals)
    for name, ends in fit_counts(fits).items():
        content.setdefault(name, {}).update(ends)
    for name, outcomes in details.outcomes.items():
        content.setdefault(name, {}).update(counts(outcomes))
    if params.pretrained:
        content["zoo"] = zoo_counts(zoo)
    content["near_duplicates"] = duplicate_counts(nearest, duplicates, tables["duplicates"], params.summary.n_decimals)
    write_json(METRICS / "summary.json", content)


if __name__ == "__main__":
    run_stage(main)

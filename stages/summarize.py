"""Checks the records against each other, and turns them into accuracies."""

from pathlib import Path

import pandas as pd

from nnrobust.config.params import read_params
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
from nnrobust.tables.runs import Details, counts, fit_counts, fits_table
from nnrobust.tables.zoo import zoo_counts, zoo_records, zoo_table

RECORDS, METRICS = Path("data/records"), Path("metrics")


def main() -> None:
    params, dataset = read_params("params.yaml"), load_dataset("data/prepared").dataset
    confidence, parts, whole = params.summary.confidence, [], []
    for name in params.measured:
        records = read_records(RECORDS / f"{name}.parquet")
        if name not in params.variants:
            whole.append(records[records["pair"] == ALL_CLASSES])
        check_threat_models(records, dataset.n_dimensions)
        check_certificates(records)
        curves = epsilon_curves(records, "test", params.curves.n_points, params.curves.end)
        parts.append((accuracy_table(records, confidence), union_table(records, confidence), curves))
    table, unions, curves = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    pretrained = zoo_records(
        RECORDS / "zoo", params.zoo.models, " + ".join(attack.name for attack in params.zoo.attacks),
        params.epsilon.model_dump(), {"train": params.zoo.n_train, "test": params.zoo.n_test},
    )  # fmt: skip
    zoo = zoo_table(pretrained, pd.concat(whole, ignore_index=True), confidence)
    fits = fits_table(RECORDS, list(params.classifiers))
    details = Details.read(RECORDS, list(params.variants))
    tables = {"pairs": table, "means": mean_over_pairs(table), "unions": unions, "curves": curves, "zoo": zoo}
    tables |= {"training": details.training, "strength": details.strength, "fits": fits}
    for name, content in tables.items():
        write_csv(METRICS / f"{name}.csv", content.round(6))
    write_csv(METRICS / "search_trials.csv", details.trials)
    content = summary(table, params.summary.n_decimals)
    for name, ends in fit_counts(fits).items():
        content.setdefault(name, {}).update(ends)
    for name, outcomes in details.outcomes.items():
        content.setdefault(name, {}).update(counts(outcomes))
    if params.zoo.models:
        content["zoo"] = zoo_counts(zoo)
    write_json(METRICS / "summary.json", content)


if __name__ == "__main__":
    run_stage(main)

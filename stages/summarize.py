"""Checks the records against each other, and turns them into accuracies."""

from pathlib import Path

import pandas as pd

from nnrobust.accuracy import (
    accuracy_table,
    check_certificates,
    check_threat_models,
    mean_over_pairs,
    summary,
)
from nnrobust.curves import epsilon_curves
from nnrobust.datasets import load_dataset
from nnrobust.outcomes import counts
from nnrobust.outputs import write_csv, write_json
from nnrobust.params import read_params
from nnrobust.process import run_stage
from nnrobust.records import read_records
from nnrobust.zoo_results import zoo_counts, zoo_records, zoo_table

INPUT = Path("data/prepared")
RECORDS = Path("data/records")
METRICS = Path("metrics")


def main() -> None:
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    tables, curves = [], pd.DataFrame()
    for name in params.classifiers:
        records = read_records(RECORDS / f"{name}.parquet")
        check_threat_models(records, prepared.dataset.n_dimensions)
        check_certificates(records)
        tables.append(accuracy_table(records, params.summary.confidence))
        if name == "1NN":
            curves = epsilon_curves(records, "test", params.curves.n_points, params.curves.end)
    table = pd.concat(tables, ignore_index=True)
    pretrained = zoo_records(
        RECORDS / "zoo", params.zoo.models, " + ".join(one.name for one in params.zoo.attacks),
        params.epsilon.model_dump(), {"train": params.zoo.n_train, "test": params.zoo.n_test},
    )  # fmt: skip
    zoo = zoo_table(pretrained, read_records(RECORDS / "1NN.parquet"), params.summary.confidence)
    for path, content in (
        ("pairs.csv", table.round(6)),
        ("means.csv", mean_over_pairs(table).round(6)),
        ("curves.csv", curves.round(6)),
        ("zoo.csv", zoo.round(6)),
    ):
        write_csv(METRICS / path, content)
    content = summary(table, params.summary.n_decimals)
    for name in params.variants:
        content.setdefault(name, {}).update(counts(pd.read_csv(RECORDS / "training" / f"{name}.csv")))
    if params.zoo.models:
        content["zoo"] = zoo_counts(zoo)
    write_json(METRICS / "summary.json", content)


if __name__ == "__main__":
    run_stage(main)

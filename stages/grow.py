"""Measures 1NN and other simple classifiers on ever larger parts of the training images."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from nnrobust.config.params import read_params
from nnrobust.data.datasets import first_per_class, load_dataset
from nnrobust.experiments.growth import Growth, growth_table
from nnrobust.nearest.screening import Effort
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.progress import shown

INPUT = Path("data/prepared")
OUTPUT = Path("metrics/growth.csv")
COLUMNS = [
    "classifier", "norm", "kind", "method", "n_pairs", "clean_accuracy", "clean_error", "robust_accuracy", "robust_error",
    "fraction", "n_train_per_class", "seed",
]  # fmt: skip


def main() -> None:
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    dataset, growth = prepared.dataset, params.growth
    chosen = first_per_class(dataset.test.labels, growth.n_test_per_class)
    prepared = replace(prepared, dataset=replace(dataset, test=dataset.test.take(chosen)))
    effort = Effort(params.certify.n_own, params.certify.n_screened, params.compute.block_size)
    threats = params.epsilon.threat_models()
    simple = {name: params.classifiers[name] for name in growth.classifiers}
    table = pd.DataFrame(columns=COLUMNS)
    if growth.seeds:
        table = growth_table(prepared, threats, Growth(growth.halvings, growth.seeds, effort, simple), shown)[COLUMNS]
    write_csv(OUTPUT, table.round(6))


if __name__ == "__main__":
    run_stage(main)

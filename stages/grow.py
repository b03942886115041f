"""Measures 1NN and other simple classifiers on ever larger parts of the training images."""

from pathlib import Path

import pandas as pd
import torch

from nnrobust.config.params import read_params
from nnrobust.experiments.growth import Growth, growth_table
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.cluster import engine_of
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
    params = read_params("params.yaml")
    asked, threats = params.growth, params.epsilon.threat_models()
    effort = Effort(params.certify.n_own, params.certify.n_screened, params.compute.block_size)
    simple = {name: params.classifiers[name] for name in asked.classifiers}
    growth = Growth(asked.halvings, asked.seeds, effort, simple, asked.n_test_per_class)
    table = pd.DataFrame(columns=COLUMNS)
    if growth.seeds:
        engine = engine_of(params.compute, torch.device("cpu"))
        table = growth_table(INPUT.resolve(), threats, growth, engine, shown)[COLUMNS]
    write_csv(OUTPUT, table.round(6))


if __name__ == "__main__":
    run_stage(main)

"""Draws the figures and the table, and writes the page that `dvc plots show` fills."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nnrobust import curve_figures, figures, strength_figure, training_figure
from nnrobust.datasets import load_dataset
from nnrobust.outputs import finished_file, write_csv
from nnrobust.page import plots_page
from nnrobust.params import Params, read_params
from nnrobust.process import run_stage

INPUT = Path("data/prepared")
METRICS = Path("metrics")
OUTPUT = Path("plots")


def draw(params: Params, dataset: str) -> Iterator[tuple[str, pd.DataFrame, Figure]]:
    """Name, data and figure, one after the other."""
    means = pd.read_csv(METRICS / "means.csv")
    epsilon = {threat.norm: threat.epsilon for threat in params.epsilon.threat_models()}
    for name, split in (("figure_4", "train"), ("figure_5", "test")):
        table = figures.bars_table(means, split, params.classifiers)
        yield name, table, figures.bars(table, split, dataset, epsilon)
    table = figures.pairs_table(pd.read_csv(METRICS / "pairs.csv"), "1NN", params.search.variant)
    yield "figure_6", table, figures.scatter(table, "1NN", params.search.variant, dataset)
    table = pd.read_csv(METRICS / "curves.csv")
    yield "curve_epsilon", table, curve_figures.epsilon_figure(table, "pairs", dataset, epsilon)
    table = pd.read_csv(METRICS / "growth.csv")
    yield "curve_growth", table, curve_figures.growth_figure(table, dataset, epsilon)
    histories = {name: pd.read_csv(METRICS / "history" / f"{name}.csv") for name in params.variants}
    if histories:
        table = training_figure.training_table(histories)
        yield "training", table, training_figure.training_figure(table, dataset)
        table = pd.concat([pd.read_csv(METRICS / "strength" / f"{name}.csv") for name in params.variants])
        yield "attack_strength", table, strength_figure.strength_figure(table, dataset)
    timings = {name: json.loads((METRICS / "timings" / f"{name}.json").read_text()) for name in params.classifiers}
    table = figures.times_table(timings)
    yield "table_1", table, figures.times(table)


def main() -> None:
    params = read_params("params.yaml")
    with figures.style():
        for name, table, figure in draw(params, load_dataset(INPUT).dataset.name):
            figures.save(figure, OUTPUT / name, params.plot.dots_per_inch)
            write_csv(OUTPUT / f"{name}.csv", table)
    with finished_file(OUTPUT / "page.html") as temporary:
        temporary.write_text(plots_page(), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)

"""Curves of robust accuracy: against epsilon, 1NN by each proof and every classifier; against the number of training images."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.figures.accuracies import SYMBOLS

STYLES = {
    "exact": ("exact", "-", 0),
    "exact in box": ("exact, images in [0, 1]", (0, (1, 1)), 0),
    "bisector": ("certified by bisectors", "--", 1),
    "half gap": ("certified by the half gap", "-.", 2),
}
"""Label, line style and color of each method, strongest first."""
LINES = ("--", "-.", ":", (0, (9, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Line styles of networks, beside their colors."""


def certificates_figure(table: pd.DataFrame, problem: str, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Robust accuracy of 1NN against epsilon, one panel a norm, one line a method; dotted upright: the epsilon of the records."""
    figure = Figure(figsize=(7.2, 3.6))
    mine = table[(table["classifier"] == "1NN") & (table["problem"] == problem)]
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), epsilon, strict=True):
        part = mine[mine["norm"] == norm]
        for method, (label, line, color) in STYLES.items():
            _curve(axes, part[part["method"] == method], label, line, sns.color_palette("colorblind")[color])
        _epsilon_axis(axes, norm, epsilon[norm], part["epsilon"].max())
    _finish(figure, "robust accuracy (%)")
    n = int(mine["n_problems"].iloc[0])
    over = f"mean over {n} pairs ± standard error" if problem == "pairs" else "all classes at once"
    figure.suptitle(f"1NN on {dataset}, test images: {over}", fontsize=10)
    return figure


def epsilon_figure(table: pd.DataFrame, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Robust accuracy of every classifier against epsilon, mean over pairs: 1NN exact, networks by attack (an upper bound)."""
    figure = Figure(figsize=(7.2, 4.0))
    mine = table[(table["problem"] == "pairs") & ((table["kind"] == "attacked") | (table["method"] == "exact"))]
    names = list(dict.fromkeys(mine["classifier"]))
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), epsilon, strict=True):
        part = mine[mine["norm"] == norm]
        for i, name in enumerate(names):
            one = part[part["classifier"] == name]
            label = f"{name} ({one['kind'].iloc[0]})"
            color = "black" if name == "1NN" else sns.color_palette("colorblind")[(i - 1) % 10]
            _curve(axes, one, label, "-" if name == "1NN" else LINES[(i - 1) % len(LINES)], color)
        _epsilon_axis(axes, norm, epsilon[norm], part["epsilon"].max())
    _finish(figure, "robust accuracy (%)")
    n = int(mine["n_problems"].min())
    figure.suptitle(f"{dataset}, test images: mean over {n} pairs ± standard error", fontsize=10)
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, label: str, line: object, color: object) -> None:
    axes.plot(rows["epsilon"], rows["accuracy"], linestyle=line, color=color, linewidth=1.4, label=label)
    low, high = rows["accuracy"] - rows["error"], rows["accuracy"] + rows["error"]
    axes.fill_between(rows["epsilon"], low, high, alpha=0.15, color=color, linewidth=0)


def _epsilon_axis(axes: Axes, norm: str, epsilon: float, end: float) -> None:
    axes.axvline(epsilon, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel=f"epsilon, {SYMBOLS[norm]}, in pixel units", xlim=(0, end), ylim=(0, 102))


def growth_figure(table: pd.DataFrame, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Accuracy of 1NN against the training images of a class: clean, and robust by each method; bars: range of seeds."""
    figure = Figure(figsize=(7.2, 3.6))
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), epsilon, strict=True):
        part = table[table["norm"] == norm]
        first = part[part["method"] == part["method"].iloc[0]]
        _line(axes, first, "clean_accuracy", "clean", "-", "black")
        for method, (label, line, color) in STYLES.items():
            one = part[part["method"] == method]
            if len(one):
                _line(axes, one, "robust_accuracy", label, line, sns.color_palette("colorblind")[color])
        axes.set_xscale("log", base=2)
        ticks = sorted(set(part["n_train_per_class"]))
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="training images of a class", ylim=(0, 102))
        axes.set_title(f"{SYMBOLS[norm]}, epsilon = {epsilon[norm]:.4g}", fontsize=9)
    _finish(figure, "accuracy (%)")
    figure.suptitle(f"1NN on {dataset}, test images: mean over {int(table['n_pairs'].iloc[0])} pairs", fontsize=10)
    return figure


def _line(axes: Axes, rows: pd.DataFrame, column: str, label: str, line: object, color: object) -> None:
    grouped = 100 * rows.groupby("n_train_per_class")[column].agg(["mean", "min", "max"])
    spread = np.stack([grouped["mean"] - grouped["min"], grouped["max"] - grouped["mean"]])
    axes.errorbar(grouped.index, grouped["mean"], yerr=spread, label=label, linestyle=line, color=color, linewidth=1.4,
                  marker="o", markersize=3, elinewidth=0.8)  # fmt: skip


def _finish(figure: Figure, quantity: str) -> None:
    figure.axes[0].set_ylabel(quantity)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)

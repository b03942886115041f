"""Curves: robust accuracy against epsilon and against the number of training images, training by epoch, attack strength."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.figures.style import MARKERS, SYMBOLS

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
    """Robust accuracy of every classifier against epsilon, mean over pairs: exact ones, and networks by attack (an upper bound).

    Lines of exact numbers are solid, 1NN's black and the others' with filled markers.
    """
    figure = Figure(figsize=(7.2, 4.0))
    mine = table[(table["problem"] == "pairs") & ((table["kind"] == "attacked") | (table["method"] == "exact"))]
    names = list(dict.fromkeys(mine["classifier"]))
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), epsilon, strict=True):
        part = mine[mine["norm"] == norm]
        for i, name in enumerate(names):
            one = part[part["classifier"] == name]
            kind = one["kind"].iloc[0]
            color = "black" if name == "1NN" else sns.color_palette("colorblind")[(i - 1) % 10]
            line = LINES[(i - 1) % len(LINES)] if kind == "attacked" else "-"
            marker = MARKERS[i % len(MARKERS)] if kind != "attacked" and name != "1NN" else ""
            _curve(axes, one, f"{name} ({kind})", line, color, marker)
        _epsilon_axis(axes, norm, epsilon[norm], part["epsilon"].max())
    _finish(figure, "robust accuracy (%)")
    n = int(mine["n_problems"].min())
    figure.suptitle(f"{dataset}, test images: mean over {n} pairs ± standard error", fontsize=10)
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, label: str, line: object, color: object, marker: str = "") -> None:
    axes.plot(rows["epsilon"], rows["accuracy"], linestyle=line, color=color, linewidth=1.4, label=label,
              marker=marker, markersize=4, markevery=max(1, len(rows) // 8))  # fmt: skip
    low, high = rows["accuracy"] - rows["error"], rows["accuracy"] + rows["error"]
    axes.fill_between(rows["epsilon"], low, high, alpha=0.15, color=color, linewidth=0)


def _epsilon_axis(axes: Axes, norm: str, epsilon: float, end: float) -> None:
    axes.axvline(epsilon, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel=f"epsilon, {SYMBOLS[norm]}, in pixel units", xlim=(0, end), ylim=(0, 102))


def growth_figure(table: pd.DataFrame, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Accuracy against the training images of a class: of 1NN clean, and robust by each method; of others robust, exact.

    Bars: range of seeds.
    """
    figure = Figure(figsize=(7.2, 3.8))
    nearest, others = (
        table[table["classifier"] == "1NN"],
        table[(table["classifier"] != "1NN") & (table["method"] == "exact")],
    )
    for axes, norm in zip(figure.subplots(1, 2, sharey=True), epsilon, strict=True):
        part = nearest[nearest["norm"] == norm]
        first = part[part["method"] == part["method"].iloc[0]]
        _line(axes, first, "clean_accuracy", "1NN, clean", "-", "black")
        for method, (label, line, color) in STYLES.items():
            one = part[part["method"] == method]
            if len(one):
                _line(axes, one, "robust_accuracy", f"1NN, {label}", line, sns.color_palette("colorblind")[color])
        for i, name in enumerate(dict.fromkeys(others["classifier"])):
            one = others[(others["classifier"] == name) & (others["norm"] == norm)]
            _line(axes, one, "robust_accuracy", f"{name}, exact", "-", sns.color_palette("colorblind")[3 + i % 7])
        axes.set_xscale("log", base=2)
        ticks = sorted(set(part["n_train_per_class"]))
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="training images of a class", ylim=(0, 102))
        axes.set_title(f"{SYMBOLS[norm]}, epsilon = {epsilon[norm]:.4g}", fontsize=9)
    _finish(figure, "accuracy (%)")
    figure.suptitle(f"{dataset}, test images: mean over {int(table['n_pairs'].iloc[0])} pairs", fontsize=10)
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


PANELS = {"loss": "training loss", "clean_accuracy": "clean accuracy (%)", "robust_accuracy": "accuracy under PGD (%)"}
"""Column and label of each panel."""


def training_figure(table: pd.DataFrame, dataset: str) -> Figure:
    """One panel for each quantity, one line for each variant: means over pairs; the accuracies are those of held-out images."""
    figure = Figure(figsize=(7.2, 3.2))
    colors = sns.color_palette("colorblind")
    for axes, (column, label) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        for i, variant in enumerate(dict.fromkeys(table["variant"])):
            one = table[table["variant"] == variant].dropna(subset=column)
            scale = 1 if column == "loss" else 100
            axes.plot(one["epoch"], scale * one[column], label=variant, color=colors[i % len(colors)], linewidth=1.3,
                      marker="" if column == "loss" else "o", markersize=2.5, linestyle=LINES[i % len(LINES)])  # fmt: skip
        axes.set(xlabel="epoch", ylabel=label)
        if column != "loss":
            axes.set_ylim(0, 102)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    n = int(table["n_pairs"].max())
    figure.suptitle(f"{dataset}: training, mean over {n} pairs; accuracies on held-out images", fontsize=10)
    return figure


ATTACK_LINES = {"solid": "-", "dashed": (0, (4, 2)), "dotted": ":", "dash-dot": "-."}
"""A line style for each attack, in the order of the table."""


def strength_figure(table: pd.DataFrame, dataset: str) -> Figure:
    """Robust accuracy against steps, one panel a norm, a color a variant, a line style an attack.

    Crosses: the most steps with several restarts. A converged attack's line is flat at its end, and its cross lies on it.
    """
    figure = Figure(figsize=(7.2, 3.8))
    norms = list(dict.fromkeys(table["norm"]))
    for axes, norm in zip(figure.subplots(1, len(norms), sharey=True, squeeze=False)[0], norms, strict=True):
        part = table[table["norm"] == norm]
        _lines(axes, part)
        ticks = sorted(set(part["steps"]))
        axes.set(xscale="log", xlabel=f"steps, {SYMBOLS[norm]}")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("robust accuracy (%), attacked")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    styles = " and ".join(
        f"{name} ({word})" for name, word in zip(dict.fromkeys(table["attack"]), ATTACK_LINES, strict=False)
    )
    n, restarts = int(table["n"].max()), int(table["restarts"].max())
    figure.suptitle(f"{dataset}, {n} test images: {styles}; crosses: {restarts} restarts", fontsize=9)
    return figure


def _lines(axes: Axes, table: pd.DataFrame) -> None:
    variants, names = list(dict.fromkeys(table["classifier"])), list(dict.fromkeys(table["attack"]))
    for color, variant in zip(sns.color_palette("colorblind", len(variants)), variants, strict=True):
        for name, style in zip(names, ATTACK_LINES.values(), strict=False):
            one = table[(table["classifier"] == variant) & (table["attack"] == name)]
            single, several = one[one["restarts"] == 1], one[one["restarts"] > 1]
            label = variant if name == names[0] else None
            axes.plot(
                single["steps"],
                100 * single["robust_accuracy"],
                linestyle=style,
                color=color,
                linewidth=1.2,
                label=label,
            )
            axes.plot(several["steps"], 100 * several["robust_accuracy"], "x", color=color, markersize=5)

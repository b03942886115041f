"""Curves: robust accuracy against epsilon and against the number of training images, training by epoch."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnrobust.figures.labels import label_lines
from nnrobust.figures.style import MARKERS, Layout, number_of, panels, wrapped

STYLES = {
    "exact": ("exact", "-", 0),
    "exact in box": ("exact, images in [0, 1]", (0, (1, 1)), 0),
    "bisector": ("certified by bisectors", "--", 1),
    "half gap": ("certified by the half gap", "-.", 2),
}
"""Label, line style and color of each method, strongest first."""
LINES = ("--", "-.", ":", (0, (9, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Line styles of networks, beside their colors."""
_HEIGHT = 3.6
"""Inches of a panel."""


def certificates_figure(
    table: pd.DataFrame, problem: str, dataset: str, epsilon: dict[str, float], layout: Layout
) -> Figure:
    """Robust accuracy of 1NN against epsilon, one panel a norm, one line a method; dotted upright: the epsilon of the records."""
    mine = table[(table["classifier"] == "1NN") & (table["problem"] == problem)]
    figure, every = _sheet(list(epsilon), layout)
    lines = []
    for axes, norm in zip(every, epsilon, strict=True):
        part = mine[mine["norm"] == norm]
        lines.append({
            label: _curve(axes, part[part["method"] == method], line, sns.color_palette("colorblind")[color])
            for method, (label, line, color) in STYLES.items()
            if (part["method"] == method).any()
        })  # fmt: skip
        _epsilon_axis(axes, norm, epsilon[norm], part["epsilon"].max())
    over = (
        f"mean over {number_of(int(mine['n_problems'].iloc[0]), 'pair')} ± standard error"
        if problem == "pairs"
        else "all classes at once"
    )
    _finish(figure, every, lines, wrapped(f"1NN on {dataset}, test images: {over}", layout))
    return figure


def on_most_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """The exact and attacked curves over pairs, of those classifiers that were measured on the most of them."""
    mine = table[(table["problem"] == "pairs") & ((table["kind"] == "attacked") | (table["method"] == "exact"))]
    return mine[mine["n_problems"] == mine["n_problems"].max()]


def epsilon_figure(table: pd.DataFrame, dataset: str, epsilon: dict[str, float], layout: Layout) -> Figure:
    """Robust accuracy of the classifiers of `on_most_pairs` against epsilon: exact ones, and networks by attack (an upper bound).

    Lines of exact numbers are solid, 1NN's black and the others' with filled markers.
    """
    table = on_most_pairs(table)
    names = list(dict.fromkeys(table["classifier"]))
    figure, every = _sheet(list(epsilon), layout)
    lines = []
    for axes, norm in zip(every, epsilon, strict=True):
        part = table[table["norm"] == norm]
        drawn = {}
        for i, name in enumerate(names):
            one = part[part["classifier"] == name]
            is_attacked = one["kind"].iloc[0] == "attacked"
            color = "black" if name == "1NN" else sns.color_palette("colorblind")[(i - 1) % 10]
            line = LINES[(i - 1) % len(LINES)] if is_attacked else "-"
            drawn[name] = _curve(
                axes, one, line, color, "" if is_attacked or name == "1NN" else MARKERS[i % len(MARKERS)]
            )
        lines.append(drawn)
        _epsilon_axis(axes, norm, epsilon[norm], part["epsilon"].max())
    n = number_of(int(table["n_problems"].max()), "pair")
    title = f"{dataset}, test images: mean over {n} ± standard error; solid lines exact, broken ones attacked"
    _finish(figure, every, lines, wrapped(title, layout))
    return figure


def _sheet(norms: list[str], layout: Layout, height: float = _HEIGHT) -> tuple[Figure, list[Axes]]:
    n_rows = len(norms) if layout.is_narrow else 1
    figure = Figure(figsize=(layout.width, 0.6 + n_rows * height))
    return figure, panels(figure, len(norms), layout, sharey=True)


def _curve(axes: Axes, rows: pd.DataFrame, line: object, color: object, marker: str = "") -> Line2D:
    (drawn,) = axes.plot(rows["epsilon"], rows["accuracy"], linestyle=line, color=color, linewidth=1.5, marker=marker,
                         markersize=4.5, markevery=max(1, len(rows) // 8))  # fmt: skip
    low, high = rows["accuracy"] - rows["error"], rows["accuracy"] + rows["error"]
    axes.fill_between(rows["epsilon"], low, high, alpha=0.15, color=color, linewidth=0)
    return drawn


def _epsilon_axis(axes: Axes, norm: str, epsilon: float, end: float) -> None:
    axes.axvline(epsilon, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlabel=f"epsilon, {norm}, in pixel units", xlim=(0, end), ylim=(0, 102))
    axes.set_title(f"{norm}; dotted: epsilon = {epsilon:.4g}", loc="left", fontweight="bold")


def _finish(
    figure: Figure, every: list[Axes], lines: list[dict[str, Line2D]], title: str, quantity: str = "robust accuracy (%)"
) -> None:
    """The title, the name of the quantity, and the names at the lines."""
    left = min(axes.get_position().x0 for axes in every)
    for axes in every:
        if axes.get_position().x0 == left:
            axes.set_ylabel(quantity)
    figure.suptitle(title)
    figure.draw_without_rendering()
    for axes, drawn in zip(every, lines, strict=True):
        label_lines(axes, drawn)


def growth_figure(table: pd.DataFrame, dataset: str, epsilon: dict[str, float], layout: Layout) -> Figure:
    """Accuracy against the training images of a class: of 1NN clean, and robust by each method; of others robust, exact.

    Bars: range of seeds.
    """
    others = table[(table["classifier"] != "1NN") & (table["method"] == "exact")]
    figure, every = _sheet(list(epsilon), layout)
    colors, lines = sns.color_palette("colorblind"), []
    for axes, norm in zip(every, epsilon, strict=True):
        part = table[(table["classifier"] == "1NN") & (table["norm"] == norm)]
        first = part[part["method"] == part["method"].iloc[0]]
        drawn = {"1NN, clean": _line(axes, first, "clean_accuracy", "-", "black")}
        for method, (label, line, color) in STYLES.items():
            one = part[part["method"] == method]
            if len(one):
                drawn[f"1NN, {label}"] = _line(axes, one, "robust_accuracy", line, colors[color])
        for i, name in enumerate(dict.fromkeys(others["classifier"])):
            one = others[(others["classifier"] == name) & (others["norm"] == norm)]
            drawn[f"{name}, exact"] = _line(axes, one, "robust_accuracy", "-", colors[3 + i % 7])
        lines.append(drawn)
        ticks = sorted(set(part["n_train_per_class"]))
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="training images of a class", ylim=(0, 104))
        axes.set_title(f"{norm}, epsilon = {epsilon[norm]:.4g}", loc="left", fontweight="bold")
    n = number_of(int(table["n_pairs"].iloc[0]), "pair")
    title = wrapped(f"{dataset}, test images: mean over {n}", layout)
    _finish(figure, every, lines, title, "accuracy (%)")
    return figure


def _line(axes: Axes, rows: pd.DataFrame, column: str, line: object, color: object) -> Line2D:
    grouped = 100 * rows.groupby("n_train_per_class")[column].agg(["mean", "min", "max"])
    spread = np.stack([grouped["mean"] - grouped["min"], grouped["max"] - grouped["mean"]])
    drawn = axes.errorbar(grouped.index, grouped["mean"], yerr=spread, linestyle=line, color=color, linewidth=1.5,
                          marker="o", markersize=3.5, elinewidth=0.8)  # fmt: skip
    return drawn.lines[0]


QUANTITIES = {
    "loss": "training loss",
    "clean_accuracy": "clean accuracy (%)",
    "robust_accuracy": "accuracy under PGD (%)",
}
"""Column and label of each panel."""


def training_figure(table: pd.DataFrame, dataset: str, layout: Layout) -> Figure:
    """One panel for each quantity, one line for each variant: means over pairs; the accuracies are those of held-out images."""
    figure, every = _training_sheet(layout)
    colors, lines = sns.color_palette("colorblind"), []
    for axes, (column, label) in zip(every, QUANTITIES.items(), strict=True):
        drawn = {}
        scale = 1 if column == "loss" else 100
        for i, variant in enumerate(dict.fromkeys(table["variant"])):
            one = table[table["variant"] == variant].dropna(subset=column)
            (drawn[variant],) = axes.plot(
                one["epoch"], scale * one[column], color=colors[i % len(colors)], linewidth=1.4,
                marker="" if column == "loss" else "o", markersize=3, linestyle=LINES[i % len(LINES)],
            )  # fmt: skip
        lines.append(drawn)
        axes.set(xlabel="epoch")
        axes.set_title(label, loc="left", fontweight="bold")
        axes.margins(y=0.08)
    text = f"{dataset}: training, mean over {pairs_of(table)}; accuracies on held-out images"
    figure.suptitle(wrapped(text, layout))
    figure.draw_without_rendering()
    for axes, drawn in zip(every, lines, strict=True):
        label_lines(axes, drawn)
    return figure


def pairs_of(table: pd.DataFrame) -> str:
    """The number of pairs that means of a training table are over, and those of variants that were trained on fewer."""
    n_pairs = table.groupby("variant", sort=False)["n_pairs"].max()
    fewer = [f"{variant}: {n}" for variant, n in n_pairs.items() if n < n_pairs.max()]
    return number_of(int(n_pairs.max()), "pair") + (f" ({', '.join(fewer)})" if fewer else "")


def _training_sheet(layout: Layout) -> tuple[Figure, list[Axes]]:
    n_rows = len(QUANTITIES) if layout.is_narrow else 1
    figure = Figure(figsize=(layout.width, 0.6 + 2.9 * n_rows))
    return figure, panels(figure, len(QUANTITIES), layout)

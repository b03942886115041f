"""The figure of attack strength: what stands under more steps and more restarts, variant by variant."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.figures.accuracies import SYMBOLS

LINES = {"solid": "-", "dashed": (0, (4, 2)), "dotted": ":", "dash-dot": "-."}
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
    styles = " and ".join(f"{name} ({word})" for name, word in zip(dict.fromkeys(table["attack"]), LINES, strict=False))
    n, restarts = int(table["n"].max()), int(table["restarts"].max())
    figure.suptitle(f"{dataset}, {n} test images: {styles}; crosses: {restarts} restarts", fontsize=9)
    return figure


def _lines(axes: Axes, table: pd.DataFrame) -> None:
    variants, names = list(dict.fromkeys(table["classifier"])), list(dict.fromkeys(table["attack"]))
    for color, variant in zip(sns.color_palette("colorblind", len(variants)), variants, strict=True):
        for name, style in zip(names, LINES.values(), strict=False):
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

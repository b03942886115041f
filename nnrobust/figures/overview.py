"""The answer of a run at a glance: every classifier, clean and robust, on test images, as a figure and as one sentence."""

from collections.abc import Collection

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnrobust.figures.accuracies import bars_table
from nnrobust.figures.style import SYMBOLS

SHOWN = {
    "clean": ("clean", "D", 7),
    "Linf": (SYMBOLS["Linf"], "s", 0),
    "L2": (SYMBOLS["L2"], "o", 1),
    "union": ("both", "|", 2),
}
"""Label, marker and color of each measure."""
_WIDTH, _ROW = 4.4, 0.3
"""Inches: narrow, so that letters stay legible on a phone."""


def overview_table(scores: pd.DataFrame, classifiers: list[str], confidence: float) -> pd.DataFrame:
    """The rows of `bars_table` for test images, with `union`: robust in both norms at once."""
    return bars_table(scores, "test", classifiers, confidence, tuple(SHOWN))


def overview_figure(table: pd.DataFrame) -> Figure:
    """A line for each classifier, its accuracies as dots with the intervals of their means; hollow where attacked."""
    names = list(dict.fromkeys(table["classifier"]))
    n_pairs = table.groupby("classifier")["n_pairs"].min()
    figure = Figure(figsize=(_WIDTH, 1.1 + _ROW * len(names)))
    axes, colors = figure.subplots(), sns.color_palette("colorblind")
    for row, name in enumerate(names):
        mine = table[table["classifier"] == name].set_index("measure")
        for measure, (_, marker, color) in SHOWN.items():
            if measure not in mine.index:
                continue
            one = mine.loc[measure]
            face = "white" if one["kind"] == "attacked" else colors[color]
            axes.plot([one["low"], one["high"]], [row, row], color=colors[color], linewidth=1, zorder=2)
            axes.plot(one["accuracy"], row, marker, markerfacecolor=face, markeredgecolor=colors[color],
                      markersize=9 if marker == "|" else 5.5, markeredgewidth=2 if marker == "|" else 1.1, zorder=3)  # fmt: skip
    few = {name: f" ({n} pair{'s' * (n > 1)})" if n < n_pairs.max() else "" for name, n in n_pairs.items()}
    axes.set_yticks(np.arange(len(names)), [f"{name}{few[name]}" for name in names], fontsize=9)
    axes.set(xlim=(-2, 102), ylim=(len(names) - 0.5, -0.5))
    axes.set_xlabel(f"accuracy (%), test images, mean over {n_pairs.max()} pairs", fontsize=9)
    handles = [
        Line2D([], [], marker=marker, linestyle="", color=colors[color], label=label, markeredgewidth=1.5)
        for label, marker, color in SHOWN.values()
    ]
    if (table["kind"] == "attacked").any():
        handles.append(
            Line2D([], [], marker="o", linestyle="", markerfacecolor="white", color="black", label="hollow: attacked")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9, handletextpad=0.2)
    return figure


def answer(table: pd.DataFrame, simple: Collection[str], dataset: str) -> str:
    """One sentence: images right and robust in both norms, by 1NN, the best simple rival and the best network.

    Of several, those that were measured on the most pairs count; a network's number is an upper bound.
    """
    both = table[table["measure"] == "union"]
    both = both[both["n_pairs"] == both["n_pairs"].max()].set_index("classifier")
    parts = []
    for words, names in (
        ("1NN", ["1NN"]),
        ("the best other simple classifier, {},", [name for name in simple if name in both.index]),
        ("the best network, {},", [name for name in both.index if name != "1NN" and name not in simple]),
    ):
        mine = both.loc[[name for name in names if name in both.index]]
        if len(mine):
            best = mine["accuracy"].idxmax()
            bound = "at most " if mine.loc[best, "kind"] == "attacked" else ""
            parts.append(f"{words.format(best)} {bound}{mine.loc[best, 'accuracy']:.1f} % ({mine.loc[best, 'kind']})")
    n = int(both["n_pairs"].max())
    return f"On test images of {n} pair{'s' * (n > 1)} of {dataset}, right and robust in both norms at once: {'; '.join(parts)}."

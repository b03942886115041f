"""Figure 6: one classifier against others, pair by pair."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.figures.accuracies import shown_name
from nnrobust.figures.style import MARKERS, Layout, wrapped
from nnrobust.tables.comparison import sign_test

COLUMNS = {"mean": "mean of Linf and L2", "union": "both norms at once"}
"""The column of each panel, and its name."""
LONGEST_NAME = 14
"""Letters of a name that leave room for the rest of its line below a panel."""


def pairs_table(table: pd.DataFrame, first: str, others: Sequence[str]) -> pd.DataFrame:
    """One row for each pair that all of them have, test images, in percent, out of `comparison.scores`.

    Columns: pair, and of each classifier `_mean` (of both robust accuracies, half of the sum that the paper plots), `_Linf`,
    `_L2` and `_union` (images robust in both norms at once).
    """
    names = [first, *others]
    test = table[(table["split"] == "test") & table["classifier"].isin(names)]
    wide = 100 * test.pivot_table(index="pair", columns=["classifier", "measure"], values="value", sort=False)
    columns = {"pair": wide.index}
    for name in names:
        for measure in ("mean", "Linf", "L2", "union"):
            columns[f"{name}_{measure}"] = wide[name, measure].to_numpy()
    return pd.DataFrame(columns).dropna().round(4)


def pairs_figure(table: pd.DataFrame, first: str, kinds: Mapping[str, str], dataset: str, layout: Layout) -> Figure:
    """One dot for each pair, `first` against the others: the mean of both norms, and both at once, on one scale.

    `kinds` says of each other what its numbers are; dots are filled where they are proven and hollow where attacked. Below each
    panel: on how many pairs `first` is ahead, and the sign test's p-value.
    """
    shape = (len(COLUMNS), 1) if layout.is_narrow else (1, len(COLUMNS))
    side = layout.width / shape[1]
    is_broken = layout.is_narrow or max(len(shown_name(name)) for name in kinds) > LONGEST_NAME
    room = (2 if is_broken else 1) * 0.19 * len(kinds)
    figure = Figure(figsize=(layout.width, shape[0] * (0.92 * side + room + 0.3) + 0.3))
    limits = _limits(table, [first, *kinds])
    for part, (column, name) in zip(figure.subfigures(*shape, squeeze=False).flat, COLUMNS.items(), strict=True):
        axes = part.subplots()
        _dots(axes, table, column, first, kinds)
        axes.plot(limits, limits, color="black", linewidth=0.8, linestyle="--", zorder=2)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_title(name, loc="left", fontweight="bold")
        axes.set(xlabel="the other, robust accuracy (%)", ylabel=f"{first}, robust accuracy (%)")
        handles, labels = axes.get_legend_handles_labels()
        broken = [label.replace("): ", "):\n") if is_broken else label for label in labels]
        part.legend(handles, broken, loc="outside lower left", frameon=False, handletextpad=0.3)
    figure.suptitle(wrapped(f"{dataset}, test images: {len(table)} pairs; above the line {first} is ahead", layout))
    figure.draw_without_rendering()  # legends of parts of a figure get their room at the second drawing
    return figure


def _limits(table: pd.DataFrame, names: Sequence[str]) -> tuple[float, float]:
    values = table[[f"{name}_{column}" for name in names for column in COLUMNS]].to_numpy()
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) + 0.5
    return low - margin, high + margin


def _dots(axes: Axes, table: pd.DataFrame, column: str, first: str, kinds: Mapping[str, str]) -> None:
    """The dots of every other classifier, with how often `first` is ahead of it."""
    mine = table[f"{first}_{column}"].to_numpy()
    for i, (name, kind) in enumerate(kinds.items()):
        x = table[f"{name}_{column}"].to_numpy()
        color, is_hollow = sns.color_palette("colorblind")[i % 10], kind == "attacked"
        axes.scatter(
            x, mine, s=24, marker=MARKERS[i % len(MARKERS)], facecolor="none" if is_hollow else color,
            edgecolor=color if is_hollow else "white", linewidth=1.0 if is_hollow else 0.5, zorder=3,
            label=f"{shown_name(name)} ({kind}): {in_words(mine - x, first)}",
        )  # fmt: skip


def in_words(difference: np.ndarray, first: str) -> str:
    """On how many pairs `first` is ahead and equal, and the p-value of the two-sided sign test."""
    ahead, equal = int((difference > 0).sum()), int((difference == 0).sum())
    p = sign_test(difference)
    tied = f", equal on {equal}" if equal else ""
    return f"{first} ahead on {ahead} of {len(difference)}{tied}; p {'< 1e-6' if p < 1e-6 else f'= {p:.2g}'}"

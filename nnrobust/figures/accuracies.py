"""Figures 4 and 5: the accuracies of every classifier, means over pairs, as dots over the range that matters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nnrobust.figures.style import MEASURES, Layout, number_of, wrapped
from nnrobust.tables.comparison import mean_interval

_ROW = 0.24
"""Inches of a classifier's line."""


def means_table(table: pd.DataFrame, split: str, classifiers: list[str], confidence: float) -> pd.DataFrame:
    """Columns classifier, measure, kind, accuracy, low and high in percent, n_pairs: one row for each classifier and measure.

    Means over pairs, out of `comparison.scores`, with Student's intervals. A classifier that no pair could be trained for has
    no rows, and one measured in one norm alone none of both.
    """
    rows = []
    for classifier in classifiers:
        for measure in MEASURES:
            is_one = (table["classifier"] == classifier) & (table["split"] == split) & (table["measure"] == measure)
            values = 100 * table.loc[is_one, "value"].to_numpy()
            if not len(values):
                continue
            kinds = set(table.loc[is_one, "kind"])
            low, high = mean_interval(values, confidence)
            rows.append(
                {
                    "classifier": classifier,
                    "measure": measure,
                    "kind": "clean" if measure == "clean" else min(kinds),  # certified where some pair is not exact
                    "accuracy": round(float(values.mean()), 4),
                    "low": round(max(low, 0.0), 4),
                    "high": round(min(high, 100.0), 4),
                    "n_pairs": len(values),
                }
            )
    return pd.DataFrame(rows, columns=["classifier", "measure", "kind", "accuracy", "low", "high", "n_pairs"])


def ranked(table: pd.DataFrame) -> list[str]:
    """The classifiers of a `means_table`: those on the most pairs first, of them those that keep most in both norms."""
    both = table[table["measure"] == "union"].set_index("classifier")["accuracy"]
    names = table.groupby("classifier", sort=False)["n_pairs"].max().to_frame()
    names["both"] = both.reindex(names.index).fillna(-1.0)
    return [str(name) for name in names.sort_values(["n_pairs", "both"], ascending=False, kind="stable").index]


def shown_name(name: str) -> str:
    """A classifier's name for readers: a network of others stands on pairs under a name of its own."""
    return name.partition("|")[0]


def means_figure(table: pd.DataFrame, split: str, dataset: str, layout: Layout) -> Figure:
    """Figures 4 (train) and 5 (test): a panel for each measure, each over its own range; hollow dots are attacked.

    In the order of `ranked`; an open end of an interval, of a single pair, is not drawn.
    """
    names = ranked(table)
    measures: Sequence[str] = [one for one in MEASURES if one in set(table["measure"])]
    n_columns = 2 if layout.is_narrow else len(measures)
    n_rows = -(-len(measures) // n_columns)
    figure = Figure(figsize=(layout.width, n_rows * (0.75 + _ROW * len(names)) + 0.75))
    places = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes in places.flat[len(measures) :]:
        axes.remove()
    for axes, measure in zip(places.flat, measures, strict=False):
        rows = table[table["measure"] == measure].set_index("classifier")
        _panel(axes, rows, names, measure, 0.45 if layout.is_narrow else 0.3)
        ticks = MaxNLocator(3 if layout.is_narrow else 4).tick_values(*axes.get_xlim())
        axes.set_xticks([tick for tick in ticks if axes.get_xlim()[0] <= tick <= min(axes.get_xlim()[1], 100)])
    n_pairs = table.groupby("classifier")["n_pairs"].min()
    few = {name: f" ({number_of(n, 'pair')})" if n < n_pairs.max() else "" for name, n in n_pairs.items()}
    for axes in places[:, 0]:
        axes.set_yticks(np.arange(len(names)), [f"{shown_name(name)}{few[name]}" for name in names])
    emphasize(places[:, 0].tolist(), names)
    over = f"mean over {number_of(n_pairs.max(), 'pair')}, accuracy (%); each panel has its own range"
    figure.suptitle(wrapped(f"{dataset}, {split} images: {over}", layout))
    handles = kind_handles(table["kind"])
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str], measure: str, share: float) -> None:
    """The dots of one measure with their intervals and values, for which `share` of the range is left free on the right."""
    label, marker, place = MEASURES[measure]
    color = sns.color_palette("colorblind")[place]
    for row, name in enumerate(names):
        if name in rows.index:
            dot(axes, rows.loc[name], row, "o" if marker == "|" else marker, color)
            ends = _ends(rows.loc[name])
            axes.annotate(
                f"{rows.loc[name, 'accuracy']:.1f}", (ends[1], row), (6, 0), textcoords="offset points", va="center"
            )
    lows, highs = zip(*(_ends(one) for _, one in rows.iterrows()), strict=True)
    low, high = min(lows), max(highs)
    room = max(high - low, 2.0)
    axes.set(xlim=(low - 0.08 * room, high + share * room), ylim=(len(names) - 0.5, -0.5))
    axes.set_title(label, loc="left", fontweight="bold")
    axes.grid(visible=False, axis="x")


def _ends(row: pd.Series) -> tuple[float, float]:
    """From where to where a dot and its interval reach; of a single pair, whose interval is open, the dot alone."""
    is_open = (row["low"], row["high"]) == (0.0, 100.0)
    return (row["accuracy"], row["accuracy"]) if is_open else (row["low"], row["high"])


def dot(axes: Axes, row: pd.Series, place: float, marker: str, color: object) -> None:
    """One accuracy with its interval: hollow where it is attacked, without the ends of an interval that knows none."""
    face = "white" if row["kind"] == "attacked" else color
    axes.plot(_ends(row), [place, place], color=color, linewidth=1.3, zorder=2)
    is_bar = marker == "|"
    axes.plot(row["accuracy"], place, marker, markerfacecolor=face, markeredgecolor=color, zorder=3,
              markersize=10 if is_bar else 6, markeredgewidth=2.2 if is_bar else 1.3)  # fmt: skip


def kind_handles(kinds: pd.Series) -> list[Line2D]:
    """What filled, hollow and grey dots mean, of the kinds there are."""
    found, looks = set(kinds), []
    if found & {"exact", "certified"}:
        words = " or ".join(kind for kind in ("exact", "certified") if kind in found)
        looks.append((f"filled: {words}", "black", "black"))
    if "attacked" in found:
        looks.append(("hollow: attacked", "white", "black"))
    if "published" in found:
        looks.append(("grey: published", "0.6", "0.6"))
    return [
        Line2D([], [], marker="o", linestyle="", label=label, markerfacecolor=face, markeredgecolor=edge)
        for label, face, edge in looks
    ]


def emphasize(every: list[Axes], names: list[str]) -> None:
    """Sets the name of 1NN in bold, where the axes name their rows."""
    if "1NN" in names:
        for axes in every:
            labels = axes.get_yticklabels()
            if labels:  # of panels that share them, one has them
                labels[names.index("1NN")].set_fontweight("bold")

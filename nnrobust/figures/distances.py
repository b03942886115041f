"""The distances d0 between classes, and the premise of the paper's theorems."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nnrobust.figures.style import Layout, wrapped


def distance_table(distances: pd.DataFrame, needed: float) -> pd.DataFrame:
    """Columns first, second, distance (d0, l2, pixel units), needed (2 epsilon sqrt(N)), is_enough."""
    table = distances[["first", "second", "distance"]].astype({"first": str, "second": str})
    return table.assign(needed=round(needed, 6), is_enough=table["distance"] >= needed)


def distance_figure(table: pd.DataFrame, classes: list[str], dataset: str, layout: Layout) -> Figure:
    """d0 of every pair of classes as a triangle of numbers; framed are those that fall short of the premise."""
    places = {name: place for place, name in enumerate(classes)}
    values = np.full((len(classes), len(classes)), np.nan)
    for row in table.itertuples():
        values[places[str(row.second)], places[str(row.first)]] = row.distance
    figure = Figure(figsize=(layout.width, 4.2 if layout.is_narrow else 4.8))
    axes = figure.subplots()
    sns.heatmap(values[1:, :-1], annot=True, fmt=".1f" if layout.is_narrow else ".2f", cmap="cividis", ax=axes,
                linewidths=0.5, cbar=False, xticklabels=classes[:-1], yticklabels=classes[1:])  # fmt: skip
    for row in table[~table["is_enough"]].itertuples():
        axes.add_patch(_frame((places[str(row.first)], places[str(row.second)] - 1)))
    axes.grid(visible=False)
    axes.tick_params(axis="y", rotation=0)
    axes.tick_params(axis="x", rotation=90 if layout.is_narrow else 0)
    needed, n_short = float(table["needed"].iloc[0]), int((~table["is_enough"]).sum())
    short = f"{n_short} of {len(table)} pairs (framed) have d0 < 2ε√N = {needed:.3f}"
    figure.suptitle(wrapped(f"{dataset}, training images: {short}", layout))
    return figure


def _frame(corner: tuple[int, int]) -> Rectangle:
    return Rectangle(corner, 1, 1, fill=False, edgecolor="#d55e00", linewidth=2.5, clip_on=False)

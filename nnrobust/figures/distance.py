"""The table of class distances: for which pairs the premise of the paper's theorems holds."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def distance_table(distances: pd.DataFrame, needed: float) -> pd.DataFrame:
    """Columns first, second, distance (d0, l2, pixel units), needed (2 epsilon sqrt(N)), is_enough."""
    table = distances[["first", "second", "distance"]].astype({"first": str, "second": str})
    return table.assign(needed=round(needed, 6), is_enough=table["distance"] >= needed)


def distance_figure(table: pd.DataFrame, classes: list[str], dataset: str) -> Figure:
    """d0 of every pair of classes as a triangle of numbers; framed are those that fall short of the premise."""
    places = {name: place for place, name in enumerate(classes)}
    values = np.full((len(classes), len(classes)), np.nan)
    for row in table.itertuples():
        values[places[str(row.second)], places[str(row.first)]] = row.distance
    figure = Figure(figsize=(7.2, 5.4))
    axes = figure.subplots()
    sns.heatmap(values[1:, :-1], annot=True, fmt=".2f", cmap="cividis", ax=axes, linewidths=0.5, square=False,
                annot_kws={"fontsize": 8}, xticklabels=classes[:-1], yticklabels=classes[1:],
                cbar_kws={"label": r"d0, $\ell_2$, pixel units"})  # fmt: skip
    for row in table[~table["is_enough"]].itertuples():
        corner = (places[str(row.first)], places[str(row.second)] - 1)
        axes.add_patch(_frame(corner))
    axes.grid(visible=False)
    axes.tick_params(axis="y", rotation=0)
    needed, n_short = float(table["needed"].iloc[0]), int((~table["is_enough"]).sum())
    short = rf"{n_short} of {len(table)} pairs (framed) have d0 < 2$\epsilon\sqrt{{N}}$ = {needed:.3f}"
    axes.set_title(f"{dataset}, training images: {short}", fontsize=10)
    return figure


def _frame(corner: tuple[int, int]) -> Rectangle:
    return Rectangle(corner, 1, 1, fill=False, edgecolor="#d55e00", linewidth=2.5, clip_on=False)

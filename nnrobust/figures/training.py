"""The figure of training: loss and held-out accuracies of each variant by epoch."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nnrobust.figures.curves import LINES

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

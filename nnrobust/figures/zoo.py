"""Figure 8: the pretrained models against 1NN, four panels."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.figures.curves import LINES
from nnrobust.figures.style import SYMBOLS
from nnrobust.tables.comparison import zoo_headline

POINTS = ["classifier", "split", "norm", "kind", "n", "accuracy", "low", "high"]
PUBLISHED_LABEL = "published, attacked, original images"


def zoo_points(table: pd.DataFrame) -> pd.DataFrame:
    """Columns classifier, split, norm, kind, n, accuracy, low, high (percent): a row for each panel and measured model, and for
    1NN and each other classifier with proofs, whose kind is not `attacked`.

    Of several attacks, all together; of proofs, the exact number where there is one. Models by their accuracy in the panel.
    """
    rows = zoo_headline(table)
    found = rows[POINTS[:5]].copy()
    for name, column in (("accuracy", ""), ("low", "_low"), ("high", "_high")):
        found[name] = (100 * rows[f"robust_accuracy{column}"].astype(float)).round(4)
    return found.sort_values(
        ["split", "norm", "accuracy", "classifier"], ascending=[False, False, True, True]
    ).reset_index(drop=True)


def published_points(published: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The same columns of the accuracies that others published, of kind `published`, but of models that the table measures."""
    measured = table.loc[table["status"] == "ok", "classifier"]
    rows = published[~published["classifier"].isin(measured)]
    accuracy = (100 * rows["robust_accuracy"].astype(float)).round(4)
    found = rows[["classifier", "n"]].assign(split="test", norm="Linf", kind="published", accuracy=accuracy)
    return found.reindex(columns=POINTS).sort_values(["accuracy", "classifier"]).reset_index(drop=True)


def n_models(points: pd.DataFrame) -> int:
    """How many pretrained models the points are of."""
    return int(points.loc[points["kind"] == "attacked", "classifier"].nunique())


def images_of(points: pd.DataFrame) -> str:
    """How many images of each split were measured, in words."""
    n = points[points["kind"] != "published"].groupby("split")["n"].max()
    return f"{int(n['train']):,} training and {int(n['test']):,} test images"


def zoo_figure(points: pd.DataFrame, n_asked: int, dataset: str, epsilon: dict[str, float]) -> Figure:
    """One panel for each split and norm: models in the order of their accuracy with Wilson intervals, the proven as lines."""
    figure = Figure(figsize=(7.2, 5.6))
    panels = figure.subplots(2, 2, sharex=True)
    for row, split in enumerate(("train", "test")):
        for axes, norm in zip(panels[row], epsilon, strict=True):
            _panel(axes, points[(points["split"] == split) & (points["norm"] == norm)])
            axes.set_title(
                rf"{split}, {SYMBOLS[norm]}, $\epsilon$ = {epsilon[norm]:.4g}: " + axes.get_title(), fontsize=8
            )
        panels[row][0].set_ylabel("robust accuracy (%)")
    for axes in panels[1]:
        axes.set_xlabel("models, by their accuracy in the panel")
    named: dict[str, Artist] = {}
    for axes in panels.flat:
        named |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend([*named.values()], [*named], loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(
        f"{dataset}: {n_models(points)} of {n_asked} pretrained models, {images_of(points)}, Wilson intervals",
        fontsize=10,
    )
    return figure


def published_figure(points: pd.DataFrame, nearest: pd.Series, dataset: str, epsilon: dict[str, float]) -> Figure:
    """One panel, test images in Linf: the published accuracies, and as a line the `zoo_points` row of 1NN."""
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.subplots()
    _crosses(axes, points, 0)
    color = sns.color_palette("colorblind")[1]
    axes.axhline(
        nearest["accuracy"], color=color, linewidth=1.6, label=f"1NN, all classes, {dataset} ({nearest['kind']})"
    )
    axes.axhspan(nearest["low"], nearest["high"], color=color, alpha=0.2, linewidth=0)
    axes.set(xticks=[], ylim=(0, 102), xlabel="models, by their accuracy", ylabel="robust accuracy (%)")
    axes.set_title(
        rf"test, {SYMBOLS['Linf']}, $\epsilon$ = {epsilon['Linf']:.4g}: {len(points)} published models", fontsize=10
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _crosses(axes: Axes, points: pd.DataFrame, start: int) -> None:
    if len(points):
        places = start + np.arange(len(points))
        axes.plot(places, points["accuracy"], "x", color="0.45", markersize=3.5, label=PUBLISHED_LABEL)


def _panel(axes: Axes, points: pd.DataFrame) -> None:
    colors = sns.color_palette("colorblind")
    models, published = points[points["kind"] == "attacked"], points[points["kind"] == "published"]
    proven = points[~points["kind"].isin(["attacked", "published"])]
    nearest = proven[proven["classifier"] == "1NN"].iloc[0]
    whiskers = np.stack([models["accuracy"] - models["low"], models["high"] - models["accuracy"]])
    axes.errorbar(
        np.arange(len(models)), models["accuracy"], yerr=whiskers, fmt="o", markersize=3, elinewidth=0.6,
        color=colors[0], markerfacecolor="white", label="pretrained model (attacked)",
    )  # fmt: skip
    _crosses(axes, published, len(models))
    for i, other in enumerate(proven[proven["classifier"] != "1NN"].sort_values("classifier").itertuples()):
        axes.axhline(other.accuracy, color=colors[(2 + i) % 10], linewidth=1.1, linestyle=LINES[i % len(LINES)],
                     label=f"{other.classifier} (proven)")  # fmt: skip
    axes.axhline(nearest["accuracy"], color=colors[1], linewidth=1.6, label="1NN, all classes (proven)")
    axes.axhspan(nearest["low"], nearest["high"], color=colors[1], alpha=0.2, linewidth=0)
    axes.set(xticks=[], ylim=(0, 102))
    axes.set_title(
        f"1NN ({nearest['kind']}) ahead of {int((models['accuracy'] < nearest['accuracy']).sum())} of {len(models)}"
    )

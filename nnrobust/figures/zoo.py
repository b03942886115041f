"""Figure 8: pretrained models, measured and published, against 1NN."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnrobust.figures.accuracies import dot, emphasize, kind_handles
from nnrobust.figures.style import GREY, Layout, panels, wrapped
from nnrobust.tables.comparison import zoo_headline

POINTS = ["classifier", "split", "norm", "kind", "n", "accuracy", "low", "high"]
N_NAMED = 24
"""The most measured models that have a line of their own: the strongest."""


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


def zoo_figure(points: pd.DataFrame, title: str, epsilon: dict[str, float], layout: Layout) -> Figure:
    """A panel for each split and norm that has points: a line for each model with its Wilson interval, upright lines of 1NN.

    Filled dots are proven, hollow ones attacked. Published models are grey dots in one line of their own, and so are, hollow,
    the measured ones after the first `N_NAMED`.
    """
    shown = [(split, norm) for split in ("test", "train") for norm in epsilon if len(_of(points, split, norm))]
    rows = _rows(points)
    names = [_broken(name) for name in rows]
    n_rows, height = len(shown) if layout.is_narrow else 1, 0.34 if any("\n" in name for name in names) else 0.24
    figure = Figure(figsize=(layout.width, 1.1 + n_rows * (1.1 + height * len(rows))))
    every = panels(figure, len(shown), layout, sharey=True)
    for axes, (split, norm) in zip(every, shown, strict=True):
        part = _of(points, split, norm)
        _panel(axes, part, rows)
        share = 0.5 if layout.is_narrow else 0.75 / len(shown)
        ahead = wrapped(f"ε = {epsilon[norm]:.4g}: {in_words(part)}", layout, share)
        axes.set_title(f"{split}, {norm}\n{ahead}", loc="left")
        axes.set_xlabel("robust accuracy (%)")
    every[0].set(ylim=(len(rows) - 0.5, -0.5))
    every[0].set_yticks(np.arange(len(rows)), names)
    emphasize(every, list(rows))
    handles = kind_handles(points["kind"])
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if layout.is_narrow else 4, frameon=False)
    figure.suptitle(wrapped(title, layout))
    return figure


def _broken(name: str) -> str:
    """A long name of RobustBench's in two lines, the first of which ends with the year."""
    return re.sub(r"(?<=\d{4})(?=[A-Z])", "\n", name, count=1) if len(name) > 20 else name


def _of(points: pd.DataFrame, split: str, norm: str) -> pd.DataFrame:
    return points[(points["split"] == split) & (points["norm"] == norm)]


def _rows(points: pd.DataFrame) -> dict[str, list[str]]:
    """The names of the lines from top to bottom, each with its models: the strongest first, those without a line of their own
    together, published ones last."""
    is_published = points["kind"] == "published"
    strength = (
        points[~is_published].groupby("classifier")["accuracy"].mean().sort_values(ascending=False, kind="stable")
    )
    attacked = set(points.loc[points["kind"] == "attacked", "classifier"])
    models = [name for name in strength.index if name in attacked]
    further = models[N_NAMED:]
    rows = {str(name): [str(name)] for name in strength.index if name not in further}
    if further:
        rows[f"{len(further)} further models"] = further
    published = list(dict.fromkeys(points.loc[is_published, "classifier"]))
    if published:
        rows[f"{len(published)} published"] = published
    return rows


def in_words(points: pd.DataFrame) -> str:
    """How many of the networks of a panel have a lower accuracy than 1NN, measured and published ones apart."""
    nearest = points.loc[points["classifier"] == "1NN"].iloc[0]
    parts = []
    for kind, word in (("attacked", "measured"), ("published", "published")):
        mine = points.loc[points["kind"] == kind, "accuracy"]
        if len(mine):
            parts.append(f"{int((mine < nearest['accuracy']).sum())} of {len(mine)} {word}")
    return f"1NN ({nearest['kind']}) ahead of {' and '.join(parts) or 'none'}"


def _panel(axes: Axes, points: pd.DataFrame, rows: Mapping[str, list[str]]) -> None:
    colors = sns.color_palette("colorblind")
    nearest = points[points["classifier"] == "1NN"].iloc[0]
    axes.axvspan(nearest["low"], nearest["high"], color=colors[1], alpha=0.2, linewidth=0)
    axes.axvline(nearest["accuracy"], color=colors[1], linewidth=1.4)
    for place, names in enumerate(rows.values()):
        for row in points[points["classifier"].isin(names)].to_dict("records"):
            if row["kind"] == "published":
                axes.plot(row["accuracy"], place, "|", color=GREY, markersize=8, markeredgewidth=1.0)
            else:
                color = "black" if row["classifier"] == "1NN" else colors[0 if row["kind"] == "attacked" else 2]
                dot(axes, pd.Series(row), place, "o", color)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -2.0), min(high, 102.0))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(visible=False, axis="x")

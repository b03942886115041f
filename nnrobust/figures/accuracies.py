"""The paper's figures and table, each a function from a table to a matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from nnrobust.figures.style import MARKERS, SYMBOLS
from nnrobust.tables.comparison import mean_interval

MEASURES = ("clean", "Linf", "L2")


def bars_table(
    table: pd.DataFrame, split: str, classifiers: list[str], confidence: float, measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Columns classifier, measure, kind, accuracy, low and high in percent, n_pairs: one row a bar.

    Means over pairs, out of `comparison.scores`, with Student's intervals. A classifier that no pair could be trained for has
    no rows.
    """
    rows = []
    for classifier in classifiers:
        for measure in measures:
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
    return pd.DataFrame(rows)


def bars(table: pd.DataFrame, split: str, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Figures 4 (train) and 5 (test): grouped bars of accuracy, the mean over pairs, with the interval of that mean.

    Bars of robust accuracy are filled where it is proven and hollow where it is attacked.
    """
    labels = {"clean": "clean"} | {norm: rf"{SYMBOLS[norm]}, $\epsilon$ = {epsilon[norm]:.4g}" for norm in SYMBOLS}
    classifiers = list(dict.fromkeys(table["classifier"]))
    figure = Figure(figsize=(max(7.2, 0.95 * len(classifiers)), 3.9))
    axes = figure.subplots()
    colors, hatches, width = sns.color_palette("colorblind"), ("", "//", ".."), 0.27
    for i, measure in enumerate(MEASURES):
        part = table[table["measure"] == measure].set_index("classifier").loc[classifiers]
        place = np.arange(len(classifiers)) + (i - 1) * width
        whiskers = np.stack([part["accuracy"] - part["low"], part["high"] - part["accuracy"]])
        color = colors[(7, 0, 1)[i]]
        drawn = axes.bar(
            place, part["accuracy"], width, yerr=whiskers, label=labels[measure], color=color,
            hatch=hatches[i], edgecolor="white", error_kw={"elinewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
        for bar, kind in zip(drawn, part["kind"], strict=True):
            if kind == "attacked":
                bar.set(facecolor="white", edgecolor=color, linewidth=0.8)
        for x, height, top in zip(place, part["accuracy"], part["high"], strict=True):
            axes.text(x, top + 1, f"{height:.0f}", ha="center", va="bottom", fontsize=7)
    n_pairs = table.groupby("classifier")["n_pairs"].min()
    fewer = {name: f"\n{n} pair{'s' * (n > 1)}" if n < n_pairs.max() else "" for name, n in n_pairs.items()}
    axes.set_xticks(
        np.arange(len(classifiers)),
        [f"{name.replace('|', chr(10))}\n{_kinds(table, name)}{fewer[name]}" for name in classifiers],
    )
    axes.set(ylabel="accuracy (%)", ylim=(0, 108))
    axes.grid(visible=False, axis="x")
    axes.set_title(f"{dataset}, {split} images: mean over {n_pairs.max()} pairs, with its interval", fontsize=10)
    handles = [Patch(facecolor=colors[(7, 0, 1)[i]], hatch=hatches[i], edgecolor="white", label=labels[measure])
               for i, measure in enumerate(MEASURES)]  # fmt: skip
    if (table["kind"] == "attacked").any():
        handles.append(Patch(facecolor="white", edgecolor="black", linewidth=0.8, label="hollow: attacked"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _kinds(table: pd.DataFrame, classifier: str) -> str:
    """What the numbers of a classifier are: `attacked`, or one line for each norm where they differ."""
    mine = table[(table["classifier"] == classifier) & (table["measure"] != "clean")].set_index("measure")["kind"]
    if mine.nunique() == 1:
        return str(mine.iloc[0])
    return "\n".join(f"{SYMBOLS[norm]} {kind}" for norm, kind in mine.items())


def pairs_table(table: pd.DataFrame, first: str, others: Sequence[str]) -> pd.DataFrame:
    """One row for each pair that all of them have, test images, in percent, out of `comparison.scores`.

    Columns: pair, and of each classifier `_sum` (of both robust accuracies, which the paper plots), `_Linf`, `_L2` and `_union`
    (images robust in both norms at once).
    """
    names = [first, *others]
    test = table[(table["split"] == "test") & table["classifier"].isin(names)]
    wide = 100 * test.pivot_table(index="pair", columns=["classifier", "measure"], values="value", sort=False)
    columns = {"pair": wide.index}
    for name in names:
        columns[f"{name}_sum"] = 2 * wide[name, "mean"].to_numpy()
        for measure in ("Linf", "L2", "union"):
            columns[f"{name}_{measure}"] = wide[name, measure].to_numpy()
    return pd.DataFrame(columns).dropna().round(4)


def scatter(table: pd.DataFrame, first: str, kinds: Mapping[str, str], dataset: str) -> Figure:
    """Figure 6: one dot for each pair, `first` against the others; left the sum that the paper plots, right the union.

    `kinds` says of each other what its numbers are; dots are filled where they are proven and hollow where attacked.
    """
    figure = Figure(figsize=(7.2, 3.9 + 0.18 * len(kinds)))
    names = {"sum": r"$\ell_\infty + \ell_2$", "union": r"$\ell_\infty \cup \ell_2$"}
    for axes, (column, name) in zip(figure.subplots(1, 2), names.items(), strict=True):
        mine = table[f"{first}_{column}"].to_numpy()
        theirs = {other: table[f"{other}_{column}"].to_numpy() for other in kinds}
        _dots(axes, mine, theirs, first, kinds)
        axes.set_xlabel(f"the other: {name} robust accuracy (%)", fontsize=9)
        axes.set_ylabel(f"{first}: {name} robust accuracy (%, proven)", fontsize=9)
        side = "left" if column == "sum" else "right"
        figure.legend(*axes.get_legend_handles_labels(), loc=f"outside lower {side}", frameon=False, fontsize=7.5)
    figure.suptitle(
        f"{dataset}, test images: {len(table)} pairs; left the sum of both accuracies, right both at once", fontsize=10
    )
    return figure


def _dots(axes: Axes, mine: np.ndarray, theirs: Mapping[str, np.ndarray], first: str, kinds: Mapping[str, str]) -> None:
    """The dots of every other classifier, with how often `first` is ahead of it, and the line where both are equal."""
    for i, (name, x) in enumerate(theirs.items()):
        color, is_hollow = sns.color_palette("colorblind")[i % 10], kinds[name] == "attacked"
        above, equal = int((mine > x).sum()), int((mine == x).sum())
        axes.scatter(
            x, mine, s=18, marker=MARKERS[i % len(MARKERS)], facecolor="none" if is_hollow else color,
            edgecolor=color if is_hollow else "white", linewidth=0.9 if is_hollow else 0.5, zorder=3,
            label=f"{name} ({kinds[name]}): {first} ahead in {above} of {len(x)}, equal in {equal}",
        )  # fmt: skip
    everything = np.concatenate([mine, *theirs.values()])
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low) + 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="black", linewidth=0.8, linestyle="--", zorder=2)
    axes.set(xlim=limits, ylim=limits, aspect="equal")


def times_table(timings: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Table 1: seconds to train one pair (1NN: to build its index), and to classify one test image, by classifier.

    Inference alone and in batches of 512, from this machine's memory and back."""
    rows = [
        {
            "classifier": name,
            "training_seconds_per_pair": float(f"{one['training_seconds_per_pair']:.3g}"),
            "inference_seconds_batch_1": float(f"{one['inference_seconds_per_image']['1']:.3g}"),
            "inference_seconds_batch_512": float(f"{one['inference_seconds_per_image']['512']:.3g}"),
            "device": one["device"],
        }
        for name, one in timings.items()
    ]
    return pd.DataFrame(rows)


def times(table: pd.DataFrame) -> Figure:
    """Table 1 as a picture."""
    figure = Figure(figsize=(7.2, 0.5 + 0.32 * (len(table) + 1)))
    axes = figure.subplots()
    axes.axis("off")
    head = [
        "",
        "training, s per pair",
        "inference, s per image,\none at a time",
        "inference, s per image,\n512 at once",
        "device",
    ]
    cells = [
        [row[0], f"{row[1]:.3g}", f"{row[2]:.2e}", f"{row[3]:.2e}", row[4]] for row in table.itertuples(index=False)
    ]
    drawn = axes.table(
        cells,
        colLabels=head,
        loc="center",
        cellLoc="center",
        edges="horizontal",
        colWidths=[0.1, 0.2, 0.24, 0.24, 0.22],
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.4)
    for column in range(len(head)):
        drawn[0, column].set_height(1.6 * drawn[0, column].get_height())
    return figure


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

"""The paper's figures and table, each a function from a table to a matplotlib figure."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.accuracy import strongest
from nnrobust.outputs import finished_file
from nnrobust.records import ALL_CLASSES

MEASURES = ("clean", "Linf", "L2")
HEADLINE = ("exact", "bisector")
"""The proofs whose numbers stand for 1NN in the figures, the first there is. For networks it is all attacks together."""


@contextmanager
def style() -> Iterator[None]:
    """The one look of all figures: legible in grey and to colour-blind readers."""
    settings = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper", font_scale=1.1),
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,
        "svg.hashsalt": "nnrobust",
    }
    with mpl.rc_context(settings):
        yield


def save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Writes the figure as PNG and as PDF, without the time of writing, so that equal figures are equal files."""
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with finished_file(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an accuracy table, or of means over pairs, that the figures show: one for each problem and norm."""
    wanted = strongest(table[table["method"].isin(HEADLINE) | (table["kind"] == "attacked")])
    rank = wanted["method"].map({name: place for place, name in enumerate(HEADLINE)}).fillna(0)
    order = rank.sort_values(kind="stable").index
    key = [name for name in ("classifier", "pair", "split", "norm") if name in table]
    return wanted.loc[order].drop_duplicates(key).sort_index()


def bars_table(means: pd.DataFrame, split: str, classifiers: list[str]) -> pd.DataFrame:
    """Columns classifier, measure (clean, Linf, L2), kind, accuracy and standard error in percent, n_pairs: one row a bar.

    A classifier that no pair could be trained for has no rows."""
    rows = []
    for classifier in classifiers:
        mine = headline(means[(means["classifier"] == classifier) & (means["split"] == split)])
        if mine.empty:
            continue
        for measure in MEASURES:
            one = (mine if measure == "clean" else mine[mine["norm"] == measure]).iloc[0]
            rate, error = (
                ("clean_accuracy", "clean_error") if measure == "clean" else ("robust_accuracy", "robust_error")
            )
            rows.append(
                {
                    "classifier": classifier,
                    "measure": measure,
                    "kind": "clean" if measure == "clean" else one["kind"],
                    "accuracy": round(100 * one[rate], 4),
                    "error": round(100 * one[error], 4),
                    "n_pairs": int(one["n_pairs"]),
                }
            )
    return pd.DataFrame(rows)


def bars(table: pd.DataFrame, split: str, dataset: str, epsilon: dict[str, float]) -> Figure:
    """Figures 4 (train) and 5 (test): grouped bars of accuracy, the mean over pairs, with the standard error of that mean."""
    labels = {
        "clean": "clean",
        "Linf": rf"$\ell_\infty$, $\epsilon$ = {epsilon['Linf']:.4g}",
        "L2": rf"$\ell_2$, $\epsilon$ = {epsilon['L2']:.4g}",
    }
    figure = Figure(figsize=(7.2, 3.9))
    axes = figure.subplots()
    classifiers = list(dict.fromkeys(table["classifier"]))
    colors, hatches, width = sns.color_palette("colorblind"), ("", "//", ".."), 0.27
    for i, measure in enumerate(MEASURES):
        part = table[table["measure"] == measure].set_index("classifier").loc[classifiers]
        place = np.arange(len(classifiers)) + (i - 1) * width
        axes.bar(
            place, part["accuracy"], width, yerr=part["error"], label=labels[measure], color=colors[(7, 0, 1)[i]],
            hatch=hatches[i], edgecolor="white", error_kw={"elinewidth": 0.8, "capsize": 1.5},
        )  # fmt: skip
        for x, height, error in zip(place, part["accuracy"], part["error"], strict=True):
            axes.text(x, height + error + 1, f"{height:.0f}", ha="center", va="bottom", fontsize=7)
    n_pairs = table.groupby("classifier")["n_pairs"].min()
    fewer = {name: f"\n{n} pairs" if n < n_pairs.max() else "" for name, n in n_pairs.items()}
    axes.set_xticks(np.arange(len(classifiers)), [f"{one}\n{_kinds(table, one)}{fewer[one]}" for one in classifiers])
    axes.set(ylabel="accuracy (%)", ylim=(0, 108))
    axes.grid(visible=False, axis="x")
    axes.set_title(f"{dataset}, {split} images: mean over {n_pairs.max()} pairs, ± standard error", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _kinds(table: pd.DataFrame, classifier: str) -> str:
    """What the numbers of a classifier are: `attacked`, or one line for each norm where they differ."""
    mine = table[(table["classifier"] == classifier) & (table["measure"] != "clean")].set_index("measure")["kind"]
    if mine.nunique() == 1:
        return str(mine.iloc[0])
    symbols = {"Linf": r"$\ell_\infty$", "L2": r"$\ell_2$"}
    return "\n".join(f"{symbols[norm]} {kind}" for norm, kind in mine.items())


def pairs_table(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """For each pair that both have, test images, in percent: the sum of both robust accuracies (what the paper plots), and the
    robust accuracy under both threat models at once, which is that in l2 where the l2 ball contains the other."""
    wanted = headline(table[(table["split"] == "test") & (table["pair"] != ALL_CLASSES)])
    wide = 100 * wanted.pivot_table(index="pair", columns=["classifier", "norm"], values="robust_accuracy", sort=False)
    columns = {"pair": wide.index}
    for name in (first, second):
        columns[f"{name}_sum"] = (wide[name, "Linf"] + wide[name, "L2"]).to_numpy()
        columns[f"{name}_Linf"], columns[f"{name}_L2"] = wide[name, "Linf"].to_numpy(), wide[name, "L2"].to_numpy()
    return pd.DataFrame(columns).dropna().round(4)


def scatter(table: pd.DataFrame, first: str, second: str, dataset: str) -> Figure:
    """Figure 6: one dot for each pair, `first` against `second`; left the sum that the paper plots, right l2 alone."""
    figure = Figure(figsize=(7.2, 3.9))
    for axes, column, name in zip(
        figure.subplots(1, 2), ("sum", "L2"), (r"$\ell_\infty + \ell_2$", r"$\ell_2$"), strict=True
    ):
        _dots(axes, table[f"{second}_{column}"].to_numpy(), table[f"{first}_{column}"].to_numpy(), first, second, name)
    figure.suptitle(f"{dataset}, test images: {len(table)} pairs", fontsize=10)
    return figure


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray, first: str, second: str, name: str) -> None:
    axes.scatter(x, y, s=18, color=sns.color_palette("colorblind")[0], edgecolor="white", linewidth=0.5, zorder=3)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.05 * (high - low) + 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="black", linewidth=0.8, linestyle="--", zorder=2)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xlabel(f"{second}: {name} robust accuracy (%, attacked)")
    axes.set_ylabel(f"{first}: {name} robust accuracy (%, proven)")
    above, equal = int((y > x).sum()), int((y == x).sum())
    axes.set_title(f"{first} ahead in {above} of {len(x)}, equal in {equal}", fontsize=9)


def times_table(timings: dict[str, dict[str, object]]) -> pd.DataFrame:
    """Table 1: seconds to train one pair (1NN: to build its index), and seconds to classify one test image, by classifier."""
    rows = [
        {
            "classifier": name,
            "training_seconds_per_pair": float(f"{one['training_seconds_per_pair']:.3g}"),
            "inference_seconds_per_image": float(f"{one['inference_seconds_per_image']:.3g}"),
            "device": one["device"],
        }
        for name, one in timings.items()
    ]
    return pd.DataFrame(rows)


def times(table: pd.DataFrame) -> Figure:
    """Table 1 as a picture."""
    figure = Figure(figsize=(7.2, 0.4 + 0.32 * (len(table) + 1)))
    axes = figure.subplots()
    axes.axis("off")
    head = ["", "training, s per pair", "inference, s per image", "device"]
    cells = [[row[0], f"{row[1]:.3g}", f"{row[2]:.2e}", row[3]] for row in table.itertuples(index=False)]
    drawn = axes.table(cells, colLabels=head, loc="center", cellLoc="center", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.4)
    return figure

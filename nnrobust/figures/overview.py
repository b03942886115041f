"""The answer of a run at a glance: every classifier, clean and robust, on test images, as a figure and as one sentence."""

from collections.abc import Collection

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnrobust.figures.accuracies import dot, emphasize, kind_handles, means_table, ranked, shown_name
from nnrobust.figures.style import MEASURES, Layout, number_of
from nnrobust.records import ALL_CLASSES
from nnrobust.tables.accuracy import LINEAR_BOUNDS
from nnrobust.tables.comparison import headline
from nnrobust.tables.leaderboard import ON_ALL, ON_PAIRS

_ROW = 0.25
"""Inches of a classifier's line."""
N_PUBLISHED = 3
"""The most published models shown: the strongest."""
COLUMNS = ["classifier", "problem", "measure", "kind", "accuracy", "low", "high", "n_pairs", "n"]


def overview_table(scores: pd.DataFrame, classifiers: list[str], confidence: float) -> pd.DataFrame:
    """The rows of `means_table` for test images, under the problem `pairs`, the strongest in both norms first."""
    table = means_table(scores, "test", classifiers, confidence)
    order = {name: place for place, name in enumerate(ranked(table))}
    table = table.sort_values("classifier", key=lambda names: names.map(order), kind="stable")
    return table.assign(problem=ON_PAIRS, n=0).reindex(columns=COLUMNS).reset_index(drop=True)


def whole_table(pairs: pd.DataFrame, unions: pd.DataFrame, classifiers: list[str]) -> pd.DataFrame:
    """The same columns for all classes at once, on test images, with Wilson intervals, out of the tables of accuracies; the
    classifiers in the order given."""
    rows = headline(pairs[(pairs["pair"] == ALL_CLASSES) & (pairs["split"] == "test")])
    clean = rows.drop_duplicates("classifier").assign(measure="clean", kind="clean")
    both = unions[(unions["pair"] == ALL_CLASSES) & (unions["split"] == "test")].assign(measure="union")
    parts = [
        _percent(clean, "clean_accuracy"),
        _percent(rows.assign(measure=rows["norm"]), "robust_accuracy"),
        _percent(both, "robust_accuracy"),
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table[table["classifier"].isin(classifiers)]
    return table.sort_values("classifier", key=lambda names: names.map(classifiers.index), kind="stable").reset_index(
        drop=True
    )


def _percent(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    accuracies = {"accuracy": rows[name], "low": rows[f"{name}_low"], "high": rows[f"{name}_high"]}
    numbers = {column: (100 * values.astype(float)).round(4) for column, values in accuracies.items()}
    return rows.assign(**numbers, problem=ON_ALL, n_pairs=0).reindex(columns=COLUMNS)


def proven_table(pairs: pd.DataFrame, classifiers: list[str], confidence: float) -> pd.DataFrame:
    """The same columns for what linear bounds prove of networks on test images, on pairs and on all classes, where they do."""
    rows = pairs[
        (pairs["method"] == LINEAR_BOUNDS) & (pairs["split"] == "test") & pairs["classifier"].isin(classifiers)
    ]
    rows = rows.assign(measure=rows["norm"], value=rows["robust_accuracy"])
    whole = _percent(rows[rows["pair"] == ALL_CLASSES], "robust_accuracy")
    names = list(dict.fromkeys(rows["classifier"]))
    on_pairs = means_table(rows[rows["pair"] != ALL_CLASSES], "test", names, confidence).assign(problem=ON_PAIRS, n=0)
    parts = [part for part in (whole, on_pairs[COLUMNS]) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else whole
    return table[table["accuracy"] > 0].reset_index(drop=True)


def published_rows(published: pd.DataFrame, measured: Collection[str]) -> pd.DataFrame:
    """The same columns of the strongest published models that were not measured: clean and Linf, without intervals."""
    mine = published[~published["classifier"].isin(list(measured))].astype(
        {"robust_accuracy": float, "clean_accuracy": float}
    )
    mine = mine.nlargest(N_PUBLISHED, "robust_accuracy")
    parts = []
    for measure, column in (("clean", "clean_accuracy"), ("Linf", "robust_accuracy")):
        accuracy = (100 * mine[column]).round(4)
        parts.append(mine.assign(measure=measure, kind="published", accuracy=accuracy, low=accuracy, high=accuracy))
    return pd.concat(parts).assign(problem=ON_ALL, n_pairs=0).reindex(columns=COLUMNS)


def overview_figure(table: pd.DataFrame, layout: Layout) -> Figure:
    """A line for each classifier, its accuracies as dots with their intervals; a panel for pairs, one for all classes at once.

    Filled dots are proven, hollow ones attacked; grey ones, of all published models in one line, published.
    """
    is_published = table["kind"] == "published"
    n_published = table.loc[is_published, "classifier"].nunique()
    table = table.assign(classifier=table["classifier"].mask(is_published, f"{n_published} best published"))
    problems = list(dict.fromkeys(table["problem"]))
    names = {one: list(dict.fromkeys(table.loc[table["problem"] == one, "classifier"])) for one in problems}
    if not layout.is_narrow:
        names = {one: list(dict.fromkeys(table["classifier"])) for one in problems}
    heights = [0.7 + _ROW * len(names[problem]) for problem in problems]
    shape = (len(problems), 1) if layout.is_narrow else (1, len(problems))
    tall = sum(heights) if layout.is_narrow else max(heights)
    figure = Figure(figsize=(layout.width, tall + (0.75 if layout.is_narrow else 0.3)))
    ratios = {"height_ratios": heights} if layout.is_narrow else {}
    every = np.ravel(figure.subplots(*shape, sharey=not layout.is_narrow, gridspec_kw=ratios))
    for axes, problem in zip(every, problems, strict=True):
        _panel(axes, table[table["problem"] == problem], names[problem])
        if axes is every[0] or layout.is_narrow:
            _name_rows(axes, table[table["problem"] == problem], names[problem])
    colors = sns.color_palette("colorblind")
    handles = [
        Line2D([], [], marker=marker, linestyle="", color=colors[color], label=label, markeredgewidth=1.5)
        for label, marker, color in MEASURES.values()
    ]
    handles += kind_handles(table["kind"])
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if layout.is_narrow else len(handles),
                  frameon=False, handletextpad=0.2, columnspacing=1.2)  # fmt: skip
    return figure


def _panel(axes: Axes, table: pd.DataFrame, names: list[str]) -> None:
    colors = sns.color_palette("colorblind")
    places = {name: place for place, name in enumerate(names)}
    for row in table.to_dict("records"):
        _, marker, color = MEASURES[row["measure"]]
        dot(
            axes,
            pd.Series(row),
            places[row["classifier"]],
            marker,
            "0.6" if row["kind"] == "published" else colors[color],
        )
    axes.set(xlim=(-2, 102), ylim=(len(names) - 0.5, -0.5), xlabel="accuracy (%), test images")
    is_on_pairs = table["problem"].iloc[0] == ON_PAIRS
    title = f"mean over {number_of(int(table['n_pairs'].max()), 'pair')}" if is_on_pairs else "all classes at once"
    axes.set_title(title, loc="left", fontweight="bold")


def _name_rows(axes: Axes, table: pd.DataFrame, names: list[str]) -> None:
    n_pairs = table.groupby("classifier")["n_pairs"].min()
    few = {name: f" ({number_of(n, 'pair')})" for name, n in n_pairs.items() if 0 < n < n_pairs.max()}
    axes.set_yticks(np.arange(len(names)), [f"{shown_name(name)}{few.get(name, '')}" for name in names])
    emphasize([axes], names)


def answer(scores: pd.DataFrame, classifiers: list[str], simple: Collection[str], dataset: str) -> str:
    """One sentence: images right and robust in both norms, by 1NN, the best simple rival and the best network.

    Of several, those that were measured on the most pairs count; a network's number is an upper bound.
    """
    mine = scores[(scores["split"] == "test") & (scores["measure"] == "union") & scores["classifier"].isin(classifiers)]
    both = mine.groupby("classifier").agg(value=("value", "mean"), kind=("kind", "min"), n_pairs=("pair", "size"))
    both = both[both["n_pairs"] == both["n_pairs"].max()]
    parts = []
    for words, names in (
        ("1NN", ["1NN"]),
        ("the best other simple classifier, {},", list(simple)),
        ("the best network, {},", [name for name in classifiers if name != "1NN" and name not in simple]),
    ):
        rivals = both.loc[[name for name in names if name in both.index]]
        if len(rivals):
            best = str(rivals["value"].idxmax())
            value, kind = rivals.loc[best, ["value", "kind"]]
            bound = "at most " if kind == "attacked" else ""
            parts.append(f"{words.format(shown_name(best))} {bound}{100 * value:.1f} % ({kind})")
    n = number_of(int(both["n_pairs"].max()), "pair")
    return f"On test images of {n} of {dataset}, right and robust in both norms at once: {'; '.join(parts)}."

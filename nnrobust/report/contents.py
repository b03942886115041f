"""What goes into the report of a run: its tables with captions, and what was not run."""

import pandas as pd

from nnrobust.claims.judge import NOT_RUN
from nnrobust.figures.overview import answer
from nnrobust.figures.pictures import Picture
from nnrobust.report.report import Report, Table
from nnrobust.report.times import TIMES_CAPTION, times_shown
from nnrobust.tables.comparison import HEADLINE
from nnrobust.tables.duplicates import largest_change
from nnrobust.tables.leaderboard import MEASURES, ON_ALL, PROVEN
from nnrobust.tables.runs import Run

QUESTION = "nnrobust: 1NN against adversarial training"
MEANS = [
    "classifier",
    "split",
    "norm",
    "kind",
    "method",
    "n_pairs",
    "clean_accuracy",
    "robust_accuracy",
    "robust_error",
]
PAIRS = ["classifier", "pair", "split", "norm", "kind", "method", "n", "clean_accuracy", "robust_accuracy",
         "robust_accuracy_low", "robust_accuracy_high"]  # fmt: skip
ZOO = ["classifier", "architecture", "split", "norm", "kind", "method", "n", "clean_accuracy", "robust_accuracy",
       "robust_accuracy_low", "robust_accuracy_high", "trained_for", "published_clean_accuracy",
       "published_autoattack_accuracy", "published", "status"]  # fmt: skip

MEANS_CAPTION = "Accuracies in percent by classifier, split, norm and method; errors are standard errors over pairs."
PAIRED_CAPTION = (
    "Differences in points over the pairs, on the images that both have, with Student's intervals; sign test and Wilcoxon's "
    "signed ranks, two-sided, without a correction for their number; where it says proven, against what linear bounds "
    "prove of a network. Pairs share classes: the tests describe these pairs."
)
CHANGES_CAPTION = (
    "The images of figures 1 and 7: l2 distance, largest change of a pixel value, structural similarity (SSIM; 1: equal images), "
    "and the percentages of pixel values changed by less and by more than the Linf epsilon."
)
FITS_CAPTION = (
    "One row a problem: the gap to the optimum that is proven, relative to the objective (0: none is sought), the tolerance it "
    "had to reach, records, and those without an exact verdict. Every certificate of a record was checked."
)
DUPLICATES_CAPTION = (
    "{found} of {n} test images have a near-duplicate among the training images: brightness aside, they differ from one by less "
    "than duplicates.threshold of their own standard deviation. Accuracies on test images in percent, with and without these; "
    "images that are moved, scaled or in other colors are not found by this distance. {largest}"
)
ZOO_CAPTION = (
    "Accuracies in percent with Wilson intervals. Published ones are of the original test images: RobustBench's, by AutoAttack, "
    "and what the makers of a network state. JPEG copies of CIFAR-10 cost standard deep networks ten points of clean accuracy."
)
LEADERBOARD_CAPTION = (
    "Test images, percent: on pairs the mean over them; union is robust in both norms at once; n counts images, of each pair "
    "anew. Exact: what it is; certified: a lower bound; attacked: an upper one; published: others' numbers, attacked, on the "
    "original images. Proven: at least so many, by exact radii, or of a network by linear bounds."
)


def report_of(
    run: Run,
    pictures: list[Picture],
    ledgers: tuple[pd.DataFrame, pd.DataFrame],
    setting: str,
    provenance: dict[str, object],
    times: pd.DataFrame,
) -> Report:
    """The report of a run, from its pictures, its claims and controls, and its times; no controls where none was judged."""
    claims, controls = ledgers
    if (controls["verdict"] == NOT_RUN).all():
        controls = controls[:0]
    sentence = answer(run.scores, run.classifiers + run.pretrained, run.simple, run.dataset)
    return Report(
        QUESTION,
        sentence,
        f"This run is {setting}.",
        claims,
        controls,
        pictures,
        _tables(run, times),
        provenance,
        not_run(run, claims),
    )


def _tables(run: Run, times: pd.DataFrame) -> list[Table]:
    tables = run.tables
    is_shown = tables["pairs"]["method"].isin(HEADLINE) | (tables["pairs"]["kind"] == "attacked")
    test = tables["pairs"].loc[is_shown & (tables["pairs"]["split"] == "test"), PAIRS]
    paired = tables["paired"].drop(columns="first", errors="ignore")
    board = tables["leaderboard"]
    board = board.assign(n_pairs=board["n_pairs"].where(board["n_pairs"] > 0).astype("Int64"))
    found = [
        Table("leaderboard", "All classifiers", LEADERBOARD_CAPTION, _percent(board, (*MEASURES, *PROVEN.values()))),
        Table("means", "Means over pairs", MEANS_CAPTION, _percent(tables["means"][MEANS])),
        Table("paired", "1NN against each classifier", PAIRED_CAPTION, _percent(paired, ("difference", "low", "high"))),
        Table("pairs", "Every pair", "Test images, accuracies in percent with Wilson intervals.", _percent(test)),
        Table("changes", "Pixel changes", CHANGES_CAPTION, _percent(tables["changes"], ("share_below", "share_above"))),
    ]
    if len(tables["duplicates"]):
        found.append(_duplicates(tables["duplicates"]))
    shown = times_shown(times, run.confidence)
    found.append(Table("table_1", "Table 1: running times", TIMES_CAPTION, shown))
    if len(tables["fits"]):
        found.append(Table("fits", "Fits of the simple classifiers", FITS_CAPTION, tables["fits"]))
    if len(tables["seeds"]):
        spread = _percent(tables["seeds"], ("mean", "lowest", "highest", "standard_deviation"))
        found.append(
            Table(
                "seeds",
                "Spread over seeds",
                "Variants that differ in their seed alone: means over pairs, percent.",
                spread,
            )
        )
    if len(tables["zoo"]):
        found.append(Table("zoo", "Pretrained models", ZOO_CAPTION, _percent(tables["zoo"][ZOO])))
    return found


def _duplicates(table: pd.DataFrame) -> Table:
    """Accuracies without near-duplicates of training images; how many there are, and how much that is at most, in the caption."""
    (whole,) = table[(table["classifier"] == "1NN") & (table["problem"] == ON_ALL)][:1].itertuples()
    most = largest_change(table)
    assert most is not None
    largest = f"The largest change: {most.classifier}, {most.problem}, {most.measure}, {100 * most.value:+.2f} points."
    caption = DUPLICATES_CAPTION.format(found=f"{whole.n - whole.n_without:,}", n=f"{whole.n:,}", largest=largest)
    rows = table.assign(n_pairs=table["n_pairs"].where(table["n_pairs"] > 0).astype("Int64"))
    return Table("duplicates", "Without near-duplicates", caption, _percent(rows))


def _percent(table: pd.DataFrame, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """The table with fractions as percentages, of the columns named, or of all that are accuracies or their errors."""
    names = columns or tuple(name for name in table if "accuracy" in name or name.endswith("error"))
    return table.assign(**{name: (100 * table[name].astype(float)).round(2) for name in names})


def not_run(run: Run, claims: pd.DataFrame) -> list[str]:
    """What the report has no number for, in words."""
    lines = []
    skipped = claims.loc[claims["verdict"] == NOT_RUN, "id"].tolist()
    if skipped:
        lines.append(f"{len(skipped)} of {len(claims)} claims: {', '.join(skipped)}.")
    zoo = run.tables["zoo"]
    models = zoo[zoo["architecture"].notna()]
    if models.empty:
        lines.append("The pretrained models (figure 8): none is named in models or zoo.models.")
    else:
        missing = models.loc[models["status"] != "ok", ["classifier", "status"]].drop_duplicates()
        lines += [f"{row.classifier}: {row.status}." for row in missing.itertuples()]
    if not set(run.examples) - {"1NN"}:
        lines.append("Figure 1: examples.classifiers names no network, or its stage failed.")
    if "1NN" not in run.examples:
        lines.append("Figure 7: examples.classifiers does not name 1NN, or its stage failed.")
    if not run.simple:
        lines.append("The other simple classifiers, and so the controls: params name none under classifiers.")
    if len(run.classifiers) == 1 + len(run.simple):
        lines.append("The trained variants: params name none, so the networks' numbers are missing, in figure 6 too.")
    elif run.searched not in set(run.scores["classifier"]):
        lines.append(f"Figure 6: no pair has a network of {run.searched}.")
    return lines

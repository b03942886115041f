"""Every figure of a run, one after the other, with its title and its caption."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnrobust.figures import accuracies, curves, overview, plane, theorem
from nnrobust.figures import examples as examples_figure
from nnrobust.figures import zoo as zoo_figure
from nnrobust.records import ALL_CLASSES
from nnrobust.tables.runs import Run

BARS = (
    "{n} pairs: the mean over them, whiskers its {confidence:.0%} interval (Student's, over pairs, which share classes). Filled "
    "bars are proven, hollow ones of networks attacked: an upper bound of their robustness."
)
PUBLISHED = (
    "Crosses: {n} models that were not measured here, as RobustBench publishes them: attacked by AutoAttack, on the 10,000 "
    "original images of CIFAR-10."
)
N_OTHERS = 6
"""The most networks of others in figure 6."""


@dataclass(frozen=True)
class Drawing:
    """A figure with the table it is drawn from, under the name of its files."""

    name: str
    title: str
    caption: str
    table: pd.DataFrame
    figure: Figure


def gallery(run: Run) -> Iterator[Drawing]:
    """All classifiers at a glance, the paper's figures and table that the run has something for, then those beyond it."""
    yield _overview(run)
    networks = [name for name in run.examples if name != "1NN"]
    if networks:
        yield _examples(run, "figure_1", networks[0])
    yield _plane(run)
    yield _theorem()
    yield _bars(run, "figure_4", "train")
    yield _bars(run, "figure_5", "test")
    others = [name for name in (str(run.searched), *run.simple, *_widest(run)) if name in set(run.scores["classifier"])]
    others += _strongest(run)
    if others:
        yield _pairs(run, others)
    if "1NN" in run.examples:
        yield _examples(run, "figure_7", "1NN")
    points = zoo_figure.zoo_points(run.tables["zoo"])
    if (points["kind"] == "attacked").any() or len(run.tables["published"]):
        yield _zoo(run, points)
    yield _times(run)
    beyond: list[Callable[[Run], Drawing]] = [
        _epsilons,
        _certificates,
        *([_growth] if len(run.tables["growth"]) else []),
        _distances,
    ]
    beyond += [draw for name, draw in (("training", _training), ("strength", _strength)) if len(run.tables[name])]
    for draw in beyond:
        yield draw(run)


def _overview(run: Run) -> Drawing:
    table = overview.overview_table(run.scores, [*run.classifiers, *_strongest(run)], run.confidence)
    caption = (
        f"{overview.answer(table, run.simple, run.dataset)} Lines are {run.confidence:.0%} intervals of the mean (Student's, "
        "over pairs, which share classes). Filled dots are proven, hollow ones attacked: an upper bound."
    )
    return Drawing("overview", "All classifiers at a glance", caption, table, overview.overview_figure(table))


def _widest(run: Run) -> list[str]:
    """The imported networks that were measured on the most pairs of them all."""
    n_pairs = run.scores[run.scores["classifier"].isin(run.imported)].groupby("classifier")["pair"].nunique()
    return [name for name in run.imported if n_pairs.get(name, 0) == n_pairs.max()]


def _examples(run: Run, name: str, classifier: str) -> Drawing:
    examples = run.examples[classifier]
    is_nearest = classifier == "1NN"
    found = "exact nearest images" if is_nearest else "nearest images that attacks found"
    ball = rf"in $\ell_2$; $\epsilon$ = {run.epsilon['L2']:.4g}"
    title = f"{run.dataset}: training images and the {found} that fool {classifier}, {ball}"
    kind = (
        "Proven: no nearer image in [0, 1] is classified differently"
        if is_nearest
        else "Attacked: a nearer one may exist"
    )
    n = int(examples.is_found.sum())
    caption = (
        f"{len(examples.images)} training images, {n} of them fooled, nearest in l2. {kind}. "
        "Gray in a difference is no change; each is scaled by its largest. Right: all pixel values of the images fooled."
    )
    table = _changes(run, classifier)
    figure = examples_figure.example_figure(examples, title, run.classes, run.epsilon)
    return Drawing(name, f"Figure {name[-1]}: what fools {classifier} on training images", caption, table, figure)


def _changes(run: Run, classifier: str) -> pd.DataFrame:
    changes = run.tables["changes"]
    return changes[changes["classifier"] == classifier]


def _plane(run: Run) -> Drawing:
    table = run.tables["plane"]
    n = len(table[["x", "y"]].drop_duplicates())
    caption = (
        f"{n} training points of four Gaussians, a share of each with the other label; squares are the closed Linf "
        "balls. 1NN exact, networks attacked by a grid in each ball. The class of a cluster is the sign of x * y, our reading."
    )
    figure = plane.plane_figure(table, run.regions, run.plane_seed)
    return Drawing("figure_2", "Figure 2: a problem in the plane", caption, table, figure)


def _theorem() -> Drawing:
    table = theorem.theorem_table()
    caption = "A computed example: the half gap (theorem 1) and the bisector bound are certified, the outermost radius is exact."
    return Drawing("figure_3", "Figure 3: the geometry of theorem 1", caption, table, theorem.theorem_figure(table))


def _bars(run: Run, name: str, split: str) -> Drawing:
    table = accuracies.bars_table(run.scores, split, [*run.classifiers, *run.pretrained], run.confidence)
    figure = accuracies.bars(table, split, run.dataset, run.epsilon)
    n = int(table["n_pairs"].max())
    return Drawing(
        name,
        f"Figure {name[-1]}: accuracies on {split} images",
        BARS.format(n=n, confidence=run.confidence),
        table,
        figure,
    )


def _strongest(run: Run) -> list[str]:
    """The few networks of others with the highest mean of both robust accuracies over pairs, on test images."""
    scores = run.scores
    mine = scores[
        (scores["split"] == "test") & (scores["measure"] == "mean") & scores["classifier"].isin(run.pretrained)
    ]
    means = mine.groupby("classifier")["value"].mean().sort_values(ascending=False, kind="stable")
    return [str(name) for name in means.index[:N_OTHERS]]


def _pairs(run: Run, others: list[str]) -> Drawing:
    table = accuracies.pairs_table(run.scores, "1NN", others)
    unions = run.scores[run.scores["measure"] == "union"]
    # In the alphabet as in strength: attacked, certified, exact.
    kinds = {name: str(unions.loc[unions["classifier"] == name, "kind"].min()) for name in others}
    figure = accuracies.scatter(table, "1NN", kinds, run.dataset)
    caption = (
        f"{len(table)} pairs, test images. Left the sum of the Linf and L2 robust accuracies, as the paper plots it; right "
        "images robust in both at once, the L2 accuracy, as the L2 ball contains the Linf ball. Above the line 1NN is ahead. "
        "Filled dots are proven, hollow ones attacked."
    )
    if len(run.pretrained) > N_OTHERS:
        caption += f" Of {len(run.pretrained)} networks of others the {N_OTHERS} with the highest mean of both."
    return Drawing("figure_6", "Figure 6: 1NN against others, pair by pair", caption, table, figure)


def _zoo(run: Run, points: pd.DataFrame) -> Drawing:
    zoo = run.tables["zoo"]
    n = zoo.loc[zoo["architecture"].notna(), "classifier"].nunique()
    published = zoo_figure.published_points(run.tables["published"], zoo)
    if not len(points):
        return _published(run, published)
    is_proven = points["kind"] != "attacked"
    kinds = " or ".join(sorted(set(points.loc[is_proven, "kind"]), reverse=True))
    proven = " and ".join(["1NN", *(["the simple classifiers"] if run.simple else [])])
    caption = (
        f"{zoo_figure.n_models(points)} of {n} models, {zoo_figure.images_of(points)}, Wilson intervals. "
        f"Models, hollow, attacked; {proven}, on all classes and the same images, {kinds}."
    )
    if len(published):
        caption += f" {PUBLISHED.format(n=len(published))}"
        points = pd.concat([points, published], ignore_index=True)
    figure = zoo_figure.zoo_figure(points, n, run.dataset, run.epsilon)
    return Drawing("figure_8", "Figure 8: pretrained models against 1NN", caption, points, figure)


def _published(run: Run, points: pd.DataFrame) -> Drawing:
    """Figure 8 of a run that measured no pretrained model."""
    table = run.tables["pairs"]
    whole = zoo_figure.zoo_points(table[table["pair"] == ALL_CLASSES].assign(status="ok"))
    nearest = whole[(whole["classifier"] == "1NN") & (whole["split"] == "test") & (whole["norm"] == "Linf")]
    figure = zoo_figure.published_figure(points, nearest.iloc[0], run.dataset, run.epsilon)
    caption = (
        f"{PUBLISHED.format(n=len(points))} Line: 1NN on all classes, {int(nearest['n'].iloc[0]):,} test images here."
    )
    joined = pd.concat([nearest, points], ignore_index=True)
    return Drawing("figure_8", "Figure 8: published models against 1NN", caption, joined, figure)


def _times(run: Run) -> Drawing:
    table = accuracies.times_table(run.timings)
    caption = "Seconds, one measurement each, transfers to the device and back included. Training of 1NN is building its index."
    return Drawing("table_1", "Table 1: running times", caption, table, accuracies.times(table))


def _epsilons(run: Run) -> Drawing:
    table = run.tables["curves"]
    figure = curves.epsilon_figure(table, run.dataset, run.epsilon)
    caption = (
        "Mean over pairs ± standard error, test images. Solid lines exact, without the box; networks by the nearest image that "
        "any attack found, an upper bound. Dotted: the epsilon of the records."
    )
    return Drawing("curve_epsilon", "Robust accuracy against epsilon", caption, table, figure)


def _certificates(run: Run) -> Drawing:
    table = run.tables["curves"]
    table = table[table["classifier"] == "1NN"]
    figure = curves.certificates_figure(table, "pairs", run.dataset, run.epsilon)
    caption = (
        "1NN: the half gap of theorem 1 and the bisector bound are certified, below the exact accuracy. Mean over pairs ± "
        "standard error, test images."
    )
    return Drawing("certificates", "Half gap, bisectors and exact", caption, table, figure)


def _growth(run: Run) -> Drawing:
    table = run.tables["growth"]
    figure = curves.growth_figure(table, run.dataset, run.epsilon)
    n = int(table["n_pairs"].iloc[0])
    caption = f"Mean over {n} pairs, test images, nested random parts of the training images; bars: range over seeds."
    return Drawing("curve_growth", "Against the number of training images", caption, table, figure)


def _distances(run: Run) -> Drawing:
    needed = 2 * run.epsilon["Linf"] * float(np.sqrt(run.n_dimensions))
    table = accuracies.distance_table(run.tables["class_distances"], needed)
    figure = accuracies.distance_figure(table, run.classes, run.dataset)
    caption = (
        "d0: the smallest l2 distance between training images of two classes. Framed: below 2 epsilon sqrt(N), where the "
        "theorems promise nothing."
    )
    return Drawing("class_distances", "Class distances d0", caption, table, figure)


def _training(run: Run) -> Drawing:
    table = run.tables["training"]
    figure = curves.training_figure(table, run.dataset)
    caption = (
        f"Mean over {int(table['n_pairs'].max())} pairs; accuracies on held-out training images, robust ones under PGD."
    )
    return Drawing("training", "Training by epoch", caption, table, figure)


def _strength(run: Run) -> Drawing:
    table = run.tables["strength"]
    figure = curves.strength_figure(table, run.dataset)
    caption = (
        f"{int(table['n'].max())} test images. A converged attack's line is flat at its end, and its cross lies on it."
    )
    return Drawing("attack_strength", "Have the attacks converged?", caption, table, figure)

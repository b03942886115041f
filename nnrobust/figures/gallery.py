"""Every figure of a run, one after the other, with its title and its caption."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnrobust.figures import accuracies, curves, distances, overview, pairs, plane, strength, theorem
from nnrobust.figures import examples as examples_figure
from nnrobust.figures import zoo as zoo_figure
from nnrobust.figures.style import WIDE, Layout, number_of
from nnrobust.records import ALL_CLASSES
from nnrobust.tables.leaderboard import ON_ALL
from nnrobust.tables.runs import Run

DOTS = (
    "{n}: the mean over them, lines its {confidence:.0%} interval (Student's, over pairs, which share classes). Filled dots are "
    "exact or certified, hollow ones of networks attacked: an upper bound of their robustness."
)
PUBLISHED = (
    "Grey: {n} that {were} not measured here, as RobustBench publishes them: attacked by AutoAttack, on the 10,000 original "
    "images of CIFAR-10."
)
TITLES = {
    "overview": "All classifiers at a glance",
    "figure_1": "Figure 1: what fools {} on training images",
    "figure_2": "Figure 2: a problem in the plane",
    "figure_3": "Figure 3: the geometry of theorem 1",
    "figure_4": "Figure 4: accuracies on train images",
    "figure_5": "Figure 5: accuracies on test images",
    "figure_6": "Figure 6: 1NN against others, pair by pair",
    "figure_7": "Figure 7: what fools {} on training images",
    "figure_8": "Figure 8: pretrained models, measured and published, against 1NN",
    "curve_epsilon": "Robust accuracy against epsilon",
    "certificates": "Half gap, bisectors and exact",
    "curve_growth": "Against the number of training images",
    "class_distances": "Class distances d0",
    "training": "Training by epoch",
    "attack_strength": "Have the attacks converged?",
}
"""Of every figure, by the name of its files; {} is the classifier that is fooled."""
N_OTHERS = 3
"""The most networks of others in figure 6 and the overview."""


@dataclass(frozen=True)
class Drawing:
    """A figure with the table it is drawn from, under the name of its files; `draw` gives it in a layout."""

    name: str
    title: str
    caption: str
    table: pd.DataFrame
    draw: Callable[[Layout], Figure]

    @property
    def figure(self) -> Figure:
        """In the wide layout."""
        return self.draw(WIDE)


def gallery(run: Run) -> Iterator[Drawing]:
    """All classifiers at a glance, the paper's figures that the run has something for, then those beyond it."""
    yield _overview(run)
    networks = [name for name in run.examples if name != "1NN"]
    if networks:
        yield _examples(run, "figure_1", networks[0])
    yield _plane(run)
    yield _theorem()
    yield _means(run, "figure_4", "train")
    yield _means(run, "figure_5", "test")
    others = [name for name in (str(run.searched), *run.simple, *_widest(run)) if name in set(run.scores["classifier"])]
    others += _strongest(run)
    if others:
        yield _pairs(run, others)
    if "1NN" in run.examples:
        yield _examples(run, "figure_7", "1NN")
    points = zoo_figure.zoo_points(run.tables["zoo"])
    if (points["kind"] == "attacked").any() or len(run.tables["published"]):
        yield _zoo(run, points)
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
    names = [*run.classifiers, *_strongest(run)]
    on_pairs = overview.overview_table(run.scores, names, run.confidence)
    on_pairs["classifier"] = on_pairs["classifier"].map(accuracies.shown_name)
    shown = list(dict.fromkeys(on_pairs["classifier"]))
    whole = overview.whole_table(run.tables["pairs"], run.tables["unions"], shown)
    published = overview.published_rows(run.tables["published"], set(run.tables["pairs"]["classifier"]))
    proven = overview.proven_table(run.tables["pairs"], [*names, *shown], run.confidence)
    proven["classifier"] = proven["classifier"].map(accuracies.shown_name)
    table = pd.concat([one for one in (on_pairs, whole, published, proven) if len(one)], ignore_index=True)
    caption = (
        f"Test images, {number_of(int(on_pairs['n_pairs'].max()), 'pair')}. Lines are {run.confidence:.0%} intervals: over pairs "
        "Student's of the mean, on all classes at once Wilson's. "
        "Filled dots are exact or certified, hollow ones attacked: an upper bound."
    )
    if len(proven):
        caption += " Of a network that has both, the filled one is what is proven, a lower bound."
    if len(published):
        best, n = ", ".join(dict.fromkeys(published["classifier"])), len(run.tables["published"])
        caption += f" Grey: the strongest of the {n} models that RobustBench publishes ({best})."
    return Drawing("overview", TITLES["overview"], caption, table, partial(overview.overview_figure, table))


def _widest(run: Run) -> list[str]:
    """The imported networks that were measured on the most pairs of them all."""
    n_pairs = run.scores[run.scores["classifier"].isin(run.imported)].groupby("classifier")["pair"].nunique()
    return [name for name in run.imported if n_pairs.get(name, 0) == n_pairs.max()]


def _examples(run: Run, name: str, classifier: str) -> Drawing:
    examples = run.examples[classifier]
    is_nearest = classifier == "1NN"
    found = "exact nearest images" if is_nearest else "nearest images that attacks found"
    title = f"{run.dataset}: training images and the {found} that fool {classifier}, in L2; epsilon = {run.epsilon['L2']:.4g}"
    caption = examples_figure.caption(examples, run.epsilon, is_nearest)
    table = _changes(run, classifier)
    draw = partial(examples_figure.example_figure, examples, title, run.classes, run.epsilon, is_nearest)
    return Drawing(name, TITLES[name].format(classifier), caption, table, draw)


def _changes(run: Run, classifier: str) -> pd.DataFrame:
    changes = run.tables["changes"]
    return changes[changes["classifier"] == classifier]


def _plane(run: Run) -> Drawing:
    table = run.tables["plane"]
    n = len(table[["x", "y"]].drop_duplicates())
    caption = (
        f"{n} training points of four Gaussians, a share of each with the other label; squares are the closed Linf "
        "balls. 1NN exact, networks attacked by a grid in each ball. The class of a cluster is the sign of x * y, our reading. "
        f"{plane.NOTE[0].upper()}{plane.NOTE[1:]}."
    )
    draw = partial(plane.plane_figure, table, run.regions, run.plane_seed)
    return Drawing("figure_2", TITLES["figure_2"], caption, table, draw)


def _theorem() -> Drawing:
    table = theorem.theorem_table()
    caption = "A computed example: the half gap (theorem 1) and the bisector bound are certified, the outermost radius is exact."
    return Drawing("figure_3", TITLES["figure_3"], caption, table, partial(theorem.theorem_figure, table))


def _means(run: Run, name: str, split: str) -> Drawing:
    table = accuracies.means_table(run.scores, split, [*run.classifiers, *run.pretrained], run.confidence)
    caption = DOTS.format(n=number_of(int(table["n_pairs"].max()), "pair"), confidence=run.confidence)
    return Drawing(name, TITLES[name], caption, table, partial(accuracies.means_figure, table, split, run.dataset))


def _strongest(run: Run) -> list[str]:
    """The few networks of others with the highest mean of both robust accuracies over pairs, on test images."""
    scores = run.scores
    mine = scores[
        (scores["split"] == "test") & (scores["measure"] == "mean") & scores["classifier"].isin(run.pretrained)
    ]
    means = mine.groupby("classifier")["value"].mean().sort_values(ascending=False, kind="stable")
    return [str(name) for name in means.index[:N_OTHERS]]


def _pairs(run: Run, others: list[str]) -> Drawing:
    table = pairs.pairs_table(run.scores, "1NN", others)
    unions = run.scores[run.scores["measure"] == "union"]
    # In the alphabet as in strength: attacked, certified, exact.
    kinds = {name: str(unions.loc[unions["classifier"] == name, "kind"].min()) for name in others}
    sums = [f"{accuracies.shown_name(name)} {2 * table[f'{name}_mean'].mean():.1f}" for name in ("1NN", *others)]
    caption = (
        f"{number_of(len(table), 'pair')}, test images. The mean of the Linf and the L2 robust accuracy, and the images robust "
        "in both at once. Filled dots are proven, hollow ones attacked. Below each panel: on how many pairs 1NN is ahead, and "
        "the two-sided sign test. The paper plots the sum of both norms, twice the mean: over the pairs "
        f"{', '.join(sums)} % on average."
    )
    if len(run.pretrained) > N_OTHERS:
        caption += f" Of {len(run.pretrained)} networks of others the {N_OTHERS} with the highest mean of both."
    draw = partial(pairs.pairs_figure, table, "1NN", kinds, run.dataset)
    return Drawing("figure_6", TITLES["figure_6"], caption, table, draw)


def _zoo(run: Run, points: pd.DataFrame) -> Drawing:
    zoo = run.tables["zoo"]
    published = zoo_figure.published_points(run.tables["published"], zoo)
    if not len(points):
        return _published(run, published)
    n = zoo.loc[zoo["architecture"].notna() | (zoo["kind"] == "attacked"), "classifier"].nunique()
    is_proven = points["kind"] != "attacked"
    kinds = " or ".join(sorted(set(points.loc[is_proven, "kind"]), reverse=True))
    proven = " and ".join(["1NN", *(["the simple classifiers"] if run.simple else [])])
    counts = f"{zoo_figure.n_models(points)} of {n} models, {zoo_figure.images_of(points)}, Wilson intervals"
    caption = f"{counts}. Models, hollow, attacked; {proven}, on all classes and the same images, {kinds}."
    if len(published):
        caption += f" {_grey(published)}"
        points = pd.concat([points, published], ignore_index=True)
    draw = partial(zoo_figure.zoo_figure, points, f"{run.dataset}: {counts}", run.epsilon)
    return Drawing("figure_8", TITLES["figure_8"], caption, points, draw)


def _grey(published: pd.DataFrame) -> str:
    return PUBLISHED.format(n=number_of(len(published), "model"), were="was" if len(published) == 1 else "were")


def _published(run: Run, points: pd.DataFrame) -> Drawing:
    """Figure 8 of a run that measured no pretrained model: what it has on all classes, beside published numbers."""
    table = run.tables["pairs"]
    whole = zoo_figure.zoo_points(table[table["pair"] == ALL_CLASSES].assign(status="ok"))
    here = whole[(whole["split"] == "test") & (whole["norm"] == "Linf")]
    n = int(here.loc[here["classifier"] == "1NN", "n"].iloc[0])
    caption = (
        f"{_grey(points)} Upright line: 1NN on {ON_ALL}, {n:,} test images here, with its Wilson interval; filled dots are exact "
        "or certified, hollow ones networks trained here and attacked."
    )
    joined = pd.concat([here, points], ignore_index=True)
    draw = partial(
        zoo_figure.zoo_figure, joined, f"{run.dataset}: {ON_ALL}, test images, and published models", run.epsilon
    )
    return Drawing("figure_8", TITLES["figure_8"], caption, joined, draw)


def _epsilons(run: Run) -> Drawing:
    every = run.tables["curves"]
    table = curves.on_most_pairs(every)
    left_out = [name for name in dict.fromkeys(every["classifier"]) if name not in set(table["classifier"])]
    n = number_of(int(table["n_problems"].max()), "pair")
    caption = (
        f"Mean over {n} ± standard error, test images. Solid lines exact, without the box; broken ones of networks by the "
        "nearest image that any attack found, an upper bound. Dotted: the epsilon of the records."
    )
    if left_out:
        caption += f" Measured on fewer pairs, and not drawn: {', '.join(left_out)}."
    draw = partial(curves.epsilon_figure, table, run.dataset, run.epsilon)
    return Drawing("curve_epsilon", TITLES["curve_epsilon"], caption, table, draw)


def _certificates(run: Run) -> Drawing:
    table = run.tables["curves"]
    table = table[(table["classifier"] == "1NN") & (table["problem"] == "pairs")]
    caption = (
        "1NN: the half gap of theorem 1 and the bisector bound are certified, below the exact accuracy. Mean over "
        f"{number_of(int(table['n_problems'].max()), 'pair')} ± standard error, test images."
    )
    draw = partial(curves.certificates_figure, table, "pairs", run.dataset, run.epsilon)
    return Drawing("certificates", TITLES["certificates"], caption, table, draw)


def _growth(run: Run) -> Drawing:
    table = run.tables["growth"]
    n = number_of(int(table["n_pairs"].iloc[0]), "pair")
    caption = (
        f"Mean over {n}, test images, nested random parts of the training images; exact or, where so named, certified; bars: "
        "range over seeds."
    )
    draw = partial(curves.growth_figure, table, run.dataset, run.epsilon)
    return Drawing("curve_growth", TITLES["curve_growth"], caption, table, draw)


def _distances(run: Run) -> Drawing:
    needed = 2 * run.epsilon["Linf"] * float(np.sqrt(run.n_dimensions))
    table = distances.distance_table(run.tables["class_distances"], needed)
    caption = (
        f"{number_of(len(table), 'pair')}, exact. d0: the smallest l2 distance between training images of two classes. Framed: "
        "below 2 epsilon sqrt(N), where the theorems promise nothing."
    )
    draw = partial(distances.distance_figure, table, run.classes, run.dataset)
    return Drawing("class_distances", TITLES["class_distances"], caption, table, draw)


def _training(run: Run) -> Drawing:
    table = run.tables["training"]
    caption = f"Mean over {curves.pairs_of(table)}; accuracies on held-out training images, robust ones under PGD, which attacks."
    return Drawing("training", TITLES["training"], caption, table, partial(curves.training_figure, table, run.dataset))


def _strength(run: Run) -> Drawing:
    table = strength.drops_table(run.tables["strength"])
    caption = (
        f"{int(table['n'].max())} test images. By how many points the accuracy falls, at most of all attacks, "
        f"{strength.in_words(table)}. An attack that has converged falls by about nothing."
    )
    draw = partial(strength.strength_figure, table, run.dataset)
    return Drawing("attack_strength", TITLES["attack_strength"], caption, table, draw)

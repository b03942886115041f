"""The tables of a run (`Evidence`), a number with its interval (`Measured`), and the functions from one to the other.

They return None where the run lacks what the number needs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from nnrobust.runtime.timing import TRAINING
from nnrobust.tables.accuracy import TABLE_COLUMNS
from nnrobust.tables.comparison import mean_interval, median_interval, paired, ratio_interval, sign_test


@dataclass(frozen=True)
class Evidence:
    """The tables of a run; a table is empty where its part was not run.

    `scores`, `common` and `whole`: of `comparison.scores`, `common_scores` and `whole_scores`. `zoo` and `published`: of
    `tables.zoo.zoo_table` and `published_table`, the second for models that were not measured. `timings`: seconds of each
    measurement, of `report.stopwatch`. `distances`: d0 of the run's pairs, in pixel units. `changes`: one row for each image of
    figures 1 and 7. `plane`: the 2-D problem. `trials`: of the search. `strength`: attacks alone. `epsilon`: by norm.
    `n_models`: pretrained models that the paper has.
    """

    scores: pd.DataFrame
    common: pd.DataFrame
    whole: pd.DataFrame
    zoo: pd.DataFrame
    published: pd.DataFrame
    timings: pd.DataFrame
    distances: pd.DataFrame
    changes: pd.DataFrame
    plane: pd.DataFrame
    trials: pd.DataFrame
    strength: pd.DataFrame
    epsilon: Mapping[str, float]
    n_dimensions: int
    n_models: int
    confidence: float

    @classmethod
    def of_scores(
        cls, scores: pd.DataFrame, epsilon: Mapping[str, float], n_dimensions: int, n_models: int, confidence: float
    ) -> "Evidence":
        """The evidence of a run that measured accuracies over pairs and nothing else."""
        zoo = pd.DataFrame(columns=[*TABLE_COLUMNS, "status", "architecture", "has_extra_data"])
        changes = pd.DataFrame({"classifier": [], "is_found": np.zeros(0, bool), "is_inside": np.zeros(0, bool)})
        plane, nothing = pd.DataFrame(columns=["panel"]), pd.DataFrame()
        return cls(
            scores,
            nothing,
            nothing,
            zoo,
            nothing,
            nothing,
            nothing,
            changes,
            plane,
            nothing,
            nothing,
            epsilon,
            n_dimensions,
            n_models,
            confidence,
        )


@dataclass(frozen=True)
class Measured:
    """A number with its interval, in the claim's unit (percent and points as fractions), its sample and its kind.

    `kind` is exact, certified, attacked, published, measured, or two of them where two numbers meet.
    """

    value: float
    low: float
    high: float
    sample: str
    kind: str
    note: str = ""


def mean_score(evidence: Evidence, classifier: str, split: str, measure: str) -> Measured | None:
    """The mean over pairs of one classifier's accuracy."""
    scores = evidence.scores
    is_one = (scores["classifier"] == classifier) & (scores["split"] == split) & (scores["measure"] == measure)
    mine = scores[is_one]
    if mine.empty:
        return None
    low, high = mean_interval(mine["value"].to_numpy(), evidence.confidence)
    sample = f"{len(mine)} pairs, {split} images"
    return Measured(mine["value"].mean(), max(low, 0.0), min(high, 1.0), sample, _weakest(mine["kind"]), classifier)


def _weakest(kinds: pd.Series) -> str:
    """What may be said of several numbers together. In the alphabet as in strength: attacked, certified, exact."""
    return min(word for kind in kinds for word in str(kind).split(" and "))


def difference(evidence: Evidence, first: str, second: str, split: str, measure: str) -> Measured | None:
    """The mean over pairs of the first classifier's accuracy minus the second's, on the images that both have."""
    values = paired(evidence.scores, evidence.common, first, second, split, measure)
    if not len(values):
        return None
    low, high = mean_interval(values, evidence.confidence)
    scores = evidence.scores[(evidence.scores["split"] == split) & (evidence.scores["measure"] == measure)]
    kinds = dict.fromkeys(_weakest(scores.loc[scores["classifier"] == name, "kind"]) for name in (first, second))
    sample, against = f"{len(values)} pairs, {split} images", f"{first} minus {second}"
    return Measured(float(values.mean()), low, high, sample, " against ".join(kinds), against)


def least(found: Sequence[Measured | None]) -> Measured | None:
    """The least of several numbers, with an interval for the least; None where all are missing.

    Its ends are the least of all lower and of all upper ends, as another number may turn out to be the least. Where
    some are missing it has no lower end, and a note: they may be less.
    """
    known = [measured for measured in found if measured is not None]
    if not known:
        return None
    lowest = min(known, key=lambda measured: measured.value)
    low, high = min(measured.low for measured in known), min(measured.high for measured in known)
    if len(known) < len(found):
        note = f"{lowest.note}; {len(found) - len(known)} of {len(found)} not run"
        return replace(lowest, low=-np.inf, high=high, note=note)
    return replace(lowest, low=low, high=high)


def greatest(found: Sequence[Measured | None]) -> Measured | None:
    """The greatest of several numbers, as `least`."""
    turned = least([None if measured is None else _turned(measured) for measured in found])
    return None if turned is None else _turned(turned)


def _turned(measured: Measured) -> Measured:
    return replace(measured, value=-measured.value, low=-measured.high, high=-measured.low)


def least_lead(
    evidence: Evidence, firsts: Sequence[str], seconds: Sequence[str], split: str, measure: str
) -> Measured | None:
    """The least difference, as `difference`, of any of the first classifiers to any of the second."""
    return least([difference(evidence, first, second, split, measure) for first, second in product(firsts, seconds)])


def highest_score(evidence: Evidence, classifiers: Sequence[str], split: str, measure: str) -> Measured | None:
    """The greatest mean over pairs, as `mean_score`, of several classifiers."""
    return greatest([mean_score(evidence, classifier, split, measure) for classifier in classifiers])


def share_of_pairs(
    evidence: Evidence, first: str, second: str, counts: Callable[[np.ndarray], np.ndarray]
) -> Measured | None:
    """The share of pairs whose difference of mean robust accuracies on test images `counts`.

    Of all the pairs there are: no sample, so no interval but where one of the two lacks pairs, which may fall on either
    side. The sign test's p-value is in the note.
    """
    values = paired(evidence.scores, evidence.common, first, second, "test", "mean")
    about = difference(evidence, first, second, "test", "mean")
    if about is None:
        return None
    n, share = int(counts(values).sum()), float(counts(values).mean())
    scores = evidence.scores[evidence.scores["classifier"].isin([first, second]) & (evidence.scores["split"] == "test")]
    n_pairs = scores["pair"].nunique()
    low, high = n / n_pairs, (n + n_pairs - len(values)) / n_pairs
    note = f"{about.note}; sign test p = {sign_test(values):.2g}"
    return Measured(share, low, high, f"{n} of {len(values)} pairs, test images", about.kind, note)


def share_of_distant_pairs(evidence: Evidence) -> Measured | None:
    """The share of pairs with d0 >= 2 epsilon sqrt(N), of all the pairs there are: no sample, so no interval."""
    if evidence.distances.empty:
        return None
    needed = 2 * evidence.epsilon["Linf"] * math.sqrt(evidence.n_dimensions)
    enough = int((evidence.distances["distance"] >= needed).sum())
    share, n = enough / len(evidence.distances), len(evidence.distances)
    return Measured(share, share, share, f"{enough} of {n} pairs, training images", "exact", f"d0 against {needed:.4g}")


def spread_of_settings(evidence: Evidence) -> Measured | None:
    """The accuracy of the best setting minus the worst's, on held-out images, as the mean over pairs.

    Of the settings that the search trained to the end, in pairs that have several.
    """
    trials = evidence.trials
    if trials.empty:
        return None
    done = trials[trials["state"] == "complete"]
    done = done[done.groupby("pair")["pair"].transform("size") > 1]
    if done.empty:
        return None
    spread = done.groupby("pair")["robust_accuracy"].agg(lambda values: values.max() - values.min()).to_numpy()
    low, high = mean_interval(spread, evidence.confidence)
    sample = f"{len(spread)} pairs, {len(done)} trials, held-out images"
    note = "best minus worst of the settings that halving left"
    return Measured(float(spread.mean()), low, high, sample, "attacked", note)


def lag_of_other_attacks(evidence: Evidence) -> Measured | None:
    """The robust accuracy under the PGD of Foolbox and CleverHans minus that under APGD-CE.

    All with the most steps and without restarts, on the same images; the mean over libraries, variants and norms.
    """
    strength = evidence.strength
    if strength.empty:
        return None
    same = strength[(strength["restarts"] == 1) & (strength["steps"] == strength["steps"].max())]
    wide = same.pivot(index=["classifier", "norm"], columns="attack", values="robust_accuracy")
    others = [name for name in ("pgd-foolbox", "pgd-cleverhans") if name in wide]
    if not others or "apgd-ce" not in wide:
        return None
    gaps = pd.concat([wide[name] - wide["apgd-ce"] for name in others]).dropna().to_numpy()
    low, high = mean_interval(gaps, evidence.confidence)
    sample = f"{int(same['n'].iloc[0]):,} test images, {len(wide)} variants and norms"
    return Measured(float(gaps.mean()), low, high, sample, "attacked", f"{' and '.join(others)} minus apgd-ce")


def plane_share(evidence: Evidence, is_wanted: Callable[[str], bool]) -> Measured | None:
    """The share of the plane's points that a panel's classifier is robust on; of several panels the highest."""
    is_mine = [is_wanted(panel) for panel in evidence.plane.get("panel", ())]
    if not any(is_mine):
        return None
    plane = evidence.plane[is_mine]
    shares = plane.groupby("panel")["is_robust"].mean()
    best = str(shares.idxmax())
    mine = plane[plane["panel"] == best]
    share = float(shares.max())
    return Measured(share, share, share, f"{len(mine)} points, seeded", str(mine["kind"].iloc[0]), best)


def time_ratio(evidence: Evidence, slow: str, fast: str, quantity: str) -> Measured | None:
    """How many times longer the first classifier takes: a ratio of medians, or, of what was measured in turn, a median ratio."""
    first, second = (_seconds(evidence.timings, name, quantity) for name in (slow, fast))
    if not len(first) or not len(second):
        return None
    if quantity == TRAINING:
        ends = [median_interval(seconds, evidence.confidence) for seconds in (first, second)]
        value, (low, high) = np.median(first) / np.median(second), _quotient(*ends)
        sample = f"{len(first)} and {len(second)} trainings"
    else:
        value, (low, high) = np.median(first / second), median_interval(first / second, evidence.confidence)
        sample = f"{len(first)} rounds"
    is_mine = (evidence.timings["quantity"] == quantity) & evidence.timings["classifier"].isin([slow, fast])
    devices = " and ".join(dict.fromkeys(evidence.timings.loc[is_mine, "device"]))
    return Measured(float(value), max(low, 0.0), high, f"{sample}; {devices}", "measured", f"{slow} over {fast}")


def _seconds(timings: pd.DataFrame, classifier: str, quantity: str) -> np.ndarray:
    if timings.empty:
        return np.zeros(0)
    is_mine = (timings["classifier"] == classifier) & (timings["quantity"] == quantity)
    return timings.loc[is_mine, "seconds"].to_numpy(np.float64)


def _quotient(above: tuple[float, float], below: tuple[float, float]) -> tuple[float, float]:
    """The interval of a quotient of positive numbers, from those of both."""
    if not np.isfinite([*above, *below]).all():
        return -np.inf, np.inf
    return above[0] / below[1], above[1] / below[0]


def share_of_values(evidence: Evidence, is_nearest_neighbor: bool, column: str) -> Measured | None:
    """The mean of a column of `changes`, a share of pixel values: 1NN's, as in figure 7, or the first network's, as in 1.

    Over the images that have a change; for a network, one inside the L2 ball. The note has how perceptible the changes are.
    """
    changes = evidence.changes
    if changes.empty:
        return None
    is_shown = changes["is_found"] if is_nearest_neighbor else changes["is_inside"]
    mine = changes[((changes["classifier"] == "1NN") == is_nearest_neighbor) & is_shown]
    if mine.empty:
        return None
    name = str(mine["classifier"].iloc[0])
    mine = mine[mine["classifier"] == name]
    low, high = mean_interval(mine[column].to_numpy(), evidence.confidence)
    kind, sample = "exact" if is_nearest_neighbor else "attacked", f"{len(mine)} training images, L2"
    return Measured(
        mine[column].mean(), max(low, 0.0), min(high, 1.0), sample, kind, "; ".join([name, *_perception(mine)])
    )


def _perception(changes: pd.DataFrame) -> list[str]:
    """How perceptible the changes are, by medians; nothing of a run that has not measured it."""
    words = {"largest_change": "largest change of a value", "ssim": "SSIM to the image"}
    if not set(words) <= set(changes):
        return []
    return [f"median {text} {changes[name].median():.2f}" for name, text in words.items()]


def change_ratio(evidence: Evidence) -> Measured | None:
    """The mean L2 change that fools 1NN over the one that fools the first network that has any, on the same images."""
    if evidence.changes.empty:
        return None
    found = evidence.changes[evidence.changes["is_found"]]
    networks = [name for name in dict.fromkeys(found["classifier"]) if name != "1NN"]
    if not networks:
        return None
    names = ["1NN", networks[0]]
    both = found.pivot(index="index", columns="classifier", values="norm").reindex(columns=names).dropna()
    if both.empty:
        return None
    nearest, network = both.to_numpy().T
    low, high = ratio_interval(nearest, network, evidence.confidence)
    ratio, sample = float(nearest.mean() / network.mean()), f"{len(both)} training images, L2"
    return Measured(ratio, low, high, sample, "exact against attacked", f"1NN over {networks[0]}")

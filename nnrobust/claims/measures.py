"""What a run has measured, and the few ways in which a claim's number is taken from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nnrobust.tables.accuracy import TABLE_COLUMNS
from nnrobust.tables.comparison import mean_interval, paired, sign_test


@dataclass(frozen=True)
class Evidence:
    """The tables of a run; those of what was not run are empty.

    `scores`: of `comparison.scores`. `zoo`: of `zoo_results.zoo_table`. `timings`: by classifier. `distances`: d0 of the run's
    pairs, in pixel units. `changes`: one row for each image of figures 1 and 7. `plane`: the 2-D problem. `trials`: of the
    search. `strength`: attacks alone. `epsilon`: by norm. `n_models`: pretrained models that the paper has.
    """

    scores: pd.DataFrame
    zoo: pd.DataFrame
    timings: Mapping[str, Mapping[str, object]]
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
            scores, zoo, {}, nothing, changes, plane, nothing, nothing, epsilon, n_dimensions, n_models, confidence
        )


@dataclass(frozen=True)
class Measured:
    """A number with its interval, in the claim's unit (percent and points as fractions), what it is of, and what kind it is.

    `kind` is exact, certified, attacked, measured, or two of them where two numbers meet.
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
    """The mean over pairs of the first classifier's accuracy minus the second's."""
    values = paired(evidence.scores, first, second, split, measure)
    if not len(values):
        return None
    low, high = mean_interval(values, evidence.confidence)
    scores = evidence.scores[(evidence.scores["split"] == split) & (evidence.scores["measure"] == measure)]
    kinds = dict.fromkeys(_weakest(scores.loc[scores["classifier"] == name, "kind"]) for name in (first, second))
    sample, against = f"{len(values)} pairs, {split} images", f"{first} minus {second}"
    return Measured(float(values.mean()), low, high, sample, " against ".join(kinds), against)


def least(found: Sequence[Measured | None], n_expected: int) -> Measured | None:
    """The least of several, with the interval of what is least; None where all are missing.

    Its ends are the least of all lower and of all upper ends, as another may turn out to be the least. Where some are missing it
    has no lower end, and a note: they may be less.
    """
    there = [one for one in found if one is not None]
    if not there:
        return None
    one = min(there, key=lambda measured: measured.value)
    low, high = min(measured.low for measured in there), min(measured.high for measured in there)
    if len(there) < n_expected:
        low, one = -np.inf, replace(one, note=f"{one.note}; {n_expected - len(there)} of {n_expected} not run")
    return replace(one, low=low, high=high)


def greatest(found: Sequence[Measured | None], n_expected: int) -> Measured | None:
    """The greatest of several, as `least`."""
    one = least([None if each is None else _turned(each) for each in found], n_expected)
    return None if one is None else _turned(one)


def _turned(one: Measured) -> Measured:
    return replace(one, value=-one.value, low=-one.high, high=-one.low)


def share_of_pairs(
    evidence: Evidence, first: str, second: str, counts: Callable[[np.ndarray], np.ndarray]
) -> Measured | None:
    """The share of pairs whose difference of mean robust accuracies on test images `counts`.

    Of all the pairs there are: no sample, so no interval but where one of the two lacks pairs, which may fall on either side. The
    sign test's p-value is in the note.
    """
    values = paired(evidence.scores, first, second, "test", "mean")
    about = difference(evidence, first, second, "test", "mean")
    if about is None:
        return None
    n, share = int(counts(values).sum()), float(counts(values).mean())
    scores = evidence.scores[evidence.scores["classifier"].isin([first, second]) & (evidence.scores["split"] == "test")]
    n_pairs = scores["pair"].nunique()
    low, high = n / n_pairs, (n + n_pairs - len(values)) / n_pairs
    note = f"{about.note}; sign test p = {sign_test(values):.2g}"
    return Measured(share, low, high, f"{n} of {len(values)} pairs, test images", about.kind, note)


def time_ratio(evidence: Evidence, slow: str, fast: str, seconds: Callable[[Mapping], float]) -> Measured | None:
    """How many times longer the first classifier takes; one measurement, so without an interval."""
    if slow not in evidence.timings or fast not in evidence.timings:
        return None
    one, other = evidence.timings[slow], evidence.timings[fast]
    devices = " and ".join(dict.fromkeys(str(each["device"]) for each in (one, other)))
    ratio = seconds(one) / seconds(other)
    return Measured(ratio, ratio, ratio, f"one run; {devices}", "measured", f"{slow} over {fast}")


def share_of_values(evidence: Evidence, is_nearest_neighbor: bool, column: str) -> Measured | None:
    """The mean over the images of figure 7, or 1, of the share of pixel values changed by less, or more, than Linf's epsilon."""
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
    kind = "exact" if is_nearest_neighbor else "attacked"
    return Measured(mine[column].mean(), max(low, 0.0), min(high, 1.0), f"{len(mine)} training images, L2", kind, name)


def change_ratio(evidence: Evidence) -> Measured | None:
    """How many times longer, in l2, the mean change is that fools 1NN than the one that fools a network, on the same images."""
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
    nearest, network = (float(mean) for mean in both.mean())
    ratio, sample = nearest / network, f"{len(both)} training images, L2"
    return Measured(ratio, ratio, ratio, sample, "exact against attacked", f"1NN over {networks[0]}")

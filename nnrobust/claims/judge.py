"""The verdicts: each claim of the paper measured in a run, and judged by a rule that params state before the numbers are seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from nnrobust.claims.measures import (
    Evidence,
    Measured,
    change_ratio,
    difference,
    greatest,
    least,
    mean_score,
    share_of_pairs,
    share_of_values,
    time_ratio,
)
from nnrobust.claims.paper import CLAIMS, IDS
from nnrobust.claims.zoo import zoo_accuracy, zoo_best, zoo_gain, zoo_share
from nnrobust.errors import ParamError
from nnrobust.tables.comparison import mean_interval

Range = Sequence[float | None]
"""The values that a claim allows, in its unit (percent and points as fractions), ends included; None: open."""
TRADES = ("T_R", "T_B", "T_B_A")
NETWORKS = ("S", "E_S", *TRADES)
"""The paper's own variants, by the names that params give them; others are beyond it, and judged by no claim."""
BEST = "T_B"
PRETRAINED_TRADES, STANDARD = "Zhang2019Theoretically", "Standard"
HOLDS, FAILS, CANNOT_TELL, NOT_RUN = "holds", "fails", "cannot tell", "not run"
VERDICTS = (HOLDS, FAILS, CANNOT_TELL, NOT_RUN)


def ledger(evidence: Evidence, accepted: Mapping[str, Range], margin: float, setting: str) -> list[dict[str, object]]:
    """One entry for each claim: id, where, quote, paper, unit, value, low, high, sample, kind, rule, verdict, setting, note.

    `accepted` has the range of every claim by id. `margin` is the difference up to which two accuracies are comparable.
    `setting` says what run this is, on every line. Numbers are null where the claim was not run; an end that is infinite is null.

    Raises:
        ParamError: when a claim has no range, or a range no claim.
    """
    if set(accepted) != set(IDS):
        missing, unknown = sorted(set(IDS) - set(accepted)), sorted(set(accepted) - set(IDS))
        raise ParamError(
            f"claims.accepted: expected the claims of nnrobust/claims/paper.py; missing {missing}, unknown {unknown}"
        )
    entries: list[dict[str, object]] = []
    for claim in CLAIMS:
        found = MEASURES[claim.id](evidence, margin)
        numbers: dict[str, object] = {"value": None, "low": None, "high": None, "sample": "", "kind": "", "note": ""}
        if found is not None:
            numbers = {
                name: _finite(value) if isinstance(value, float) else value for name, value in asdict(found).items()
            }
        rule = in_words(accepted[claim.id], claim.unit)
        verdict = judged(found, accepted[claim.id])
        entries.append({**asdict(claim), **numbers, "rule": rule, "verdict": verdict, "setting": setting})
    return entries


def _finite(value: float) -> float | None:
    return round(value, 6) + 0.0 if math.isfinite(value) else None  # + 0.0: no negative zero


def judged(found: Measured | None, accepted: Range) -> str:
    """`holds` where the whole interval is accepted, `fails` where none is, else `cannot tell`; without a number `not run`."""
    if found is None:
        return NOT_RUN
    low, high = (-math.inf if accepted[0] is None else accepted[0]), (math.inf if accepted[1] is None else accepted[1])
    if low <= found.low and found.high <= high:
        return HOLDS
    return FAILS if found.high < low or high < found.low else CANNOT_TELL


def in_words(accepted: Range, unit: str) -> str:
    """The range that a claim allows, as text."""
    low, high = (None if end is None else shown(end, unit) for end in accepted)
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def shown(value: float, unit: str) -> str:
    """A number in its unit, as text."""
    if unit == "times":
        return f"{value:,.4g} times" if value < 1000 else f"{value:,.0f} times"
    digits = 1
    while digits < 4 and value < 1 and round(100 * value, digits) == 100:
        digits += 1  # what is below 100 % does not read as 100 %
    return f"{round(100 * value, digits) + 0.0:.{digits}f} {'%' if unit == 'percent' else 'points'}"


def ledger_table(entries: list[dict[str, object]]) -> pd.DataFrame:
    """The ledger for readers: id, where, quote, paper, ours, interval, sample, kind, rule, verdict, setting, note, all texts."""
    rows = []
    for entry in entries:
        unit, value = str(entry["unit"]), entry["value"]
        ends = [end if isinstance(end := entry[name], float) else None for name in ("low", "high")]
        ours = "" if value is None else shown(float(str(value)), unit)
        rows.append(
            {name: entry[name] for name in ("id", "where", "quote", "paper")}
            | {"ours": ours, "interval": _interval(ends, unit)}
            | {name: entry[name] for name in ("sample", "kind", "rule", "verdict", "setting", "note")}
        )
    return pd.DataFrame(rows)


def _interval(ends: Range, unit: str) -> str:
    low, high = ends
    if low is None or high is None:
        return "" if low is high else in_words(ends, unit)
    return shown(low, unit) if low == high else f"{shown(low, unit)} to {shown(high, unit)}"


def _ahead_of_best_trades(evidence: Evidence, margin: float) -> Measured | None:
    return least([difference(evidence, "1NN", one, "test", "mean") for one in TRADES], len(TRADES))


def _best_of_all(evidence: Evidence, margin: float) -> Measured | None:
    return least([difference(evidence, "1NN", one, "test", "mean") for one in NETWORKS], len(NETWORKS))


def _hyperparameters(evidence: Evidence, margin: float) -> Measured | None:
    """The best setting minus the worst, of those that the search trained to the end, by mean accuracy over held-out images."""
    trials = evidence.trials
    if trials.empty:
        return None
    done = trials[trials["state"] == "complete"]
    done = done[done.groupby("pair")["pair"].transform("size") > 1]  # one setting alone has no spread
    if done.empty:
        return None
    spread = done.groupby("pair")["robust_accuracy"].agg(lambda values: values.max() - values.min()).to_numpy()
    low, high = mean_interval(spread, evidence.confidence)
    sample = f"{len(spread)} pairs, {len(done)} trials, held-out images"
    return Measured(
        float(spread.mean()), low, high, sample, "attacked", "best minus worst of the settings that halving left"
    )


def _other_attacks(evidence: Evidence, margin: float) -> Measured | None:
    """What the PGD of Foolbox and CleverHans leave, minus what APGD-CE leaves, with as many steps on the same images."""
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


def _class_distances(evidence: Evidence, margin: float) -> Measured | None:
    """The share of pairs with d0 >= 2 epsilon sqrt(N), of all there are: no sample, so no interval."""
    if evidence.distances.empty:
        return None
    needed = 2 * evidence.epsilon["Linf"] * math.sqrt(evidence.n_dimensions)
    enough = int((evidence.distances["distance"] >= needed).sum())
    share, n = enough / len(evidence.distances), len(evidence.distances)
    return Measured(share, share, share, f"{enough} of {n} pairs, training images", "exact", f"d0 against {needed:.4g}")


def _plane(evidence: Evidence, is_wanted: Callable[[str], bool]) -> Measured | None:
    """The share of the plane's points that a panel is right and robust on; of several panels the highest."""
    is_mine = [is_wanted(panel) for panel in evidence.plane.get("panel", ())]
    if not any(is_mine):
        return None
    plane = evidence.plane[is_mine]
    shares = plane.groupby("panel")["is_robust"].mean()
    best = str(shares.idxmax())
    mine = plane[plane["panel"] == best]
    share = float(shares.max())
    return Measured(share, share, share, f"{len(mine)} points, seeded", str(mine["kind"].iloc[0]), best)


def _times(one: Mapping) -> float:
    return float(one["training_seconds_per_pair"])


def _inference(one: Mapping) -> float:
    return float(one["inference_seconds_per_image"]["512"])


Measure = Callable[[Evidence, float], Measured | None]
MEASURES: dict[str, Measure] = {
    "abstract_average": _ahead_of_best_trades,
    "abstract_zoo": lambda e, m: zoo_share(e, "test", "L2"),
    "standard_training": lambda e, m: mean_score(e, "S", "test", "Linf"),
    "best_model": lambda e, m: zoo_best(e, "Linf", without_extra_data=True),
    "best_model_extra_data": lambda e, m: zoo_best(e, "Linf", without_extra_data=False),
    "trades_linf": lambda e, m: zoo_accuracy(e, "Linf", PRETRAINED_TRADES),
    "trades_l2": lambda e, m: zoo_accuracy(e, "L2", PRETRAINED_TRADES),
    "hyperparameters": _hyperparameters,
    "small_changes": lambda e, m: share_of_values(e, False, "share_below"),
    "plane_1nn": lambda e, m: _plane(e, lambda panel: panel == "1NN"),
    "plane_trades": lambda e, m: _plane(e, lambda panel: panel.startswith("TRADES")),
    "plane_standard": lambda e, m: _plane(e, lambda panel: panel == "overwritten loss"),
    "class_distances": _class_distances,
    "attacks": _other_attacks,
    "training_time": lambda e, m: time_ratio(e, "T_R", "1NN", _times),
    "training_cost": lambda e, m: time_ratio(e, "T_R", "S", _times),
    "early_stop_time": lambda e, m: time_ratio(e, "T_R", "E_S", _times),
    "inference_time": lambda e, m: time_ratio(e, "T_R", "1NN", _inference),
    "clean_worse": lambda e, m: difference(e, "S", "1NN", "test", "clean"),
    "clean_worst": lambda e, m: least([difference(e, one, "1NN", "test", "clean") for one in NETWORKS], len(NETWORKS)),
    "train_1nn_linf": lambda e, m: mean_score(e, "1NN", "train", "Linf"),
    "train_1nn_l2": lambda e, m: mean_score(e, "1NN", "train", "L2"),
    "train_networks_linf": lambda e, m: greatest([mean_score(e, one, "train", "Linf") for one in NETWORKS], len(NETWORKS)),
    "train_networks_l2": lambda e, m: greatest([mean_score(e, one, "train", "L2") for one in NETWORKS], len(NETWORKS)),
    "test_l2": lambda e, m: least([difference(e, "1NN", one, "test", "L2") for one in TRADES], len(TRADES)),
    "test_linf": lambda e, m: difference(e, "1NN", BEST, "test", "Linf"),
    "test_both": _best_of_all,
    "pairs_majority": lambda e, m: share_of_pairs(e, "1NN", BEST, lambda gap: gap > 0),
    "pairs_36": lambda e, m: share_of_pairs(e, "1NN", BEST, lambda gap: gap >= -m),
    "zoo_train_linf": lambda e, m: zoo_share(e, "train", "Linf"),
    "zoo_train_l2": lambda e, m: zoo_share(e, "train", "L2"),
    "zoo_test_linf": lambda e, m: zoo_gain(e, "Linf", STANDARD),
    "zoo_test_l2": lambda e, m: zoo_share(e, "test", "L2"),
    "large_changes": lambda e, m: share_of_values(e, True, "share_above"),
    "larger_changes": lambda e, m: change_ratio(e),
}  # fmt: skip
"""How each claim's number is taken from a run, None where the run has nothing to take it from."""


def setting_of(profile: str, dataset: str) -> str:
    """What run this is, and whether it is the paper's experiment."""
    if profile == "paper":
        return f"the paper's experiment (profile paper, {dataset})"
    return f"not the paper's experiment (profile {profile}, {dataset})"

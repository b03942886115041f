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
    highest_score,
    inference_seconds,
    lag_of_other_attacks,
    least_lead,
    mean_score,
    plane_share,
    share_of_distant_pairs,
    share_of_pairs,
    share_of_values,
    spread_of_settings,
    time_ratio,
    training_seconds,
)
from nnrobust.claims.paper import CLAIMS, IDS
from nnrobust.claims.zoo import zoo_accuracy, zoo_best, zoo_gain, zoo_share
from nnrobust.errors import ParamError

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


Measure = Callable[[Evidence, float], Measured | None]
MEASURES: dict[str, Measure] = {
    "abstract_average": lambda e, m: least_lead(e, ["1NN"], TRADES, "test", "mean"),
    "abstract_zoo": lambda e, m: zoo_share(e, "test", "L2"),
    "standard_training": lambda e, m: mean_score(e, "S", "test", "Linf"),
    "best_model": lambda e, m: zoo_best(e, "Linf", without_extra_data=True),
    "best_model_extra_data": lambda e, m: zoo_best(e, "Linf", without_extra_data=False),
    "trades_linf": lambda e, m: zoo_accuracy(e, "Linf", PRETRAINED_TRADES),
    "trades_l2": lambda e, m: zoo_accuracy(e, "L2", PRETRAINED_TRADES),
    "hyperparameters": lambda e, m: spread_of_settings(e),
    "small_changes": lambda e, m: share_of_values(e, False, "share_below"),
    "plane_1nn": lambda e, m: plane_share(e, lambda panel: panel == "1NN"),
    "plane_trades": lambda e, m: plane_share(e, lambda panel: panel.startswith("TRADES")),
    "plane_standard": lambda e, m: plane_share(e, lambda panel: panel == "overwritten loss"),
    "class_distances": lambda e, m: share_of_distant_pairs(e),
    "attacks": lambda e, m: lag_of_other_attacks(e),
    "training_time": lambda e, m: time_ratio(e, "T_R", "1NN", training_seconds),
    "training_cost": lambda e, m: time_ratio(e, "T_R", "S", training_seconds),
    "early_stop_time": lambda e, m: time_ratio(e, "T_R", "E_S", training_seconds),
    "inference_time": lambda e, m: time_ratio(e, "T_R", "1NN", inference_seconds),
    "clean_worse": lambda e, m: difference(e, "S", "1NN", "test", "clean"),
    "clean_worst": lambda e, m: least_lead(e, NETWORKS, ["1NN"], "test", "clean"),
    "train_1nn_linf": lambda e, m: mean_score(e, "1NN", "train", "Linf"),
    "train_1nn_l2": lambda e, m: mean_score(e, "1NN", "train", "L2"),
    "train_networks_linf": lambda e, m: highest_score(e, NETWORKS, "train", "Linf"),
    "train_networks_l2": lambda e, m: highest_score(e, NETWORKS, "train", "L2"),
    "test_l2": lambda e, m: least_lead(e, ["1NN"], TRADES, "test", "L2"),
    "test_linf": lambda e, m: difference(e, "1NN", BEST, "test", "Linf"),
    "test_both": lambda e, m: least_lead(e, ["1NN"], NETWORKS, "test", "mean"),
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

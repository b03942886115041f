"""The verdicts: each claim of the paper measured in a run, and judged by the range that its sentence allows."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from nnrobust.claims.measures import Evidence, Measured
from nnrobust.claims.paper import CLAIMS, Claim, Range

HOLDS, FAILS, CANNOT_TELL, NOT_RUN = "holds", "fails", "cannot tell", "not run"
VERDICTS = (HOLDS, FAILS, CANNOT_TELL, NOT_RUN)
SENTENCE = ("id", "where", "quote", "paper", "unit")
"""The fields of a claim that its entry in the ledger repeats."""


def ledger(
    evidence: Evidence, margin: float, setting: str, claims: Sequence[Claim] = CLAIMS
) -> list[dict[str, object]]:
    """One entry for each claim, the paper's or others: `SENTENCE`, value, low, high, sample, kind, note, rule, verdict, setting.

    `margin` is the difference up to which two accuracies are comparable. `setting` names the run, in every entry.
    Numbers are null where the claim was not run; an end that is infinite is null.
    """
    entries: list[dict[str, object]] = []
    for claim in claims:
        found = claim.measure(evidence, margin)
        numbers: dict[str, object] = {"value": None, "low": None, "high": None, "sample": "", "kind": "", "note": ""}
        if found is not None:
            numbers = {
                name: _finite(value) if isinstance(value, float) else value for name, value in asdict(found).items()
            }
        sentence = {name: getattr(claim, name) for name in SENTENCE}
        rule, verdict = in_words(claim.accepted, claim.unit), judged(found, claim.accepted)
        entries.append({**sentence, **numbers, "rule": rule, "verdict": verdict, "setting": setting})
    return entries


def _finite(value: float) -> float | None:
    return round(value, 6) + 0.0 if math.isfinite(value) else None  # + 0.0: no negative zero


def judged(found: Measured | None, accepted: Range) -> str:
    """`holds` where the whole interval is accepted, `fails` where none is, else `cannot tell`; no number: `not run`."""
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
    """The ledger for readers, all texts, with `ours` and `interval` in the place of value, low and high."""
    rows = []
    for entry in entries:
        unit, value = str(entry["unit"]), entry["value"]
        low, high = (end if isinstance(end := entry[name], float) else None for name in ("low", "high"))
        ours = "" if value is None else shown(float(str(value)), unit)
        rows.append(
            {name: entry[name] for name in ("id", "where", "quote", "paper")}
            | {"ours": ours, "interval": _interval((low, high), unit)}
            | {name: entry[name] for name in ("sample", "kind", "rule", "verdict", "setting", "note")}
        )
    return pd.DataFrame(rows)


def _interval(ends: Range, unit: str) -> str:
    low, high = ends
    if low is None or high is None:
        return "" if low is high else in_words(ends, unit)
    return shown(low, unit) if low == high else f"{shown(low, unit)} to {shown(high, unit)}"


def setting_of(profile: str, dataset: str) -> str:
    """What the run is to the paper's experiment: that itself, its data in another setting, or a transfer to other data."""
    if profile == "paper":
        return f"a reproduction, the paper's experiment (profile paper, {dataset})"
    if dataset.startswith("cifar10"):
        return f"a reproduction in part, the paper's data with other settings (profile {profile}, {dataset})"
    return f"a transfer to other data than the paper's (profile {profile}, {dataset})"

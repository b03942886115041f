"""The controls: is 1NN the most robust of the simple classifiers whose robustness is known exactly, and than others' networks?

The paper compares 1NN, which is simple, with networks. These entries compare it with other simple classifiers, by exact numbers
on both sides. They are no claims of the paper, and are counted apart from those. Their rules were fixed before the workflow
measured any number of them, but not blindly: a trial of a linear classifier on one pair and on ten classes of CIFAR-10 was known.

Where a run has networks of others, attacked on pairs by their two logits, 1NN is compared with these as well. That rule came
after a few such networks had been measured. So did the one on what is proven of them, after one had been proven: attacks bound
a network from above and can only say that it is no better than so, proofs say that it is no worse.
"""

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from nnrobust.claims.measures import Evidence, Measured, difference, least, least_lead
from nnrobust.claims.paper import Claim, Measure
from nnrobust.records import is_on_pairs
from nnrobust.tables.comparison import PROVEN, difference_interval, paired, sign_test, signed_ranks

CONTROLS = ("linear", "linear_L2", "linear_Linf", "mean", "prototypes", "1NN_metric")
"""The simple classifiers, by the names that params give them; no control judges others."""
MEASURES = {"Linf": "in Linf", "L2": "in L2", "union": "in both norms at once"}


def lead_over_pairs(evidence: Evidence, split: str, measure: str) -> Measured | None:
    """The least lead of 1NN over a control, of means over pairs."""
    return least_lead(evidence, ["1NN"], CONTROLS, split, measure)


def share_ahead_of_all(evidence: Evidence, split: str, measure: str) -> Measured | None:
    """The share of pairs on which 1NN is strictly ahead of every control; the tests in the note are against the strongest one.

    Of all the pairs there are: no sample, so no interval but where a control was not measured, which may be ahead anywhere.
    """
    leads = {name: paired(evidence.scores, evidence.common, "1NN", name, split, measure) for name in CONTROLS}
    known = {name: lead for name, lead in leads.items() if len(lead)}
    if not known or len({len(lead) for lead in known.values()}) > 1:
        return None
    strongest = min(known, key=lambda name: known[name].mean())
    ahead = np.min(list(known.values()), axis=0) > 0
    about = difference(evidence, "1NN", strongest, split, measure)
    assert about is not None
    share, lead = float(ahead.mean()), known[strongest]
    tests = f"{about.note}: sign test p = {sign_test(lead):.2g}, signed ranks p = {signed_ranks(lead):.2g}"
    missing = len(CONTROLS) - len(known)
    note = f"{tests}; {missing} of {len(CONTROLS)} not run" if missing else tests
    sample = f"{int(ahead.sum())} of {len(lead)} pairs, {split} images"
    return Measured(share, 0.0 if missing else share, share, sample, about.kind, note)


def lead_on_all_classes(evidence: Evidence, split: str, measure: str) -> Measured | None:
    """The least lead of 1NN over a control where all classes are told apart at once, by Newcombe's interval over images."""
    rows = evidence.whole
    if rows.empty:
        return None
    rows = rows[(rows["split"] == split) & (rows["measure"] == measure)].set_index("classifier")
    return least([_lead(rows, name, split, evidence.confidence) for name in CONTROLS]) if "1NN" in rows.index else None


def _lead(rows: pd.DataFrame, name: str, split: str, confidence: float) -> Measured | None:
    if name not in rows.index:
        return None
    mine, other = (rows.loc[[one]].iloc[0] for one in ("1NN", name))
    first, second = ((int(row["n_robust"]), int(row["n"])) for row in (mine, other))
    low, high = difference_interval(first, second, confidence)
    value = first[0] / first[1] - second[0] / second[1]
    kinds = dict.fromkeys((str(mine["kind"]), str(other["kind"])))
    return Measured(value, low, high, f"{first[1]:,} {split} images", " against ".join(kinds), f"1NN minus {name}")


def _control(split: str, measure: str, problem: str) -> Claim:
    measured, unit, where, least_of_range = {
        "mean": (lead_over_pairs, "points", "mean over pairs", 0.001),  # "more" begins at a tenth of a point
        "pairs": (share_ahead_of_all, "percent", "pair by pair", 0.501),  # on most of them
        "whole": (lead_on_all_classes, "points", "all classes at once", 0.001),
    }[problem]
    measure_it: Measure = partial(_without_margin, measured, split, measure)
    images = {"test": "test", "train": "training"}[split]
    sentence = f"1NN is the most robust simple classifier {MEASURES[measure]} on {images} images"
    return Claim(f"control_{split}_{problem}_{measure}", where, sentence, "", unit, (least_of_range, None), measure_it)


def lead_over_networks(evidence: Evidence, split: str, measure: str) -> Measured | None:
    """The least lead of 1NN over a network of others on pairs, of means over pairs."""
    return least_lead(evidence, ["1NN"], _networks(evidence.scores), split, measure)


def lead_over_proofs(evidence: Evidence, split: str, norm: str) -> Measured | None:
    """The least lead of 1NN over what is proven of a network of others on pairs, of means over pairs."""
    proven = evidence.scores[evidence.scores["measure"] == PROVEN[norm]]
    return least_lead(evidence, ["1NN"], _networks(proven), split, PROVEN[norm])


def _networks(scores: pd.DataFrame) -> list[str]:
    return [name for name in dict.fromkeys(scores["classifier"]) if is_on_pairs(name)]


def controls_of(evidence: Evidence) -> tuple[Claim, ...]:
    """The controls that a run's classifiers call for: those of simple classifiers, and of networks of others where it has any."""
    scores = evidence.scores
    found = CONTROL_CLAIMS + (NETWORK_CONTROLS if _networks(scores) else ())
    return found + (PROOF_CONTROLS if _networks(scores[scores["measure"].isin(PROVEN.values())]) else ())


def _network_control(split: str, measure: str) -> Claim:
    images = {"test": "test", "train": "training"}[split]
    sentence = f"1NN is more robust {MEASURES[measure]} than every network of others by two logits, on {images} images"
    measure_it: Measure = partial(_without_margin, lead_over_networks, split, measure)
    return Claim(
        f"control_{split}_networks_{measure}", "mean over pairs", sentence, "", "points", (0.001, None), measure_it
    )


def _proof_control(split: str, norm: str) -> Claim:
    images = {"test": "test", "train": "training"}[split]
    sentence = (
        f"no network of others is proven to be as robust as 1NN {MEASURES[norm]} on {images} images, by two logits"
    )
    measure_it: Measure = partial(_without_margin, lead_over_proofs, split, norm)
    return Claim(f"control_{split}_proven_{norm}", "mean over pairs", sentence, "", "points", (0.001, None), measure_it)


def _without_margin(measured: Callable, split: str, measure: str, evidence: Evidence, margin: float) -> Measured | None:
    return measured(evidence, split, measure)


CONTROL_CLAIMS = tuple(
    _control(split, measure, problem)
    for split, problem, measure in product(("test", "train"), ("mean", "pairs", "whole"), MEASURES)
)
NETWORK_CONTROLS = tuple(_network_control(split, measure) for split, measure in product(("test", "train"), MEASURES))
PROOF_CONTROLS = tuple(_proof_control(split, norm) for split, norm in product(("test", "train"), PROVEN))

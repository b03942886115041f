"""The evidence of a run in which the paper is right, the tables that it consists of, and its ledger."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from nnrobust.claims.judge import ledger
from nnrobust.claims.measures import Evidence
from nnrobust.claims.paper import CLAIMS, PRETRAINED_TRADES, STANDARD
from nnrobust.experiments.plane import OVERWRITTEN
from nnrobust.report.stopwatch import TIMES
from nnrobust.runtime.timing import MANY, TRAINING
from nnrobust.tables.comparison import COMMON

BY_ID = {claim.id: claim for claim in CLAIMS}
IDS = tuple(BY_ID)
ACCEPTED = {claim.id: claim.accepted for claim in CLAIMS}
MARGIN = 0.02
"""The difference up to which accuracies are comparable, as in every profile."""
GPU = "RTX 2080 Ti"
BEST_ALONE, BEST_EXTRA = "Wang2023Better_WRN-70-16", "Kang2021Stable"
ZOO = {PRETRAINED_TRADES: False, BEST_ALONE: False, BEST_EXTRA: True, STANDARD: False}
"""Four pretrained models, and whether they had extra data."""


def scores_of(values, n_pairs=45):
    """Scores out of {(classifier, kind): {(split, measure): a number, or one for each pair}}; but for 0 and 1 each is a little off."""
    parts = []
    for (classifier, kind), cells in values.items():
        for (split, measure), value in cells.items():
            is_inside = np.min(value) > 0 and np.max(value) < 1
            wiggle = np.where(np.arange(n_pairs) % 2, 0.002, -0.002) * is_inside
            parts.append(
                pd.DataFrame(
                    {
                        "classifier": classifier,
                        "split": split,
                        "pair": [f"{i}" for i in range(n_pairs)],
                        "measure": measure,
                        "kind": "measured" if measure == "clean" else kind,
                        "value": np.broadcast_to(value, (n_pairs,)) + wiggle,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def cells(clean, train, test):
    """A classifier's cells of `scores_of`: clean accuracy, and (Linf, L2) on both splits."""
    return {
        ("train", "Linf"): train[0], ("train", "L2"): train[1],
        ("test", "clean"): clean, ("test", "Linf"): test[0], ("test", "L2"): test[1],
        ("test", "mean"): (test[0] + test[1]) / 2, ("test", "union"): test[1],
    }  # fmt: skip


NINE = np.where(np.arange(45) < 9, 0.3, 0.06)
"""T_B's L2 accuracy by pair: in nine of them it is ahead of 1NN in the mean of both norms."""
SCORES = {
    ("1NN", "exact"): cells(0.75, (1.0, 1.0), (0.3, 0.2)),
    ("S", "attacked"): cells(0.95, (0.01, 0.0), (0.01, 0.0)),
    ("E_S", "attacked"): cells(0.93, (0.01, 0.0), (0.01, 0.0)),
    ("T_R", "attacked"): cells(0.85, (0.7, 0.3), (0.28, 0.05)),
    ("T_B", "attacked"): cells(0.86, (0.75, 0.35), (0.3, NINE)),
    ("T_B_A", "attacked"): cells(0.84, (0.6, 0.38), (0.2, 0.12)),
}


def zoo_rows(robust, n=1000):
    """The rows of a zoo table: {classifier: {(split, norm): n_robust}}; 1NN's as zoo_table has them."""
    rows = []
    for name, counts in robust.items():
        for (split, norm), n_robust in counts.items():
            about = {"classifier": name, "pair": "all", "split": split, "norm": norm, "n": n, "n_correct": n}
            if name == "1NN":
                for method, kind in (
                    ("half gap", "certified"),
                    ("bisector", "certified"),
                    ("exact", "exact"),
                    ("exact in box", "exact"),
                ):
                    less = {"half gap": n_robust // 2, "exact in box": min(n, n_robust + 1)}.get(method, n_robust)
                    rows.append(about | {"kind": kind, "method": method, "n_robust": less, "status": "ok"})
            else:
                known = {"architecture": "made", "has_extra_data": ZOO.get(name)}
                for method, left in (("apgd-ce", n_robust + 1), ("apgd-ce + apgd-dlr", n_robust)):
                    rows.append(
                        about | known | {"kind": "attacked", "method": method, "n_robust": left, "status": "ok"}
                    )
    table = pd.DataFrame(rows)
    return table.assign(robust_accuracy=table["n_robust"] / table["n"])


def zoo_of(nearest, trades, best, extra, standard=(2, 0, 1, 0)):
    """The zoo of 1NN and the four models; each has (train Linf, train L2, test Linf, test L2)."""
    panels = [(split, norm) for split in ("train", "test") for norm in ("Linf", "L2")]
    return zoo_rows(
        {
            name: dict(zip(panels, counts, strict=True))
            for name, counts in zip(("1NN", *ZOO), (nearest, trades, best, extra, standard), strict=True)
        }
    )


def changes_of(nearest, network, norms=(6.0, 1.5), n=8):
    """Changes of 1NN and of a network, from the shares of values above and below the Linf epsilon, and their mean l2 norms."""
    parts = []
    for name, is_inside, below, above, norm in (
        ("1NN", False, 1 - nearest, nearest, norms[0]),
        (PRETRAINED_TRADES, True, network, 1 - network, norms[1]),
    ):
        wiggle = np.where(np.arange(n) % 2, 0.001, -0.001)
        parts.append(pd.DataFrame({"classifier": name, "index": range(n), "is_found": True, "is_inside": is_inside, "norm": norm + wiggle,
                                   "share_below": below - wiggle, "share_above": above + wiggle}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def plane_of(n_robust):
    """The points of the plane by panel: {panel: how many of 40 are robust}."""
    return pd.concat(
        [
            pd.DataFrame(
                {"panel": panel, "kind": "exact" if panel == "1NN" else "attacked", "is_robust": np.arange(40) < n}
            )
            for panel, n in n_robust.items()
        ],
        ignore_index=True,
    )


def trials_of(scores):
    """Trials out of {pair: [(state, held-out robust accuracy), ...]}."""
    return pd.DataFrame(
        [
            {"pair": pair, "state": state, "robust_accuracy": value}
            for pair, tried in scores.items()
            for state, value in tried
        ]
    )


def strength_of(left):
    """Attacks alone out of {(attack, steps, restarts): accuracies of each variant and norm}."""
    keys = [(name, norm) for name in ("S", "T_R") for norm in ("Linf", "L2")]
    return pd.DataFrame(
        [
            {
                "attack": attack,
                "steps": steps,
                "restarts": restarts,
                "classifier": name,
                "norm": norm,
                "n": 900,
                "robust_accuracy": value,
            }
            for (attack, steps, restarts), values in left.items()
            for (name, norm), value in zip(keys, values, strict=True)
        ]
    )


def times_of(**seconds):
    """Times out of seconds of training and of an image of 512, and a device, by classifier; nine measurements of each, all equal."""
    rows = [
        (name, quantity, one, device)
        for name, (training, inference, device) in seconds.items()
        for quantity, one in ((TRAINING, training), (MANY, inference))
        for _ in range(9)
    ]
    return pd.DataFrame(rows, columns=TIMES)


def made(**changes):
    """All that a run can measure, such that the paper is right; with `changes`."""
    parts = {name: one.copy() if isinstance(one, pd.DataFrame) else one for name, one in _parts().items()}
    return Evidence(**parts | changes)


@cache
def _parts():
    return {
        "scores": scores_of(SCORES),
        "common": pd.DataFrame(columns=COMMON),
        "whole": pd.DataFrame(),
        "published": pd.DataFrame(),
        "zoo": zoo_of((1000, 999, 43, 80), (700, 30, 600, 20), (800, 40, 700, 30), (850, 50, 780, 40)),
        "timings": times_of(**{"1NN": (0.34034, 0.00001, GPU), "T_R": (7467.693, 0.00009, GPU), "E_S": (99.84268, 0.00009, GPU), "S": (549.0, 0.00009, GPU)}),
        "distances": pd.DataFrame({"distance": np.linspace(3.5, 6.8, 45)}),
        "changes": changes_of(0.95, 0.97),
        "plane": plane_of({"TRADES, beta = 0.001": 20, "TRADES, beta = 6": 36, OVERWRITTEN: 30, "1NN": 40}),
        "trials": trials_of({f"{i}": [("complete", 0.6), ("complete", 0.4 + 0.001 * i), ("pruned", 0.9), ("failed", 0.0)] for i in range(45)}),
        "strength": strength_of({("apgd-ce", 5, 1): [0.9] * 4, ("apgd-ce", 40, 1): [0.2, 0.1, 0.4, 0.3], ("apgd-ce", 40, 5): [0.1] * 4,
                                 ("pgd-foolbox", 40, 1): [0.21, 0.1, 0.41, 0.3], ("pgd-cleverhans", 40, 1): [0.2, 0.11, 0.4, 0.31]}),
        "epsilon": {"Linf": 8 / 255, "L2": 8 / 255 * math.sqrt(3072)},
        "n_dimensions": 3072,
        "n_models": 4,
        "confidence": 0.95,
    }  # fmt: skip


def turned():
    """The made evidence with 1NN and the networks in each other's place."""
    networks = {key: value for key, value in SCORES.items() if key[0] != "1NN"}
    scores = {("1NN", "exact"): SCORES["T_B", "attacked"]} | dict.fromkeys(networks, SCORES["1NN", "exact"])
    one, other = (0.34034, 0.00001, GPU), (7467.693, 0.00009, GPU)
    return made(
        scores=scores_of(scores),
        zoo=zoo_of((700, 30, 600, 20), *[(1000, 999, 43, 80)] * 3),
        timings=times_of(**{"1NN": other, "T_R": one, "E_S": one, "S": one}),
        changes=changes_of(0.95, 0.97, norms=(1.5, 6.0)),
    )


class _Judged(Mapping):
    """What is known of each claim in a run, judged when it is asked for."""

    def __init__(self, evidence, field=None):
        self.evidence, self.field, self.entries = evidence, field, {}

    def __getitem__(self, name):
        if name not in self.entries:
            self.entries[name] = ledger(self.evidence, MARGIN, "made", [BY_ID[name]])[0]
        return self.entries[name] if self.field is None else self.entries[name][self.field]

    def __iter__(self):
        return iter(IDS)

    def __len__(self):
        return len(IDS)


def entries_of(evidence):
    """The ledger of a run, by claim."""
    return _Judged(evidence)


def verdicts_of(evidence):
    """The verdicts on a run, by claim."""
    return _Judged(evidence, "verdict")

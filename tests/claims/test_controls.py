"""The controls: 1NN against other simple classifiers, over pairs, pair by pair, and on all classes at once."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from made.evidence import MARGIN, SCORES, cells, made, scores_of
from made.project import params_of
from made.records import exact
from nnrobust.claims.controls import (
    CONTROL_CLAIMS,
    CONTROLS,
    NETWORK_CONTROLS,
    PROOF_CONTROLS,
    controls_of,
    share_ahead_of_all,
)
from nnrobust.claims.judge import CANNOT_TELL, FAILS, HOLDS, NOT_RUN, ledger
from nnrobust.claims.paper import CLAIMS
from nnrobust.tables.accuracy import accuracy_table, union_table
from nnrobust.tables.comparison import whole_scores

NEAREST = {("1NN", "exact"): SCORES["1NN", "exact"] | {("train", "union"): 1.0}}
WEAK = cells(0.7, (0.5, 0.4), (0.2, 0.1)) | {("train", "union"): 0.4}
STRONG = cells(0.7, (0.5, 0.4), (0.5, 0.4)) | {("train", "union"): 0.4}
"""More robust than 1NN on test images, less on training images."""


def whole_of(counts, n=1000):
    """The counts on all classes at once: {classifier: robust images of n}, the same by every measure and split."""
    return pd.DataFrame(
        [
            {"classifier": name, "split": split, "measure": measure, "kind": "exact", "n": n, "n_robust": n_robust}
            for (name, n_robust), split, measure in product(counts.items(), ("train", "test"), ("Linf", "L2", "union"))
        ]
    )


def verdicts_of(others, counts):
    evidence = made(scores=scores_of(NEAREST | others), whole=whole_of(counts))
    return {str(entry["id"]): entry["verdict"] for entry in ledger(evidence, MARGIN, "made", CONTROL_CLAIMS)}


def others(cells_of_all):
    return {(name, "exact"): cells_of_all for name in CONTROLS}


def test_controls_have_names_of_their_own_and_are_no_claims_of_the_paper():
    names = [claim.id for claim in CONTROL_CLAIMS]
    assert len(set(names)) == len(names) == 2 * 3 * 3
    assert not set(names) & {claim.id for claim in CLAIMS}


def test_the_controls_are_the_simple_classifiers_of_the_profiles():
    assert tuple(params_of("embedded").classifiers) == CONTROLS
    assert set(params_of("paper").classifiers) == set(CONTROLS) - {"1NN_metric"}


def test_where_1nn_is_ahead_of_all_every_control_holds():
    counts = dict.fromkeys(CONTROLS, 300) | {"1NN": 500}
    assert set(verdicts_of(others(WEAK), counts).values()) == {HOLDS}


def test_a_single_classifier_that_is_ahead_on_test_images_fails_all_controls_of_those():
    counts = dict.fromkeys(CONTROLS, 300) | {"1NN": 500, "linear_L2": 700}
    verdicts = verdicts_of(others(WEAK) | {("linear_L2", "exact"): STRONG}, counts)
    expected = {
        name: FAILS if name.startswith("control_test") or "whole" in name else HOLDS for name in verdicts
    }  # train: ahead over pairs, and behind on all classes, where the counts are those of the test images
    assert verdicts == expected


def test_without_controls_none_is_run_and_with_some_they_may_fail_but_never_hold():
    assert set(verdicts_of({}, {}).values()) == {NOT_RUN}
    some = verdicts_of({("mean", "exact"): WEAK}, {"1NN": 500, "mean": 300})
    assert set(some.values()) == {CANNOT_TELL}
    some = verdicts_of({("mean", "exact"): STRONG}, {"1NN": 500, "mean": 700})
    assert {name for name, verdict in some.items() if verdict == FAILS} == {
        name for name in some if name.startswith("control_test") or "whole" in name
    }


def test_a_lead_on_all_classes_that_images_leave_open_is_not_judged():
    verdicts = verdicts_of(others(WEAK), dict.fromkeys(CONTROLS, 480) | {"1NN": 500})
    assert {verdict for name, verdict in verdicts.items() if "whole" in name} == {CANNOT_TELL}


def test_pair_by_pair_1nn_must_be_ahead_of_every_control_and_the_tests_are_against_the_strongest():
    ahead_on_ten = np.where(np.arange(45) < 10, 0.1, 0.6)
    scores = scores_of(NEAREST | others(WEAK) | {("linear", "exact"): STRONG | {("test", "L2"): ahead_on_ten}})
    found = share_ahead_of_all(made(scores=scores), "test", "L2")
    assert found.value == found.low == found.high == pytest.approx(10 / 45)
    assert found.sample == "10 of 45 pairs, test images"
    assert found.note.startswith("1NN minus linear: sign test p = 0.0002")


def test_the_counts_on_all_classes_are_those_of_records_by_norm_and_of_both_at_once():
    records = pd.concat([exact("all", "Linf"), exact("all", "L2").assign(is_robust=[False, True, False, True])])
    bare = records.assign(classifier="linear", radius_half_gap=np.nan, radius_bisector=np.nan)
    parts = (records, bare, exact("0-1", "L2"))
    table, unions = (
        pd.concat([f(part, 0.95) for part in parts], ignore_index=True) for f in (accuracy_table, union_table)
    )
    rows = whole_scores(table, unions).set_index(["classifier", "measure"])
    assert rows.loc["linear", "n_robust"].to_dict() == {"Linf": 3, "L2": 3, "union": 2}
    assert set(rows["n"]) == {4}
    assert set(rows["kind"]) == {"exact"}


def test_networks_of_others_are_judged_on_pairs_where_a_run_has_them_and_trained_ones_are_none():
    networks = {("weak|pairs", "attacked"): WEAK, ("strong|pairs", "attacked"): STRONG}
    assert controls_of(made(scores=scores_of(NEAREST | {("T_R", "attacked"): STRONG}))) == CONTROL_CLAIMS
    evidence = made(scores=scores_of(NEAREST | networks))
    assert controls_of(evidence) == CONTROL_CLAIMS + NETWORK_CONTROLS
    entries = ledger(evidence, MARGIN, "made", NETWORK_CONTROLS)
    assert {str(entry["id"]): entry["verdict"] for entry in entries} == {
        claim.id: FAILS if "test" in claim.id else HOLDS for claim in NETWORK_CONTROLS
    }
    assert {entry["note"] for entry in entries if "test" in str(entry["id"])} == {"1NN minus strong|pairs"}
    assert {entry["kind"] for entry in entries} == {"exact against attacked"}


def test_what_is_proven_of_networks_has_controls_of_its_own_which_attacks_do_not_decide():
    networks = {("strong|pairs", "attacked"): STRONG, ("other|pairs", "attacked"): STRONG}
    proven = {("1NN", "exact"): {("test", "Linf proven"): 0.3, ("train", "Linf proven"): 1.0, ("test", "L2 proven"): 0.2},
              ("strong|pairs", "certified"): {("test", "Linf proven"): 0.6, ("train", "Linf proven"): 0.6, ("test", "L2 proven"): 0}}  # fmt: skip
    evidence = made(scores=pd.concat([scores_of(NEAREST | networks), scores_of(proven)], ignore_index=True))
    assert controls_of(evidence) == CONTROL_CLAIMS + NETWORK_CONTROLS + PROOF_CONTROLS
    entries = {str(entry["id"]): entry for entry in ledger(evidence, MARGIN, "made", PROOF_CONTROLS)}
    assert {name: entry["verdict"] for name, entry in entries.items()} == {
        "control_test_proven_Linf": FAILS, "control_test_proven_L2": HOLDS, "control_train_proven_Linf": HOLDS,
        "control_train_proven_L2": NOT_RUN,
    }  # fmt: skip
    found = entries["control_test_proven_Linf"]
    assert (found["kind"], found["note"]) == ("exact against certified", "1NN minus strong|pairs")

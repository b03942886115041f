"""The verdicts, and the ledger of a whole run."""

import json
import math
from dataclasses import fields, replace

import pandas as pd
import pytest

from made.evidence import (
    BEST_ALONE,
    BEST_EXTRA,
    IDS,
    MARGIN,
    NINE,
    SCORES,
    ZOO,
    entries_of,
    made,
    scores_of,
    turned,
    verdicts_of,
    zoo_rows,
)
from nnrobust.claims.judge import (
    CANNOT_TELL,
    FAILS,
    HOLDS,
    NOT_RUN,
    in_words,
    judged,
    ledger,
    ledger_table,
    setting_of,
    shown,
)
from nnrobust.claims.measures import Evidence, Measured
from nnrobust.claims.paper import PRETRAINED_TRADES, STANDARD
from nnrobust.claims.zoo import zoo_gain, zoo_share
from nnrobust.experiments.plane import OVERWRITTEN
from nnrobust.runtime.outputs import write_json

INF = math.inf
COMPARATIVE = (
    "abstract_average", "abstract_zoo", "training_time", "inference_time", "clean_worse", "clean_worst", "test_l2", "test_both",
    "pairs_majority", "pairs_36", "zoo_train_linf", "zoo_train_l2", "zoo_test_l2", "larger_changes",
)  # fmt: skip
"""The claims that set 1NN against others, and turn round with them."""


# How a claim is judged


@pytest.mark.parametrize(
    ("low", "high", "accepted", "expected"),
    [
        (0.6, 0.7, (0.6, None), HOLDS),
        (0.6, 0.6, (0.6, 0.6), HOLDS),
        (-0.02, 0.02, (-0.02, 0.02), HOLDS),
        (0.1, 0.8, (None, 0.8), HOLDS),
        (0.5999, 0.7, (0.6, None), CANNOT_TELL),
        (0.1, 0.8001, (None, 0.8), CANNOT_TELL),
        (-0.03, 0.03, (-0.02, 0.02), CANNOT_TELL),
        (0.5, 0.6, (0.6, None), CANNOT_TELL),
        (0.8, 0.9, (None, 0.8), CANNOT_TELL),
        (0.5, 0.5999, (0.6, None), FAILS),
        (0.8001, 0.9, (None, 0.8), FAILS),
        (0.03, 0.04, (-0.02, 0.02), FAILS),
        (-INF, INF, (None, 0.8), CANNOT_TELL),
        (-INF, INF, (0.6, None), CANNOT_TELL),
        (-INF, 0.5, (0.6, None), FAILS),
        (-INF, 0.8, (None, 0.8), HOLDS),
        (0.9, INF, (None, 0.8), FAILS),
    ],
)
def test_the_whole_interval_decides_and_the_ends_of_the_range_are_in_it(low, high, accepted, expected):
    assert judged(Measured(0.6, low, high, "", ""), accepted) == expected


def test_without_a_number_a_claim_was_not_run():
    assert judged(None, (0.0, 1.0)) == NOT_RUN


@pytest.mark.parametrize(
    ("accepted", "unit", "expected"),
    [
        ((0.9, None), "percent", "at least 90.0 %"),
        ((None, 0.05), "percent", "at most 5.0 %"),
        ((-0.02, 0.02), "points", "from -2.0 points to 2.0 points"),
        ((0.001, 0.999), "percent", "from 0.1 % to 99.9 %"),
        ((100, None), "times", "at least 100 times"),
        ((37.4, 149.7), "times", "from 37.4 times to 149.7 times"),
        ((0.0, None), "points", "at least 0.0 points"),
    ],
)
def test_a_range_is_told_in_words(accepted, unit, expected):
    assert in_words(accepted, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.5, "percent", "50.0 %"),
        (1.0, "percent", "100.0 %"),
        (0.9996, "percent", "99.96 %"),
        (0.99999, "percent", "99.999 %"),
        (0.999999, "percent", "99.9999 %"),
        (-0.0184, "points", "-1.8 points"),
        (-0.0004, "points", "0.0 points"),
        (-0.0, "points", "0.0 points"),
        (21941.9, "times", "21,942 times"),
        (999.96, "times", "1,000 times"),
        (149.7, "times", "149.7 times"),
        (9.0, "times", "9 times"),
        (0.01234, "times", "0.01234 times"),
    ],
)
def test_a_number_is_shown_in_its_unit(value, unit, expected):
    assert shown(value, unit) == expected


def test_only_the_paper_profile_is_the_papers_experiment():
    assert setting_of("paper", "cifar10") == "a reproduction, the paper's experiment (profile paper, cifar10)"
    assert setting_of("small", "cifar10_jpeg") == (
        "a reproduction in part, the paper's data with other settings (profile small, cifar10_jpeg)"
    )
    assert setting_of("embedded", "digits") == "a transfer to other data than the paper's (profile embedded, digits)"


# The whole ledger


def test_where_the_paper_is_right_every_claim_holds_that_its_rule_lets_hold():
    assert len(IDS) == 35
    assert verdicts_of(made()) == dict.fromkeys(IDS, HOLDS)


def test_with_1nn_and_the_networks_in_each_others_place_the_comparisons_fail():
    verdicts = verdicts_of(turned())
    assert {name: verdicts[name] for name in COMPARATIVE} == dict.fromkeys(COMPARATIVE, FAILS)
    assert {name for name in IDS if verdicts[name] == FAILS} == {
        *COMPARATIVE, "standard_training", "train_1nn_linf", "train_1nn_l2", "train_networks_linf", "train_networks_l2",
        "early_stop_time", "training_cost", "best_model", "best_model_extra_data", "trades_linf", "trades_l2",
    }  # fmt: skip
    assert verdicts["test_linf"] == HOLDS


def test_the_numbers_are_those_put_in():
    entries = entries_of(made())
    values = {name: one["value"] for name, one in entries.items()}
    expected = {
        "abstract_average": 0.25 - (0.3 + NINE.mean()) / 2, "abstract_zoo": 1.0, "best_model": 0.7, "best_model_extra_data": 0.78,
        "trades_linf": 0.6, "trades_l2": 0.02, "plane_1nn": 1.0, "plane_trades": 0.9, "class_distances": 1.0,
        "attacks": 0.005, "training_time": 7467.693 / 0.34034, "early_stop_time": 7467.693 / 99.84268, "inference_time": 9.0,
        "train_1nn_linf": 1.0, "train_1nn_l2": 1.0, "pairs_majority": 36 / 45, "pairs_36": 36 / 45, "zoo_test_linf": 1.0,
        "hyperparameters": 0.178, "train_networks_linf": 0.75, "train_networks_l2": 0.38, "test_l2": 0.08, "test_linf": 0.0,
        "plane_standard": 0.75, "training_cost": 7467.693 / 549, "larger_changes": 4.0,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=2e-4)


def test_each_claim_takes_its_own_split_and_norm():
    first = {("train", "Linf"): 0.1, ("train", "L2"): 0.2, ("test", "Linf"): 0.3, ("test", "L2"): 0.4}
    second = {key: value + 0.5 for key, value in first.items()}
    panels = [(split, norm) for split in ("train", "test") for norm in ("Linf", "L2")]
    n_behind = dict(zip(panels, (3, 2, 1, 0), strict=True))
    others = [name for name in ZOO if name != STANDARD]
    zoo = dict.fromkeys(("1NN", STANDARD), dict.fromkeys(panels, 500)) | {
        name: {panel: 100 if place < n_behind[panel] else 900 for panel in panels} for place, name in enumerate(others)
    }
    evidence = made(scores=scores_of({("1NN", "exact"): first, ("S", "attacked"): second}), zoo=zoo_rows(zoo))
    values = {name: one["value"] for name, one in entries_of(evidence).items()}
    expected = {
        "train_1nn_linf": 0.1, "train_1nn_l2": 0.2, "standard_training": 0.8, "train_networks_linf": 0.6, "train_networks_l2": 0.7,
        "zoo_train_linf": 3 / 4, "zoo_train_l2": 2 / 4, "zoo_test_linf": 2 / 3, "zoo_test_l2": 0.0, "abstract_zoo": 0.0,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-4)


def test_an_entry_says_what_it_is_of():
    entries = entries_of(made())
    assert entries["test_l2"] == {
        "id": "test_l2", "where": "section 4, figure 5", "quote": "better than all versions of TRADES", "paper": "better",
        "unit": "points", "value": entries["test_l2"]["value"], "low": entries["test_l2"]["low"], "high": entries["test_l2"]["high"],
        "sample": "45 pairs, test images", "kind": "exact against attacked", "note": "1NN minus T_B_A",
        "rule": "at least 0.1 points", "verdict": HOLDS, "setting": "made",
    }  # fmt: skip
    about = {name: (one["sample"], one["kind"], one["note"]) for name, one in entries.items()}
    assert about["clean_worse"] == ("45 pairs, test images", "measured", "S minus 1NN")
    assert about["train_networks_linf"] == ("45 pairs, train images", "attacked", "T_B")
    assert about["zoo_train_l2"] == ("4 of 4 models, 1,000 train images", "exact against attacked", "ahead in 4 of 4")
    assert about["zoo_test_linf"] == ("3 of 3 models, 1,000 test images", "attacked", "ahead in 3 of 3")
    assert about["best_model"] == ("3 of 3 models, 1,000 test images", "attacked", BEST_ALONE)
    assert about["best_model_extra_data"] == ("4 of 4 models, 1,000 test images", "attacked", BEST_EXTRA)
    signs = "1NN minus T_B; sign test p = 6.6e-05"
    for name in ("pairs_majority", "pairs_36"):
        assert about[name] == ("36 of 45 pairs, test images", "exact against attacked", signs)
    assert about["plane_trades"] == ("40 points, seeded", "attacked", "TRADES, beta = 6")
    assert about["plane_standard"] == ("40 points, seeded", "attacked", OVERWRITTEN)
    assert about["larger_changes"] == (
        "8 training images, L2",
        "exact against attacked",
        f"1NN over {PRETRAINED_TRADES}",
    )
    assert about["training_cost"] == ("9 and 9 trainings; RTX 2080 Ti", "measured", "T_R over S")
    assert about["large_changes"] == ("8 training images, L2", "exact", "1NN")
    assert about["small_changes"] == ("8 training images, L2", "attacked", PRETRAINED_TRADES)
    assert about["training_time"] == ("9 and 9 trainings; RTX 2080 Ti", "measured", "T_R over 1NN")
    assert about["attacks"][0] == "900 test images, 4 variants and norms"
    assert about["attacks"][2] == "pgd-foolbox and pgd-cleverhans minus apgd-ce"


TABLES = tuple(
    one.name
    for one in fields(Evidence)
    if one.type is pd.DataFrame and one.name not in ("common", "whole", "published")
)
"""Those that the paper's claims read of what a run measured."""


def test_a_run_of_nothing_judges_nothing():
    nothing = {name: getattr(made(), name).iloc[:0] for name in TABLES}
    entries = entries_of(made(**nothing))
    assert {one["verdict"] for one in entries.values()} == {NOT_RUN}
    assert {one["value"] for one in entries.values()} == {None}
    assert {(one["sample"], one["kind"], one["note"]) for one in entries.values()} == {("", "", "")}


def test_a_table_without_a_head_is_of_nothing_too():
    table = scores_of(SCORES)
    for name in TABLES[1:]:
        assert set(verdicts_of(made(**{name: pd.DataFrame()})).values()) == {HOLDS, NOT_RUN}
    nothing = dict.fromkeys(TABLES[1:], pd.DataFrame()) | {"scores": table.iloc[:0]}
    assert set(verdicts_of(made(**nothing)).values()) == {NOT_RUN}
    for measure in (
        lambda one: zoo_share(one, "test", "L2"),
        lambda one: zoo_gain(one, "Linf", STANDARD),
    ):
        assert measure(made(zoo=pd.DataFrame())) is None


def test_the_ledger_is_json_and_comes_back(tmp_path):
    table = scores_of(SCORES)
    for evidence in (made(), turned(), made(scores=table[table["pair"] == "0"], zoo=made().zoo.iloc[:0])):
        entries = ledger(evidence, MARGIN, "made")
        write_json(tmp_path / "claims.json", entries)
        back = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
        assert back == entries
        pd.testing.assert_frame_equal(ledger_table(back), ledger_table(entries))


def test_a_single_pair_decides_no_difference_and_its_ends_are_null():
    table = scores_of(SCORES)
    entries = entries_of(made(scores=table[table["pair"] == "0"]))
    one = entries["test_linf"]
    assert (one["verdict"], one["low"], one["high"], one["sample"]) == (CANNOT_TELL, None, None, "1 pairs, test images")
    assert (entries["abstract_average"]["verdict"], entries["clean_worst"]["verdict"]) == (CANNOT_TELL, CANNOT_TELL)
    # An accuracy is known to lie in [0, 1].
    assert [entries["train_1nn_linf"][name] for name in ("value", "low", "high", "verdict")] == [
        1.0,
        0.0,
        1.0,
        CANNOT_TELL,
    ]
    row = ledger_table(list(entries.values())).set_index("id").loc["test_linf"]
    assert (row["ours"], row["interval"]) == ("0.0 points", "")


def test_readers_get_texts_with_the_interval_where_it_has_ends():
    table = ledger_table(ledger(made(), MARGIN, "made")).set_index("id")
    assert table.index.tolist() == list(IDS)
    assert table.columns.tolist() == [
        "where", "quote", "paper", "ours", "interval", "sample", "kind", "rule", "verdict", "setting", "note",
    ]  # fmt: skip
    assert table.loc["pairs_36", ["ours", "interval", "rule"]].tolist() == ["80.0 %", "80.0 %", "from 73.3 % to 86.7 %"]
    assert table.loc["trades_linf", ["ours", "interval", "rule"]].tolist() == [
        "60.0 %",
        "56.9 % to 63.0 %",
        "at least 54.0 %",
    ]
    assert table.loc["plane_1nn", ["ours", "interval"]].tolist() == ["100.0 %", "100.0 %"]
    assert table.loc["training_time", ["paper", "ours"]].tolist() == ["21,942 times", "21,942 times"]
    assert table.map(lambda text: isinstance(text, str)).all(axis=None)
    table = scores_of(SCORES)
    without = ledger_table(list(entries_of(made(scores=table[table["classifier"] != "T_R"])).values())).set_index("id")
    assert without.loc["test_l2", "interval"].startswith("at most ")
    assert without.loc["train_networks_l2", "interval"].startswith("at least ")


def test_a_run_of_networks_alone_judges_what_it_can_and_leaves_the_rest_not_run():
    rows = [
        {"classifier": "S", "split": "test", "pair": pair, "measure": "Linf", "kind": "attacked", "value": value}
        for pair, value in (("0-1", 0.01), ("0-2", 0.02), ("1-2", 0.0))
    ]
    evidence = Evidence.of_scores(pd.DataFrame(rows), {"Linf": 0.03, "L2": 1.7}, 3072, 69, 0.95)
    verdicts = dict(verdicts_of(evidence))
    assert verdicts.pop("standard_training") == HOLDS
    assert set(verdicts.values()) == {NOT_RUN}


def test_the_evidence_of_scores_alone_is_a_whole_run_without_the_rest():
    whole = made(n_models=69, confidence=0.9)
    alone = Evidence.of_scores(whole.scores, whole.epsilon, whole.n_dimensions, whole.n_models, whole.confidence)
    about = (alone.epsilon, alone.n_dimensions, alone.n_models, alone.confidence)
    assert about == (whole.epsilon, 3072, 69, 0.9)
    kept = {"scores": whole.scores} | {name: getattr(whole, name).iloc[:0] for name in TABLES[1:]}
    assert entries_of(alone) == entries_of(replace(whole, **kept))
    is_run = {name for name, verdict in verdicts_of(alone).items() if verdict != NOT_RUN}
    assert is_run == {
        "abstract_average", "standard_training", "clean_worse", "clean_worst", "train_1nn_linf", "train_1nn_l2", "train_networks_linf",
        "train_networks_l2", "test_l2", "test_linf", "test_both", "pairs_majority", "pairs_36",
    }  # fmt: skip

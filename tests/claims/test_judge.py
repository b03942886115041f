"""The paper's claims: what they say, how their numbers are taken from a run, and how they are judged."""

import json
import math
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from made.evidence import (
    BEST_ALONE,
    BEST_EXTRA,
    NINE,
    SCORES,
    ZOO,
    changes_of,
    made,
    plane_of,
    scores_of,
    strength_of,
    timing,
    trials_of,
    turned,
    zoo_of,
    zoo_rows,
)
from made.project import params_of
from nnrobust.claims import measures
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
from nnrobust.claims.paper import CLAIMS, NETWORKS, PRETRAINED_TRADES, STANDARD
from nnrobust.claims.zoo import zoo_best, zoo_gain, zoo_share
from nnrobust.experiments.plane import OVERWRITTEN
from nnrobust.runtime.outputs import write_json
from nnrobust.tables.accuracy import wilson_interval
from nnrobust.tables.comparison import difference_interval, mean_interval
from nnrobust.zoo.models import newer, roster

PROFILE_NAMES = ("embedded", "smoke", "cifar10", "paper")
OPTIONS = params_of("paper").claims
IDS = tuple(claim.id for claim in CLAIMS)
ACCEPTED = {claim.id: claim.accepted for claim in CLAIMS}
INF = math.inf
COMPARATIVE = (
    "abstract_average", "abstract_zoo", "training_time", "inference_time", "clean_worse", "clean_worst", "test_l2", "test_both",
    "pairs_majority", "pairs_36", "zoo_train_linf", "zoo_train_l2", "zoo_test_l2", "larger_changes",
)  # fmt: skip
"""The claims that set 1NN against others, and turn round with them."""


def entries_of(evidence):
    return {str(entry["id"]): entry for entry in ledger(evidence, OPTIONS.margin, "made")}


def verdicts_of(evidence):
    return {name: entry["verdict"] for name, entry in entries_of(evidence).items()}


# What the paper says


def test_every_claim_has_a_name_of_its_own():
    assert len(set(IDS)) == len(CLAIMS)
    assert {claim.unit for claim in CLAIMS} == {"percent", "points", "times"}
    assert all(claim.where and claim.quote and claim.paper for claim in CLAIMS)


def test_quotes_are_a_few_words():
    assert max(len(claim.quote.split()) for claim in CLAIMS) <= 12


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_a_claim_allows_some_values_but_not_all(claim):
    low, high = claim.accepted
    ends = [end for end in (low, high) if end is not None]
    assert ends
    assert all(math.isfinite(end) for end in ends)
    assert ends == sorted(ends)
    assert claim.unit != "percent" or all(0 <= end <= 1 for end in ends)


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_judges_with_the_same_margin_and_confidence(name):
    assert params_of(name).claims == OPTIONS


def test_the_margin_of_comparable_is_the_range_of_the_claim_that_says_so():
    assert ACCEPTED["test_linf"] == (-OPTIONS.margin, OPTIONS.margin)


def test_the_ratios_of_table_1_are_those_of_its_seconds():
    paper = {claim.id: claim.paper for claim in CLAIMS}
    assert paper["training_time"] == shown(7467.693 / 0.34034, "times")
    assert paper["early_stop_time"] == f"{7467.693 / 99.84268:.1f} times"
    assert paper["inference_time"] == shown(0.00009 / 0.00001, "times")
    low, high = ACCEPTED["early_stop_time"]
    assert (low, high) == pytest.approx((74.8 / 2, 74.8 * 2), rel=2e-3)


def test_the_69_models_say_whether_they_had_extra_data_and_the_newer_ones_do_not():
    assert Counter(one.has_extra_data for one in roster().values()) == {False: 48, True: 21}
    assert {one.has_extra_data for one in newer().values()} == {None}
    assert {name: roster()[name].has_extra_data for name in ZOO} == ZOO
    assert roster()["Carmon2019Unlabeled"].has_extra_data is True
    assert roster()["Standard"].has_extra_data is False


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
    assert setting_of("paper", "cifar10") == "the paper's experiment (profile paper, cifar10)"
    assert setting_of("embedded", "digits") == "not the paper's experiment (profile embedded, digits)"


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
    assert about["training_cost"] == ("one run; RTX 2080 Ti", "measured", "T_R over S")
    assert about["large_changes"] == ("8 training images, L2", "exact", "1NN")
    assert about["small_changes"] == ("8 training images, L2", "attacked", PRETRAINED_TRADES)
    assert about["training_time"] == ("one run; RTX 2080 Ti", "measured", "T_R over 1NN")
    assert about["attacks"][0] == "900 test images, 4 variants and norms"
    assert about["attacks"][2] == "pgd-foolbox and pgd-cleverhans minus apgd-ce"


TABLES = tuple(one.name for one in fields(Evidence) if one.type is pd.DataFrame)


def test_a_run_of_nothing_judges_nothing():
    nothing = {name: getattr(made(), name).iloc[:0] for name in TABLES}
    entries = entries_of(made(**nothing, timings={}))
    assert {one["verdict"] for one in entries.values()} == {NOT_RUN}
    assert {one["value"] for one in entries.values()} == {None}
    assert {(one["sample"], one["kind"], one["note"]) for one in entries.values()} == {("", "", "")}


def test_a_table_without_a_head_is_of_nothing_too():
    table = scores_of(SCORES)
    for name in TABLES[1:]:
        assert set(verdicts_of(made(**{name: pd.DataFrame()})).values()) == {HOLDS, NOT_RUN}
    nothing = dict.fromkeys(TABLES[1:], pd.DataFrame()) | {"scores": table.iloc[:0], "timings": {}}
    assert set(verdicts_of(made(**nothing)).values()) == {NOT_RUN}
    for measure in (
        lambda one: zoo_share(one, "test", "L2"),
        lambda one: zoo_gain(one, "Linf", STANDARD),
    ):
        assert measure(made(zoo=pd.DataFrame())) is None


def test_the_ledger_is_json_and_comes_back(tmp_path):
    table = scores_of(SCORES)
    for evidence in (made(), turned(), made(scores=table[table["pair"] == "0"], zoo=made().zoo.iloc[:0])):
        entries = ledger(evidence, OPTIONS.margin, "made")
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
    table = ledger_table(ledger(made(), OPTIONS.margin, "made")).set_index("id")
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


# Means and differences over pairs


def test_an_interval_of_accuracies_stays_between_0_and_1():
    wide = {("1NN", "exact"): {("test", "L2"): np.array([0.9, 1.0])}}
    found = measures.mean_score(made(scores=scores_of(wide, n_pairs=2)), "1NN", "test", "L2")
    assert mean_interval(np.array([0.9, 1.0]), 0.95)[1] > 1
    assert (found.low, found.high) == pytest.approx((mean_interval(np.array([0.9, 1.0]), 0.95)[0], 1.0), abs=0.01)
    assert found.high == 1.0


def test_a_difference_is_over_the_pairs_that_both_have():
    table = scores_of(
        {("1NN", "exact"): {("test", "L2"): 0.5}, ("S", "attacked"): {("test", "L2"): np.array([0.4, 0.3, 0.2])}}, 3
    )
    failed = table[(table["classifier"] != "S") | (table["pair"] != "2")]
    found = measures.difference(made(scores=failed), "1NN", "S", "test", "L2")
    assert (found.value, found.sample) == (pytest.approx(0.15), "2 pairs, test images")
    assert measures.difference(made(scores=table), "1NN", "S", "test", "L2").value == pytest.approx(0.2)
    assert measures.difference(made(scores=failed), "1NN", "T_R", "test", "L2") is None
    assert measures.mean_score(made(scores=failed), "S", "test", "L2").sample == "2 pairs, test images"


def test_certified_rows_make_a_certified_number_and_kinds_are_never_mixed_up():
    table = scores_of(SCORES)
    certified = table.assign(kind=table["kind"].replace("exact", "certified"))
    kinds = {name: one["kind"] for name, one in entries_of(made(scores=certified)).items()}
    assert kinds["train_1nn_linf"] == "certified"
    assert {kinds[name] for name in ("abstract_average", "test_l2", "test_linf", "test_both", "pairs_36")} == {
        "certified against attacked"
    }
    assert (kinds["standard_training"], kinds["clean_worst"]) == ("attacked", "measured")


def test_one_certified_pair_among_exact_ones_makes_the_number_certified():
    table = scores_of(SCORES)
    is_one = (table["classifier"] == "1NN") & (table["pair"] == "7")
    for kind in ("certified", "exact and certified"):
        mixed = made(scores=table.assign(kind=table["kind"].where(~is_one | (table["measure"] == "clean"), kind)))
        kinds = {name: one["kind"] for name, one in entries_of(mixed).items()}
        assert kinds["train_1nn_l2"] == "certified"
        assert {kinds[name] for name in ("abstract_average", "test_l2", "pairs_majority")} == {
            "certified against attacked"
        }


def test_kinds_are_of_a_few_words():
    assert {one["kind"] for one in entries_of(made()).values()} == {
        "exact",
        "attacked",
        "measured",
        "exact against attacked",
    }


# Of several


def some(value, low, high, note="one"):
    return Measured(value, low, high, "made", "attacked", note)


def test_the_least_of_several_may_turn_out_to_be_another():
    found = measures.least([some(0.1, 0.08, 0.12, "near"), some(0.2, -0.3, 0.7, "far")])
    assert (found.value, found.note, found.low, found.high) == (0.1, "near", -0.3, 0.12)
    assert judged(found, (0.001, None)) == CANNOT_TELL


def test_the_greatest_of_several_may_turn_out_to_be_another():
    found = measures.greatest([some(0.7, 0.68, 0.72, "near"), some(0.6, 0.3, 0.9, "far")])
    assert (found.value, found.note, found.low, found.high) == (0.7, "near", 0.68, 0.9)
    assert judged(found, (None, 0.8)) == CANNOT_TELL


def test_one_that_was_not_run_may_be_less_or_greater_than_all():
    least, greatest = (choose([some(0.5, 0.4, 0.6), None]) for choose in (measures.least, measures.greatest))
    assert (least.low, least.high, least.note) == (-INF, 0.6, "one; 1 of 2 not run")
    assert (greatest.low, greatest.high, greatest.note) == (0.4, INF, "one; 1 of 2 not run")
    assert (judged(least, (0.3, None)), judged(least, (0.7, None))) == (CANNOT_TELL, FAILS)
    assert (judged(greatest, (None, 0.7)), judged(greatest, (None, 0.3))) == (CANNOT_TELL, FAILS)
    assert measures.least([None, None]) is None
    assert measures.greatest([None, None]) is None


def test_a_claim_of_all_networks_does_not_hold_without_one_of_them():
    table = scores_of(SCORES)
    verdicts = verdicts_of(made(scores=table[table["classifier"] != "T_B_A"]))
    of_all = {"abstract_average", "clean_worst", "train_networks_linf", "train_networks_l2", "test_l2", "test_both"}
    assert {name for name, verdict in verdicts.items() if verdict == CANNOT_TELL} == of_all
    beyond = pd.concat([table, table[table["classifier"] == "1NN"].assign(classifier="T_L2")])
    assert verdicts_of(made(scores=beyond)) == verdicts_of(made())
    assert "T_L2" not in NETWORKS


# Shares of pairs


def test_a_pair_that_is_equal_is_comparable_and_not_ahead():
    gaps = np.array([0.1, 0.0, -0.02, -0.021, -0.1])
    table = scores_of(
        {("1NN", "exact"): {("test", "mean"): 0.5}, ("T_B", "attacked"): {("test", "mean"): 0.5 - gaps}}, 5
    )
    entries = entries_of(made(scores=table))
    assert (entries["pairs_majority"]["value"], entries["pairs_36"]["value"]) == (0.2, 0.6)
    # One ahead, three behind, one equal: 1 + 4 of 2^4 choices of signs on either side.
    assert {entries[name]["note"] for name in ("pairs_majority", "pairs_36")} == {"1NN minus T_B; sign test p = 0.62"}


def test_a_share_of_the_pairs_has_no_interval_as_they_are_all_there_are():
    for gaps, expected in (
        ([0.1] * 36 + [-0.1] * 9, (0.8, HOLDS, HOLDS)),
        ([0.1] * 23 + [-0.1] * 22, (23 / 45, HOLDS, FAILS)),
        ([0.1] * 22 + [-0.1] * 23, (22 / 45, FAILS, FAILS)),
        ([0.1] * 22 + [-0.1] * 22, (0.5, FAILS, FAILS)),
        ([0.1], (1.0, HOLDS, FAILS)),
    ):
        table = scores_of(
            {
                ("1NN", "exact"): {("test", "mean"): 0.5},
                ("T_B", "attacked"): {("test", "mean"): 0.5 - np.array(gaps)},
            },
            len(gaps),
        )
        majority, comparable = (entries_of(made(scores=table))[name] for name in ("pairs_majority", "pairs_36"))
        for one in (majority, comparable):
            assert one["value"] == one["low"] == one["high"] == round(expected[0], 6)
        assert (majority["verdict"], comparable["verdict"]) == expected[1:]


def test_pairs_that_one_of_the_two_lacks_may_fall_on_either_side():
    table = scores_of(SCORES)
    few = table[(table["classifier"] != "T_B") | table["pair"].isin([f"{i}" for i in range(9, 14)])]
    one = entries_of(made(scores=few))["pairs_majority"]
    assert (one["value"], one["low"], one["high"]) == (1.0, round(5 / 45, 6), 1.0)
    assert (one["verdict"], one["sample"]) == (CANNOT_TELL, "5 of 5 pairs, test images")


@pytest.mark.parametrize(
    ("claims", "n", "n_of_all", "expected"),
    [
        (("zoo_train_l2", "zoo_test_l2"), 68, 69, HOLDS),
        (("zoo_train_l2", "zoo_test_l2"), 67, 69, FAILS),
        (("zoo_train_linf", "abstract_zoo"), 63, 69, HOLDS),
        (("zoo_train_linf", "abstract_zoo"), 62, 69, FAILS),
        (("zoo_test_linf",), 62, 68, HOLDS),
        (("zoo_test_linf",), 61, 68, FAILS),
        (("pairs_36",), 33, 45, HOLDS),
        (("pairs_36",), 32, 45, FAILS),
        (("pairs_36",), 39, 45, HOLDS),
        (("pairs_36",), 40, 45, FAILS),
        (("plane_standard",), 159, 160, HOLDS),
        (("plane_standard",), 160, 160, FAILS),
        (("training_cost", "larger_changes"), 2, 1, HOLDS),
        (("training_cost", "larger_changes"), 1.99, 1, FAILS),
    ],
)
def test_a_rule_begins_and_ends_where_its_words_do(claims, n, n_of_all, expected):
    share = n / n_of_all
    assert {judged(some(share, share, share), ACCEPTED[name]) for name in claims} == {expected}


# The pretrained models


def l2_zoo(*n_robust):
    """The zoo on test images in L2: of 1NN, and of as many models as there are other numbers."""
    names = ("1NN", *ZOO)[: len(n_robust)]
    return zoo_rows({name: {("test", "L2"): n} for name, n in zip(names, n_robust, strict=True)})


def linf_zoo(standard, *others):
    """The zoo on test images in Linf: of the model in standard training, and of as many others as there are numbers; no 1NN."""
    names = (STANDARD, *(name for name in ZOO if name != STANDARD))[: len(others) + 1]
    return zoo_rows({name: {("test", "Linf"): n} for name, n in zip(names, (standard, *others), strict=True)})


def without_a_verdict(table, classifier, split="train", norm="L2"):
    """The table after a model had no verdict on three images of one split in one norm."""
    failed = {"classifier": classifier, "architecture": "made", "has_extra_data": ZOO[classifier]}
    row = failed | {"status": "out of memory", "split": split, "norm": norm, "n": 3}
    return pd.concat([table, pd.DataFrame([row])], ignore_index=True)


def test_a_model_that_is_not_surely_behind_or_ahead_may_be_either():
    low, high = difference_interval((500, 1000), (510, 1000), 0.95)
    assert low < 0 < high
    # Of three models, one far behind, one far ahead, and one ahead by one point.
    found = zoo_share(made(zoo=l2_zoo(500, 100, 900, 510), n_models=3), "test", "L2")
    assert (found.value, found.low, found.high) == pytest.approx((1 / 3, 1 / 3, 2 / 3))
    # And in their gain over standard training.
    gain = zoo_gain(made(zoo=linf_zoo(500, 100, 900, 510)), "Linf", STANDARD)
    assert (gain.value, gain.low, gain.high) == pytest.approx((2 / 3, 1 / 3, 2 / 3))
    assert (found.kind, gain.kind) == ("exact against attacked", "attacked")
    assert (found.note, gain.note) == ("ahead in 1 of 3", "ahead in 2 of 3")


def test_an_equal_model_is_not_behind():
    found = zoo_share(made(zoo=l2_zoo(500, 500), n_models=1), "test", "L2")
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)
    gain = zoo_gain(made(zoo=linf_zoo(500, 500), n_models=2), "Linf", STANDARD)
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 1.0)


def test_models_that_were_not_measured_widen_the_share():
    for n_models, expected in ((3, (1.0, 1.0, 1.0)), (4, (1.0, 0.75, 1.0)), (69, (1.0, 3 / 69, 1.0))):
        found = zoo_share(made(zoo=l2_zoo(500, 100, 100, 100), n_models=n_models), "test", "L2")
        assert (found.value, found.low, found.high) == pytest.approx(expected)
        assert found.sample == f"3 of {n_models} models, 1,000 test images"
    behind = zoo_share(made(zoo=l2_zoo(100, 500, 500, 500), n_models=69), "test", "L2")
    assert (behind.value, behind.low, behind.high) == pytest.approx((0.0, 0.0, 66 / 69))
    # Three behind leave 66 of 69, which is nine tenths, but not all or all but one.
    assert judged(behind, ACCEPTED["abstract_zoo"]) == CANNOT_TELL
    assert judged(behind, ACCEPTED["zoo_test_l2"]) == FAILS
    one_behind = zoo_share(made(zoo=l2_zoo(100, 500), n_models=69), "test", "L2")
    assert (one_behind.value, one_behind.low, one_behind.high) == pytest.approx((0.0, 0.0, 68 / 69))
    assert judged(one_behind, ACCEPTED["zoo_test_l2"]) == CANNOT_TELL


def test_the_gain_is_of_the_models_but_the_one_in_standard_training():
    for n_models, expected in ((4, (1.0, 1.0, 1.0)), (5, (1.0, 0.75, 1.0)), (69, (1.0, 3 / 68, 1.0))):
        found = zoo_gain(made(zoo=linf_zoo(10, 500, 500, 500), n_models=n_models), "Linf", STANDARD)
        assert (found.value, found.low, found.high) == pytest.approx(expected)
        assert found.sample == f"3 of {n_models - 1} models, 1,000 test images"
    behind = zoo_gain(made(zoo=linf_zoo(500, 10, 10, 10), n_models=69), "Linf", STANDARD)
    assert (behind.value, behind.low, behind.high) == pytest.approx((0.0, 0.0, 65 / 68))
    assert judged(behind, ACCEPTED["zoo_test_linf"]) == CANNOT_TELL


def test_the_gain_is_over_standard_training_whatever_1nn_does():
    alone = linf_zoo(10, 500, 500, 500)
    nearest = zoo_rows({"1NN": {("test", "Linf"): 1000}})
    joined = pd.concat([alone, nearest], ignore_index=True)
    found = zoo_gain(made(zoo=joined), "Linf", STANDARD)
    assert found == zoo_gain(made(zoo=alone), "Linf", STANDARD)
    assert (found.value, found.note) == (1.0, "ahead in 3 of 3")


def test_without_standard_training_or_without_another_model_no_gain_was_run():
    table = linf_zoo(10, 500)
    nearest = zoo_rows({"1NN": {("test", "Linf"): 1000}})
    is_standard = table["classifier"] == STANDARD
    for zoo in (
        table[is_standard], table[~is_standard], table.iloc[:0], pd.concat([table[is_standard], nearest]),
        without_a_verdict(table, STANDARD), without_a_verdict(table, PRETRAINED_TRADES),
    ):  # fmt: skip
        assert zoo_gain(made(zoo=zoo), "Linf", STANDARD) is None
    assert zoo_gain(made(zoo=table), "L2", STANDARD) is None
    assert zoo_gain(made(zoo=table.assign(split="train")), "Linf", STANDARD) is None


def test_a_model_that_lacks_a_verdict_on_some_image_is_measured_nowhere():
    whole, split_norm = made(), [(split, norm) for split in ("train", "test") for norm in ("Linf", "L2")]
    failed = made(zoo=without_a_verdict(whole.zoo, BEST_EXTRA))
    for split, norm in split_norm:
        assert zoo_share(whole, split, norm).sample == f"4 of 4 models, 1,000 {split} images"
        assert zoo_share(failed, split, norm).sample == f"3 of 4 models, 1,000 {split} images"
    assert zoo_gain(failed, "Linf", STANDARD).sample == "2 of 3 models, 1,000 test images"
    best = zoo_best(failed, "Linf", without_extra_data=False)
    assert (best.note, best.high, best.sample) == (BEST_ALONE, 1.0, "3 of 4 models, 1,000 test images")
    for split, norm in split_norm:
        verdicts = verdicts_of(made(zoo=without_a_verdict(whole.zoo, PRETRAINED_TRADES, split, norm)))
        assert (verdicts["trades_linf"], verdicts["trades_l2"]) == (NOT_RUN, NOT_RUN)
    assert verdicts_of(made(zoo=without_a_verdict(whole.zoo, STANDARD)))["zoo_test_linf"] == NOT_RUN


def test_1nn_is_that_of_all_classes():
    table = l2_zoo(500, 499)
    of_pair = table[table["classifier"] == "1NN"].assign(pair="0-1", n_robust=0, robust_accuracy=0.0)
    for zoo in (pd.concat([of_pair, table], ignore_index=True), pd.concat([table, of_pair], ignore_index=True)):
        assert zoo_share(made(zoo=zoo), "test", "L2") == zoo_share(made(zoo=table), "test", "L2")
        assert "1NN" not in zoo_best(made(zoo=zoo), "L2", without_extra_data=False).note
    assert zoo_share(made(zoo=pd.concat([of_pair, table[table["classifier"] != "1NN"]])), "test", "L2") is None


def test_where_every_model_is_missing_nothing_of_them_was_run(tmp_path):
    rows = [
        {"classifier": name, "status": "missing", "architecture": "made", "has_extra_data": ZOO[name]} for name in ZOO
    ]
    missing = pd.DataFrame(rows).reindex(columns=made().zoo.columns)
    missing.to_csv(tmp_path / "zoo.csv", index=False)
    for zoo in (missing, pd.read_csv(tmp_path / "zoo.csv")):
        verdicts = verdicts_of(made(zoo=zoo))
        is_of_zoo = {name for name in IDS if "zoo" in name or name.startswith(("best_model", "trades_"))}
        assert {name for name, verdict in verdicts.items() if verdict == NOT_RUN} == is_of_zoo


def test_without_a_measured_model_or_without_1nn_no_share_was_run():
    table = l2_zoo(500, 100, 100, 100)
    failed = table.assign(status=table["status"].where(table["classifier"] == "1NN", "out of memory"))
    for zoo in (table[table["classifier"] != "1NN"], table[table["classifier"] == "1NN"], failed, table.iloc[:0]):
        assert zoo_share(made(zoo=zoo), "test", "L2") is None
    assert zoo_share(made(zoo=table), "train", "L2") is None
    assert zoo_share(made(zoo=table), "test", "Linf") is None


def test_1nn_is_set_against_models_by_its_exact_number_and_they_have_withstood_all_attacks():
    # 1NN: 250 by half gap, 500 exact, 501 in the box. The model: 501 under the first attack, 500 under both.
    found = zoo_share(made(zoo=l2_zoo(500, 500), n_models=1), "test", "L2")
    assert (found.value, found.note) == (0.0, "ahead in 0 of 1")
    # And with one image less: 500 under the first attack, 499 under both.
    table = l2_zoo(500, 499)
    certified = table[table["kind"] != "exact"]
    for zoo, kind in ((table, "exact"), (certified, "certified")):
        found = zoo_share(made(zoo=zoo, n_models=1), "test", "L2")
        assert (found.value, found.kind) == (1.0, f"{kind} against attacked")


def test_the_best_model_is_of_its_kind_and_1nn_is_none():
    evidence = made(zoo=zoo_of((0, 0, 990, 0), (0, 0, 600, 0), (0, 0, 700, 0), (0, 0, 780, 0)))
    for without_extra_data, expected in ((True, (0.7, BEST_ALONE)), (False, (0.78, BEST_EXTRA))):
        found = zoo_best(evidence, "Linf", without_extra_data)
        assert (found.value, found.note, found.kind) == (*expected, "attacked")
        (low,), (high,) = wilson_interval(np.array([1000 * found.value]), np.array([1000]), 0.95)
        assert (found.low, found.high) == pytest.approx((low, high))


def test_the_best_of_all_models_may_have_had_no_extra_data():
    evidence = made(zoo=zoo_of((0, 0, 990, 0), (0, 0, 600, 0), (0, 0, 800, 0), (0, 0, 780, 0)))
    found = [zoo_best(evidence, "Linf", without_extra_data) for without_extra_data in (True, False)]
    assert [(one.value, one.note, one.sample) for one in found] == [
        (0.8, BEST_ALONE, "3 of 3 models, 1,000 test images"), (0.8, BEST_ALONE, "4 of 4 models, 1,000 test images"),
    ]  # fmt: skip


def test_a_model_that_is_not_said_to_have_had_extra_data_counts_as_one_without():
    table = made().zoo
    unsaid = table.assign(has_extra_data=table["has_extra_data"].where(table["classifier"] != BEST_ALONE, None))
    assert zoo_best(made(zoo=unsaid), "Linf", without_extra_data=True) == zoo_best(
        made(), "Linf", without_extra_data=True
    )


def test_a_model_that_was_not_measured_may_be_better_than_the_best():
    table = zoo_of((0, 0, 0, 0), (0, 0, 500, 0), (0, 0, 400, 0), (0, 0, 600, 0))
    verdicts, of_few = verdicts_of(made(zoo=table)), verdicts_of(made(zoo=table, n_models=69))
    assert [verdicts[name] for name in ("best_model", "best_model_extra_data")] == [FAILS, FAILS]
    assert [of_few[name] for name in ("best_model", "best_model_extra_data")] == [CANNOT_TELL, CANNOT_TELL]

    def after_failure(classifier, without_extra_data):
        status = table["status"].where(table["classifier"] != classifier, "out of memory")
        return zoo_best(made(zoo=table.assign(status=status)), "Linf", without_extra_data)

    found = after_failure(PRETRAINED_TRADES, without_extra_data=True)
    assert (found.value, found.high, found.sample) == (0.4, 1.0, "2 of 3 models, 1,000 test images")
    found = after_failure(PRETRAINED_TRADES, without_extra_data=False)
    assert (found.value, found.high, found.sample) == (0.6, 1.0, "3 of 4 models, 1,000 test images")
    # That one with extra data is not measured says nothing of those without.
    without = zoo_best(made(zoo=table), "Linf", without_extra_data=True)
    assert after_failure(BEST_EXTRA, without_extra_data=True) == without
    assert without.high < 1.0
    only = made(zoo=table[table["classifier"] == BEST_EXTRA])
    assert zoo_best(only, "Linf", without_extra_data=True) is None
    assert zoo_best(only, "Linf", without_extra_data=False).value == 0.6


def test_one_model_is_known_whether_others_were_measured_or_not():
    table = zoo_of((0, 0, 0, 0), (0, 0, 500, 10), (0, 0, 700, 300), (0, 0, 780, 400))
    alone = made(zoo=table[table["classifier"].isin(["1NN", PRETRAINED_TRADES])], n_models=69)
    for evidence in (made(zoo=table), alone):
        verdicts = verdicts_of(evidence)
        assert (verdicts["trades_linf"], verdicts["trades_l2"]) == (FAILS, HOLDS)
    assert verdicts_of(made(zoo=table[table["classifier"] != PRETRAINED_TRADES]))["trades_l2"] == NOT_RUN


def test_a_zoo_table_out_of_a_file_gives_the_same_verdicts(tmp_path):
    missing = pd.DataFrame(
        [{"classifier": "Wong2020Fast", "status": "missing", "architecture": "made", "has_extra_data": False}]
    )
    table = pd.concat([made().zoo, missing], ignore_index=True)
    table.to_csv(tmp_path / "zoo.csv", index=False)
    read = made(zoo=pd.read_csv(tmp_path / "zoo.csv"), n_models=5)
    assert entries_of(read) == entries_of(made(zoo=table, n_models=5))
    samples = {name: one["sample"] for name, one in entries_of(read).items()}
    assert samples["best_model"] == "3 of 4 models, 1,000 test images"
    assert samples["best_model_extra_data"] == "4 of 5 models, 1,000 test images"
    assert samples["zoo_test_linf"] == "3 of 4 models, 1,000 test images"


# The other measures


def test_ratios_name_each_device_once():
    timings = {
        "1NN": timing(1.0, 1.0, "CPU"),
        "T_R": timing(3.0, 2.0, "RTX"),
        "E_S": timing(1.5, 4.0, "RTX"),
        "S": timing(0.5, 8.0, "H100"),
    }
    entries = entries_of(made(timings=timings))
    assert [(entries[name]["value"], entries[name]["sample"]) for name in ("training_time", "early_stop_time", "inference_time", "training_cost")] == [
        (3.0, "one run; RTX and CPU"), (2.0, "one run; RTX"), (2.0, "one run; RTX and CPU"), (6.0, "one run; RTX and H100"),
    ]  # fmt: skip
    without = verdicts_of(made(timings={"1NN": timings["1NN"], "T_R": timings["T_R"]}))
    assert (without["training_time"], without["early_stop_time"], without["training_cost"]) == (FAILS, NOT_RUN, NOT_RUN)


def test_only_images_that_are_fooled_count_for_a_network_inside_the_ball():
    changes = changes_of(0.95, 0.97)
    outside = changes.assign(share_below=changes["share_below"].where(changes["index"] < 4, 0.0))
    outside["is_inside"] &= outside["index"] < 4
    outside.loc[(outside["classifier"] == "1NN") & (outside["index"] > 5), ["is_found", "share_above"]] = [False, 0.0]
    entries = entries_of(made(changes=outside))
    assert (entries["small_changes"]["value"], entries["small_changes"]["sample"]) == (0.97, "4 training images, L2")
    assert (entries["large_changes"]["value"], entries["large_changes"]["sample"]) == (0.95, "6 training images, L2")
    none = verdicts_of(made(changes=changes.assign(is_found=False, is_inside=False)))
    assert (none["small_changes"], none["large_changes"], none["larger_changes"]) == (NOT_RUN, NOT_RUN, NOT_RUN)


def norms_of(**norms):
    """Changes out of l2 norms by classifier: of image 0, of image 1, and so on, None where none was found."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "classifier": "1NN" if name == "nearest" else name,
                    "index": range(len(sizes)),
                    "is_found": [size is not None for size in sizes],
                    "is_inside": False,
                    "norm": [math.nan if size is None else size for size in sizes],
                }
            )
            for name, sizes in norms.items()
        ],
        ignore_index=True,
    )


def test_changes_are_compared_by_the_means_of_their_norms_inside_the_ball_or_not():
    found = measures.change_ratio(made(changes=norms_of(nearest=[4.0, 6.0, None], T_R=[1.0, 3.0, None])))
    # The mean of the ratios would be 3.
    assert (found.value, found.low, found.high) == (2.5, 2.5, 2.5)
    assert (found.sample, found.kind, found.note) == ("2 training images, L2", "exact against attacked", "1NN over T_R")


def test_changes_are_compared_with_those_of_the_first_network_that_has_any():
    norms = {"nearest": [6.0], "T_R": [3.0], "S": [1.0]}
    for names, expected in (
        (("nearest", "T_R", "S"), (2.0, "1NN over T_R")),
        (("S", "nearest", "T_R"), (6.0, "1NN over S")),
    ):
        found = measures.change_ratio(made(changes=norms_of(**{name: norms[name] for name in names})))
        assert (found.value, found.note) == expected
    found = measures.change_ratio(made(changes=norms_of(nearest=[6.0], S=[None], T_R=[3.0])))
    assert (found.value, found.note) == (2.0, "1NN over T_R")


@pytest.mark.parametrize(
    "norms",
    [{"nearest": [6.0]}, {"T_R": [3.0]}, {"nearest": [6.0], "T_R": [None]}, {"nearest": [None], "T_R": [3.0]}],
)
def test_without_a_change_of_either_there_is_no_ratio(norms):
    assert measures.change_ratio(made(changes=norms_of(**norms))) is None


def test_changes_are_compared_on_the_same_images():
    # 1NN withstands more on the image that the network has wrong anyway.
    found = measures.change_ratio(made(changes=norms_of(nearest=[4.0, 6.0, 20.0], T_R=[1.0, 3.0, None])))
    assert (found.value, found.sample) == (2.5, "2 training images, L2")
    found = measures.change_ratio(made(changes=norms_of(nearest=[4.0, None, 6.0], T_R=[1.0, 50.0, 3.0])))
    assert (found.value, found.sample) == (2.5, "2 training images, L2")
    assert measures.change_ratio(made(changes=norms_of(nearest=[4.0, None], T_R=[None, 1.0]))) is None


def test_the_spread_of_settings_is_of_complete_trials_of_pairs_that_have_several():
    tried = {
        "0": [("complete", 0.5), ("complete", 0.2), ("pruned", 0.0)],
        "1": [("complete", 0.6), ("complete", 0.5), ("failed", 0.0)],
        "2": [("complete", 0.9), ("pruned", 0.1)],
    }
    found = entries_of(made(trials=trials_of(tried)))["hyperparameters"]
    assert (found["value"], found["sample"]) == (0.2, "2 pairs, 4 trials, held-out images")
    low, high = mean_interval(np.array([0.3, 0.1]), 0.95)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-6)
    for alone in ({"2": tried["2"]}, {"2": [("failed", 0.0)]}):
        assert verdicts_of(made(trials=trials_of(alone)))["hyperparameters"] == NOT_RUN


def test_attacks_are_compared_at_the_most_steps_without_restarts():
    left = {("apgd-ce", 5, 1): [1.0] * 4, ("pgd-foolbox", 5, 1): [0.0] * 4, ("apgd-ce", 9, 5): [1.0] * 4,
            ("apgd-ce", 9, 1): [0.5] * 4, ("pgd-foolbox", 9, 1): [0.4, 0.5, 0.6, 0.7]}  # fmt: skip
    found = entries_of(made(strength=strength_of(left)))["attacks"]
    low, high = mean_interval(np.array([-0.1, 0.0, 0.1, 0.2]), 0.95)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.05, low, high), abs=1e-6)
    for lacking in (("apgd-ce", 9, 1), ("pgd-foolbox", 9, 1)):
        less = strength_of({key: value for key, value in left.items() if key[0] != lacking[0]})
        assert verdicts_of(made(strength=less))["attacks"] == NOT_RUN


def test_a_pair_of_classes_is_far_enough_apart_at_exactly_twice_the_radius():
    needed = 2 * (8 / 255) * math.sqrt(3072)
    for distance, expected in ((needed, HOLDS), (needed - 1e-6, FAILS)):
        one = entries_of(made(distances=pd.DataFrame({"distance": [9.0, distance]})))["class_distances"]
        assert (one["verdict"], one["note"]) == (expected, "d0 against 3.478")


def test_of_the_planes_panels_the_better_trades_counts_and_no_other_network():
    names = ("plane_1nn", "plane_trades", "plane_standard")
    entries = entries_of(made(plane=plane_of({"TRADES, beta = 1": 0, OVERWRITTEN: 30, "1NN": 39})))
    assert [entries[name]["value"] for name in names] == [0.975, 0.0, 0.75]
    assert [entries[name]["verdict"] for name in names] == [FAILS, FAILS, HOLDS]
    assert [entries[name]["kind"] for name in names] == ["exact", "attacked", "attacked"]
    alone = verdicts_of(made(plane=plane_of({"1NN": 40})))
    assert [alone[name] for name in names] == [HOLDS, NOT_RUN, NOT_RUN]
    whole = verdicts_of(made(plane=plane_of({"TRADES, beta = 1": 40, OVERWRITTEN: 40, "1NN": 40})))
    assert [whole[name] for name in names] == [HOLDS, FAILS, FAILS]


def test_a_run_of_networks_alone_judges_what_it_can_and_leaves_the_rest_not_run():
    rows = [
        {"classifier": "S", "split": "test", "pair": pair, "measure": "Linf", "kind": "attacked", "value": value}
        for pair, value in (("0-1", 0.01), ("0-2", 0.02), ("1-2", 0.0))
    ]
    evidence = Evidence.of_scores(pd.DataFrame(rows), {"Linf": 0.03, "L2": 1.7}, 3072, 69, 0.95)
    verdicts = verdicts_of(evidence)
    assert verdicts.pop("standard_training") == HOLDS
    assert set(verdicts.values()) == {NOT_RUN}


def test_the_evidence_of_scores_alone_is_a_whole_run_without_the_rest():
    whole = made(n_models=69, confidence=0.9)
    alone = Evidence.of_scores(whole.scores, whole.epsilon, whole.n_dimensions, whole.n_models, whole.confidence)
    about = (alone.epsilon, alone.n_dimensions, alone.n_models, alone.confidence)
    assert about == (whole.epsilon, 3072, 69, 0.9)
    kept = {"scores": whole.scores} | {name: getattr(whole, name).iloc[:0] for name in TABLES[1:]}
    assert entries_of(alone) == entries_of(replace(whole, **kept, timings={}))
    is_run = {name for name, verdict in verdicts_of(alone).items() if verdict != NOT_RUN}
    assert is_run == {
        "abstract_average", "standard_training", "clean_worse", "clean_worst", "train_1nn_linf", "train_1nn_l2", "train_networks_linf",
        "train_networks_l2", "test_l2", "test_linf", "test_both", "pairs_majority", "pairs_36",
    }  # fmt: skip

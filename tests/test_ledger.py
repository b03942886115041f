"""The paper's claims: what they say, how their numbers are taken from a run, and how they are judged."""

import json
import math
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnrobust import evidence as measures
from nnrobust.accuracy import wilson_interval
from nnrobust.claims import CLAIMS, IDS
from nnrobust.comparison import difference_interval, mean_interval
from nnrobust.evidence import Evidence, Measured
from nnrobust.ledger import (
    CANNOT_TELL,
    FAILS,
    HOLDS,
    MEASURES,
    NETWORKS,
    NOT_RUN,
    PRETRAINED_TRADES,
    in_words,
    judged,
    ledger,
    ledger_table,
    setting_of,
    shown,
)
from nnrobust.outputs import write_json
from nnrobust.params import read_params
from nnrobust.zoo import newer, roster

PROFILES = Path(__file__).parent.parent / "profiles"
PROFILE_NAMES = ("embedded", "smoke", "cifar10", "paper")
RULES = read_params(PROFILES / "paper.yaml").claims
INF = math.inf
ZOO = {PRETRAINED_TRADES: False, "Wang2023Better_WRN-70-16": False, "Kang2021Stable": True}
"""Three pretrained models, and whether they had extra data."""
COMPARATIVE = (
    "abstract_average", "abstract_zoo", "training_time", "inference_time", "clean_worse", "clean_worst", "test_l2", "test_both",
    "pairs_majority", "pairs_36", "zoo_train_linf", "zoo_train_l2", "zoo_test_linf", "zoo_test_l2",
)  # fmt: skip
"""The claims that set 1NN against others, and turn round with them."""


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


def zoo_of(nearest, trades, best, extra):
    """The zoo of 1NN and the three models; each has (train Linf, train L2, test Linf, test L2)."""
    panels = [(split, norm) for split in ("train", "test") for norm in ("Linf", "L2")]
    return zoo_rows(
        {
            name: dict(zip(panels, counts, strict=True))
            for name, counts in zip(("1NN", *ZOO), (nearest, trades, best, extra), strict=True)
        }
    )


def changes_of(nearest, network, n=8):
    parts = []
    for name, is_inside, below, above in (
        ("1NN", False, 1 - nearest, nearest),
        (PRETRAINED_TRADES, True, network, 1 - network),
    ):
        wiggle = np.where(np.arange(n) % 2, 0.001, -0.001)
        parts.append(pd.DataFrame({"classifier": name, "index": range(n), "is_found": True, "is_inside": is_inside,
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


def timing(training, inference, device="RTX 2080 Ti"):
    return {
        "training_seconds_per_pair": training,
        "inference_seconds_per_image": {"1": 1.0, "512": inference},
        "device": device,
    }


def made(**changes):
    """All that a run can measure, such that the paper is right; with `changes`."""
    parts = {
        "scores": scores_of(SCORES),
        "zoo": zoo_of((1000, 999, 43, 80), (700, 30, 600, 20), (800, 40, 700, 30), (850, 50, 780, 40)),
        "timings": {"1NN": timing(0.34034, 0.00001), "T_R": timing(7467.693, 0.00009), "E_S": timing(99.84268, 0.00009)},
        "distances": pd.DataFrame({"distance": np.linspace(3.5, 6.8, 45)}),
        "changes": changes_of(0.95, 0.97),
        "plane": plane_of({"TRADES, beta = 0.001": 20, "TRADES, beta = 6": 36, "overwritten loss": 40, "1NN": 40}),
        "trials": trials_of({f"{i}": [("complete", 0.6), ("complete", 0.4 + 0.001 * i), ("pruned", 0.9), ("failed", 0.0)] for i in range(45)}),
        "strength": strength_of({("apgd-ce", 5, 1): [0.9] * 4, ("apgd-ce", 40, 1): [0.2, 0.1, 0.4, 0.3], ("apgd-ce", 40, 5): [0.1] * 4,
                                 ("pgd-foolbox", 40, 1): [0.21, 0.1, 0.41, 0.3], ("pgd-cleverhans", 40, 1): [0.2, 0.11, 0.4, 0.31]}),
        "epsilon": {"Linf": 8 / 255, "L2": 8 / 255 * math.sqrt(3072)},
        "n_dimensions": 3072,
        "n_models": 3,
        "confidence": 0.95,
    }  # fmt: skip
    return Evidence(**parts | changes)


def turned():
    """The made evidence with 1NN and the networks in each other's place."""
    networks = {key: value for key, value in SCORES.items() if key[0] != "1NN"}
    scores = {("1NN", "exact"): SCORES["T_B", "attacked"]} | dict.fromkeys(networks, SCORES["1NN", "exact"])
    one, other = timing(0.34034, 0.00001), timing(7467.693, 0.00009)
    return made(
        scores=scores_of(scores),
        zoo=zoo_of((700, 30, 600, 20), *[(1000, 999, 43, 80)] * 3),
        timings={"1NN": other, "T_R": one, "E_S": one},
    )


def entries_of(evidence):
    return {str(one["id"]): one for one in ledger(evidence, RULES.accepted, RULES.margin, "made")}


def verdicts_of(evidence):
    return {name: one["verdict"] for name, one in entries_of(evidence).items()}


# What the paper says


def test_every_claim_has_its_measure_and_a_name_of_its_own():
    assert len(set(IDS)) == len(CLAIMS)
    assert set(MEASURES) == set(IDS)
    assert {one.unit for one in CLAIMS} == {"percent", "points", "times"}
    assert all(one.where and one.quote and one.paper for one in CLAIMS)


def test_quotes_are_a_few_words():
    assert max(len(one.quote.split()) for one in CLAIMS) <= 12


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_judges_every_claim_by_the_same_rules(name):
    assert read_params(PROFILES / f"{name}.yaml").claims == RULES
    assert set(RULES.accepted) == set(IDS)


def test_the_margin_of_comparable_is_the_range_of_the_claim_that_says_so():
    assert RULES.accepted["test_linf"] == [-RULES.margin, RULES.margin]


def test_the_ratios_of_table_1_are_those_of_its_seconds():
    paper = {one.id: one.paper for one in CLAIMS}
    assert paper["training_time"] == shown(7467.693 / 0.34034, "times")
    assert paper["early_stop_time"] == f"{7467.693 / 99.84268:.1f} times"
    assert paper["inference_time"] == shown(0.00009 / 0.00001, "times")
    low, high = RULES.accepted["early_stop_time"]
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
        (0.6, 0.7, [0.6, None], HOLDS),
        (0.6, 0.6, [0.6, 0.6], HOLDS),
        (-0.02, 0.02, [-0.02, 0.02], HOLDS),
        (0.1, 0.8, [None, 0.8], HOLDS),
        (0.5999, 0.7, [0.6, None], CANNOT_TELL),
        (0.1, 0.8001, [None, 0.8], CANNOT_TELL),
        (-0.03, 0.03, [-0.02, 0.02], CANNOT_TELL),
        (0.5, 0.6, [0.6, None], CANNOT_TELL),
        (0.8, 0.9, [None, 0.8], CANNOT_TELL),
        (0.5, 0.5999, [0.6, None], FAILS),
        (0.8001, 0.9, [None, 0.8], FAILS),
        (0.03, 0.04, [-0.02, 0.02], FAILS),
        (-INF, INF, [None, 0.8], CANNOT_TELL),
        (-INF, INF, [0.6, None], CANNOT_TELL),
        (-INF, 0.5, [0.6, None], FAILS),
        (-INF, 0.8, [None, 0.8], HOLDS),
        (0.9, INF, [None, 0.8], FAILS),
    ],
)
def test_the_whole_interval_decides_and_the_ends_of_the_range_are_in_it(low, high, accepted, expected):
    assert judged(Measured(0.6, low, high, "", ""), accepted) == expected


def test_without_a_number_a_claim_was_not_run():
    assert judged(None, [0.0, 1.0]) == NOT_RUN


@pytest.mark.parametrize(
    ("accepted", "unit", "expected"),
    [
        ([0.9, None], "percent", "at least 90.0 %"),
        ([None, 0.05], "percent", "at most 5.0 %"),
        ([-0.02, 0.02], "points", "from -2.0 points to 2.0 points"),
        ([0.001, 0.999], "percent", "from 0.1 % to 99.9 %"),
        ([100, None], "times", "at least 100 times"),
        ([37.4, 149.7], "times", "from 37.4 times to 149.7 times"),
        ([0.0, None], "points", "at least 0.0 points"),
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
    assert len(IDS) == 32
    # 36 of 45 pairs are known to within 66 and 89 %, which is wider than the range around them.
    assert verdicts_of(made()) == dict.fromkeys(IDS, HOLDS) | {"pairs_36": CANNOT_TELL}


def test_with_1nn_and_the_networks_in_each_others_place_the_comparisons_fail():
    verdicts = verdicts_of(turned())
    assert {name: verdicts[name] for name in COMPARATIVE} == dict.fromkeys(COMPARATIVE, FAILS)
    assert {name for name in IDS if verdicts[name] == FAILS} == {
        *COMPARATIVE, "standard_training", "train_1nn_linf", "train_1nn_l2", "train_networks_linf", "train_networks_l2",
        "early_stop_time", "best_model", "best_model_extra_data", "trades_linf", "trades_l2",
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
    }  # fmt: skip
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=2e-4)


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
    assert about["zoo_train_l2"] == ("3 of 3 models, 1,000 train images", "exact against attacked", "3 models")
    assert about["best_model"] == ("2 of 2 models, 1,000 test images", "attacked", "Wang2023Better_WRN-70-16")
    assert about["pairs_36"] == ("36 of 45 pairs, test images", "exact against attacked", "1NN minus T_B")
    assert about["plane_trades"] == ("40 points, seeded", "attacked", "TRADES, beta = 6")
    assert about["large_changes"] == ("8 training images, L2", "exact", "1NN")
    assert about["small_changes"] == ("8 training images, L2", "attacked", PRETRAINED_TRADES)
    assert about["training_time"] == ("one run; RTX 2080 Ti", "measured", "T_R over 1NN")
    assert about["attacks"][0] == "900 test images, 4 variants and norms"
    assert about["attacks"][2] == "pgd-foolbox and pgd-cleverhans minus apgd-ce"


def test_a_run_of_nothing_judges_nothing():
    empty = {one.name: pd.DataFrame() for one in fields(Evidence) if one.type is pd.DataFrame}
    nothing = made(**empty | {"scores": scores_of(SCORES).iloc[:0], "timings": {}})
    entries = entries_of(nothing)
    assert {one["verdict"] for one in entries.values()} == {NOT_RUN}
    assert {one["value"] for one in entries.values()} == {None}
    assert {(one["sample"], one["kind"], one["note"]) for one in entries.values()} == {("", "", "")}
    heads = {name: getattr(made(), name).iloc[:0] for name in empty}
    assert set(verdicts_of(made(**heads, timings={})).values()) == {NOT_RUN}


def test_the_ledger_is_json_and_comes_back(tmp_path):
    table = scores_of(SCORES)
    for evidence in (made(), turned(), made(scores=table[table["pair"] == "0"], zoo=pd.DataFrame())):
        entries = ledger(evidence, RULES.accepted, RULES.margin, "made")
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
    table = ledger_table(ledger(made(), RULES.accepted, RULES.margin, "made")).set_index("id")
    assert table.index.tolist() == list(IDS)
    assert table.columns.tolist() == [
        "where", "quote", "paper", "ours", "interval", "sample", "kind", "rule", "verdict", "setting", "note",
    ]  # fmt: skip
    assert table.loc["pairs_36", ["ours", "interval", "rule"]].tolist() == [
        "80.0 %",
        "66.2 % to 89.1 %",
        "from 73.3 % to 86.7 %",
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
    found = measures.least([some(0.1, 0.08, 0.12, "near"), some(0.2, -0.3, 0.7, "far")], 2)
    assert (found.value, found.note, found.low, found.high) == (0.1, "near", -0.3, 0.12)
    assert judged(found, [0.001, None]) == CANNOT_TELL


def test_the_greatest_of_several_may_turn_out_to_be_another():
    found = measures.greatest([some(0.7, 0.68, 0.72, "near"), some(0.6, 0.3, 0.9, "far")], 2)
    assert (found.value, found.note, found.low, found.high) == (0.7, "near", 0.68, 0.9)
    assert judged(found, [None, 0.8]) == CANNOT_TELL


def test_one_that_was_not_run_may_be_less_or_greater_than_all():
    least, greatest = (choose([some(0.5, 0.4, 0.6), None], 2) for choose in (measures.least, measures.greatest))
    assert (least.low, least.high, least.note) == (-INF, 0.6, "one; 1 of 2 not run")
    assert (greatest.low, greatest.high, greatest.note) == (0.4, INF, "one; 1 of 2 not run")
    assert (judged(least, [0.3, None]), judged(least, [0.7, None])) == (CANNOT_TELL, FAILS)
    assert (judged(greatest, [None, 0.7]), judged(greatest, [None, 0.3])) == (CANNOT_TELL, FAILS)
    assert measures.least([None, None], 2) is None
    assert measures.greatest([None, None], 2) is None


def test_a_claim_of_all_networks_does_not_hold_without_one_of_them():
    table = scores_of(SCORES)
    verdicts = verdicts_of(made(scores=table[table["classifier"] != "T_B_A"]))
    of_all = {"abstract_average", "clean_worst", "train_networks_linf", "train_networks_l2", "test_l2", "test_both"}
    assert {name for name, verdict in verdicts.items() if verdict == CANNOT_TELL} == of_all | {"pairs_36"}
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
    (low,), (high,) = wilson_interval(np.array([3]), np.array([5]), 0.95)
    assert (entries["pairs_36"]["low"], entries["pairs_36"]["high"]) == pytest.approx((low, high), abs=1e-6)


# The pretrained models


def l2_zoo(*n_robust):
    """The zoo on test images in L2: of 1NN, and of as many models as there are other numbers."""
    names = ("1NN", *ZOO)[: len(n_robust)]
    return zoo_rows({name: {("test", "L2"): n} for name, n in zip(names, n_robust, strict=True)})


def test_a_model_that_is_not_surely_behind_or_ahead_may_be_either():
    low, high = difference_interval((500, 1000), (510, 1000), 0.95)
    assert low < 0 < high
    # Of three models, one far behind, one far ahead, and one ahead by one point.
    evidence = made(zoo=l2_zoo(500, 100, 900, 510))
    found = measures.zoo_share(evidence, "test", "L2")
    assert (found.value, found.low, found.high) == pytest.approx((1 / 3, 1 / 3, 2 / 3))
    theirs = measures.zoo_share(evidence, "test", "L2", nearest_is_ahead=False)
    assert (theirs.value, theirs.low, theirs.high) == pytest.approx((2 / 3, 1 / 3, 2 / 3))
    assert (found.kind, theirs.kind) == ("exact against attacked", "exact against attacked")


def test_an_equal_model_is_not_behind():
    found = measures.zoo_share(made(zoo=l2_zoo(500, 500), n_models=1), "test", "L2")
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)


def test_models_that_were_not_measured_widen_the_share():
    for n_models, expected in ((3, (1.0, 1.0, 1.0)), (4, (1.0, 0.75, 1.0)), (69, (1.0, 3 / 69, 1.0))):
        found = measures.zoo_share(made(zoo=l2_zoo(500, 100, 100, 100), n_models=n_models), "test", "L2")
        assert (found.value, found.low, found.high) == pytest.approx(expected)
        assert found.sample == f"3 of {n_models} models, 1,000 test images"
    behind = measures.zoo_share(made(zoo=l2_zoo(100, 500, 500, 500), n_models=69), "test", "L2")
    assert (behind.value, behind.low, behind.high) == pytest.approx((0.0, 0.0, 66 / 69))
    assert judged(behind, RULES.accepted["zoo_test_l2"]) == CANNOT_TELL


def test_without_a_measured_model_or_without_1nn_no_share_was_run():
    table = l2_zoo(500, 100, 100, 100)
    failed = table.assign(status=table["status"].where(table["classifier"] == "1NN", "out of memory"))
    for zoo in (table[table["classifier"] != "1NN"], table[table["classifier"] == "1NN"], failed, pd.DataFrame()):
        assert measures.zoo_share(made(zoo=zoo), "test", "L2") is None
    assert measures.zoo_share(made(zoo=table), "train", "L2") is None
    assert measures.zoo_share(made(zoo=table), "test", "Linf") is None


def test_1nn_is_set_against_models_by_its_exact_number_and_they_have_withstood_all_attacks():
    # 1NN: 250 by half gap, 500 exact, 501 in the box. The model: 501 under the first attack, 500 under both.
    found = measures.zoo_share(made(zoo=l2_zoo(500, 500), n_models=1), "test", "L2", nearest_is_ahead=False)
    assert (found.value, found.note) == (0.0, "0 models")
    table = l2_zoo(500, 499)
    certified = table[table["kind"] != "exact"]
    for zoo, kind in ((table, "exact"), (certified, "certified")):
        found = measures.zoo_share(made(zoo=zoo, n_models=1), "test", "L2")
        assert (found.value, found.kind) == (1.0, f"{kind} against attacked")


def test_the_best_model_is_of_its_kind_and_1nn_is_none():
    evidence = made(zoo=zoo_of((0, 0, 990, 0), (0, 0, 600, 0), (0, 0, 700, 0), (0, 0, 780, 0)))
    for has_extra_data, expected in ((False, (0.7, "Wang2023Better_WRN-70-16")), (True, (0.78, "Kang2021Stable"))):
        found = measures.zoo_best(evidence, "Linf", has_extra_data)
        assert (found.value, found.note, found.kind) == (*expected, "attacked")
        (low,), (high,) = wilson_interval(np.array([1000 * found.value]), np.array([1000]), 0.95)
        assert (found.low, found.high) == pytest.approx((low, high))


def test_a_model_that_was_not_measured_may_be_better_than_the_best():
    table = zoo_of((0, 0, 0, 0), (0, 0, 500, 0), (0, 0, 400, 0), (0, 0, 600, 0))
    assert verdicts_of(made(zoo=table))["best_model"] == FAILS
    assert verdicts_of(made(zoo=table, n_models=69))["best_model"] == CANNOT_TELL
    is_best = table["classifier"] == PRETRAINED_TRADES
    failed = made(zoo=table.assign(status=table["status"].where(~is_best, "out of memory")))
    found = measures.zoo_best(failed, "Linf", has_extra_data=False)
    assert (found.value, found.high, found.sample) == (0.4, 1.0, "1 of 2 models, 1,000 test images")
    # That it is not measured says nothing of those with extra data.
    assert measures.zoo_best(failed, "Linf", has_extra_data=True) == measures.zoo_best(
        made(zoo=table), "Linf", has_extra_data=True
    )
    assert (
        measures.zoo_best(made(zoo=table[table["classifier"] == "Kang2021Stable"]), "Linf", has_extra_data=False)
        is None
    )


def test_one_model_is_known_whether_others_were_measured_or_not():
    table = zoo_of((0, 0, 0, 0), (0, 0, 500, 10), (0, 0, 700, 300), (0, 0, 780, 400))
    alone = made(zoo=table[table["classifier"].isin(["1NN", PRETRAINED_TRADES])], n_models=69)
    for evidence in (made(zoo=table), alone):
        verdicts = verdicts_of(evidence)
        assert (verdicts["trades_linf"], verdicts["trades_l2"]) == (FAILS, HOLDS)
    assert verdicts_of(made(zoo=table[table["classifier"] != PRETRAINED_TRADES]))["trades_l2"] == NOT_RUN


def test_a_zoo_table_out_of_a_file_gives_the_same_verdicts(tmp_path):
    missing = pd.DataFrame(
        [{"classifier": "Standard", "status": "missing", "architecture": "made", "has_extra_data": False}]
    )
    table = pd.concat([made().zoo, missing], ignore_index=True)
    table.to_csv(tmp_path / "zoo.csv", index=False)
    read = made(zoo=pd.read_csv(tmp_path / "zoo.csv"), n_models=4)
    assert entries_of(read) == entries_of(made(zoo=table, n_models=4))
    assert entries_of(read)["best_model"]["sample"] == "2 of 3 models, 1,000 test images"


# The other measures


def test_ratios_name_each_device_once():
    timings = {"1NN": timing(1.0, 1.0, "CPU"), "T_R": timing(3.0, 2.0, "RTX"), "E_S": timing(1.5, 2.0, "RTX")}
    entries = entries_of(made(timings=timings))
    assert [(entries[name]["value"], entries[name]["sample"]) for name in ("training_time", "early_stop_time", "inference_time")] == [
        (3.0, "one run; RTX and CPU"), (2.0, "one run; RTX"), (2.0, "one run; RTX and CPU"),
    ]  # fmt: skip
    without = verdicts_of(made(timings={"1NN": timings["1NN"], "T_R": timings["T_R"]}))
    assert (without["training_time"], without["early_stop_time"]) == (FAILS, NOT_RUN)


def test_only_images_that_are_fooled_count_for_a_network_inside_the_ball():
    changes = changes_of(0.95, 0.97)
    outside = changes.assign(share_below=changes["share_below"].where(changes["index"] < 4, 0.0))
    outside["is_inside"] &= outside["index"] < 4
    outside.loc[(outside["classifier"] == "1NN") & (outside["index"] > 5), ["is_found", "share_above"]] = [False, 0.0]
    entries = entries_of(made(changes=outside))
    assert (entries["small_changes"]["value"], entries["small_changes"]["sample"]) == (0.97, "4 training images, L2")
    assert (entries["large_changes"]["value"], entries["large_changes"]["sample"]) == (0.95, "6 training images, L2")
    none = verdicts_of(made(changes=changes.assign(is_found=False, is_inside=False)))
    assert (none["small_changes"], none["large_changes"]) == (NOT_RUN, NOT_RUN)


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
    entries = entries_of(made(plane=plane_of({"TRADES, beta = 1": 0, "overwritten loss": 30, "1NN": 39})))
    assert [entries[name]["value"] for name in ("plane_1nn", "plane_trades")] == [0.975, 0.0]
    assert [entries[name]["verdict"] for name in ("plane_1nn", "plane_trades")] == [FAILS, FAILS]
    assert [entries[name]["kind"] for name in ("plane_1nn", "plane_trades")] == ["exact", "attacked"]
    assert verdicts_of(made(plane=plane_of({"1NN": 40})))["plane_trades"] == NOT_RUN
    whole = entries_of(made(plane=plane_of({"TRADES, beta = 1": 40, "1NN": 40})))
    assert (whole["plane_1nn"]["verdict"], whole["plane_trades"]["verdict"]) == (HOLDS, FAILS)


def test_a_run_of_networks_alone_judges_what_it_can_and_leaves_the_rest_not_run():
    rows = [
        {"classifier": "S", "split": "test", "pair": pair, "measure": "Linf", "kind": "attacked", "value": value}
        for pair, value in (("0-1", 0.01), ("0-2", 0.02), ("1-2", 0.0))
    ]
    evidence = Evidence.of_scores(pd.DataFrame(rows), {"Linf": 0.03, "L2": 1.7}, 3072, 69, 0.95)
    accepted = read_params(PROFILES / "paper.yaml").claims.accepted
    verdicts = {one["id"]: one["verdict"] for one in ledger(evidence, accepted, 0.02, "made")}
    assert verdicts.pop("standard_training") == "holds"
    assert set(verdicts.values()) == {"not run"}

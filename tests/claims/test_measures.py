"""The numbers that claims take from a run: over pairs, from attacks, the plane, times and changes."""

import math

import numpy as np
import pandas as pd
import pytest

from made.evidence import (
    PRETRAINED_TRADES,
    SCORES,
    changes_of,
    entries_of,
    made,
    plane_of,
    scores_of,
    strength_of,
    times_of,
    trials_of,
    verdicts_of,
)
from nnrobust.claims import measures
from nnrobust.claims.judge import CANNOT_TELL, FAILS, HOLDS, NOT_RUN, judged
from nnrobust.claims.measures import Measured
from nnrobust.claims.paper import NETWORKS
from nnrobust.experiments.plane import OVERWRITTEN
from nnrobust.report.stopwatch import TIMES
from nnrobust.runtime.timing import MANY, TRAINING
from nnrobust.tables.comparison import mean_interval

INF = math.inf


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


# The other measures


def test_ratios_of_times_are_those_of_medians_and_name_each_device_once():
    timings = {"1NN": (1.0, 1.0, "CPU"), "T_R": (3.0, 2.0, "RTX"), "E_S": (1.5, 4.0, "RTX"), "S": (0.5, 8.0, "H100")}
    entries = entries_of(made(timings=times_of(**timings)))
    assert [(entries[name]["value"], entries[name]["sample"]) for name in ("training_time", "early_stop_time", "inference_time", "training_cost")] == [
        (3.0, "9 and 9 trainings; CPU and RTX"), (2.0, "9 and 9 trainings; RTX"), (2.0, "9 rounds; CPU and RTX"),
        (6.0, "9 and 9 trainings; RTX and H100"),
    ]  # fmt: skip
    without = verdicts_of(made(timings=times_of(**{"1NN": timings["1NN"], "T_R": timings["T_R"]})))
    assert (without["training_time"], without["early_stop_time"], without["training_cost"]) == (FAILS, NOT_RUN, NOT_RUN)


def test_a_ratio_of_times_has_the_spread_of_its_measurements():
    def entry(quantity, claim, slow, fast):
        rows = [("T_R", quantity, one, "CPU") for one in slow] + [("1NN", quantity, one, "CPU") for one in fast]
        return entries_of(made(timings=pd.DataFrame(rows, columns=TIMES)))[claim]

    # In turn: of each round's ratio. What slows both for some rounds, as other work does, is in none of them.
    slow, busy = np.array([2.2, 2.0, 2.1, 2.4, 1.9, 2.3, 2.0, 2.2, 2.1]), np.array([1, 1, 1, 50, 50, 50, 1, 1, 1])
    found = entry(MANY, "inference_time", slow * busy, busy)
    assert (found["value"], found["low"], found["high"], found["verdict"]) == (2.1, 2.0, 2.3, HOLDS)
    straddling = entry(MANY, "inference_time", slow / 2.15, np.ones(9))
    assert (straddling["value"] < 1, straddling["verdict"]) == (True, CANNOT_TELL)
    # Each in its own stage: the ends of one over those of the other.
    found = entry(TRAINING, "training_time", np.arange(995, 1004), np.arange(5.0, 14.0))
    assert [found[name] for name in ("value", "low", "high")] == pytest.approx([111.0, 996 / 12, 1002 / 6])
    assert found["verdict"] == CANNOT_TELL  # the rule begins at 100
    # One measurement has no spread, so it decides nothing, however far it is from the rule.
    once = entry(TRAINING, "training_time", [1e6], np.ones(9))
    assert (once["value"], once["low"], once["high"], once["verdict"]) == (1e6, 0.0, None, CANNOT_TELL)


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


def test_where_the_paper_says_imperceptible_the_largest_change_and_the_similarity_are_told_if_they_were_measured():
    changes = changes_of(0.95, 0.9, n=3)
    before = measures.share_of_values(made(changes=changes), is_nearest_neighbor=False, column="share_below")
    assert before.note == PRETRAINED_TRADES
    told = changes.assign(largest_change=[0.5, 0.5, 0.5, 0.1, 0.4, 0.2], ssim=[0.1, 0.1, 0.1, 0.95, 0.7, 0.9])
    after = measures.share_of_values(made(changes=told), is_nearest_neighbor=False, column="share_below")
    assert after.note == f"{PRETRAINED_TRADES}; median largest change of a value 0.20; median SSIM to the image 0.90"
    assert (after.value, after.low, after.high) == (before.value, before.low, before.high)


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
    assert found.value == 2.5
    assert found.low < 2.5 < found.high
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

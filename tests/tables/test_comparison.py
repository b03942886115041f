import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from made.records import attacked, certified, exact
from nnrobust.tables.accuracy import accuracy_table, mean_over_pairs, union_table
from nnrobust.tables.comparison import (
    COMMON,
    MEASURES,
    PAIRED,
    common_scores,
    difference_interval,
    headline,
    mean_interval,
    median_interval,
    paired,
    paired_table,
    ratio_interval,
    scores,
    seed_spread,
    sign_test,
)

ALONE = pd.DataFrame(columns=COMMON)
"""No images are shared but by those who have the same."""


def rows(classifier, values, measure="mean", split="test", first=0):
    """Rows of `scores`: a value for each pair, which are named by their number."""
    pairs = [f"{first + i}" for i in range(len(values))]
    return pd.DataFrame(
        {
            "classifier": classifier,
            "split": split,
            "pair": pairs,
            "measure": measure,
            "kind": "attacked",
            "value": values,
        }
    )


def compared(difference, margin=0.02):
    """The row of `paired_table` for 1NN and a network that it is ahead of by `difference` (n,)."""
    table = pd.concat([rows("1NN", 0.5 + np.array(difference)), rows("S", np.full(len(difference), 0.5))])
    (row,) = paired_table(table, ALONE, "1NN", 0.95, margin).to_dict("records")
    return row


def scored(*records):
    """The scores out of records."""
    joined = pd.concat(records, ignore_index=True)
    return scores(accuracy_table(joined, 0.95), union_table(joined, 0.95))


def test_the_headline_is_the_exact_number_where_there_is_one_and_all_attacks_together():
    both = "apgd-ce + apgd-margin"
    parts = [
        exact(),
        certified("0-2"),
        attacked(attacks=both, method=np.array([both, "apgd-ce", "apgd-margin", both], dtype=object)),
    ]
    table = pd.concat([accuracy_table(one, 0.95) for one in parts], ignore_index=True)
    assert headline(table)[["classifier", "pair", "kind", "method"]].values.tolist() == [
        ["1NN", "0-1", "exact", "exact"], ["1NN", "0-2", "certified", "bisector"], ["S", "0-1", "attacked", both],
    ]  # fmt: skip


def test_the_headline_takes_tables_that_repeat_an_index():
    table = pd.concat([accuracy_table(one, 0.95) for one in (certified("0-2"), exact(), attacked())])
    assert headline(table.set_axis([0] * len(table)))["method"].tolist() == ["exact", "apgd-ce", "bisector"]


def test_means_over_pairs_have_a_headline_too():
    table = pd.concat([accuracy_table(exact(pair), 0.95) for pair in ("0-1", "0-2")], ignore_index=True)
    assert headline(mean_over_pairs(table))["method"].tolist() == ["exact"]


def test_each_measure_has_its_value_and_says_of_what_kind_it_is():
    records = [one(norm=norm) for one in (exact, attacked) for norm in ("Linf", "L2")]
    table = scored(*records).set_index(["classifier", "measure"])
    assert table.loc["1NN"].index.tolist() == list(MEASURES)
    assert table.loc["1NN", "value"].tolist() == [0.75, 0.75, 0.75, 0.75, 0.75]
    assert table.loc["1NN", "kind"].tolist() == ["measured", "exact", "exact", "exact", "exact"]
    assert table.loc["S", "value"].tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]
    assert table.loc["S", "kind"].tolist() == ["measured", "attacked", "attacked", "attacked", "attacked"]


def test_the_mean_is_of_both_norms_and_the_union_of_each_image_in_both():
    table = scored(
        attacked("Linf", robust=(True, True, True, False)), attacked("L2", robust=(True, False, False, True))
    )
    assert table.set_index("measure")["value"].to_dict() == {
        "clean": 1.0,
        "Linf": 0.75,
        "L2": 0.5,
        "mean": 0.625,
        "union": 0.25,
    }


def test_a_mean_of_an_exact_and_a_certified_number_names_both():
    assert scored(exact(norm="Linf"), certified(norm="L2")).set_index("measure")["kind"].to_dict() == {
        "clean": "measured", "Linf": "exact", "L2": "certified", "mean": "exact and certified", "union": "certified",
    }  # fmt: skip


def test_what_is_proven_is_a_measure_of_its_own_where_something_is_proven_of_a_network():
    records = {norm: attacked(norm=norm, robust=(True, False, True, True)) for norm in ("Linf", "L2")}
    stands, nearest = pd.concat(records.values()), pd.concat([exact(norm="Linf"), exact(norm="L2")])
    parts = [accuracy_table(part, 0.95) for part in (stands, nearest)]
    unions = pd.concat([union_table(part, 0.95) for part in (stands, nearest)])
    assert set(scores(pd.concat(parts), unions)["measure"]) == set(MEASURES)
    proven = np.where((stands["norm"] == "Linf") & (stands["index"] == 0), 0.6, 0.0)
    parts[0] = accuracy_table(stands.assign(radius_lower=proven), 0.95)
    found = scores(pd.concat(parts), unions).set_index(["classifier", "measure"])
    assert found.loc[("S", "Linf"), ["value", "kind"]].tolist() == [0.75, "attacked"]
    assert found.loc[("S", "Linf proven"), ["value", "kind"]].tolist() == [0.25, "certified"]
    assert (
        found.loc[("1NN", "Linf proven"), ["value", "kind"]].tolist()
        == found.loc[("1NN", "Linf"), ["value", "kind"]].tolist()
    )
    assert found.loc[("S", "L2 proven"), "value"] == 0


def test_the_problem_of_all_classes_is_no_pair():
    assert set(scored(*[exact(pair, norm) for pair in ("0-1", "all") for norm in ("Linf", "L2")])["pair"]) == {"0-1"}


def test_what_was_measured_in_one_norm_alone_has_no_mean_and_no_union():
    table = scored(attacked("Linf"), attacked("L2"), attacked("Linf", "0-2"))
    assert table[table["pair"] == "0-1"]["measure"].tolist() == list(MEASURES)
    assert table[table["pair"] == "0-2"]["measure"].tolist() == ["clean", "Linf"]
    assert table["value"].notna().all()


def test_equal_counts_are_equal_though_their_rates_are_stored_with_six_digits():
    # 1 + 1 of 120 images, and 2 + 0: by rounded rates, 0.008333 and 0.0083335.
    counts = {"1NN": (1, 1), "S": (2, 0)}
    table = pd.DataFrame(
        [
            {"classifier": name, "pair": "0-1", "split": "test", "norm": norm, "kind": "attacked", "method": "apgd-ce",
             "n": 120, "n_correct": 120, "n_robust": n, "clean_accuracy": 1.0, "robust_accuracy": round(n / 120, 6)}
            for name, both in counts.items() for norm, n in zip(("Linf", "L2"), both, strict=True)
        ]
    )  # fmt: skip
    unions = table[table["norm"] == "L2"].drop(columns=["norm", "method"])
    assert paired(scores(table, unions), ALONE, "1NN", "S", "test", "mean").tolist() == [0.0]


def drawn(maker, pair, n, seed, first=0):
    """Records in both norms of n images, of which each is right and robust or not by chance."""
    rng, parts = np.random.default_rng(seed), []
    correct = rng.random(n) < 0.8
    for norm in ("Linf", "L2"):
        robust = correct & (rng.random(n) < 0.6)
        base = maker(pair=pair, norm=norm)
        many = pd.concat([base.iloc[:1]] * n, ignore_index=True)
        radius = np.where(robust, 0.8, 0.2 * correct)
        parts.append(
            many.assign(
                index=np.arange(first, first + n), is_correct=correct, is_robust=robust, radius_upper=radius,
                radius_lower=radius if maker is exact else 0.0,
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def both(nearest, network):
    """Scores and common scores of 1NN and a network."""
    return scored(nearest, network), common_scores([nearest, network], 0.95)


def test_a_difference_is_of_the_images_that_both_have():
    nearest = pd.concat([drawn(exact, pair, 40, n) for n, pair in enumerate(("0-1", "0-2", "1-2"))])
    network = pd.concat([drawn(attacked, "0-1", 40, 7), drawn(attacked, "0-2", 15, 8)])
    table, common = both(nearest, network)
    assert set(zip(common["classifier"], common["other"], common["pair"], strict=True)) == {("1NN", "S", "0-2")}
    joined = nearest.astype({"pair": str}).merge(
        network.astype({"pair": str}), on=["pair", "norm", "index"], suffixes=("", "_of_s")
    )
    for norm in ("Linf", "L2"):
        mine = joined[joined["norm"] == norm]
        expected = (mine["is_robust"].astype(float) - mine["is_robust_of_s"]).groupby(mine["pair"]).mean()
        for first, second, sign in (("1NN", "S", 1), ("S", "1NN", -1)):
            found = paired(table, common, first, second, "test", norm)
            np.testing.assert_allclose(found, sign * expected.to_numpy(), atol=1e-9)
        assert paired(table, ALONE, "1NN", "S", "test", norm)[1] != pytest.approx(expected.iloc[1])
    wide = joined.pivot(index=["pair", "index"], columns="norm", values=["is_robust", "is_robust_of_s"]).astype(bool)
    union = wide["is_robust"].all(axis=1).astype(float) - wide["is_robust_of_s"].all(axis=1)
    found = paired(table, common, "1NN", "S", "test", "union")
    np.testing.assert_allclose(found, union.groupby("pair").mean().to_numpy(), atol=1e-9)


def test_what_is_proven_of_both_is_of_the_same_images_too():
    nearest, network = drawn(exact, "0-1", 40, 1), drawn(attacked, "0-1", 20, 2)
    network["radius_lower"] = np.where(network["is_robust"] & (network["index"] < 10), 0.6, 0.0)
    table, common = both(nearest, network)
    robust = nearest[(nearest["norm"] == "Linf") & (nearest["index"] < 20)]["is_robust"].mean()
    proven = (network[network["norm"] == "Linf"]["radius_lower"] > 0).mean()
    found = paired(table, common, "1NN", "S", "test", "Linf proven")
    np.testing.assert_allclose(found, [robust - proven], atol=1e-9)


def test_a_classifier_is_compared_with_each_on_the_images_of_that_one():
    parts = {"1NN": drawn(exact, "0-1", 40, 1)}
    parts |= {
        name: drawn(attacked, "0-1", n, n).assign(classifier=name)
        for name, n in (("S", 20), ("T_R", 20), ("mine|pairs", 9))
    }
    found = common_scores(parts.values(), 0.95)
    rows = found[found["measure"] == "L2"].set_index(["classifier", "other"])["value"]
    assert set(rows.index) == {
        ("1NN", "S"),
        ("1NN", "T_R"),
        ("1NN", "mine|pairs"),
        ("S", "mine|pairs"),
        ("T_R", "mine|pairs"),
    }
    assert rows["1NN", "S"] == rows["1NN", "T_R"]
    for (name, other), value in rows.items():
        mine = parts[name][(parts[name]["norm"] == "L2") & (parts[name]["index"] < parts[other]["index"].max() + 1)]
        assert value == pytest.approx(mine["is_robust"].mean())


def test_those_with_the_same_images_share_all_and_those_with_none_are_not_compared():
    assert both(drawn(exact, "0-1", 12, 1), drawn(attacked, "0-1", 12, 2))[1].empty
    table, common = both(drawn(exact, "0-1", 12, 1), drawn(attacked, "0-1", 12, 2, first=12))
    assert common["value"].isna().all()
    for measure in MEASURES:
        assert paired(table, common, "1NN", "S", "test", measure).tolist() == []
    partly = drawn(attacked, "0-1", 12, 2, first=6)
    table, common = both(drawn(exact, "0-1", 12, 1), partly)
    assert set(common["classifier"]) == {"1NN", "S"}


def test_an_image_without_a_verdict_is_not_shared():
    network = drawn(attacked, "0-1", 12, 2)
    network["status"] = np.where(network["index"] < 4, "failed", "ok")
    _, common = both(drawn(exact, "0-1", 12, 1), network)
    mine = drawn(exact, "0-1", 12, 1).query("norm == 'L2' and index >= 4")["is_robust"].mean()
    assert common.set_index("measure").loc["L2", "value"] == pytest.approx(mine)


def test_students_interval_is_that_of_a_table():
    # Mean 0.2, standard deviation 0.1, t of 2 degrees of freedom at 97.5 %: 4.302653.
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert mean_interval(np.array([0.1, 0.2, 0.3]), 0.95) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-7)
    # And of 1 degree of freedom at 95 %: 6.313752.
    half = 6.313752 * np.sqrt(0.5) / np.sqrt(2)
    assert mean_interval(np.array([0.0, 1.0]), 0.9) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_a_single_value_has_an_interval_without_ends():
    assert mean_interval(np.array([0.3]), 0.95) == (-np.inf, np.inf)


@pytest.mark.parametrize("value", [0.8, 0.02, 1.0, -0.02])
def test_equal_values_have_themselves_for_an_interval(value):
    assert mean_interval(np.full(45, value), 0.95) == (value, value)


def test_the_median_lies_between_two_measurements_as_often_as_the_sign_test_says():
    nine = np.array([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0])
    assert median_interval(nine, 0.95) == (2.0, 8.0)  # 1 - 2 (1 + 9) / 2**9 = 0.961
    assert median_interval(nine, 0.97) == (1.0, 9.0)  # 1 - 2 / 2**9 = 0.996
    assert median_interval(np.arange(6), 0.95) == (0.0, 5.0)  # 1 - 2 / 2**6 = 0.969
    assert median_interval(np.arange(5), 0.95) == (0.0, 4.0)  # 0.94: no two hold it more surely
    assert median_interval(np.array([3.0, 1.0]), 0.95) == (1.0, 3.0)
    for none in ([], [1.0]):
        assert median_interval(np.array(none), 0.95) == (-np.inf, np.inf)
    drawn = np.random.default_rng(0).exponential(size=(20_000, 9))
    ends = np.array([median_interval(row, 0.95) for row in drawn])
    is_inside = (ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1])
    assert is_inside.mean() == pytest.approx(0.961, abs=0.005)


def test_at_the_ends_of_fiellers_interval_the_mean_difference_is_just_not_told_from_0():
    generator = np.random.default_rng(0)
    below = generator.uniform(1, 2, 9)
    above = 3 * below + generator.normal(0, 0.5, 9)
    low, high = ratio_interval(above, below, 0.9)
    assert low < above.mean() / below.mean() < high
    assert mean_interval(above - low * below, 0.9)[0] == pytest.approx(0, abs=1e-9)
    assert mean_interval(above - high * below, 0.9)[1] == pytest.approx(0, abs=1e-9)


def test_a_ratio_of_equal_pairs_is_certain_and_one_over_what_may_be_0_has_no_ends():
    assert ratio_interval(np.array([6.0, 6.0]), np.array([3.0, 3.0]), 0.95) == (2.0, 2.0)
    assert ratio_interval(np.array([1.0, 2.0]), np.array([-1.0, 1.2]), 0.95) == (-np.inf, np.inf)
    assert ratio_interval(np.array([1.0]), np.array([2.0]), 0.95) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference_of_proportions_is_the_published_one(first, second, low, high):
    # Newcombe 1998, table II, method 10.
    assert difference_interval(first, second, 0.95) == pytest.approx((low, high), abs=6e-5)


def test_the_interval_of_a_difference_turns_round_with_it():
    low, high = difference_interval((43, 1000), (60, 1000), 0.95)
    assert difference_interval((60, 1000), (43, 1000), 0.95) == pytest.approx((-high, -low), abs=1e-15)
    assert low < 0 < high


def test_a_pair_that_one_of_them_lacks_is_left_out():
    table = pd.concat([rows("1NN", [0.5, 0.6, 0.7]), rows("S", [0.4, np.nan], first=1)], ignore_index=True)
    assert paired(table, ALONE, "1NN", "S", "test", "mean").tolist() == [0.2]
    assert paired(table, ALONE, "S", "1NN", "test", "mean").tolist() == [-0.2]
    assert paired(table, ALONE, "1NN", "T_R", "test", "mean").tolist() == []
    assert paired(table, ALONE, "1NN", "S", "train", "mean").tolist() == []


def test_equal_means_differ_by_nothing_though_sums_are_inexact():
    first, second = (0.1 + 0.2) / 2, 0.3 / 2
    assert first != second
    table = pd.concat([rows("1NN", [first]), rows("S", [second])])
    assert paired(table, ALONE, "1NN", "S", "test", "mean").tolist() == [0.0]


def test_the_sign_and_the_rank_test_are_counted_by_hand():
    # All five ahead: 2 of 2^5 choices of signs are as one-sided.
    row = compared([0.01, 0.02, 0.03, 0.04, 0.05])
    assert (row["n_pairs"], row["n_ahead"], row["n_equal"], row["n_behind"]) == (5, 5, 0, 0)
    assert (row["sign_p"], row["wilcoxon_p"]) == pytest.approx((2 / 32, 2 / 32), abs=1e-12)
    # The least of six behind. Signs: 6 + 1 of 64 on either side. Ranks: the sums 0 and 1 on either side.
    row = compared([-0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    assert (row["sign_p"], row["wilcoxon_p"]) == pytest.approx((14 / 64, 4 / 64), abs=1e-12)
    # The greatest of six behind: rank sums of at most 6 come from 14 choices, on either side.
    row = compared([0.01, 0.02, 0.03, 0.04, 0.05, -0.06])
    assert (row["sign_p"], row["wilcoxon_p"]) == pytest.approx((14 / 64, 28 / 64), abs=1e-12)


def test_the_rank_test_of_nine_patients_is_the_published_one():
    # Hollander and Wolfe 1973, p. 29: depression scores at two visits; V = 40, one-sided p = 0.01953.
    first = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    second = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    row = compared(first - second)
    assert (row["n_ahead"], row["n_behind"]) == (7, 2)
    assert row["wilcoxon_p"] == pytest.approx(2 * 0.01953, abs=1e-5)
    assert row["sign_p"] == pytest.approx(2 * (1 + 9 + 36) / 512, abs=1e-12)


def test_with_ties_the_tests_are_those_of_scipy_without_the_pairs_that_are_equal():
    difference = np.array([3, -1, 4, 1, -5, 9, 2, 6, 5, -3, 5, 8, 9, 7, -9, 3, 2, 3, 8, 4, 0, 0, 0]) / 1000
    row, differ = compared(difference), difference[:-3]
    assert (row["n_ahead"], row["n_equal"], row["n_behind"]) == (16, 3, 4)
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(differ).pvalue, abs=1e-9)
    assert row["sign_p"] == pytest.approx(stats.binomtest(16, 20).pvalue, abs=1e-12)


def test_ties_count_neither_for_nor_against():
    # Of the three that differ, all ahead by as much: 2 of 2^3 choices of signs.
    row = compared([0.1, 0.0, 0.1, 0.1, 0.0])
    assert (row["n_ahead"], row["n_equal"], row["n_behind"]) == (3, 2, 0)
    assert (row["sign_p"], row["wilcoxon_p"]) == pytest.approx((2 / 8, 2 / 8), abs=1e-12)


def test_nothing_but_ties_is_no_difference():
    row = compared([0.0, 0.0, 0.0])
    assert (row["n_equal"], row["difference"], row["low"], row["high"]) == (3, 0.0, 0.0, 0.0)
    assert (row["sign_p"], row["wilcoxon_p"], row["is_comparable"]) == (1.0, 1.0, True)


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ([0.1] * 36 + [-0.1] * 9, 2 * sum(math.comb(45, k) for k in range(10)) / 2**45),
        ([-0.1] * 36 + [0.1] * 9, 2 * sum(math.comb(45, k) for k in range(10)) / 2**45),
        ([0.1, -0.02, -0.021, -0.1, 0.0], 2 * (1 + 4) / 16),
        ([0.1, -0.1], 1.0),
        ([0.1, 0.0], 1.0),
        ([0.0, 0.0], 1.0),
        ([], 1.0),
    ],
)
def test_the_sign_test_counts_the_choices_of_signs_on_both_sides(difference, expected):
    assert sign_test(np.array(difference)) == pytest.approx(expected, rel=1e-12)


def test_a_single_pair_has_a_difference_without_ends_and_is_not_comparable():
    row = compared([0.0])
    assert (row["n_pairs"], row["difference"], row["low"], row["high"]) == (1, 0.0, -np.inf, np.inf)
    assert (row["sign_p"], row["is_comparable"]) == (1.0, False)


@pytest.mark.parametrize(
    ("difference", "is_comparable"),
    [([0.02] * 45, True), ([-0.02] * 45, True), ([0.021] * 45, False), ([0.1, -0.1], False)],
)
def test_comparable_is_an_interval_within_the_margin_ends_included(difference, is_comparable):
    assert compared(difference)["is_comparable"] is is_comparable


def test_each_other_classifier_split_and_measure_has_its_row():
    table = pd.concat(
        [
            rows(name, [0.5, 0.4], measure, split)
            for name in ("S", "1NN", "T_R")
            for measure in MEASURES
            for split in ("train", "test")
        ]
    )
    found = paired_table(table, ALONE, "1NN", 0.95, 0.02)
    assert found.columns.tolist() == PAIRED
    assert len(found) == 2 * 2 * len(MEASURES)
    assert set(found["first"]) == {"1NN"}
    assert found["second"].unique().tolist() == ["S", "T_R"]
    empty = paired_table(table[table["classifier"] == "1NN"], ALONE, "1NN", 0.95, 0.02)
    assert (len(empty), empty.columns.tolist()) == (0, PAIRED)


def test_what_is_proven_of_a_network_is_compared_and_what_is_exact_but_once():
    parts = [rows("1NN", [0.5, 0.6], "Linf"), rows("linear", [0.4, 0.7], "Linf"), rows("S", [0.9, 0.9], "Linf")]
    parts += [
        part.assign(measure="Linf proven", kind=kind)
        for part, kind in zip(parts, ("exact", "exact", "certified"), strict=True)
    ]
    table = pd.concat([part.assign(value=0.2) if (part["kind"] == "certified").all() else part for part in parts])
    found = paired_table(table, ALONE, "1NN", 0.95, 0.02).set_index(["second", "measure"])
    assert found.index.tolist() == [("linear", "Linf"), ("S", "Linf"), ("S", "Linf proven")]
    assert found.loc[("S", "Linf proven"), ["n_ahead", "difference"]].tolist() == [2, 0.35]


def test_the_interval_in_the_table_is_students_of_the_differences():
    row = compared([0.1, 0.2, 0.3])
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (0.2, *mean_interval(np.array([0.1, 0.2, 0.3]), 0.95))
    )


def test_seeds_are_those_of_variants_that_are_equal_otherwise():
    table = pd.concat([rows("A", [0.4, 0.6]), rows("B", [0.5, 0.7]), rows("C", [0.9, 0.9]), rows("1NN", [0.1, 0.1])])
    variants = {"A": {"epochs": 3, "seed": 0}, "B": {"epochs": 3, "seed": 1}, "C": {"epochs": 4, "seed": 0}}
    (row,) = seed_spread(table, variants).to_dict("records")
    assert (row["variants"], row["split"], row["measure"], row["n_seeds"]) == ("A, B", "test", "mean", 2)
    assert (row["mean"], row["lowest"], row["highest"]) == pytest.approx((0.55, 0.5, 0.6))
    assert row["standard_deviation"] == pytest.approx(0.1 / np.sqrt(2))


def test_a_variant_that_is_equal_in_its_seed_too_is_no_further_seed():
    table = pd.concat([rows(name, [0.4, 0.6]) for name in "AB"] + [rows("C", [0.6, 0.8])])
    variants = {"A": {"epochs": 3, "seed": 0}, "B": {"epochs": 3, "seed": 0}}
    assert len(seed_spread(table, variants)) == 0
    (row,) = seed_spread(table, variants | {"C": {"epochs": 3, "seed": 1}}).to_dict("records")
    assert (row["variants"], row["n_seeds"], row["mean"]) == ("A, C", 2, pytest.approx(0.6))


def test_seeds_are_compared_over_the_pairs_that_all_of_them_have():
    table = pd.concat([rows("A", [0.4, 0.6, 0.9]), rows("B", [0.4, 0.6])])
    variants = {"A": {"seed": 0}, "B": {"seed": 1}}
    (row,) = seed_spread(table, variants).to_dict("records")
    assert (row["lowest"], row["highest"], row["standard_deviation"]) == (0.5, 0.5, 0.0)


def test_without_a_second_seed_there_is_an_empty_table_with_its_head():
    empty = seed_spread(rows("A", [0.4]), {"A": {"seed": 0}})
    assert (len(empty), empty.columns.tolist()[:4]) == (0, ["variants", "split", "measure", "n_seeds"])

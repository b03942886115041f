import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from made.records import attacked, certified, columns, exact
from nnrobust.errors import RecordError
from nnrobust.records import to_frame
from nnrobust.tables.accuracy import (
    accuracy_table,
    check_certificates,
    check_threat_models,
    mean_over_pairs,
    strongest,
    summary,
    union_table,
    wilson_interval,
)
from nnrobust.tables.comparison import headline


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (999, 1000), (1, 1)])
def test_wilson_intervals_are_those_of_scipy(k, n):
    low, high = wilson_interval(np.array([k]), np.array([n]), 0.95)
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_each_certificate_gets_its_row_and_counts():
    table = accuracy_table(certified(), 0.95).set_index("method")
    assert table.loc["half gap", ["n", "n_correct", "n_robust"]].tolist() == [4, 3, 1]
    assert table.loc["bisector", ["n", "n_correct", "n_robust"]].tolist() == [4, 3, 2]
    assert table.loc["bisector", "clean_accuracy"] == 0.75
    assert table.loc["bisector", "robust_accuracy_low"] < 0.5 < table.loc["bisector", "robust_accuracy_high"]


def test_exact_verdicts_get_a_row_beside_the_certificates_where_there_is_nothing_else():
    table = accuracy_table(exact(), 0.95)
    assert table[["method", "kind", "n_robust"]].values.tolist() == [
        ["half gap", "certified", 1], ["bisector", "certified", 2], ["exact", "exact", 3], ["exact in box", "exact", 3],
    ]  # fmt: skip
    mixed = exact()
    mixed.loc[3, ["kind", "is_robust", "radius_lower"]] = ["certified", False, 0.4]
    assert accuracy_table(mixed, 0.95)["method"].tolist() == ["half gap", "bisector", "exact in box"]


def test_records_without_certificates_of_1nn_have_their_exact_verdicts_else_a_lower_bound():
    bare = exact().assign(classifier="linear", radius_half_gap=np.nan, radius_bisector=np.nan)
    check_certificates(bare)
    table = accuracy_table(bare, 0.95)
    assert table[["method", "kind", "n_robust"]].values.tolist() == [
        ["exact", "exact", 3],
        ["exact in box", "exact", 3],
    ]
    bare.loc[3, ["kind", "is_robust", "radius_lower"]] = ["certified", False, 0.4]
    table = accuracy_table(bare, 0.95)
    assert table[["method", "kind", "n_robust"]].values.tolist() == [
        ["lower bound", "certified", 2], ["exact in box", "exact", 3],
    ]  # fmt: skip
    assert headline(table)["method"].tolist() == ["lower bound"]
    assert summary(table, 3)["linear"]["test"]["L2_certified_accuracy"] == 0.5


def test_the_summary_has_every_classifier_on_all_classes():
    bare = exact("all").assign(classifier="linear", radius_half_gap=np.nan, radius_bisector=np.nan)
    table = pd.concat([accuracy_table(one, 0.95) for one in (exact("all"), bare)])
    assert sorted(summary(table, 3)) == ["1NN_all_classes", "linear_all_classes"]
    assert summary(table, 3)["linear_all_classes"]["test"]["L2_exact_accuracy"] == 0.75


def test_an_attack_and_its_seeds_from_another_norm_are_one_row():
    records = pd.concat(
        [attacked(), attacked(method=np.array(["apgd-ce", "apgd-ce (Linf)", "apgd-ce", "apgd-ce"], dtype=object))]
    )
    table = accuracy_table(records, 0.95)
    assert table[["method", "n", "n_robust", "robust_accuracy"]].values.tolist() == [["apgd-ce", 8, 4, 0.5]]


def test_rows_that_failed_are_not_counted():
    records = pd.concat([attacked(), to_frame(columns(4, status="out of memory"))])
    assert accuracy_table(records, 0.95)["n"].tolist() == [4]


def test_means_are_over_pairs_and_leave_the_ten_class_problem_out():
    records = pd.concat(
        [attacked(pair="0-1"), attacked(pair="0-2", robust=(True, True, True, True)), attacked(pair="all")]
    )
    (row,) = mean_over_pairs(accuracy_table(records, 0.95)).itertuples()
    assert (row.n_pairs, row.robust_accuracy) == (2, 0.75)
    assert row.robust_error == pytest.approx(np.std([0.5, 1.0], ddof=1) / np.sqrt(2))


def test_the_summary_names_what_is_proven_and_what_is_attacked():
    records = [exact(norm="L2"), certified(norm="Linf"), certified(pair="all"), attacked()]
    table = pd.concat([accuracy_table(one, 0.95) for one in records])
    assert summary(table, 4) == {
        "1NN": {
            "test": {
                "clean_accuracy": 0.75,
                "L2_half_gap_accuracy": 0.25,
                "L2_certified_accuracy": 0.5,
                "L2_exact_accuracy": 0.75,
                "L2_exact_in_box_accuracy": 0.75,
                "Linf_certified_accuracy": 0.5,
            }
        },
        "1NN_all_classes": {
            "test": {"clean_accuracy": 0.75, "L2_half_gap_accuracy": 0.25, "L2_certified_accuracy": 0.5}
        },
        "S": {"test": {"clean_accuracy": 1.0, "L2_robust_accuracy": 0.5}},
    }


def test_an_image_that_falls_in_a_ball_falls_in_the_ball_around_it():
    inner, outer = {"norm": "Linf", "epsilon": 0.1}, {"norm": "L2", "epsilon": 0.1 * np.sqrt(9)}
    check_threat_models(pd.concat([attacked(**inner), attacked(**outer, robust=(False, False, False, True))]), 9)
    weak = pd.concat([attacked(**inner), attacked(**outer, robust=(True, True, False, True))])
    with pytest.raises(RecordError, match=r"1 images fall to Linf 0.1 but withstand L2 0.3, .*'index': 1"):
        check_threat_models(weak, 9)
    check_threat_models(weak, 10)
    weak["kind"] = weak["kind"].astype(str).where(weak["norm"] == "L2", "certified")
    check_threat_models(weak, 9)


def test_a_half_gap_above_its_bisector_bound_is_refused():
    records = certified()
    check_certificates(records)
    records.loc[2, "radius_half_gap"] = 0.8
    with pytest.raises(RecordError, match="1 images have radius_half_gap > radius_bisector"):
        check_certificates(records)
    records = exact()
    records.loc[1, "radius_upper"] = 0.8
    with pytest.raises(RecordError, match="1 images have radius_bisector > radius_upper"):
        check_certificates(records)


def test_several_attacks_have_a_row_for_the_first_and_one_for_all_together():
    both = "apgd-ce + apgd-margin"
    records = attacked(robust=(True, False, False, False), attacks=both,
                       method=np.array([both, "apgd-ce", "apgd-ce (Linf)", "apgd-margin"], dtype=object))  # fmt: skip
    table = accuracy_table(records, 0.95)
    assert table[["method", "n_robust", "robust_accuracy"]].values.tolist() == [["apgd-ce", 2, 0.5], [both, 1, 0.25]]
    assert strongest(table)["method"].tolist() == [both]
    assert strongest(mean_over_pairs(table))["robust_accuracy"].tolist() == [0.25]
    assert summary(table, 3)["S"]["test"]["L2_robust_accuracy"] == 0.25


def test_the_strongest_rows_keep_every_proof_and_each_classifiers_own_attacks():
    table = pd.concat([accuracy_table(one, 0.95) for one in (exact(), attacked(), attacked(attacks="apgd-ce + fmn"))])
    table.loc[table["method"].str.contains("fmn"), "classifier"] = "T"
    table = table[(table["classifier"] != "T") | (table["method"] != "apgd-ce")]
    assert len(strongest(table[table["kind"] != "attacked"])) == 4
    attacked_rows = strongest(table[table["kind"] == "attacked"])
    assert attacked_rows["method"].tolist() == ["apgd-ce", "apgd-ce", "apgd-ce + fmn"]


def test_the_union_counts_the_images_that_withstand_every_threat_model():
    linf, l2 = attacked("Linf", robust=(True, True, True, False)), attacked("L2", robust=(True, False, True, True))
    (row,) = union_table(pd.concat([linf, l2]), 0.95).to_dict("records")
    low, high = wilson_interval(np.array([2]), np.array([4]), 0.95)
    assert row == {
        "classifier": "S", "pair": "0-1", "split": "test", "kind": "attacked", "n": 4, "n_robust": 2, "robust_accuracy": 0.5,
        "robust_accuracy_low": low[0], "robust_accuracy_high": high[0],
    }  # fmt: skip


def test_each_pair_and_split_has_its_union():
    parts = [
        attacked("L2", "0-1"),
        attacked("L2", "0-2", (True, True, True, False)),
        attacked("L2", "0-1", split="train"),
        exact(),
    ]
    table = union_table(pd.concat(parts), 0.95)
    assert table[["classifier", "pair", "split", "n", "n_robust"]].values.tolist() == [
        ["S", "0-1", "test", 4, 2], ["S", "0-2", "test", 4, 3], ["S", "0-1", "train", 4, 2], ["1NN", "0-1", "test", 4, 3],
    ]  # fmt: skip


def test_a_union_is_of_the_weakest_kind_among_its_images():
    one_certified = exact(norm="L2")
    one_certified.loc[3, ["kind", "is_robust", "radius_lower"]] = ["certified", False, 0.4]
    for second, kind, n_robust in ((exact(norm="L2"), "exact", 3), (one_certified, "certified", 2)):
        (row,) = union_table(pd.concat([exact(norm="Linf"), second]), 0.95).itertuples()
        assert (row.kind, row.n_robust) == (kind, n_robust)
    (row,) = union_table(
        pd.concat([certified(norm="Linf"), attacked("L2").assign(classifier="1NN")]), 0.95
    ).itertuples()
    assert row.kind == "attacked"


def test_images_without_a_verdict_are_in_no_union():
    records = pd.concat([attacked("Linf"), attacked("L2")])
    records["status"] = records["status"].astype(str).where(records["index"] > 0, "out of memory")
    (row,) = union_table(records, 0.95).itertuples()
    assert (row.n, row.n_robust) == (3, 1)


def lacking(records, *failed):
    """The records without the verdicts on images of (norm, index)."""
    is_failed = [pair in failed for pair in zip(records["norm"].astype(str), records["index"], strict=True)]
    return records.assign(status=records["status"].astype(str).mask(is_failed, "out of memory"))


def test_an_image_without_a_verdict_under_one_of_the_threat_models_is_in_no_union():
    records = pd.concat([attacked("Linf", robust=(True, True, True, True)), attacked("L2")], ignore_index=True)
    for failed, expected in (
        ((("L2", 0),), (3, 1)),
        ((("L2", 1),), (3, 2)),
        ((("Linf", 0), ("L2", 1)), (2, 1)),
        ((("Linf", 0), ("Linf", 3)), (2, 0)),
    ):
        (row,) = union_table(lacking(records, *failed), 0.95).itertuples()
        assert (row.n, row.n_robust, row.robust_accuracy) == (*expected, expected[1] / expected[0])


def test_a_pair_that_was_measured_under_one_threat_model_alone_has_no_union():
    records = pd.concat([attacked("Linf"), attacked("L2"), attacked("Linf", "0-2")])
    assert union_table(records, 0.95)["pair"].tolist() == ["0-1"]


def test_two_sizes_of_one_norm_are_two_threat_models():
    small, large = attacked(epsilon=0.3), attacked(epsilon=0.5, robust=(True, False, False, False))
    (row,) = union_table(pd.concat([small, large]), 0.95).itertuples()
    assert (row.n, row.n_robust) == (4, 1)
    (row,) = union_table(pd.concat([small, large.iloc[1:]]), 0.95).itertuples()
    assert (row.n, row.n_robust) == (3, 0)


def test_without_any_verdict_under_one_threat_model_there_is_no_union():
    records = pd.concat([attacked("Linf"), attacked("L2")], ignore_index=True)
    assert union_table(lacking(records, *(("L2", index) for index in range(4))), 0.95).empty

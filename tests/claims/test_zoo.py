"""The numbers that claims take from the table of pretrained models."""

import numpy as np
import pandas as pd
import pytest

from made.evidence import ACCEPTED, BEST_ALONE, BEST_EXTRA, IDS, ZOO, entries_of, made, verdicts_of, zoo_of, zoo_rows
from nnrobust.claims.judge import CANNOT_TELL, FAILS, HOLDS, NOT_RUN, judged
from nnrobust.claims.paper import PRETRAINED_TRADES, STANDARD
from nnrobust.claims.zoo import zoo_best, zoo_gain, zoo_share
from nnrobust.tables.accuracy import wilson_interval
from nnrobust.tables.comparison import difference_interval


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


def published(**n_robust):
    """What others publish of the models of `ZOO`, of 10,000 images."""
    return pd.DataFrame([
        {"classifier": name, "architecture": "made", "has_extra_data": ZOO[name], "n": 10_000, "n_robust": n,
         "robust_accuracy": n / 10_000}
        for name, n in n_robust.items()
    ])  # fmt: skip


EVERY = {PRETRAINED_TRADES: 5500, BEST_ALONE: 7100, BEST_EXTRA: 7200, STANDARD: 0}


def test_without_a_measured_model_published_numbers_decide_in_linf_on_test_images_and_say_so():
    evidence = made(zoo=made().zoo.iloc[:0], published=published(**EVERY), n_models=4)
    entries = entries_of(evidence)
    decided = ("best_model", "best_model_extra_data", "trades_linf", "zoo_test_linf")
    assert {name: entries[name]["verdict"] for name in decided} == dict.fromkeys(decided, HOLDS)
    for name in decided:
        assert entries[name]["kind"] == "published"
        assert "by published numbers (AutoAttack, original images)" in entries[name]["note"]
        assert entries[name]["sample"].endswith("10,000 official test images (published)")
    for name in ("trades_l2", "abstract_zoo", "zoo_train_linf", "zoo_test_l2"):
        assert entries[name]["verdict"] == NOT_RUN


def test_a_measured_model_is_judged_by_its_own_number_and_the_others_by_published_ones():
    table = zoo_rows({PRETRAINED_TRADES: {("test", "Linf"): 100}})
    evidence = made(zoo=table, published=published(**EVERY), n_models=4)
    found = zoo_best(evidence, "Linf", without_extra_data=True)
    assert (found.value, found.kind, found.note) == (
        0.71, "attacked and published", f"{BEST_ALONE}; by published numbers (AutoAttack, original images) of 2 models",
    )  # fmt: skip
    assert found.sample == "3 of 3 models, 1,000 test images and 10,000 official test images (published)"
    gain = zoo_gain(evidence, "Linf", STANDARD)
    assert (gain.value, gain.low, gain.high) == (1.0, 1.0, 1.0)
    assert zoo_gain(evidence, "L2", STANDARD) is None


def test_where_every_model_is_measured_no_published_number_counts():
    whole = made()
    assert entries_of(made(published=published(**EVERY))) == entries_of(whole)

"""The table of the pretrained models: whole, failed and missing ones, and 1NN on the same images."""

import numpy as np
import pandas as pd
import pytest

from made.records import attacked, exact
from nnrobust.config.checks import CLASSES
from nnrobust.errors import DataError, RecordError
from nnrobust.records import write_records
from nnrobust.runtime.outputs import write_csv
from nnrobust.tables.zoo import (
    COLUMNS,
    MISSING,
    Expected,
    about_networks,
    about_zoo,
    certified_records,
    published_table,
    zoo_counts,
    zoo_records,
    zoo_table,
)
from nnrobust.zoo.models import zoo_images

WHOLE, BROKEN, ABSENT = "Standard", "Zhang2019Theoretically", "Wong2020Fast"


def of_model(name, **changes):
    return attacked(pair="all").assign(classifier=name, index=np.arange(4) * 2, **changes)


def nearest(n=8):
    return pd.concat([exact(pair="all")] * 2, ignore_index=True).assign(classifier="1NN", index=np.arange(n))


def table_of(models, proven):
    return zoo_table(models, proven, 0.95, about_zoo(list(models)))


@pytest.fixture
def table():
    failed = of_model(BROKEN)
    failed["status"] = ["ok", "ok", "attack failed: AttackError: nan", "attack failed: AttackError: nan"]
    noted = of_model(WHOLE, note="probabilities")
    return table_of({WHOLE: noted, BROKEN: failed, ABSENT: None}, nearest())


def test_each_model_has_its_accuracies_and_what_robustbench_says_of_it(table):
    (row,) = table[table["classifier"] == WHOLE].to_dict("records")
    assert (row["n"], row["robust_accuracy"], row["status"]) == (4, 0.5, "ok")
    assert row["note"] == "probabilities (4 records)"
    assert (row["is_adversarially_trained"], row["published_autoattack_accuracy"]) == (False, 0.0)
    published = table[table["classifier"] == BROKEN].iloc[0]
    assert (published["trained_for"], published["published_autoattack_accuracy"]) == ("0.031", 0.5308)


def test_it_is_known_which_models_saw_more_images_than_cifar10s(tmp_path):
    with_more = "Carmon2019Unlabeled"
    write_csv(tmp_path / "zoo.csv", table_of({WHOLE: of_model(WHOLE), with_more: None}, nearest()))
    read = pd.read_csv(tmp_path / "zoo.csv").drop_duplicates("classifier").set_index("classifier")["has_extra_data"]
    assert (read[WHOLE], read[with_more]) == (False, True)
    assert pd.isna(read["1NN"])
    assert read.isin([False]).tolist() == [True, False, False]


def test_a_model_that_failed_or_is_missing_says_so_and_is_not_counted(table):
    rows = table[table["classifier"] == BROKEN]
    assert rows["status"].tolist() == ["ok", "attack failed: AttackError: nan"]
    assert rows["n"].tolist() == [2, 2]
    assert table[table["classifier"] == ABSENT]["status"].tolist() == [MISSING]
    assert zoo_counts(table) == {"n_models": 3, "n_measured": 1}


def test_1nn_is_beside_them_on_the_same_images_alone(table):
    mine = table[table["classifier"] == "1NN"].set_index("method")
    assert mine["n"].tolist() == [4] * 4
    expected = nearest().iloc[::2]
    assert mine.loc["exact", "n_robust"] == (expected["is_robust"] & expected["is_correct"]).sum()
    assert mine["architecture"].isna().all()


def test_other_classifiers_with_proofs_are_beside_them_too():
    bare = nearest().assign(classifier="linear", radius_half_gap=np.nan, radius_bisector=np.nan)
    table = table_of({WHOLE: of_model(WHOLE)}, pd.concat([nearest(), bare], ignore_index=True))
    mine = table[table["classifier"] == "linear"]
    assert mine[["method", "n", "n_robust"]].values.tolist() == [["exact", 4, 2], ["exact in box", 4, 2]]
    assert (table["classifier"] == "1NN").sum() == 4
    assert zoo_counts(table) == {"n_models": 1, "n_measured": 1}


def test_no_models_are_an_empty_table_with_its_head():
    empty = table_of({}, nearest())
    assert (len(empty), empty.columns.tolist()) == (0, COLUMNS)


def test_the_first_images_are_those_stored_first():
    labels = np.array([3, 0, 0, 1, 2, 3, 1, 2])
    assert zoo_images(labels, 3, "first", "test").tolist() == [0, 1, 2]


def test_the_first_of_each_class_suit_a_folder_that_is_sorted_by_class():
    assert zoo_images(np.repeat(np.arange(4), 5), 8, "first_per_class", "test").tolist() == [0, 1, 5, 6, 10, 11, 15, 16]


@pytest.mark.parametrize(
    ("n", "order", "expected"),
    [
        (9, "first", "zoo.n_test: expected at most the 8 images of the split, got 9"),
        (6, "first_per_class", "zoo.n_test: expected a multiple of 4 classes for first_per_class, got 6"),
        (8, "first_per_class", "zoo.n_test: expected at most 1 images of each class, got 2"),
    ],
)
def test_more_images_than_there_are_is_an_error(n, order, expected):
    labels = np.array([0, 1, 2, 3, 0, 0, 0, 0])
    with pytest.raises(DataError, match=expected):
        zoo_images(labels, n, order, "test")


@pytest.mark.parametrize(
    ("attacks", "epsilon", "n", "is_current"),
    [
        ("apgd-ce", 0.5, 4, True),
        ("apgd-ce + apgd-dlr", 0.5, 4, False),
        ("apgd-ce", 0.4, 4, False),
        ("apgd-ce", 0.5, 5, False),
    ],
)
def test_records_of_an_earlier_run_with_other_settings_are_not_taken_for_this_ones(
    tmp_path, attacks, epsilon, n, is_current
):
    write_records([of_model(WHOLE).assign(index=np.arange(4, dtype=np.int32))], tmp_path / f"{WHOLE}.parquet")
    found = zoo_records(tmp_path, [WHOLE, ABSENT], Expected(attacks, {"L2": epsilon}, {"test": n}))
    assert [found[name] is not None for name in (WHOLE, ABSENT)] == [is_current, False]


def test_networks_on_pairs_are_read_apart_from_all_classes_and_only_with_the_attacks_and_images_of_now(tmp_path):
    whole = of_model(WHOLE)
    pairs = pd.concat([attacked(pair="0-1"), attacked(pair="0-2")], ignore_index=True).assign(
        classifier="Standard|pairs"
    )
    write_records([whole, pairs], tmp_path / f"{WHOLE}.parquet")
    attacks, size = whole["attacks"][0], whole["epsilon"][0]

    def found(n, attacks=attacks, is_of_pairs=True):
        expected = Expected(attacks, {"L2": size}, {"test": n})
        return zoo_records(tmp_path, [WHOLE], expected, is_of_pairs=is_of_pairs)[WHOLE]

    for n in (None, 2, 3):
        assert set(found(n)["pair"]) == {"0-1", "0-2"}
    assert found(1) is None
    assert found(None, attacks="fmn") is None
    assert set(found(4, is_of_pairs=False)["pair"]) == {"all"}


def of_bounds(path, robust, **changes):
    """The certified records of `attacked`, of which these are proven robust, in a file."""
    proven = np.array(robust)
    records = attacked(pair="all", robust=[True] * 4).assign(
        classifier=WHOLE,
        kind="certified",
        method="linear bounds",
        attacks="",
        is_robust=proven,
        radius_lower=np.where(proven, 0.6, 0.0),
    )
    write_records([records.assign(**changes)], path)
    return path


def test_certified_records_are_those_of_the_attacked_ones_there_are(tmp_path):
    stands = attacked(pair="all").assign(classifier=WHOLE)
    path = of_bounds(tmp_path / "mine.parquet", [True, False, False, False])
    assert certified_records(path, [stands])["is_robust"].tolist() == [True, False, False, False]
    assert certified_records(path, [stands[:2]])["index"].tolist() == [0, 1]
    assert certified_records(path, []).empty


def test_certified_records_of_other_images_or_of_images_that_fell_are_refused(tmp_path):
    stands = attacked(pair="all").assign(classifier=WHOLE)
    path = of_bounds(tmp_path / "mine.parquet", [True, False, False, False], index=np.arange(2, 6, dtype=np.int32))
    with pytest.raises(
        RecordError, match="one for each of 4 attacked records, of the same images and epsilons, got 2; run"
    ):
        certified_records(path, [stands])
    path = of_bounds(tmp_path / "mine.parquet", [True, True, False, False])
    with pytest.raises(RecordError, match="1 images are proven robust and yet fell"):
        certified_records(path, [stands])


def test_published_accuracies_are_of_the_official_images_at_one_epsilon():
    table = published_table((3, 32, 32), CLASSES["cifar10"], 8 / 255).set_index("classifier")
    assert len(table) == 76
    row = table.loc["Zhang2019Theoretically"]
    assert (row["n"], row["n_robust"], row["robust_accuracy"], row["trained_for"]) == (10_000, 5308, 0.5308, "0.031")
    for other in (
        ((1, 28, 28), CLASSES["cifar10"], 8 / 255),
        ((3, 32, 32), ["cat", "dog"], 8 / 255),
        ((3, 32, 32), CLASSES["cifar10"], 0.1),
    ):
        assert published_table(*other).empty


def test_a_network_of_others_has_what_its_block_states():
    block = {"architecture": "wide", "trained_for": "PGD", "clean_accuracy": 0.7, "published": "so"}
    table = zoo_table({"mine": of_model("mine")}, nearest(), 0.95, about_networks({"mine": block}))
    row = table[table["classifier"] == "mine"].iloc[0]
    assert (row["architecture"], row["published_clean_accuracy"], row["published"]) == ("wide", 0.7, "so")

"""All classifiers of a run in one table."""

import pandas as pd
import pytest

from made.records import attacked, exact
from nnrobust.config.checks import CLASSES
from nnrobust.tables.accuracy import accuracy_table, certified_table, summary, union_table
from nnrobust.tables.leaderboard import COLUMNS, leaderboard
from nnrobust.tables.zoo import PUBLISHED, published_table

NOTHING = pd.DataFrame(columns=PUBLISHED)


def tables(*records):
    return tuple(
        pd.concat([make(one, 0.95) for one in records], ignore_index=True) for make in (accuracy_table, union_table)
    )


def both_norms(make, pair, **constants):
    return pd.concat([make(norm=norm, pair=pair) for norm in ("Linf", "L2")], ignore_index=True).assign(**constants)


def test_a_classifier_has_a_row_for_its_pairs_and_one_for_all_classes():
    parts = [both_norms(exact, pair) for pair in ("0-1", "0-2", "all")]
    parts += [both_norms(attacked, pair, classifier="S|pairs") for pair in ("0-1", "0-2")]
    table, unions = tables(pd.concat(parts[:3], ignore_index=True), pd.concat(parts[3:], ignore_index=True))
    board = leaderboard(table, unions, NOTHING)
    assert board.columns.tolist() == COLUMNS
    assert board.set_index(["classifier", "problem"])[["kind", "n_pairs", "n"]].to_dict("index") == {
        ("1NN", "pairs"): {"kind": "exact", "n_pairs": 2, "n": 8},
        ("S|pairs", "pairs"): {"kind": "attacked", "n_pairs": 2, "n": 8},
        ("1NN", "all classes"): {"kind": "exact", "n_pairs": 0, "n": 4},
    }
    mine = board[(board["classifier"] == "1NN") & (board["problem"] == "pairs")].iloc[0]
    whole = table[(table["classifier"] == "1NN") & (table["method"] == "exact") & (table["pair"] != "all")]
    assert mine["L2"] == pytest.approx(whole.loc[whole["norm"] == "L2", "robust_accuracy"].mean())
    assert mine["union"] <= min(mine["L2"], mine["Linf"])


def test_what_is_proven_of_a_network_stands_beside_what_attacks_leave():
    parts = [both_norms(exact, pair) for pair in ("0-1", "0-2")]
    parts += [both_norms(attacked, pair, classifier="S|pairs") for pair in ("0-1", "0-2")]
    table, unions = tables(pd.concat(parts[:2], ignore_index=True), pd.concat(parts[2:], ignore_index=True))
    proven = pd.concat(
        [attacked(norm="Linf", pair=pair, robust=(False, False, False, True)) for pair in ("0-1", "0-2")]
    )
    proven = proven.assign(classifier="S|pairs", kind="certified", method="linear bounds")
    lines = certified_table(proven, 0.95)
    assert set(lines["kind"]) == {"certified"}
    assert set(lines["method"]) == {"linear bounds"}
    joined = pd.concat([table, lines], ignore_index=True)
    board = leaderboard(joined, unions, NOTHING).set_index("classifier")
    assert board.loc["S|pairs", ["kind", "Linf", "Linf_proven"]].tolist() == ["attacked", 0.5, 0.25]
    assert pd.isna(board.loc["S|pairs", "L2_proven"])
    assert board.loc["1NN", "Linf_proven"] == board.loc["1NN", "Linf"]
    found = summary(joined, 4)["S|pairs"]["test"]
    assert (found["Linf_certified_accuracy"], found["Linf_robust_accuracy"]) == (0.25, 0.5)


def test_published_numbers_stand_apart_until_their_model_is_measured():
    published = published_table((3, 32, 32), CLASSES["cifar10"], 8 / 255)
    table, unions = tables(both_norms(attacked, "all", classifier="Standard"))
    board = leaderboard(table, unions, published).set_index("classifier")
    assert board["kind"].value_counts().to_dict() == {"published": 75, "attacked": 1}
    assert board.loc["Standard", "kind"] == "attacked"
    row = board.loc["Wong2020Fast"]
    assert (row["n"], row["note"]) == (10_000, "AutoAttack, original images; RobustBench's")
    assert pd.isna(row["union"])

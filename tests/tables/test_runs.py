"""What training, search and attacks left beside the records, joined over the variants."""

import pandas as pd
import pytest

from nnrobust.attacks.convergence import COLUMNS
from nnrobust.tables.runs import STRENGTH, TRIALS, Details, fit_counts, fits_table

HISTORY = {
    "S": [("0-1", 1, 0.5, None, None), ("0-1", 2, 0.3, 0.9, 0.6), ("0-2", 1, 0.7, None, None), ("0-2", 2, 0.1, 1.0, 0.8)],
    "T_B": [("0-1", 1, 0.4, 0.9, 0.7), ("0-2", 1, 0.6, 0.7, 0.5), ("0-2", 2, 0.2, 0.8, 0.6)],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in ("training", "history", "strength"):
        (tmp_path / name).mkdir()
    for variant, rows in HISTORY.items():
        table = pd.DataFrame(rows, columns=["pair", "epoch", "loss", "clean_accuracy", "robust_accuracy"])
        table.to_csv(tmp_path / "history" / f"{variant}.csv", index=False)
        status = ["ok", "failed"] if variant == "S" else ["ok", "ok"]
        outcome = pd.DataFrame({"pair": ["0-1", "0-2"], "status": status})
        outcome.to_csv(tmp_path / "training" / f"{variant}.csv", index=False)
        strength = pd.DataFrame([("L2", 0.5, "apgd-ce", 5, 1, 20, 0.25)], columns=COLUMNS).assign(classifier=variant)
        strength.to_csv(tmp_path / "strength" / f"{variant}.csv", index=False)
    trials = pd.DataFrame({"pair": ["0-1"], "state": ["complete"], "robust_accuracy": [0.5]})
    trials.to_csv(tmp_path / "search_trials.csv", index=False)
    return tmp_path


def test_fits_are_joined_in_the_order_of_the_params_and_counted(folder):
    (folder / "fits").mkdir()
    for name, gaps in (("linear", (1e-4, 2e-3)), ("mean", (0.0,))):
        rows = [{"classifier": name, "pair": f"0-{i}", "gap": gap, "tolerance": 1e-3, "is_converged": gap <= 1e-3, "n_iterations": 5,
                 "n_prototypes": 0, "n_records": 8, "n_open": i} for i, gap in enumerate(gaps)]  # fmt: skip
        pd.DataFrame(rows).to_csv(folder / "fits" / f"{name}.csv", index=False)
    table = fits_table(folder, ["mean", "linear"])
    assert table["classifier"].tolist() == ["mean", "linear", "linear"]
    assert fit_counts(table)["linear"] == {"n_fits": 2, "n_fits_converged": 1, "largest_gap": 2e-3, "n_open_records": 1}
    assert (len(fits_table(folder, [])), fit_counts(fits_table(folder, []))) == (0, {})


def test_details_are_joined_over_the_variants_in_their_order(folder):
    details = Details.read(folder, ["T_B", "S"])
    assert list(details.outcomes) == ["T_B", "S"]
    assert details.outcomes["S"]["status"].tolist() == ["ok", "failed"]
    assert details.strength["classifier"].tolist() == ["T_B", "S"]
    assert details.strength.columns.tolist() == STRENGTH
    assert list(dict.fromkeys(details.training["variant"])) == ["T_B", "S"]


def test_a_removed_variant_leaves_nothing_in_them(folder):
    details = Details.read(folder, ["S"])
    assert set(details.strength["classifier"]) == set(details.training["variant"]) == set(details.outcomes) == {"S"}


def test_training_is_the_mean_over_the_pairs_that_reached_an_epoch(folder):
    table = Details.read(folder, ["S", "T_B"]).training
    assert table.columns.tolist() == ["variant", "epoch", "n_pairs", "loss", "clean_accuracy", "robust_accuracy"]
    assert table[["variant", "epoch", "n_pairs", "loss"]].values.tolist() == [
        ["S", 1, 2, 0.6], ["S", 2, 2, 0.2], ["T_B", 1, 2, 0.5], ["T_B", 2, 1, 0.2],
    ]  # fmt: skip
    assert table["robust_accuracy"].isna().tolist() == [True, False, False, False]
    assert table["robust_accuracy"].dropna().tolist() == [0.7, 0.6, 0.6]
    assert table["clean_accuracy"].dropna().tolist() == [0.95, 0.8, 0.8]


def test_without_variants_the_tables_are_empty_with_their_heads_and_no_file_is_read(tmp_path):
    details = Details.read(tmp_path / "none", [])
    assert details.outcomes == {}
    assert [len(table) for table in (details.training, details.strength, details.trials)] == [0, 0, 0]
    assert set(details.strength) == {*COLUMNS, "classifier"}
    assert set(TRIALS) == set(details.trials)
    assert "epoch" in details.training


def test_a_variant_that_was_never_attacked_leaves_the_numbers_of_the_others(folder):
    pd.DataFrame(columns=[*COLUMNS, "classifier"]).to_csv(folder / "strength" / "S.csv", index=False)
    strength = Details.read(folder, ["S", "T_B"]).strength
    assert strength["classifier"].tolist() == ["T_B"]
    assert strength["robust_accuracy"].tolist() == [0.25]
    assert strength["n"].max() == 20

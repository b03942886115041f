"""Tables of what training came to, and failed pairs on their way to the summary."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from made.training import recipe, tasks_of, train
from nnrobust.attacks.verdicts import AttackInputs, Verdicts, attack_records, untrained_records
from nnrobust.records import check_records
from nnrobust.tables.accuracy import accuracy_table, check_certificates, check_threat_models
from nnrobust.tables.runs import counts, training_table
from nnrobust.threat import ThreatModel
from nnrobust.training.live import live_log
from nnrobust.training.outcomes import history, outcomes
from nnrobust.training.train import train_with_retry

INPUTS = AttackInputs(np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1]), np.array([0, 0]), np.array([4, 5]))
CLASSES = np.array([3, 5])


def test_history_counts_epochs_from_one(dataset):
    tasks = tasks_of(dataset, recipe(epochs=2))
    table = history(tasks, train(dataset, tasks))
    assert table.columns.tolist() == ["pair", "epoch", "loss", "clean_accuracy", "robust_accuracy"]
    assert table["epoch"].tolist() == [1, 2] * 3
    assert np.isfinite(table["loss"]).all()


def test_the_means_of_training_are_over_the_pairs_of_each_variant(dataset):
    tasks = tasks_of(dataset, recipe(epochs=2))
    histories = {name: history(tasks, train(dataset, tasks)) for name in ("S", "T_R")}
    table = training_table(histories)
    assert table[["variant", "epoch", "n_pairs"]].values.tolist() == [
        ["S", 1, 3],
        ["S", 2, 3],
        ["T_R", 1, 3],
        ["T_R", 2, 3],
    ]
    last = histories["T_R"].query("epoch == 2")
    for name in ("loss", "clean_accuracy", "robust_accuracy"):
        assert table.iloc[-1][name] == pytest.approx(last[name].astype(float).mean(), abs=1e-6)


def test_without_variants_the_means_of_training_are_an_empty_table_with_its_head():
    table = training_table({})
    assert (len(table), table.columns[0], "robust_accuracy" in table) == (0, "variant", True)


@pytest.fixture
def mixed(dataset):
    """One pair trained, one that fails at 1e12 and at half of it, one that is saved by the second try."""
    tasks = tasks_of(dataset, recipe(checkpoint="best"))
    tasks[1] = replace(tasks[1], recipe=recipe(learning_rate=1e12))

    def saved_later(some):
        results = train(dataset, some)
        if len(some) == 3:
            results[2] = replace(results[2], failure="made to fail")
        return results

    trained, first = train_with_retry(tasks, saved_later)
    return outcomes(tasks, trained, first)


def test_how_each_pair_ended_is_told_with_its_seed_and_learning_rate(mixed):
    assert mixed["status"].tolist() == ["ok", "failed", "ok at half the learning rate"]
    assert mixed["learning_rate"].tolist() == [0.1, 5e11, 0.05]
    assert mixed["failure"].tolist() == ["", "the loss of epoch 1 is not finite", "made to fail"]
    assert mixed["seed"].tolist() == [0, 0, 0]
    assert counts(mixed) == {"n_pairs": 2, "n_pairs_retried": 1, "n_pairs_failed": 1}


def test_the_table_is_the_same_after_a_file(mixed, tmp_path):
    mixed.to_csv(tmp_path / "t.csv", index=False)
    again = pd.read_csv(tmp_path / "t.csv")
    assert counts(again) == counts(mixed)


def test_records_of_a_pair_without_a_network_say_so_and_count_in_no_accuracy():
    about, threats = (
        {"dataset": "d", "split": "test", "classifier": "S"},
        [ThreatModel("Linf", 0.1), ThreatModel("L2", 0.8)],
    )
    texts = (np.array([text] * 2, dtype=object) for text in ("apgd-ce", "apgd-ce", "", "ok"))
    verdicts = Verdicts(np.array([0, 1]), np.array([False, True]), np.array([np.nan, 0.05]), *texts)
    frames = [attack_records(about | {"pair": "3-5"}, INPUTS, CLASSES, verdicts, threat) for threat in threats]
    frames += [untrained_records(about | {"pair": "3-8"}, INPUTS, CLASSES, threat) for threat in threats]
    for frame in frames:
        check_records(frame, "here")
    records = pd.concat(frames, ignore_index=True)
    check_threat_models(records, 64)
    check_certificates(records)
    assert records["status"].tolist() == ["ok"] * 4 + ["training failed"] * 4
    table = accuracy_table(records, 0.95)
    assert table["pair"].tolist() == ["3-5", "3-5"]
    assert table["robust_accuracy"].tolist() == [0.5, 0.5]


def test_a_variant_that_no_pair_could_be_trained_for_has_no_accuracy():
    about = {"dataset": "d", "split": "test", "classifier": "S", "pair": "3-8"}
    records = untrained_records(about, INPUTS, CLASSES, ThreatModel("Linf", 0.1))
    assert accuracy_table(records, 0.95).empty


def test_live_metrics_are_means_over_the_pairs_trained_side_by_side(dataset, tmp_path):
    tasks = tasks_of(dataset, recipe())
    with live_log(tmp_path / "live") as log:
        for epoch in (1, 2):
            log(tasks[:2], epoch, [
                {"loss": 1.0 / epoch, "clean_accuracy": 0.5, "robust_accuracy": None},
                {"loss": 3.0 / epoch, "clean_accuracy": 0.7, "robust_accuracy": None},
            ])  # fmt: skip
        log(tasks[2:], 1, [{"loss": 5.0, "clean_accuracy": 0.1, "robust_accuracy": 0.2}])
    files = {path.stem: pd.read_csv(path, sep="\t") for path in (tmp_path / "live").rglob("*.tsv")}
    assert files["loss"].to_numpy().tolist() == [[1, 2.0], [2, 1.0], [3, 5.0]]
    assert files["robust_accuracy"].to_numpy().tolist() == [[3, 0.2]]

"""How a campaign plans what fits into the time left."""

from dataclasses import replace
from functools import partial

import pandas as pd
import pytest
import torch

from made.training import CPU, TRADES, VALIDATION, recipe, training_set
from nnrobust.attacks.pairs import PairSource
from nnrobust.attacks.victim import AttackSpec
from nnrobust.data.datasets import AllClasses, Pair, channel_statistics
from nnrobust.errors import RecordError
from nnrobust.experiments.campaign import BudgetSpentError, Campaign
from nnrobust.experiments.plan import Plan, Searched, Unit
from nnrobust.networks.architectures import build_network
from nnrobust.records import read_records
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel
from nnrobust.training.halving import SearchPlan
from nnrobust.training.schedule import with_setting
from nnrobust.training.search import choose, settings_of
from nnrobust.training.tasks import Task, hold_out
from nnrobust.training.train import train_all, unwatched


def test_training_is_planned_by_the_rate_of_what_is_done_and_before_that_by_the_guess(dataset, tmp_path):
    recipes = {"S": recipe(epochs=10), "T_R": recipe(epochs=10, trades=TRADES)}
    plan = Plan(recipes, frozenset(), [], replace(VALIDATION, every=1_000_000), 0.2, [], {"train": None, "test": None})
    campaign = Campaign(tmp_path, dataset, plan, Machine(CPU, 1, 100), 0.0)
    unit, guess = Unit("T_R", (Pair(0, 1),)), {"training": 1_000.0, "attack": 1.0}
    guessed, _ = campaign.seconds_a_problem(unit, guess)
    rows = [
        ("S", "0-1", "0-1", 2.0),
        ("S", "0-2", "0-2", 4.0),
        ("S", "1-2", "all", 0.0),
        ("another", "0-1", "0-1", 99.0),
    ]
    table = pd.DataFrame(rows, columns=["classifier", "pair", "network", "seconds"]).assign(
        attack_seconds=1.0, bound_seconds=0.5
    )
    table.to_csv(tmp_path / "training.csv", index=False)
    # Of an image S takes 3 passes, T_R with three steps 1 + 2 * 3 + 6 = 13: S took 3 s a pair, with the last row's of another profile.
    measured, _ = campaign.seconds_a_problem(unit, guess)
    assert measured == pytest.approx(3 * 13 / 3, rel=1e-3)
    assert guessed == pytest.approx(13 * 10 * 40 / 1_000, rel=1e-3)


def test_problems_of_one_network_are_not_added_to_those_of_another_training_of_it(dataset, tmp_path):
    plan = Plan({"S": recipe(epochs=2)}, frozenset({"S"}), [ThreatModel("Linf", 0.05)], VALIDATION, 0.2,
                [AttackSpec("apgd-ce", 2, 1, 0)], {"train": 2, "test": 2})  # fmt: skip
    campaign = Campaign(tmp_path, dataset, plan, Machine(CPU, 1, 100), float("inf"))
    campaign.run(Unit("S", (AllClasses(3),)), 0.0)
    campaign.run(Unit("S", (Pair(0, 1),)), 0.0)  # trained once more, without a work store, and the same
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    history = pd.read_csv(tmp_path / "history.csv")
    history["loss"] += 1e-6
    history.to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(
        RecordError, match=r"S: expected the network that some of its problems are done with, got another"
    ):
        campaign.run(Unit("S", (Pair(0, 2),)), 0.0)
    assert campaign.done()["pair"].tolist() == ["all", "0-1"]
    assert (tmp_path / "S.parquet").read_bytes() == before["S.parquet"]


@pytest.mark.parametrize(("wanted", "attack"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_attacks_search_in_a_precision_of_their_own(dataset, tmp_path, monkeypatch, wanted, attack):
    made = []

    def noted(*options):
        made.append(options[2:])
        return PairSource(*options)

    monkeypatch.setattr("nnrobust.experiments.campaign.PairSource", noted)
    plan = Plan({"S": recipe(epochs=1)}, frozenset(), [ThreatModel("Linf", 0.05)], VALIDATION, 0.2,
                [AttackSpec("apgd-ce", 1, 1, 0)], {"train": 1, "test": 1}, attack_precision=wanted)  # fmt: skip
    machine = Machine(CPU, 1, 100, precision=torch.bfloat16)
    campaign = Campaign(tmp_path, dataset, plan, machine, float("inf"))
    campaign.run(Unit("S", (Pair(0, 1),)), 0.0)
    assert made == [(attack, False)]
    assert campaign.precisions == {"training": torch.bfloat16, "attack": attack}


def test_of_bounded_variants_records_have_what_is_proven_of_them_and_the_seconds_that_took(dataset, tmp_path):
    plan = Plan({"S": recipe(epochs=2), "E_S": recipe(epochs=2)}, frozenset({"E_S"}), [ThreatModel("Linf", 0.01), ThreatModel("L2", 0.02)],
                VALIDATION, 0.2, [AttackSpec("apgd-ce", 2, 1, 0)], {"train": 2, "test": 2}, bounded=frozenset({"S", "E_S"}))  # fmt: skip
    folders = {}
    for name, chosen in (("with", plan), ("without", replace(plan, bounded=frozenset()))):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        campaign = Campaign(folders[name], dataset, chosen, Machine(CPU, 1, 100), float("inf"))
        for unit in (Unit("S", (Pair(0, 1),)), Unit("E_S", (AllClasses(3),)), Unit("E_S", (Pair(0, 1), Pair(1, 2)))):
            campaign.run(unit, 0.0)
    for name in ("S", "E_S"):
        found, attacked = (read_records(folders[one] / f"{name}.parquet") for one in ("with", "without"))
        pd.testing.assert_frame_equal(found.assign(radius_lower=0.0), attacked)
        is_proven = found["radius_lower"] > found["epsilon"]
        assert is_proven.any()
        assert found.loc[is_proven, "is_robust"].all()
    seconds = pd.read_csv(folders["with"] / "training.csv")["bound_seconds"]
    assert len(seconds) == 4
    assert (seconds >= 0).all()


SPACE = {
    "beta": [0.0, 6.0], "epsilon": [0.05, 0.1], "steps": [2], "relative_step_size": [0.25], "learning_rate": [0.1],
    "weight_decay": [5e-3], "epochs": [4], "batch_size": [8], "augment": [False],
}  # fmt: skip
OPTIONS = {
    "space": SPACE, "n_trials": 4, "n_at_once": 1, "min_epochs": 1, "max_epochs": 2, "reduction_factor": 2, "seed": 0,
}  # fmt: skip


def searching(dataset, folder, watch=unwatched, of_all_classes=frozenset()):
    """A campaign of one variant, whose settings are searched."""
    plan = Plan({"T_B": recipe(trades=TRADES)}, of_all_classes, [ThreatModel("Linf", 0.05)], VALIDATION, 0.2,
                [AttackSpec("apgd-ce", 2, 1, 0)], {"train": 2, "test": 2},
                Searched("T_B", SearchPlan(**OPTIONS), folder / "search.journal"))  # fmt: skip
    (folder / "out").mkdir(exist_ok=True)
    return Campaign(folder / "out", dataset, plan, Machine(CPU, 1, 100), float("inf"), watch)


def test_a_searched_variant_is_trained_with_the_setting_that_its_trials_choose(dataset, tmp_path):
    searching(dataset, tmp_path).run(Unit("T_B", (Pair(0, 1), Pair(0, 2))), 0.0)
    trials = pd.read_csv(tmp_path / "out" / "search_trials.csv")
    assert trials.groupby("pair").size().to_dict() == {"0-1": 4, "0-2": 4}
    assert set(trials["classifier"]) == {"T_B"}
    done = pd.read_csv(tmp_path / "out" / "training.csv").set_index("pair")
    assert done["n_epochs"].to_dict() == {"0-1": 4, "0-2": 4}
    chosen = settings_of(choose(trials))
    task = Task(Pair(0, 1), *hold_out(Pair(0, 1), dataset.train.labels, 0.2, 0),
                with_setting(recipe(trades=TRADES), chosen["0-1"]))  # fmt: skip
    build = partial(build_network, "small_cnn", dataset.image_shape, *channel_statistics(dataset.train.images), 2, None)
    (alone,) = train_all([task], training_set(dataset, build), VALIDATION, Machine(CPU, 1, 100))
    assert done.loc["0-1", "validation_robust_accuracy"] == pytest.approx(alone.row["robust_accuracy"])
    history = pd.read_csv(tmp_path / "out" / "history.csv")
    assert history.loc[history["pair"] == "0-1", "loss"].tolist() == pytest.approx(
        [row["loss"] for row in alone.rows], abs=1e-5
    )


def test_the_settings_of_one_network_of_all_classes_are_searched_once(dataset, tmp_path):
    campaign, everything = searching(dataset, tmp_path, of_all_classes=frozenset({"T_B"})), AllClasses(3)
    campaign.run(Unit("T_B", (everything,)), 0.0)
    campaign.run(Unit("T_B", (Pair(0, 1), Pair(0, 2))), 0.0)
    trials = pd.read_csv(tmp_path / "out" / "search_trials.csv")
    assert trials["pair"].tolist() == ["all"] * 4
    done = pd.read_csv(tmp_path / "out" / "training.csv")
    assert done["pair"].tolist() == ["all", "0-1", "0-2"]
    assert done["network"].tolist() == ["all"] * 3
    task = Task(everything, *hold_out(everything, dataset.train.labels, 0.2, 0),
                with_setting(recipe(trades=TRADES), settings_of(choose(trials))["all"]))  # fmt: skip
    build = partial(build_network, "small_cnn", dataset.image_shape, *channel_statistics(dataset.train.images), 3, None)
    (alone,) = train_all([task], training_set(dataset, build), VALIDATION, Machine(CPU, 1, 100))
    assert done["validation_robust_accuracy"].tolist() == pytest.approx([alone.row["robust_accuracy"]] * 3)


def test_a_search_that_was_ended_goes_on_in_its_journal(dataset, tmp_path):
    epochs = []

    def counted(tasks, epoch, rows):
        epochs.append((tasks[0].recipe.epochs, epoch))
        if len(epochs) == 3:
            raise BudgetSpentError

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    unit = Unit("T_B", (Pair(0, 1),))
    searching(dataset, whole).run(unit, 0.0)
    with pytest.raises(BudgetSpentError):
        searching(dataset, parts, counted).run(unit, 0.0)
    assert not (parts / "out" / "training.csv").exists()
    searching(dataset, parts, counted).run(unit, 0.0)
    for name in ("search_trials.csv", "history.csv"):
        assert (parts / "out" / name).read_text() == (whole / "out" / name).read_text()
    trials = pd.read_csv(whole / "out" / "search_trials.csv")
    # The second training, of two epochs, had not been told of when the end came: without a work store it is made again.
    assert len(epochs) == trials["epochs_trained"].sum() + 4 + 2


def test_the_work_of_a_search_is_planned(dataset, tmp_path):
    search = SearchPlan(**OPTIONS | {"n_trials": 60, "min_epochs": 2, "max_epochs": 18, "reduction_factor": 3})
    assert search.epochs_a_pair() == 60 * 2 * 2  # a setting has four epochs, so that the second round is the last
    searched = Searched("T_B", search, tmp_path)
    plan = Plan({"T_B": recipe(trades=TRADES), "T_R": recipe(trades=TRADES)}, frozenset(), [], replace(VALIDATION, every=1_000_000), 0.2,
                [], {"train": None, "test": None}, searched)  # fmt: skip
    campaign, guess = Campaign(tmp_path, dataset, plan, Machine(CPU, 1, 100), 0.0), {"training": 1_000.0, "attack": 1.0}
    seconds = {name: campaign.seconds_a_problem(Unit(name, (Pair(0, 1),)), guess)[0] for name in plan.recipes}
    assert seconds["T_B"] == pytest.approx(seconds["T_R"] * (3 + 240) / 3)


def test_what_is_searched_is_part_of_what_calls_have_in_common(dataset, tmp_path):
    plan = searching(dataset, tmp_path).plan
    assert plan.content("T_B")["search"] == OPTIONS
    assert plan.content("T_B")["problem"] == "pairs"

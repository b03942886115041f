"""How a campaign plans what fits into the time left."""

from dataclasses import replace

import pandas as pd
import pytest

from made.training import CPU, TRADES, VALIDATION, recipe
from nnrobust.attacks.victim import AttackSpec
from nnrobust.data.datasets import AllClasses, Pair
from nnrobust.errors import RecordError
from nnrobust.experiments.campaign import Campaign, Plan, Unit
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel


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
    table = pd.DataFrame(rows, columns=["classifier", "pair", "network", "seconds"]).assign(attack_seconds=1.0)
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

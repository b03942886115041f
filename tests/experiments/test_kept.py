"""The networks that a campaign keeps: proven afterwards, its records are those of a campaign that proves as it goes."""

from dataclasses import replace

import pandas as pd
import pytest

from made.training import CPU, VALIDATION, recipe
from nnrobust.attacks.victim import AttackSpec
from nnrobust.bounds.records import Proofs, with_proofs
from nnrobust.data.datasets import AllClasses, Pair
from nnrobust.errors import DataError
from nnrobust.experiments.campaign import Campaign
from nnrobust.experiments.kept import kept
from nnrobust.experiments.plan import Plan, Unit
from nnrobust.records import read_records
from nnrobust.runtime.machine import Machine
from nnrobust.runtime.store import WorkStore
from nnrobust.threat import ThreatModel


@pytest.fixture
def campaigns(dataset, tmp_path):
    """A campaign that proves as it goes, and one that does not; each keeps its networks in a folder beside its own."""
    recipes = {
        "S": recipe(epochs=2, checkpoint="last"),
        "S_10": recipe(epochs=2),
        "E_S": recipe(epochs=2, checkpoint="best"),
    }
    plan = Plan(recipes, frozenset({"S_10"}), [ThreatModel("Linf", 0.01), ThreatModel("L2", 0.02)], VALIDATION, 0.2,
                [AttackSpec("apgd-ce", 2, 1, 0)], {"train": 2, "test": 2}, bounded=frozenset(recipes))  # fmt: skip
    pairs = (Pair(0, 1), Pair(1, 2))
    for name, bounded in (("as_it_goes", plan.bounded), ("without", frozenset())):
        out = tmp_path / name
        out.mkdir()
        machine = Machine(CPU, 1, 100, store=WorkStore(tmp_path / f"{name}.work", "code"))
        campaign = Campaign(out, dataset, replace(plan, bounded=bounded), machine, float("inf"))
        for unit in (Unit("S", pairs), Unit("E_S", pairs), Unit("S_10", (AllClasses(3),)), Unit("S_10", pairs)):
            campaign.run(unit, 0.0)
    return tmp_path


def found_in(folder, name, dataset, problems=("0-1", "1-2")):
    history = pd.read_csv(folder / "without" / "history.csv")
    return kept(name, problems, history, WorkStore(folder / "without.work", "other code"), dataset)


@pytest.mark.parametrize("name", ["S", "E_S", "S_10"])
def test_proven_afterwards_records_are_those_of_a_campaign_that_proves_as_it_goes(campaigns, dataset, name):
    attacked = read_records(campaigns / "without" / f"{name}.parquet")
    assert not attacked["radius_lower"].any()
    found = with_proofs(Proofs(found_in(campaigns, name, dataset), dataset), attacked)
    pd.testing.assert_frame_equal(found, read_records(campaigns / "as_it_goes" / f"{name}.parquet"))
    assert (found["radius_lower"] > found["epsilon"]).any()


def test_networks_that_are_not_those_of_the_history_are_refused(campaigns, dataset):
    path = campaigns / "without" / "history.csv"
    history = pd.read_csv(path)
    history.loc[(history["classifier"] == "S") & (history["pair"] == "1-2"), "loss"] += 1e-6
    history.to_csv(path, index=False)
    with pytest.raises(DataError, match=r"known by its losses in history.csv, got 1 of 2, without 1-2; name the f"):
        found_in(campaigns, "S", dataset)
    assert [*found_in(campaigns, "S", dataset, ["0-1"]).networks] == ["0-1"]
    with pytest.raises(DataError, match=r"got 0 of 2, without 0-1, 1-2; name"):
        found_in(campaigns, "T_R", dataset)
    next((campaigns / "without.work").glob("*.pt")).write_bytes(b"cut off")
    with pytest.raises(DataError, match="expected saved work"):
        found_in(campaigns, "E_S", dataset)

"""The attack-strength curve: which attacks it runs, and what it reports of them."""

import numpy as np
import pytest
import torch

from made.victims import Always, network_problem, of_one
from nnrobust.attacks.attack import attack
from nnrobust.attacks.convergence import COLUMNS, ladder, strength_curve
from nnrobust.attacks.victim import AttackSpec
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")


def test_the_ladder_has_each_number_of_steps_and_then_restarts():
    rungs = ladder(["apgd-ce", "fmn"], [20, 5], 3, 7)
    assert rungs[:3] == [
        AttackSpec("apgd-ce", 5, 1, 7),
        AttackSpec("apgd-ce", 20, 1, 7),
        AttackSpec("apgd-ce", 20, 3, 7),
    ]
    assert [one.name for one in rungs[3:]] == ["fmn"] * 3
    assert ladder(["fmn"], [5], 1, 0) == [AttackSpec("fmn", 5, 1, 0)]


@pytest.mark.slow
def test_the_curve_is_that_of_each_attack_alone_and_falls_with_steps_and_restarts():
    inputs, network = network_problem(0)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.1)]
    rungs = ladder(["apgd-ce", "apgd-margin"], [1, 5, 40], 4, 0)
    table = strength_curve(Always(of_one(network)), inputs, threats, rungs, Machine(CPU, 1, 100))
    assert table.columns.tolist() == COLUMNS
    assert len(table) == 2 * 4 * 2
    for (norm, name), part in table.groupby(["norm", "attack"]):
        by_steps = part[part["restarts"] == 1].sort_values("steps")["robust_accuracy"].tolist()
        assert by_steps[0] > by_steps[-1]
        assert part[part["restarts"] == 4]["robust_accuracy"].item() <= by_steps[-1]
        alone = attack(of_one(network), inputs, threats, [AttackSpec(name, 40, 1, 0)], CPU)[norm]
        assert by_steps[-1] == 1 - np.mean(alone.is_fooled)


def test_no_attack_gives_an_empty_curve_with_its_head():
    inputs, network = network_problem(0)
    table = strength_curve(Always(of_one(network)), inputs, [], [], Machine(CPU, 1, 100))
    assert (len(table), table.columns.tolist()) == (0, COLUMNS)

"""Attacks in blocks: the same verdicts as at once, in the memory there is, with failures kept where asked."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from made.victims import Always, network_problem, of_one
from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import stack_victim
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.errors import AttackError
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
THREATS = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.2)]
CE = [AttackSpec("apgd-ce", 10, 1, 0)]


@dataclass
class Networks:
    stack: Stack
    keeps_failures = False

    def victim(self, members, device):
        return stack_victim(self.stack.frozen(members.tolist()))


@pytest.mark.slow
def test_blocks_of_several_networks_give_what_one_block_gives():
    source = Networks(Stack.of([network_problem(seed)[1] for seed in range(3)]))
    inputs, _ = network_problem(0)
    inputs = AttackInputs(inputs.images, inputs.targets, np.arange(60) % 3, inputs.ids)

    def verdicts(group_size, batch_size):
        return attack_in_blocks(source, inputs, THREATS[:1], CE, Machine(CPU, group_size, batch_size))["Linf"]

    whole = verdicts(3, 100)
    assert 0 < whole.is_fooled.sum() < 60
    for group_size, batch_size in [(1, 100), (2, 7), (3, 3)]:
        blocks = verdicts(group_size, batch_size)
        assert np.array_equal(blocks.predictions, whole.predictions)
        assert np.array_equal(blocks.is_fooled, whole.is_fooled)


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost():
    inputs, network = network_problem(0)
    sizes = []

    def narrow(x, _):
        sizes.append(len(x))
        if len(x) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network(x)

    whole = attack_in_blocks(Always(of_one(network)), inputs, THREATS, CE, Machine(CPU, 1, 60))
    parts = attack_in_blocks(Always(Victim(narrow, narrow)), inputs, THREATS, CE, Machine(CPU, 1, 60))
    for norm in ("Linf", "L2"):
        assert np.array_equal(parts[norm].is_fooled, whole[norm].is_fooled)
        assert set(parts[norm].status) == {"ok"}
    assert max(sizes) == 60


def test_a_model_that_fails_in_the_middle_leaves_a_status_that_says_why_and_the_verdicts_before():
    inputs, network = network_problem(0)

    def breaks(x, _):
        is_bad = (x.flatten(1)[:, :3] * 255 - torch.from_numpy(inputs.images[40]).flatten()[:3]).abs().amax(1) < 0.5
        return torch.where(is_bad[:, None], torch.nan, network(x))

    source, machine = Always(Victim(breaks, breaks)), Machine(CPU, 1, 15)
    tolerant = Always(source.one, keeps_failures=True)
    found = attack_in_blocks(tolerant, inputs, THREATS, CE, machine)["L2"]
    expected = "attack failed: AttackError: expected finite logits, got nan or infinity; the model is broken"
    assert [text.startswith(expected) for text in found.status] == [30 <= i < 45 for i in range(60)]
    assert set(found.predictions[30:45]) == {-1}
    whole = attack_in_blocks(Always(of_one(network)), inputs, THREATS, CE, machine)["L2"]
    assert np.array_equal(found.is_fooled[:30], whole.is_fooled[:30])
    with pytest.raises(AttackError, match="expected finite logits"):
        attack_in_blocks(source, inputs, THREATS, CE, machine)

"""The problems that networks are attacked on: their images, their records, and networks of all classes on two of them."""

import numpy as np
import torch
from torch import nn

from nnrobust.attacks.attack import attack
from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import PairSource, RestrictedSource, pair_inputs, problem_records
from nnrobust.attacks.victim import AttackSpec
from nnrobust.data.datasets import AllClasses, Pair, Split
from nnrobust.networks.stack import Stack
from nnrobust.records import check_records
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
PAIRS = [Pair(0, 2), Pair(1, 2), Pair(0, 1)]
THREATS = [ThreatModel("Linf", 0.03), ThreatModel("L2", 0.2)]
ATTACKS = [AttackSpec("apgd-ce", 20, 1, 0), AttackSpec("apgd-margin", 20, 1, 0)]
ABOUT = {"dataset": "made", "split": "test", "classifier": "T_R_10"}


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


def two_of(network, pair):
    """The network of two classes whose logits are two of the three."""
    linear = nn.Linear(48, 2)
    rows = torch.from_numpy(pair.class_ids())
    linear.load_state_dict({name: value[rows] for name, value in network[1].state_dict().items()})
    return nn.Sequential(nn.Flatten(), linear)


def made():
    """A linear network of three classes, and images that it mostly gets right."""
    torch.manual_seed(0)
    network = build()
    images = np.random.default_rng(0).integers(0, 256, (30, 3, 4, 4), dtype=np.uint8)
    with torch.no_grad():
        logits = network(torch.from_numpy(images).float() / 255)
        network[1].bias.sub_(logits.mean(dim=0))
        labels = network(torch.from_numpy(images).float() / 255).argmax(dim=1).numpy()
    labels[::7] = (labels[::7] + 1) % 3
    return network, Split(images, labels, [str(i) for i in range(30)])


def test_all_classes_are_a_problem_beside_the_pairs():
    _, part = made()
    inputs = pair_inputs(part, [AllClasses(3), Pair(1, 2)], 4)
    whole, pair = inputs.take(inputs.networks == 0), inputs.take(inputs.networks == 1)
    assert np.array_equal(whole.targets, part.labels[whole.ids])
    assert np.bincount(whole.targets).tolist() == [4, 4, 4]
    assert np.array_equal(pair.targets, part.labels[pair.ids] == 2)
    assert set(pair.ids) < set(whole.ids)


def test_on_a_pair_a_network_of_all_classes_falls_as_the_network_of_its_two_logits():
    """For two linear logits the margin is linear, so APGD gets as far as any attack can."""
    network, part = made()
    source = RestrictedSource(PairSource(build, [network.state_dict()]), np.stack([p.class_ids() for p in PAIRS]))
    inputs = pair_inputs(part, PAIRS, None)
    found = attack_in_blocks(source, inputs, THREATS, ATTACKS, Machine(CPU, 2, 7))
    for number, pair in enumerate(PAIRS):
        rows = np.flatnonzero(inputs.networks == number)
        alone = PairSource(lambda pair=pair: two_of(network, pair), [two_of(network, pair).state_dict()])
        victim = alone.victim(np.zeros(1, dtype=np.int64), CPU)
        expected = attack(victim, pair_inputs(part, [pair], None), THREATS, ATTACKS, CPU)
        for threat in THREATS:
            mine, wanted = found[threat.norm].take(rows), expected[threat.norm]
            assert np.array_equal(mine.predictions, wanted.predictions)
            assert np.array_equal(mine.is_fooled, wanted.is_fooled)
            assert 0 < wanted.is_fooled.sum() < len(rows)


def test_a_restricted_networks_records_name_the_pair_and_its_classes():
    network, part = made()
    source = RestrictedSource(PairSource(build, [network.state_dict()]), np.stack([p.class_ids() for p in PAIRS]))
    inputs = pair_inputs(part, PAIRS, 3)
    verdicts = attack_in_blocks(source, inputs, THREATS, ATTACKS, Machine(CPU, 3, 10))
    frames = problem_records(ABOUT, inputs, PAIRS, verdicts, THREATS)
    assert [(frame["pair"][0], frame["norm"][0], len(frame)) for frame in frames] == [
        (str(pair), threat.norm, 6) for pair in PAIRS for threat in THREATS
    ]
    for frame, pair in zip(frames[::2], PAIRS, strict=True):
        check_records(frame, "made")
        assert set(frame["prediction"]) <= set(pair.class_ids())
        assert np.array_equal(frame["label"], part.labels[frame["index"]])


def test_without_a_network_each_image_of_each_problem_is_a_row_that_says_so():
    _, part = made()
    problems = [AllClasses(3), Pair(0, 1)]
    frames = problem_records(ABOUT, pair_inputs(part, problems, 2), problems, None, THREATS)
    assert [len(frame) for frame in frames] == [6, 6, 4, 4]
    assert {status for frame in frames for status in frame["status"]} == {"training failed"}


def test_the_networks_of_a_source_stand_side_by_side():
    networks = [build() for _ in range(3)]
    victim = PairSource(build, [network.state_dict() for network in networks]).victim(np.array([2, 0]), CPU)
    images = torch.rand(4, 3, 4, 4)
    expected = Stack.of([networks[2], networks[0]]).logits(torch.stack([images, images]), training=False)
    got = victim.predict(images, torch.tensor([0, 1, 1, 0]))
    torch.testing.assert_close(got, expected[torch.tensor([0, 1, 1, 0]), torch.arange(4)])

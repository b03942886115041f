"""APGD-CE against classifiers whose margin is known, and against its published code."""

import numpy as np
import pytest
import torch
from conftest import Linear
from torch import nn

from nnrobust.apgd import start_noise
from nnrobust.attacks import AttackInputs, Strength, attack, attack_in_blocks
from nnrobust.compute import Machine
from nnrobust.errors import AttackError
from nnrobust.stack import Stack, predictor
from nnrobust.threat import ThreatModel, norm_of

CPU = torch.device("cpu")
STRONG = Strength(steps=50, restarts=1, seed=0)


def of_one(network):
    return lambda x, _: network(x)


def linear_problem(seed, low, high):
    """Images, a linear classifier, and the class that it gives each image."""
    generator = np.random.default_rng(seed)
    images = generator.integers(low, high, (40, 1, 4, 4), dtype=np.uint8)
    weight = torch.from_numpy(generator.standard_normal(16)).float()
    bias = -float((torch.from_numpy(images).float().flatten(1) / 255 @ weight).median())
    network = Linear(weight, bias)
    targets = network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    return AttackInputs(images, targets, np.zeros(40, dtype=np.int64), np.arange(40)), network


def margin(inputs, network, norm):
    """The exact distance of each image to the boundary, without the box."""
    score = network(torch.from_numpy(inputs.images).double() / 255)[:, 1].abs().numpy()
    return score / norm_of(network.weight.numpy()[None], {"Linf": "L1", "L2": "L2"}[norm])


def margin_in_box(inputs, network):
    """The exact Linf distance of each image to the boundary within the box, by bisection: the best move is a clipped one."""
    x = inputs.images.reshape(40, -1) / 255
    weight = network.weight.numpy().astype(float)
    towards = np.where(inputs.targets == 0, 1.0, -1.0)[:, None] * np.sign(weight)
    low, high = np.zeros(40), np.ones(40)
    for _ in range(60):
        middle = (low + high) / 2
        moved = (x + middle[:, None] * towards).clip(0, 1)
        crossed = (moved @ weight + network.bias > 0) != (inputs.targets == 1)
        low, high = np.where(crossed, low, middle), np.where(crossed, middle, high)
    return high


@pytest.fixture(autouse=True)
def _double_linear(monkeypatch):
    monkeypatch.setattr(Linear, "forward", lambda self, x: torch.stack(
        [torch.zeros(len(x), dtype=x.dtype), x.flatten(1) @ self.weight.to(x.dtype) + self.bias], dim=1))  # fmt: skip


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("seed", range(3))
def test_on_a_linear_classifier_the_attack_reaches_the_exact_margin_and_no_less(norm, seed):
    inputs, network = linear_problem(seed, 110, 146)
    exact = margin(inputs, network, norm)
    for epsilon in np.quantile(exact, [0.2, 0.5, 0.8]):
        verdicts = attack(of_one(network), inputs, [ThreatModel(norm, float(epsilon))], STRONG, CPU)[norm]
        assert not verdicts.is_fooled[exact > epsilon].any()
        assert verdicts.is_fooled[exact < 0.99 * epsilon].all()


@pytest.mark.parametrize("seed", range(3))
def test_the_box_counts_where_it_is_active(seed):
    inputs, network = linear_problem(seed, 0, 256)
    exact = margin_in_box(inputs, network)
    assert (exact > 1.05 * margin(inputs, network, "Linf")).sum() > 4
    for epsilon in np.quantile(exact, [0.3, 0.7]):
        verdicts = attack(of_one(network), inputs, [ThreatModel("Linf", float(epsilon))], STRONG, CPU)["Linf"]
        assert not verdicts.is_fooled[exact > epsilon].any()
        assert verdicts.is_fooled[exact < 0.99 * epsilon].all()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_perturbation_norms_are_within_epsilon_and_zero_for_images_that_are_wrong_already(norm):
    inputs, network = linear_problem(0, 0, 256)
    inputs.targets[:5] = 1 - inputs.targets[:5]
    epsilon = float(np.median(margin(inputs, network, norm)))
    verdicts = attack(of_one(network), inputs, [ThreatModel(norm, epsilon)], STRONG, CPU)[norm]
    assert verdicts.is_fooled[:5].all()
    assert not verdicts.perturbation_norm[:5].any()
    found = verdicts.is_fooled[5:]
    assert 0 < found.sum() < 35
    assert (verdicts.perturbation_norm[5:][found] <= epsilon * (1 + 1e-6)).all()
    assert np.isnan(verdicts.perturbation_norm[5:][~found]).all()


class Small(nn.Module):
    """A small convolutional network; with `scale` its logits are large and its gradients vanish in places."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)
        )

    def forward(self, x):
        return self.body(x)


def network_problem(seed):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (60, 3, 7, 7), dtype=np.uint8)
    network = Small(seed).eval()
    with torch.no_grad():
        for layer in network.body:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.mul_(2)
        logits = network(torch.from_numpy(images).float() / 255)
        network.body[-1].bias.sub_((logits - logits.mean(dim=1, keepdim=True)).median(dim=0).values)
        targets = network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    return AttackInputs(images, targets, np.zeros(60, dtype=np.int64), np.arange(60)), network


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("seed", range(3))
def test_the_published_code_from_the_same_start_comes_to_the_same_verdicts(norm, seed):
    from pyautoattack.autopgd_base import APGDAttack

    inputs, network = network_problem(seed)
    x, y = torch.from_numpy(inputs.images).float() / 255, torch.from_numpy(inputs.targets)
    total = 0
    for epsilon in ({"Linf": [0.01, 0.03], "L2": [0.1, 0.3]})[norm]:
        threat = ThreatModel(norm, epsilon)
        ours = attack(of_one(network), inputs, [threat], Strength(30, 1, 0), CPU)[norm].is_fooled
        reference = APGDAttack(network, n_iter=30, norm=norm, eps=epsilon, loss="ce", device="cpu")
        reference.init_hyperparam(x)
        start = x + epsilon * start_noise(inputs.ids, x.shape[1:], norm, 0, 0)
        theirs = ~reference.attack_single_run(x, y, x_init=start)[1].bool().numpy()
        total += theirs.sum()
        assert np.abs(ours.astype(int) - theirs).sum() <= 1
    assert 10 < total < 110


def test_an_images_result_does_not_depend_on_its_neighbours():
    inputs, network = network_problem(0)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.2)]
    together = attack(of_one(network), inputs, threats, Strength(20, 2, 0), CPU)
    alone = [
        attack(of_one(network), inputs.take(np.array([i])), threats, Strength(20, 2, 0), CPU) for i in range(0, 60, 7)
    ]
    for norm in ("Linf", "L2"):
        assert together[norm].is_fooled[::7].tolist() == [one[norm].is_fooled.item() for one in alone]


def test_starting_points_depend_on_seed_restart_and_image_and_have_norm_one():
    shape = torch.Size([3, 4, 4])
    for norm in ("Linf", "L2"):
        noise = start_noise(np.array([3, 9]), shape, norm, 0, 0)
        np.testing.assert_allclose(norm_of(noise.numpy(), norm), 1, rtol=1e-6)
        assert torch.equal(start_noise(np.array([9]), shape, norm, 0, 0)[0], noise[1])
        assert not torch.equal(start_noise(np.array([9]), shape, norm, 0, 1)[0], noise[1])
        assert not torch.equal(start_noise(np.array([9]), shape, norm, 1, 0)[0], noise[1])


def test_a_linf_success_counts_in_the_l2_ball_that_contains_it():
    inputs, network = network_problem(1)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.02 * np.sqrt(147))]
    verdicts = attack(of_one(network), inputs, threats, Strength(20, 1, 0), CPU)
    linf, l2 = verdicts["Linf"], verdicts["L2"]
    assert l2.is_fooled[linf.is_fooled].all()
    assert 0 < linf.is_fooled.sum() < l2.is_fooled.sum()
    assert set(l2.method[linf.is_fooled]) == {"apgd-ce (Linf)"}
    assert set(l2.method[~linf.is_fooled]) == {"apgd-ce"}
    assert (l2.perturbation_norm[l2.is_fooled] <= 0.02 * np.sqrt(147) * (1 + 1e-6)).all()


def test_blocks_of_several_networks_give_what_one_block_gives():
    networks = [network_problem(seed)[1] for seed in range(3)]
    inputs, _ = network_problem(0)
    inputs = AttackInputs(inputs.images, inputs.targets, np.arange(60) % 3, inputs.ids)
    stack = Stack.of(networks)

    def verdicts(group_size, batch_size):
        return attack_in_blocks(
            lambda members: predictor(stack.frozen(members.tolist())), inputs, [ThreatModel("Linf", 0.02)],
            Strength(10, 1, 0), Machine(CPU, group_size, batch_size),
        )["Linf"]  # fmt: skip

    whole = verdicts(3, 100)
    for group_size, batch_size in [(1, 100), (2, 7), (3, 3)]:
        blocks = verdicts(group_size, batch_size)
        assert np.array_equal(blocks.predictions, whole.predictions)
        assert np.array_equal(blocks.is_fooled, whole.is_fooled)


def test_no_attack_beats_the_certificate_of_1nn():
    """1NN as a network with logits minus the squared distance to each class: certified <= attacked, image by image."""
    from nnrobust.certificate import BOX, certify
    from nnrobust.datasets import Split
    from nnrobust.halfspace import Adversary
    from nnrobust.neighbors import build_indexes
    from nnrobust.screening import Effort

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 1, 3, 3), dtype=np.uint8)
    train = Split(images[:40], np.arange(40) % 2, [""] * 40)
    references = torch.from_numpy(train.images).float().flatten(1) / 255

    def network(x):
        squared = torch.cdist(x.flatten(1), references).square()
        return -10 * torch.stack([squared[:, train.labels == c].amin(1) for c in (0, 1)], dim=1)

    labels = np.arange(20) % 2
    bounds = certify(images[40:], labels, build_indexes(train, 2), Effort(40, 40, 64))
    inputs = AttackInputs(images[40:], labels, np.zeros(20, dtype=np.int64), np.arange(20))
    fallen = 0
    for norm in ("Linf", "L2"):
        at = np.arange(20), 1 - labels
        certified, exact = bounds.bisector[norm][at], bounds.lower[Adversary(norm, BOX)][at]
        for epsilon in np.quantile(certified[certified > 0], [0.3, 0.6, 0.9]):
            verdicts = attack(of_one(network), inputs, [ThreatModel(norm, float(epsilon))], STRONG, CPU)[norm]
            assert not (verdicts.is_fooled & (certified > epsilon)).any()
            # At the boundary this network's float32 distances err by 1e-6 of a distance, many times that of a small radius.
            assert not (verdicts.perturbation_norm < exact * (1 - 1e-4)).any()
            fallen += (verdicts.is_fooled & (verdicts.perturbation_norm > 0)).sum()
    assert fallen > 5


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda x: x.flatten(1)[:, :1], r"expected logits of shape \(40, classes >= 2\), got \(40, 1\)"),
        (lambda x: x.flatten(1)[:3], r"expected logits of shape \(40, classes >= 2\), got \(3, 16\)"),
        (lambda x: x.flatten(1)[:, :2] * torch.nan, "expected finite logits, got nan or infinity"),
        (lambda x: x.flatten(1)[:, :2] / 0, "expected finite logits, got nan or infinity"),
    ],
)
def test_malformed_logits_are_refused_before_they_look_robust(network, expected):
    inputs, _ = linear_problem(0, 0, 256)
    with pytest.raises(AttackError, match=expected):
        attack(of_one(network), inputs, [ThreatModel("Linf", 0.1)], STRONG, CPU)


def test_a_success_that_does_not_repeat_is_refused():
    inputs, network = linear_problem(0, 110, 146)
    calls = []

    def forgetful(x, _):
        calls.append(len(x))
        return network(x) if len(calls) < 3 else -network(x).flip(1) * 0 + torch.nn.functional.one_hot(
            torch.from_numpy(inputs.targets[: len(x)]), 2).float()  # fmt: skip

    with pytest.raises(AttackError, match="not deterministic"):
        attack(forgetful, inputs.take(inputs.targets == 0), [ThreatModel("Linf", 0.3)], Strength(1, 1, 0), CPU)

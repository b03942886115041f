"""APGD-CE against classifiers whose margin is known, and against its published code."""

import numpy as np
import pytest
import torch
from torch import nn

from made.models import Linear
from made.victims import network_problem, of_one
from nnrobust.attacks.attack import attack
from nnrobust.attacks.gradient import start_noise
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim, of_network
from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel, norm_of

CPU = torch.device("cpu")


def ce(steps, restarts=1):
    return [AttackSpec("apgd-ce", steps, restarts, seed=0)]


STRONG = ce(50)


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


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("seed", range(3))
def test_the_published_code_from_the_same_start_comes_to_the_same_verdicts(norm, seed):
    from pyautoattack.autopgd_base import APGDAttack

    inputs, network = network_problem(seed)
    x, y = torch.from_numpy(inputs.images).float() / 255, torch.from_numpy(inputs.targets)
    total = 0
    for epsilon in ({"Linf": [0.01, 0.03], "L2": [0.1, 0.3]})[norm]:
        threat = ThreatModel(norm, epsilon)
        ours = attack(of_one(network), inputs, [threat], ce(30, 1), CPU)[norm].is_fooled
        reference = APGDAttack(network, n_iter=30, norm=norm, eps=epsilon, loss="ce", device="cpu")
        reference.init_hyperparam(x)
        start = x + epsilon * start_noise(torch.from_numpy(inputs.ids), x.shape[1:], norm, 0, 0)
        theirs = ~reference.attack_single_run(x, y, x_init=start)[1].bool().numpy()
        total += theirs.sum()
        assert np.abs(ours.astype(int) - theirs).sum() <= 1
    assert 10 < total < 110


def test_an_images_result_does_not_depend_on_its_neighbours():
    inputs, network = network_problem(0)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.2)]
    together = attack(of_one(network), inputs, threats, ce(20, 2), CPU)
    alone = [attack(of_one(network), inputs.take(np.array([i])), threats, ce(20, 2), CPU) for i in range(0, 60, 7)]
    for norm in ("Linf", "L2"):
        assert together[norm].is_fooled[::7].tolist() == [one[norm].is_fooled.item() for one in alone]


def test_starting_points_depend_on_seed_restart_and_image_and_have_norm_one():
    shape = torch.Size([3, 4, 4])
    for norm in ("Linf", "L2"):
        noise = start_noise(torch.tensor([3, 9]), shape, norm, 0, 0)
        np.testing.assert_allclose(norm_of(noise.numpy(), norm), 1, rtol=1e-6)
        assert torch.equal(start_noise(torch.tensor([9]), shape, norm, 0, 0)[0], noise[1])
        assert not torch.equal(start_noise(torch.tensor([9]), shape, norm, 0, 1)[0], noise[1])
        assert not torch.equal(start_noise(torch.tensor([9]), shape, norm, 1, 0)[0], noise[1])


def test_a_linf_success_counts_in_the_l2_ball_that_contains_it():
    inputs, network = network_problem(1)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.02 * np.sqrt(147))]
    verdicts = attack(of_one(network), inputs, threats, ce(20, 1), CPU)
    linf, l2 = verdicts["Linf"], verdicts["L2"]
    assert l2.is_fooled[linf.is_fooled].all()
    assert 0 < linf.is_fooled.sum() < l2.is_fooled.sum()
    assert set(l2.method[linf.is_fooled]) == {"apgd-ce (Linf)"}
    assert set(l2.method[~linf.is_fooled]) == {"apgd-ce"}
    assert (l2.perturbation_norm[l2.is_fooled] <= 0.02 * np.sqrt(147) * (1 + 1e-6)).all()


def test_no_attack_beats_the_certificate_of_1nn():
    """1NN as a network with logits minus the squared distance to each class: certified <= attacked, image by image."""
    from nnrobust.data.datasets import Split
    from nnrobust.nearest.dataset.certificate import BOX, certify
    from nnrobust.nearest.dataset.neighbors import build_indexes
    from nnrobust.nearest.distances.screening import Effort
    from nnrobust.nearest.proofs.halfspace import Adversary

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


def test_a_success_that_does_not_repeat_does_not_count():
    inputs, _ = linear_problem(0, 110, 146)
    inputs = inputs.take(inputs.targets == 0)
    last = []

    def forgetful(x, _):
        """Fooled by whatever moved, unless asked about the same points twice in a row."""
        moved = (x - torch.from_numpy(inputs.images[: len(x)]) / 255).abs().flatten(1).amax(1) > 1e-6
        is_repeated = bool(last) and last[-1].shape == x.shape and torch.equal(last[-1], x)
        last.append(x.detach().clone())
        return torch.nn.functional.one_hot((moved & (not is_repeated)).long(), 2).float() + 0 * x.flatten(1)[:, :2]

    victim = Victim(forgetful, forgetful)
    verdicts = attack(victim, inputs, [ThreatModel("Linf", 0.3)], ce(1), CPU)["Linf"]
    assert not verdicts.is_fooled.any()


def test_each_attack_tries_what_stands_and_the_records_say_which_it_fell_to():
    inputs, network = network_problem(0)
    plan = [AttackSpec("apgd-ce", 1, 1, 0), AttackSpec("apgd-margin", 30, 1, 0), AttackSpec("fmn", 40, 1, 0)]
    verdicts = attack(of_one(network), inputs, [ThreatModel("Linf", 0.02)], plan, CPU)["Linf"]
    alone = attack(of_one(network), inputs, [ThreatModel("Linf", 0.02)], plan[:1], CPU)["Linf"]
    assert np.array_equal(verdicts.method == "apgd-ce", alone.is_fooled)
    assert (verdicts.method == "apgd-margin").sum() > 3
    standing = ~verdicts.is_fooled
    assert set(verdicts.method[standing]) == {"apgd-ce + apgd-margin + fmn"} == set(verdicts.attacks)
    assert (verdicts.perturbation_norm[standing] > 0.02).all()
    assert (verdicts.perturbation_norm[~standing] <= 0.02 * (1 + 1e-6)).all()
    assert (verdicts.perturbation_norm[alone.is_fooled] < 0.999 * alone.perturbation_norm[alone.is_fooled]).all()


@pytest.mark.parametrize(("name", "needed"), [("apgd-dlr", 3), ("apgd-t", 4)])
def test_an_objective_that_two_classes_do_not_have_is_refused(name, needed):
    inputs, network = network_problem(0)
    with pytest.raises(
        AttackError, match=f"{name}: expected a model of at least {needed} classes, got 2; use apgd-margin"
    ):
        attack(of_one(network), inputs, [ThreatModel("Linf", 0.02)], [AttackSpec(name, 5, 1, 0)], CPU)


class Ten(nn.Module):
    """A network of ten classes for images of 3x7x7."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(300, 10))

    def forward(self, x):
        return 5 * self.body(x)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_targeted_attack_finds_what_autoattacks_finds(norm):
    from pyautoattack.autopgd_base import APGDAttack_targeted

    network = Ten().eval()
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 7, 7), dtype=np.uint8)
    x = torch.from_numpy(images).float() / 255
    y = network(x).argmax(1)
    inputs = AttackInputs(images, y.numpy(), np.zeros(60, dtype=np.int64), np.arange(60))
    epsilon = {"Linf": 0.012, "L2": 0.12}[norm]
    found = {
        name: attack(of_one(network), inputs, [ThreatModel(norm, epsilon)], [AttackSpec(name, 20, 1, 0)], CPU)[
            norm
        ].is_fooled
        for name in ("apgd-t", "apgd-dlr", "apgd-ce")
    }
    reference = APGDAttack_targeted(network, n_iter=20, norm=norm, eps=epsilon, device="cpu")
    with torch.random.fork_rng():
        theirs = (network(reference.perturb(x, y)).argmax(1) != y).numpy()
    assert 10 < theirs.sum() < 50
    assert (found["apgd-t"] != theirs).sum() <= 1
    assert found["apgd-t"].sum() >= max(found["apgd-dlr"].sum(), found["apgd-ce"].sum()) - 1


def test_a_perturbation_that_leaves_its_ball_or_box_stops_the_run(monkeypatch):
    from nnrobust.attacks import attack as attacks

    inputs, network = network_problem(0)
    for shift, fault in ((0.4, "is larger than epsilon"), (1.2, "leaves the box")):

        def astray(victim, batch, threat, one, shift=shift):
            return batch.images - shift * (batch.images - 0.5).sign()

        monkeypatch.setitem(attacks.KINDS, "astray", attacks.Kind(astray))
        with pytest.raises(AttackError, match=rf"astray, Linf 0.02: the perturbation of image \d+ \(norm .*\) {fault}"):
            attack(of_one(network), inputs, [ThreatModel("Linf", 0.02)], [AttackSpec("astray", 5, 1, 0)], CPU)


def test_params_know_the_attacks_that_there_are():
    from typing import get_args

    from nnrobust.attacks.attack import KINDS
    from nnrobust.config.blocks import AttackName

    assert set(get_args(AttackName)) == set(KINDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_gpu_comes_to_the_verdicts_of_the_cpu(precision):
    inputs, network = network_problem(0)
    threats = [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.2)]
    plan = [AttackSpec("apgd-ce", 30, 1, 0), AttackSpec("apgd-margin", 30, 1, 0), AttackSpec("fmn", 40, 1, 0)]
    here = attack(of_network(network), inputs, threats, plan, CPU)
    cuda = torch.device("cuda")
    there = attack(of_network(network.to(cuda), precision), inputs, threats, plan, cuda)
    for norm in ("Linf", "L2"):
        assert (here[norm].is_fooled != there[norm].is_fooled).sum() <= 1
        np.testing.assert_allclose(here[norm].perturbation_norm, there[norm].perturbation_norm, rtol=0.1)

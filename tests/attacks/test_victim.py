"""What a model under attack is like, and that each trait changes how it is attacked."""

import numpy as np
import pytest
import torch
from torch import nn

from nnrobust.attacks.attack import N_EXAMINED, attack
from nnrobust.attacks.gradient import cross_entropy
from nnrobust.attacks.masking import FLAT
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, DeviceBatch, Victim, examined, of_network, seeded
from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
LINF = ThreatModel("Linf", 0.05)
CE = [AttackSpec("apgd-ce", 15, 1, 0)]


def network(n_classes=3, seed=0):
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, n_classes))
        .eval()
        .requires_grad_(False)
    )


def problem(model, n=24):
    images = np.random.default_rng(0).integers(0, 256, (n, 1, 5, 5), dtype=np.uint8)
    targets = model(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    return AttackInputs(images, targets, np.zeros(n, dtype=np.int64), np.arange(n))


def victim_of(function):
    def predict(x, _):
        return function(x)

    return Victim(predict, predict)


def test_a_plain_network_has_no_trait():
    model = network()
    assert examined(of_network(model), DeviceBatch.of(problem(model), CPU)).traits.notes == []


def test_a_randomised_network_is_found_out_and_answers_by_vote():
    model = network()
    noisy = victim_of(lambda x: model(x + 0.02 * torch.randn_like(x)))
    inputs = problem(model)
    with seeded(0, CPU):
        victim = examined(noisy, DeviceBatch.of(inputs, CPU))
        votes = victim.answers(DeviceBatch.of(inputs, CPU).images, DeviceBatch.of(inputs, CPU).networks)
    assert victim.traits.is_random
    assert not victim.traits.depends_on_batch
    assert (votes.numpy() == inputs.targets).mean() > 0.9
    verdicts = attack(noisy, inputs, [LINF], CE, CPU)["Linf"]
    assert set(verdicts.note) == {"randomised: gradients and answers over 20 passes"}
    with seeded(0, CPU):
        seems = torch.ones(24, dtype=torch.bool)
        assert (victim.confirmed(DeviceBatch.of(inputs, CPU).images, DeviceBatch.of(inputs, CPU), seems)).sum() < 3
    again = attack(noisy, inputs, [LINF], CE, CPU)["Linf"]
    assert np.array_equal(verdicts.is_fooled, again.is_fooled)
    assert 0 < verdicts.is_fooled.sum() < 24


def test_the_gradient_of_a_randomised_network_is_averaged():
    model = network()
    inputs = problem(model)
    batch = DeviceBatch.of(inputs, CPU)
    noisy = victim_of(lambda x: model(x + 0.1 * torch.randn_like(x)))
    with seeded(0, CPU):
        victim = examined(noisy, batch)
        averaged = victim.evaluate(batch.images, batch, cross_entropy)[1]
        single = noisy.evaluate(batch.images, batch, cross_entropy)[1]
    exact = of_network(model).evaluate(batch.images, batch, cross_entropy)[1]
    assert (averaged - exact).norm() < 0.6 * (single - exact).norm()


def test_a_network_whose_answers_depend_on_the_batch_keeps_its_batches_whole():
    model = network()
    seen = []

    def centred(x):
        seen.append(len(x))
        return model(x) - 0.05 * model(x).mean(dim=0)

    inputs = problem(model)
    assert examined(victim_of(centred), DeviceBatch.of(inputs, CPU)).traits.depends_on_batch
    seen.clear()
    verdicts = attack(victim_of(centred), inputs, [LINF], CE, CPU)["Linf"]
    assert 0 < verdicts.is_fooled.sum() < 24
    examination = {N_EXAMINED, N_EXAMINED // 2, 1}
    assert set(seen) - examination == {24}
    assert set(verdicts.note) == {"an answer depends on its batch: batches kept whole"}
    plain = []

    def counting(x):
        plain.append(len(x))
        return model(x)

    attack(victim_of(counting), inputs, [LINF], CE, CPU)
    assert set(plain) - {24} - examination


def test_probabilities_are_attacked_as_the_logits_that_they_come_from():
    model = network()
    inputs = problem(model)
    sharp = victim_of(lambda x: model(20 * x))
    targets = model(torch.from_numpy(inputs.images).float() / 255 * 20).argmax(1).numpy()
    inputs = AttackInputs(inputs.images, targets, inputs.networks, inputs.ids)
    soft = victim_of(lambda x: model(20 * x).softmax(dim=1))
    logits, probabilities = (attack(one, inputs, [LINF], CE, CPU)["Linf"] for one in (sharp, soft))
    assert set(probabilities.note) == {"probabilities: attacked through their logarithms"}
    assert set(logits.note) == {""}
    assert (logits.is_fooled != probabilities.is_fooled).sum() <= 1
    assert 0 < logits.is_fooled.sum() < 24


def test_logits_that_are_no_probabilities_are_not_taken_for_some():
    batch = DeviceBatch.of(problem(network()), CPU)
    for function in (
        lambda x: network()(x).softmax(1) * 2,
        lambda x: network()(x).softmax(1) + torch.tensor([0.5, -0.5, 0]),
    ):
        assert not examined(victim_of(function), batch).traits.gives_probabilities


def test_a_vanishing_gradient_is_noted_image_by_image():
    model = network()
    inputs = problem(model)

    def saturated(x):
        hidden = x.flatten(1).sum(dim=1, keepdim=True) > 12.5
        return torch.where(hidden, model(x).detach() * 1e4, model(x))

    verdicts = attack(victim_of(saturated), inputs, [LINF], CE, CPU)["Linf"]
    bright = inputs.images.reshape(24, -1).sum(axis=1) / 255 > 12.5
    assert 0 < bright.sum() < 24
    assert [note == FLAT for note in verdicts.note] == bright.tolist()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.flatten(1)[:, :1], r"expected logits of shape \(16, classes >= 2\), got \(16, 1\)"),
        (lambda x: x.flatten(1)[:3], r"expected logits of shape \(16, classes >= 2\), got \(3, 25\)"),
        (lambda x: x.flatten(1)[:, :2] * torch.nan, "expected finite logits, got nan or infinity"),
        (lambda x: x.flatten(1)[:, :2] / 0, "expected finite logits, got nan or infinity"),
    ],
)
def test_malformed_logits_are_refused_before_they_look_robust(function, expected):
    with pytest.raises(AttackError, match=expected):
        attack(victim_of(function), problem(network()), [LINF], CE, CPU)


def test_a_network_in_training_mode_is_refused_and_the_part_is_named():
    model = network()
    model[3].train()
    with pytest.raises(AttackError, match="expected a network in eval mode, got 3 in training mode"):
        of_network(model)


def test_the_search_in_bfloat16_finds_what_float32_finds_and_float32_confirms_it():
    model = network(seed=1)
    inputs = problem(model, 60)
    plain, fast = of_network(model), of_network(model, torch.bfloat16)
    batch = DeviceBatch.of(inputs, CPU)
    assert not torch.equal(plain.search(batch.images, batch.networks), fast.search(batch.images, batch.networks))
    for threat in (LINF, ThreatModel("L2", 0.3)):
        one, other = (attack(victim, inputs, [threat], CE, CPU)[threat.norm] for victim in (plain, fast))
        assert (one.is_fooled != other.is_fooled).sum() <= 1
        assert 5 < one.is_fooled.sum() < 55


def test_a_search_that_is_wrong_about_a_success_goes_on_until_the_model_itself_is_fooled():
    model = network(seed=1)
    inputs = problem(model, 60)
    inputs = inputs.take(inputs.targets == 0)
    plain = of_network(model)
    hasty = Victim(plain.predict, lambda x, _: model(x) - torch.tensor([0.1, 0.0, 0.0]))
    batch = DeviceBatch.of(inputs, CPU)
    assert (hasty.evaluate(batch.images, batch, cross_entropy)[2]).any()
    one, other = (attack(victim, inputs, [LINF], CE, CPU)["Linf"].is_fooled for victim in (plain, hasty))
    assert 3 < one.sum() < 57
    assert (one != other).sum() <= 1


@pytest.mark.slow
def test_a_compiled_search_comes_to_the_same_verdicts():
    model = network(seed=1)
    inputs = problem(model, 60)
    compiled = of_network(model, is_compiled=True)
    assert not compiled.is_exact
    one, other = (attack(victim, inputs, [LINF], CE, CPU)["Linf"] for victim in (of_network(model), compiled))
    assert (one.is_fooled != other.is_fooled).sum() <= 1


def test_the_generators_are_as_they_were_after_a_seeded_block():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1, CPU):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(1, CPU):
        assert torch.equal(torch.rand(3), inside)

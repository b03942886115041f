"""Models whose gradients mislead: each is noted, and no honest one is."""

import numpy as np
import pytest
import torch
from torch import nn

from nnrobust.attacks.attack import attack
from nnrobust.attacks.masking import COUNTS, MISMATCH, MISSING
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim, of_network
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
LINF = [ThreatModel("Linf", 0.1)]
APGD = [AttackSpec("apgd-ce", 10, 1, 0)]
N = 40


def honest(seed=0, activation=nn.ReLU):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), activation(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 24), activation(), nn.Linear(24, 4))  # fmt: skip
    return network.eval()


class Wrapped(nn.Module):
    def __init__(self, function, network):
        super().__init__()
        self.function, self.network = function, network

    def forward(self, x):
        return self.function(self.network, x)


def answers_with_gradient_of(other):
    """The network's own answers, and another function's gradient."""
    return lambda network, x: network(x).detach() + other(network, x) - other(network, x).detach()


def fixed(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def off_the_grid(network, x):
    """Reversed wherever the image is none that is stored."""
    logits = network(x)
    is_off = ((x * 255 - (x * 255).round()).abs() > 1e-3).flatten(1).any(1)
    return torch.where(is_off[:, None], 2 * logits.detach() - logits, logits)


def reversed_(network, x):
    return answers_with_gradient_of(lambda net, x: -net(x))(network, x)


def verdicts(function, seed=0, specs=APGD, precision=torch.float32):
    model = Wrapped(function, honest(seed)).eval()
    images = np.random.default_rng(seed).integers(0, 256, (N, 1, 8, 8), dtype=np.uint8)
    with torch.no_grad():
        targets = model.network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    inputs = AttackInputs(images, targets, np.zeros(N, dtype=np.int64), np.arange(N))
    return attack(of_network(model, precision), inputs, LINF, specs, CPU)["Linf"]


def share_noted(found):
    """Of the images that the model gets right."""
    return np.mean([MISMATCH in note for note in found.note[found.method != "unperturbed"]])


HOSTILE = {
    "reversed": reversed_,
    "reversed and small": answers_with_gradient_of(lambda net, x: -1e-3 * net(x)),
    "of another network": answers_with_gradient_of(lambda net, x: honest(9)(x)),
    "at random": answers_with_gradient_of(lambda net, x: x.flatten(1) @ fixed(64, 4)),
    "vanishingly small": answers_with_gradient_of(lambda net, x: 1e-10 * net(x)),
    "of one pixel alone": answers_with_gradient_of(lambda net, x: net(torch.cat([x[..., :1, :], x[..., 1:, :].detach()], 2))),
    "of half the pixels": answers_with_gradient_of(lambda net, x: net(torch.cat([x[..., :4, :], x[..., 4:, :].detach()], 2))),
    "reversed off the grid": off_the_grid,
    "reversed, probabilities": lambda net, x: reversed_(net, x).softmax(1),
    "reversed, randomised": lambda net, x: reversed_(net, x + 0.02 * torch.randn_like(x)),
    "reversed, of its batch": lambda net, x: reversed_(net, x) - reversed_(net, x).mean(0),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_gradient_that_is_not_the_models_is_noted(name):
    found = verdicts(HOSTILE[name])
    assert share_noted(found) > (0.3 if "half" in name else 0.6)
    assert all(MISSING in note for note in found.note if MISMATCH in note)


HONEST = {
    "plain": lambda net, x: net(x),
    "large logits": lambda net, x: 30 * net(x),
    "small logits": lambda net, x: 1e-4 * net(x),
    "huge logits": lambda net, x: 1e30 * net(x),
    "probabilities": lambda net, x: net(x).softmax(1),
    "randomised": lambda net, x: net(x + 0.02 * torch.randn_like(x)),
    "of its batch": lambda net, x: net(x) - net(x).mean(0),
    "normalised": lambda net, x: net((x - 0.5) / 0.25),
    "float64": lambda net, x: net(x).double(),
}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_an_honest_gradient_is_not_noted(name, precision):
    for seed in range(3):
        assert share_noted(verdicts(HONEST[name], seed, precision=precision)) == 0


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.Sigmoid])
def test_an_honest_gradient_of_a_smooth_network_is_not_noted(activation):
    network = honest(0, activation)
    assert share_noted(verdicts(lambda _, x: network(x))) == 0


def test_a_search_that_climbs_another_way_than_the_model_is_noted():
    network = honest()
    images = np.random.default_rng(0).integers(0, 256, (N, 1, 8, 8), dtype=np.uint8)
    targets = network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    inputs = AttackInputs(images, targets, np.zeros(N, dtype=np.int64), np.arange(N))
    plain = of_network(network)
    turned = Victim(plain.predict, lambda x, _: reversed_(network, x))
    assert share_noted(attack(plain, inputs, LINF, APGD, CPU)["Linf"]) == 0
    assert share_noted(attack(turned, inputs, LINF, APGD, CPU)["Linf"]) > 0.6


def test_square_counts_where_gradients_do_not():
    alone = verdicts(reversed_)
    both = verdicts(reversed_, specs=[*APGD, AttackSpec("square", 300, 1, 0)])
    assert "square" in set(both.method)
    assert both.is_fooled.sum() > alone.is_fooled.sum()
    assert all(COUNTS in note for note in both.note if MISMATCH in note)
    assert share_noted(both) > 0.6

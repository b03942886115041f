"""Every attack on classifiers whose robustness is known: none beats the proof, and each comes near it."""

import sys

import numpy as np
import pytest
import torch

from made.models import Linear
from nnrobust import OneNearestNeighbor
from nnrobust.attacks.attack import KINDS, attack
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim, of_network
from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel, diameter, norm_of

CPU = torch.device("cpu")
EFFORT = {"square": 1000, "pgd-foolbox": 300, "pgd-cleverhans": 300}
OURS = ("apgd-ce", "apgd-margin", "fmn")
BINARY = [
    name if name in OURS else pytest.param(name, marks=pytest.mark.slow)
    for name, kind in KINDS.items()
    if kind.n_classes == 2
]
"""Attacks on two classes; those of other libraries take seconds each."""
PARTS = {"pgd-foolbox": "foolbox", "pgd-cleverhans": "cleverhans"}


def run(name, network, inputs, threats):
    if name in PARTS:
        pytest.importorskip(PARTS[name], reason=f"{PARTS[name]} is not installed: `pip install .[crosscheck]`")
    one = AttackSpec(name, EFFORT.get(name, 100), 1, seed=0)
    victim = network if isinstance(network, Victim) else of_network(network.eval())
    return attack(victim, inputs, threats, [one], CPU)


def linear_problem(low, high):
    """Forty images of 8x8, a linear classifier that splits them, and the class that it gives each image."""
    generator = np.random.default_rng(0)
    images = generator.integers(low, high, (40, 1, 8, 8), dtype=np.uint8)
    weight = torch.from_numpy(generator.standard_normal(64)).float()
    scores = (torch.from_numpy(images).float().flatten(1) / 255 @ weight).sort().values
    network = Linear(weight, -float(scores[19:21].mean()))
    targets = network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    return AttackInputs(images, targets, np.zeros(40, dtype=np.int64), np.arange(40)), network


def exact_margin(inputs, network, norm):
    """The distance of each image to the boundary within the box, by bisection on epsilon.

    The best move within epsilon is in closed form: in Linf every pixel goes as far as it may; in L2 along the weights, pixels
    that meet the box staying there, at a length found by bisection.
    """
    x, weight = inputs.images.reshape(40, -1) / 255, network.weight.numpy().astype(float)
    towards = np.where(inputs.targets == 0, 1.0, -1.0)[:, None] * weight

    def moved(epsilon):
        if norm == "Linf":
            return (x + epsilon[:, None] * np.sign(towards)).clip(0, 1)
        low, high = np.zeros(40), np.full(40, 1e4)
        for _ in range(80):
            middle = (low + high) / 2
            size = np.linalg.norm((x + middle[:, None] * towards).clip(0, 1) - x, axis=1)
            low, high = np.where(size <= epsilon, middle, low), np.where(size <= epsilon, high, middle)
        return (x + low[:, None] * towards).clip(0, 1)

    low, high = np.zeros(40), np.full(40, 4.0)
    for _ in range(60):
        middle = (low + high) / 2
        crossed = (moved(middle) @ weight + network.bias > 0) != (inputs.targets == 1)
        low, high = np.where(crossed, low, middle), np.where(crossed, middle, high)
    return high


@pytest.mark.parametrize("box", ["free", "active"])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("name", BINARY)
def test_every_attack_reaches_the_linear_margin_within_a_percent_and_none_beats_it(name, norm, box):
    inputs, network = linear_problem(*{"free": (100, 156), "active": (0, 256)}[box])
    exact = exact_margin(inputs, network, norm)
    if box == "active":
        dual = norm_of(network.weight.numpy()[None], {"Linf": "L1", "L2": "L2"}[norm])
        score = network(torch.from_numpy(inputs.images).float() / 255)[:, 1].abs().numpy()
        assert (exact > 1.02 * score / dual).sum() > 2
    # Square searches at random, among squares, and stays well above on weights that have no such pattern.
    slack = {"square": 3.0}.get(name, 1.01)
    reached = 0
    for epsilon in np.quantile(exact, [0.3, 0.7]):
        verdicts = run(name, network, inputs, [ThreatModel(norm, float(epsilon))])[norm]
        assert not verdicts.is_fooled[exact > epsilon * (1 + 1e-5)].any()
        assert verdicts.is_fooled[exact * slack < epsilon].all()
        found = verdicts.perturbation_norm
        assert (found[~np.isnan(found)] > exact[~np.isnan(found)] * (1 - 1e-4)).all()
        reached += verdicts.is_fooled.sum()
    assert reached > (10 if name == "square" else 35)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_minimum_norm_attack_finds_the_linear_margin_of_every_image_whatever_epsilon(norm):
    inputs, network = linear_problem(0, 256)
    exact = exact_margin(inputs, network, norm)
    for epsilon in (1e-6, diameter(norm, 64)):
        found = run("fmn", network, inputs, [ThreatModel(norm, epsilon)])[norm].perturbation_norm
        np.testing.assert_array_less(exact * (1 - 1e-4), found)
        np.testing.assert_array_less(found, exact * 1.01)


@pytest.fixture(scope="module")
def nearest():
    """1NN of three classes, queries with their labels, and their exact radii in the box."""
    generator = np.random.default_rng(1)
    references = generator.random((60, 36)) * 0.6 + np.arange(60)[:, None] % 3 * 0.15
    model = OneNearestNeighbor().fit(references.reshape(60, 1, 6, 6), np.arange(60) % 3)
    images = generator.integers(20, 220, (30, 1, 6, 6), dtype=np.uint8)
    labels = model.predict(images / 255)
    inputs = AttackInputs(images, labels.astype(np.int64), np.zeros(30, dtype=np.int64), np.arange(30))
    radii = {norm: model.robust_radius(images / 255, labels, norm=norm, box=(0, 1)).lower for norm in ("Linf", "L2")}
    return model.as_module(), inputs, radii


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].n_classes <= 3])
def test_the_exact_radius_of_1nn_is_a_lower_bound_for_every_attack(nearest, name, norm):
    module, inputs, radii = nearest
    fallen = 0
    for epsilon in np.quantile(radii[norm], [0.3, 0.6]):
        verdicts = run(name, module, inputs, [ThreatModel(norm, float(epsilon))])[norm]
        found = ~np.isnan(verdicts.perturbation_norm)
        # The module's float32 distances, of 1 to 3, err by 1e-7.
        assert (verdicts.perturbation_norm[found] > radii[norm][found] * (1 - 1e-5) - 5e-7).all()
        assert not verdicts.is_fooled[radii[norm] > epsilon * (1 + 1e-5) + 5e-7].any()
        fallen += verdicts.is_fooled.sum()
    assert fallen >= 5


@pytest.mark.slow
def test_autoattack_runs_on_1nn_unchanged_and_stays_above_the_exact_radius(nearest):
    from pyautoattack import AutoAttack

    module, inputs, radii = nearest
    x, y = torch.from_numpy(inputs.images).float() / 255, torch.from_numpy(inputs.targets)
    epsilon = float(np.median(radii["L2"]))
    adversary = AutoAttack(
        module, norm="L2", eps=epsilon, version="custom", attacks=["apgd-ce", "fab", "square"], seed=0
    )
    adversary.fab.n_restarts, adversary.square.n_queries = 1, 300
    x_adv, _ = adversary.run_standard_evaluation(x, y, batch_size=30)
    fooled = (module(x_adv).argmax(1) != y).numpy()
    distance = norm_of((x_adv - x).numpy(), "L2")
    assert (distance[fooled] > radii["L2"][fooled] * (1 - 1e-5) - 5e-7).all()
    assert fooled.sum() >= 5


@pytest.mark.parametrize("library", ["foolbox", "cleverhans"])
def test_without_its_library_a_cross_check_says_what_to_install(monkeypatch, library):
    for name in [one for one in sys.modules if one.split(".")[0] == library] + [library]:
        monkeypatch.setitem(sys.modules, name, None)
    inputs, network = linear_problem(0, 256)
    with pytest.raises(
        AttackError, match=rf"pgd-{library}: expected the package {library}, .*`pip install \.\[crosscheck\]`"
    ):
        attack(
            of_network(network.eval()), inputs, [ThreatModel("Linf", 0.1)], [AttackSpec(f"pgd-{library}", 5, 1, 0)], CPU
        )

"""Attacks of other libraries on a victim, network by network: AutoAttack's through pyautoattack, PGD of Foolbox and CleverHans.

They draw from torch's global generator, which is seeded for the call, so that an image's result depends on the images beside it,
unlike under this project's own attacks. Their candidates are checked like all others before they count.
"""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnrobust.attacks.victim import AttackSpec, DeviceBatch, Victim, checked_logits, seeded
from nnrobust.errors import AttackError
from nnrobust.networks.ball import inner_radius
from nnrobust.threat import ORDER, ThreatModel

Work = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Adversarial images (n, ...) for a network, images (n, ...) and targets (n,)."""


class _Network(nn.Module):
    """One network of a victim, as libraries want it: images in, logits out."""

    def __init__(self, victim: Victim, network: Tensor) -> None:
        super().__init__()
        self.victim, self.network = victim, network

    def forward(self, images: Tensor) -> Tensor:
        return self.victim.as_logits(checked_logits(self.victim.predict, images, self.network.expand(len(images))))


def network_by_network(victim: Victim, batch: DeviceBatch, work: Work, seed: int) -> Tensor:
    """Adversarial images (n, ...), by `work` on the images of one network after the other."""
    points = batch.images.clone()
    for network in batch.networks.unique():
        rows = (batch.networks == network).nonzero()[:, 0]
        with seeded(seed, batch.images.device):
            found = work(_Network(victim, network).eval(), batch.images[rows].contiguous(), batch.targets[rows])
        points[rows] = found.detach().to(points.dtype).clamp(0, 1)
    return points


def autoattack(victim: Victim, batch: DeviceBatch, threat: ThreatModel, spec: AttackSpec) -> Tensor:
    """Candidates (n, ...) by the parts of AutoAttack: apgd-ce, fab, fab-t, and square, whose steps are queries."""
    from pyautoattack.autopgd_base import APGDAttack
    from pyautoattack.fab_pt import FABAttack_PT
    from pyautoattack.square import SquareAttack

    effort = {"n_restarts": spec.restarts, "seed": spec.seed}
    about = {"norm": threat.norm, "eps": inner_radius(threat), "device": batch.images.device, **effort}

    def work(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        if spec.name == "apgd-ce-autoattack":
            return APGDAttack(network, n_iter=spec.steps, loss="ce", **about).perturb(images, targets)
        if spec.name == "square":
            return SquareAttack(network, n_queries=spec.steps, **about).perturb(images, targets)
        aims = {"targeted": spec.name == "fab-t", "n_target_classes": min(9, victim.traits.n_classes - 1)}
        return FABAttack_PT(network, n_iter=spec.steps, **about, **aims).perturb(images, targets)

    return network_by_network(victim, batch, work, spec.seed)


def foolbox_pgd(victim: Victim, batch: DeviceBatch, threat: ThreatModel, spec: AttackSpec) -> Tensor:
    """Candidates (n, ...) by Foolbox's PGD.

    Raises:
        AttackError: when Foolbox is not installed.
    """
    foolbox = _imported("foolbox")
    kind = {"Linf": foolbox.attacks.LinfPGD, "L2": foolbox.attacks.L2PGD}[threat.norm]
    adversary = kind(steps=spec.steps, rel_stepsize=_relative_step(spec), random_start=True).repeat(spec.restarts)

    def work(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        model = foolbox.PyTorchModel(network, bounds=(0, 1), device=images.device)
        return adversary(model, images, foolbox.criteria.Misclassification(targets), epsilons=inner_radius(threat))[0]

    return network_by_network(victim, batch, work, spec.seed)


def cleverhans_pgd(victim: Victim, batch: DeviceBatch, threat: ThreatModel, spec: AttackSpec) -> Tensor:
    """Candidates (n, ...) by CleverHans's PGD; of several restarts the first that fools.

    Raises:
        AttackError: when CleverHans is not installed.
    """
    pgd = _imported("cleverhans.torch.attacks.projected_gradient_descent").projected_gradient_descent
    epsilon, step = inner_radius(threat), _relative_step(spec) * inner_radius(threat)
    options = {"clip_min": 0.0, "clip_max": 1.0, "rand_init": True, "sanity_checks": False}

    def work(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        points = images.clone()
        standing = torch.arange(len(images), device=images.device)
        for _ in range(spec.restarts):
            x, y = images[standing], targets[standing]
            points[standing] = pgd(network, x, epsilon, step, spec.steps, ORDER[threat.norm], y=y, **options).detach()
            with torch.no_grad():
                standing = standing[network(points[standing]).argmax(dim=1) == targets[standing]]
            if len(standing) == 0:
                break
        return points

    return network_by_network(victim, batch, work, spec.seed)


def _imported(module: str) -> Any:
    """A module of a library that only the cross-checks need.

    Raises:
        AttackError: when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise AttackError(
            f"pgd-{name}: expected the package {name}, found none; `pip install .[crosscheck]`"
        ) from error


def _relative_step(spec: AttackSpec) -> float:
    """PGD's step size in epsilons.

    With a total of 2.5 epsilons, as is usual, L2 steps from a random start ended 1.6 % short of a linear margin.
    """
    return min(1.0, 5.0 / spec.steps)

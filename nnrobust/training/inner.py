"""Attacks of a few steps inside training, for many networks side by side: the inner maximisation of TRADES, and PGD."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.networks.ball import project, steepest
from nnrobust.networks.stack import Stack

TRADES_NOISE = 0.001
"""Standard deviation of the noise that the inner maximisation starts from. Source: arXiv 1901.08573, algorithm 1."""


@dataclass(frozen=True)
class InnerAttack:
    """One inner maximisation for g networks: `norm`, `steps`, and `epsilon`, `step_size` of each network, (g,)."""

    norm: str
    steps: int
    epsilon: Tensor
    step_size: Tensor


def maximise_divergence(stack: Stack, images: Tensor, noise: Tensor, attack: InnerAttack) -> Tensor:
    """Images (g, n, c, h, w) in ball and box [0, 1] that move each network's output away from that on `images`.

    Ascends KL(f(x) || f(x')) from x + noise in eval mode, so batch-normalisation statistics stay as they are: signed steps
    in linf, steps along the normalised gradient in l2. `stack` may be folded.
    Source: arXiv 1901.08573, algorithm 1. It differs from the published code in two points: f(x) is computed once and not at
    every step (it is the same), and in l2 that code runs SGD on the perturbation with a step that depends on the number of steps.
    """
    with torch.no_grad():
        target = F.softmax(stack.logits(images, training=False), dim=-1)

    def divergence(logits: Tensor) -> Tensor:
        return F.kl_div(F.log_softmax(logits, dim=-1), target, reduction="sum")

    return _ascend(stack, images, images + noise, attack, divergence)


def pgd(stack: Stack, images: Tensor, targets: Tensor, start: Tensor, attack: InnerAttack) -> Tensor:
    """Images (g, n, c, h, w) in ball and box [0, 1] that raise each network's cross-entropy, from `start`, in eval mode.

    Source: arXiv 1706.06083.
    """

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")

    return _ascend(stack, images, start, attack, cross_entropy)


def _ascend(
    stack: Stack, images: Tensor, start: Tensor, attack: InnerAttack, objective: Callable[[Tensor], Tensor]
) -> Tensor:
    shape = (-1, 1, 1, 1, 1)
    epsilon, step_size = attack.epsilon.view(shape), attack.step_size.view(shape)
    adversarial = start
    for _ in range(attack.steps):
        adversarial = adversarial.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(stack.logits(adversarial, training=False)), adversarial)
        with torch.no_grad():
            moved = adversarial + steepest(gradient, step_size, attack.norm)
            adversarial = project(moved, images, epsilon, attack.norm)
    return adversarial.detach()

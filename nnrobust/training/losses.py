"""The training losses, cross-entropy and TRADES, and the inner attacks of a few steps, for many networks side by side."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.networks.ball import project, steepest
from nnrobust.networks.stack import Stack

TRADES_NOISE = 0.001
"""Standard deviation of the noise that the inner maximisation starts from. Source: arXiv 1901.08573, algorithm 1."""


def standard_loss(stack: Stack, images: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of each network, (g,), on its images (g, n, c, h, w) with targets (g, n)."""
    return _cross_entropy(stack.logits(images, training=True), targets)


def trades_loss(
    stack: Stack, images: Tensor, targets: Tensor, adversarial: list[Tensor], beta: Tensor, combine: str
) -> Tensor:
    """Cross-entropy + beta * KL(f(x) || f(x')) of each network, (g,), averaged over its batch.

    With several adversarial batches their KL terms are combined by `sum`, `average` or, image by image, `max`.
    Gradients flow through both sides of the KL term, as in the published code.
    Source: arXiv 1901.08573, equation 5; the combination is ours (arXiv 2404.06313 names T_B_A but not its loss).
    """
    natural = stack.logits(images, training=True)
    terms = torch.stack([_divergence(natural, stack.logits(x, training=True)) for x in adversarial])
    robust = {"sum": terms.sum, "average": terms.mean, "max": terms.amax}[combine](dim=0)
    return _cross_entropy(natural, targets) + beta * robust.mean(dim=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).mean(dim=1)


def _divergence(natural: Tensor, adversarial: Tensor) -> Tensor:
    """KL(natural || adversarial) for each image, (g, n).

    In logarithms on both sides: the published code's softmax target has an infinite gradient once a probability rounds to 0.
    """
    target = F.log_softmax(natural, -1)
    return F.kl_div(F.log_softmax(adversarial, -1), target, reduction="none", log_target=True).sum(dim=-1)


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

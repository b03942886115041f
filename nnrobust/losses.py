"""The training losses: cross-entropy and TRADES, for many networks side by side."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.stack import Stack

TRADES_NOISE = 0.001
"""Standard deviation of the noise that the inner maximisation starts from. Source: arXiv 1901.08573, algorithm 1."""


@dataclass(frozen=True)
class InnerAttack:
    """One inner maximisation for g networks: `norm`, `steps`, and `epsilon`, `step_size` of each network, (g,)."""

    norm: str
    steps: int
    epsilon: Tensor
    step_size: Tensor


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


def maximise_divergence(stack: Stack, images: Tensor, noise: Tensor, attack: InnerAttack) -> Tensor:
    """Images (g, n, c, h, w) in ball and box [0, 1] that move each network's output away from that on `images`.

    Ascends KL(f(x) || f(x')) from x + noise in eval mode, so batch-normalisation statistics stay as they are: signed steps
    in linf, steps along the normalised gradient in l2.
    Source: arXiv 1901.08573, algorithm 1. In l2 it differs from the published code, which runs SGD on the perturbation with a
    step that depends on the number of steps.
    """
    frozen = stack.frozen()
    with torch.no_grad():
        target = F.softmax(frozen.logits(images, training=False), dim=-1)
    shape = (-1, 1, 1, 1, 1)
    epsilon, step_size = attack.epsilon.view(shape), attack.step_size.view(shape)
    adversarial = images + noise
    for _ in range(attack.steps):
        adversarial = adversarial.detach().requires_grad_()
        log_output = F.log_softmax(frozen.logits(adversarial, training=False), dim=-1)
        (gradient,) = torch.autograd.grad(F.kl_div(log_output, target, reduction="sum"), adversarial)
        with torch.no_grad():
            if attack.norm == "Linf":
                moved = adversarial + step_size * gradient.sign()
                moved = torch.maximum(torch.minimum(moved, images + epsilon), images - epsilon)
            else:
                moved = adversarial + step_size * gradient / l2_norm(gradient)
                moved = images + _into_ball(moved - images, epsilon)
            adversarial = moved.clamp(0, 1)
    return adversarial.detach()


def l2_norm(x: Tensor) -> Tensor:
    """l2 norms over the last three axes, kept, and at least 1e-12."""
    return x.square().sum(dim=(-3, -2, -1), keepdim=True).sqrt().clamp(min=1e-12)


def _into_ball(perturbation: Tensor, epsilon: Tensor) -> Tensor:
    return perturbation * (epsilon / l2_norm(perturbation)).clamp(max=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).mean(dim=1)


def _divergence(natural: Tensor, adversarial: Tensor) -> Tensor:
    """KL(natural || adversarial) for each image, (g, n).

    In logarithms on both sides: the published code's softmax target has an infinite gradient once a probability rounds to 0.
    """
    target = F.log_softmax(natural, -1)
    return F.kl_div(F.log_softmax(adversarial, -1), target, reduction="none", log_target=True).sum(dim=-1)

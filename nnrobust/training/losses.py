"""The training losses: cross-entropy and TRADES, for many networks side by side."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.networks.stack import Stack


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

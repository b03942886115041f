"""The fast minimum-norm attack: how far a network's images are from being fooled, without an epsilon to aim at."""

import math

import torch
from torch import Tensor

from nnrobust.attacks.apgd import l2
from nnrobust.attacks.objectives import margin
from nnrobust.attacks.victim import Batch, Victim
from nnrobust.threat import DUAL

_FIRST_STEP, _LAST_STEP = 1.0, 1e-5
_FIRST_FACTOR, _LAST_FACTOR = 0.05, 1e-3
_LEAST = 1e-6
"""The published step size, in l2, and relative change of epsilon, each falling along a cosine; the least that a ball grows by."""


def fmn(victim: Victim, batch: Batch, start: Tensor, norm: str, steps: int) -> tuple[Tensor, Tensor]:
    """Points (n, ...) in the box that fool, as near as found, and which images have one (n,), from perturbations `start`.

    Steps along the gradient of the margin, projected onto a ball that shrinks where the point fools and grows where it does
    not; until a first point fools, the ball reaches to where the margin would vanish if it were linear. n steps cost n forward
    and backward passes.
    Source: arXiv 2102.12827, algorithm 1, with its settings. It differs from the published code in asking the model itself about
    each point that seems to fool, and in reaching a little beyond where the margin would vanish, since a linear model's images
    came to rest there and were never fooled.
    """
    offset = (batch.images + start).clamp(0, 1) - batch.images
    best, best_norm = batch.images.clone(), torch.full_like(batch.targets, math.inf, dtype=torch.float32)
    epsilon = torch.full_like(best_norm, math.inf)
    for step in range(steps):
        points = (batch.images + offset).clamp(0, 1)
        value, gradient, seems_fooled = victim.evaluate(points, batch, margin)
        size = _norm(points - batch.images, norm)
        is_nearer = victim.confirmed(points, batch, seems_fooled & (size < best_norm))
        best = torch.where(is_nearer.view(-1, 1, 1, 1), points, best)
        best_norm = torch.where(is_nearer, size, best_norm)
        factor = _cosine(_FIRST_FACTOR, _LAST_FACTOR, step, steps)
        reach = size + value.abs() / _norm(gradient, norm, is_dual=True).clamp(min=1e-12)
        outside = torch.where(best_norm < math.inf, epsilon, reach + _LEAST) * (1 + factor)
        epsilon = torch.where(seems_fooled, torch.minimum(epsilon * (1 - factor), best_norm), outside)
        stride = _cosine(_FIRST_STEP, _LAST_STEP, step, steps)
        offset = _projected(offset + stride * gradient / l2(gradient).clamp(min=1e-12), epsilon, norm)
        offset = (batch.images + offset).clamp(0, 1) - batch.images
    return best, best_norm < math.inf


def _cosine(first: float, last: float, step: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2


def _norm(x: Tensor, norm: str, is_dual: bool = False) -> Tensor:
    order = DUAL[norm] if is_dual else {"Linf": math.inf, "L2": 2.0}[norm]
    return torch.linalg.vector_norm(x, ord=order, dim=(1, 2, 3))


def _projected(offset: Tensor, epsilon: Tensor, norm: str) -> Tensor:
    """Perturbations (n, ...), moved into the ball of radius epsilon (n,)."""
    epsilon = epsilon.view(-1, 1, 1, 1)
    if norm == "Linf":
        return torch.maximum(torch.minimum(offset, epsilon), -epsilon)
    return offset * (epsilon / l2(offset).clamp(min=1e-12)).clamp(max=1)

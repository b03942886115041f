"""The fast minimum-norm attack: how far a network's images are from being fooled, without an epsilon to aim at."""

import math

import torch
from torch import Tensor

from nnrobust.attacks.objectives import margin
from nnrobust.attacks.victim import Batch, Victim
from nnrobust.networks.ball import norms, project, steepest
from nnrobust.threat import DUAL, ORDER

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
    points = (batch.images + start).clamp(0, 1)
    best, best_norm = batch.images.clone(), torch.full_like(batch.targets, math.inf, dtype=torch.float32)
    epsilon = torch.full_like(best_norm, math.inf)
    for step in range(steps):
        value, gradient, seems_fooled = victim.evaluate(points, batch, margin)
        size = norms(points - batch.images, ORDER[norm]).flatten()
        is_nearer = victim.confirmed(points, batch, seems_fooled & (size < best_norm))
        best = torch.where(is_nearer.view(-1, 1, 1, 1), points, best)
        best_norm = torch.where(is_nearer, size, best_norm)
        factor = _cosine(_FIRST_FACTOR, _LAST_FACTOR, step, steps)
        reach = size + value.abs() / norms(gradient, DUAL[norm]).flatten().clamp(min=1e-12)
        outside = torch.where(best_norm < math.inf, epsilon, reach + _LEAST) * (1 + factor)
        epsilon = torch.where(seems_fooled, torch.minimum(epsilon * (1 - factor), best_norm), outside)
        moved = points + steepest(gradient, _cosine(_FIRST_STEP, _LAST_STEP, step, steps), "L2")
        points = project(moved, batch.images, epsilon.view(-1, 1, 1, 1), norm)
    return best, best_norm < math.inf


def _cosine(first: float, last: float, step: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2

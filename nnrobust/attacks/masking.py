"""Whether a model's gradients are its own: attacks that climb others find nothing, and the model looks robust."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nnrobust.attacks.gradient import cross_entropy, start_noise
from nnrobust.attacks.victim import DeviceBatch, Victim
from nnrobust.networks.ball import inner_radius, project
from nnrobust.threat import ThreatModel

FLAT = "possible gradient masking: the gradient at the image vanishes"
MISMATCH = "gradients do not match the model"
COUNTS, MISSING = "only square counts, which needs none", "add the attack square, which needs none"
LENGTHS = (0.1, 0.01, 0.001)
"""The L2 lengths, in pixel units, of the steps along the gradient that finite differences span. A piecewise linear model
matches at one of them; float32 resolves a margin of 10 to 1e-6."""
NOISE = 16 * torch.finfo(torch.float32).eps
"""Relative to the largest logit: changes of the margin up to four times this say nothing."""


def smooth_margin(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The logarithm of the summed exponentials of the other logits, minus the right one: `margin` without its kinks."""
    right = logits.gather(1, targets[:, None])[:, 0]
    return logits.scatter(1, targets[:, None], -torch.inf).logsumexp(dim=1) - right


def gradient_notes(victim: Victim, batch: DeviceBatch, threat: ThreatModel, has_square: bool) -> list[str]:
    """A note for each image (n,): empty where the gradient there is as finite differences of the model itself say.

    Looked at are the image, and a random point of its ball in the box. Images that the model gets wrong need no note.
    """
    is_correct = victim.answers(batch.images, batch.networks) == batch.targets
    gradient = victim.evaluate(batch.images, batch, cross_entropy)[1]
    is_flat = is_correct & (gradient.flatten(1).abs().amax(dim=1) == 0)
    noise = inner_radius(threat) * start_noise(batch.ids, batch.images.shape[1:], threat.norm, 0, 0)
    nearby = project(batch.images + noise, batch.images, inner_radius(threat), threat.norm)
    differs = is_correct & (differs_from_model(victim, batch, batch.images) | differs_from_model(victim, batch, nearby))
    word = f"{MISMATCH}: {COUNTS if has_square else MISSING}"
    both = zip(is_flat.tolist(), differs.tolist(), strict=True)
    return ["; ".join([FLAT] * flat + [word] * other) for flat, other in both]


def differs_from_model(victim: Victim, batch: DeviceBatch, points: Tensor) -> Tensor:
    """Whether the gradient of the smooth margin at `points` (n, ...) is another than the model's (n,).

    Along the gradient, and along a random direction, which sees what the gradient leaves out, the change of the smooth margin of
    `predict` between two points in the box is compared with the one that the gradient promises: within a factor of two at some
    length whose change is no rounding. For a model whose answers are random or depend on the batch, sums over it are compared.
    A search in a faster form may differ from the model at its kinks, as long as its gradient is not turned away from the model's.
    """
    gradient = victim.evaluate(points, batch, smooth_margin)[1].double()
    differs = _differs_from_differences(victim, batch, points, gradient)
    if victim.is_exact or not bool(differs.any()):
        return differs
    plain = replace(victim, search=victim.predict).evaluate(points, batch, smooth_margin)[1].double()
    is_turned = (gradient * plain).flatten(1).sum(dim=1) <= 0
    return differs & (is_turned | _differs_from_differences(victim, batch, points, plain))


def _differs_from_differences(victim: Victim, batch: DeviceBatch, points: Tensor, gradient: Tensor) -> Tensor:
    size = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    towards = gradient / size.clamp(min=torch.finfo(torch.float64).tiny)
    across = start_noise(batch.ids, points.shape[1:], "L2", 0, 1).double()
    differs = _differs_along(victim, batch, points, gradient, towards)
    if not (victim.traits.is_random or victim.traits.depends_on_batch):  # of many images random directions cancel
        differs |= _differs_along(victim, batch, points, gradient, across)
    return differs & (size.flatten() > 0)


@torch.no_grad()
def _differs_along(
    victim: Victim, batch: DeviceBatch, points: Tensor, gradient: Tensor, direction: Tensor
) -> Tensor:  # fmt: skip
    """Whether finite differences along unit directions (n, ...) are other than the gradient (n, ...) promises (n,)."""
    usual = gradient.flatten(1).norm(dim=1) / gradient[0].numel() ** 0.5
    is_told, matches = (torch.zeros(len(points), dtype=torch.bool, device=points.device) for _ in range(2))
    for length in LENGTHS:
        ahead, behind = ((points + sign * length * direction).to(points.dtype).clamp(0, 1) for sign in (1, -1))
        promised = (gradient * (ahead.double() - behind)).flatten(1).sum(dim=1)
        (front, scale), (back, _) = (_margins(victim, batch, end) for end in (ahead, behind))
        found, rounding, least = front - back, NOISE * scale, 2 * length * usual
        if victim.traits.is_random or victim.traits.depends_on_batch:
            promised, found, rounding, least = (
                value.sum().expand(len(points)) for value in (promised, found, rounding, least)
            )
        larger = torch.maximum(torch.maximum(promised.abs(), found.abs()), least)
        is_clear = larger > 4 * rounding
        is_told |= is_clear
        matches |= is_clear & ((found - promised).abs() <= 0.5 * larger + rounding)
        if bool(matches.all()):
            break
    return is_told & ~matches


def _margins(victim: Victim, batch: DeviceBatch, points: Tensor) -> tuple[Tensor, Tensor]:
    """The margins (n,) in float64 that the model itself has, and the largest logit of each image (n,)."""
    passes = [victim.scores(points, batch.networks) for _ in range(victim.n_passes)]
    margins = torch.stack([smooth_margin(logits.double(), batch.targets, batch.aims) for logits in passes]).mean(dim=0)
    return margins, passes[0].abs().amax(dim=1).double()


def as_notes(traits: list[str], notes: list[str]) -> np.ndarray:
    """The notes of images (n,), after those on the model as a whole."""
    return np.array(["; ".join([*traits, note] if note else traits) for note in notes], dtype=object)

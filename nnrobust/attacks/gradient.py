"""Attacks along the gradient, on images of one network or of many: objectives, Auto-PGD, the fast minimum-norm attack."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.attacks.victim import AttackSpec, DeviceBatch, Objective, Victim, checked_logits
from nnrobust.networks.ball import inner_radius, norms, project, steepest
from nnrobust.threat import DUAL, ORDER, ThreatModel, norm_of

_RHO, _MOMENTUM = 0.75, 0.75
"""Auto-PGD's published share of steps that must raise the objective, and weight of the newest step."""
_STEPS, _FACTORS = (1.0, 1e-5), (0.05, 1e-3)
"""FMN's published step sizes, in L2, and relative changes of epsilon, first and last: each falls along a cosine."""
_LEAST = 1e-6
"""The least that a ball of FMN grows by."""


def cross_entropy(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The cross-entropy of the right output."""
    return F.cross_entropy(logits, targets, reduction="none")


def margin(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The largest other logit minus the right one: positive where the model is fooled. Two classes suffice.

    Source: arXiv 1608.04644, f6 with kappa infinite.
    """
    right = logits.gather(1, targets[:, None])[:, 0]
    return logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1) - right


def logit_ratio(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The difference of logits ratio: `margin` over the distance from the first to the third logit. Three classes at least.

    Source: arXiv 2003.01690, equation 6.
    """
    ordered = logits.sort(dim=1).values
    return margin(logits, targets, aims) / (ordered[:, -1] - ordered[:, -3] + 1e-12)


def targeted_logit_ratio(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The targeted difference of logits ratio. Four classes at least.

    Source: arXiv 2003.01690, equation 7.
    """
    ordered = logits.sort(dim=1).values
    difference = logits.gather(1, aims[:, None])[:, 0] - logits.gather(1, targets[:, None])[:, 0]
    return difference / (ordered[:, -1] - 0.5 * (ordered[:, -3] + ordered[:, -4]) + 1e-12)


def start_noise(ids: Tensor, shape: torch.Size, norm: str, seed: int, restart: int) -> Tensor:
    """Starting directions (n, *shape), scaled to norm 1, on the device of `ids` (n,); seed, id and restart alone decide each."""
    size = int(np.prod(shape))
    rows = np.empty((len(ids), size), dtype=np.float32)
    for row, image_id in zip(rows, ids.tolist(), strict=True):
        generator = np.random.default_rng([seed, restart, image_id])
        noise = generator.uniform(-1, 1, size) if norm == "Linf" else generator.standard_normal(size)
        row[:] = noise / norm_of(noise[None], norm)
    return torch.from_numpy(rows).view(len(ids), *shape).to(ids.device)


def by_apgd(
    victim: Victim, batch: DeviceBatch, threat: ThreatModel, spec: AttackSpec, objective: Objective, n_aims: int = 0
) -> Tensor:
    """Candidates by Auto-PGD, restart after restart, on the images that stand; targeted ones aim at class after class."""
    points, is_fooled = batch.images.clone(), torch.zeros_like(batch.targets, dtype=torch.bool)
    for number, aims in enumerate(_aims(victim, batch, n_aims)):
        for restart in range(number * spec.restarts, (number + 1) * spec.restarts):
            if bool(is_fooled.all()):
                return points
            wanted = torch.ones_like(is_fooled) if victim.traits.depends_on_batch else ~is_fooled
            rows = wanted.nonzero()[:, 0]
            part = replace(batch, aims=aims).take(rows)
            start = start_noise(part.ids, batch.images.shape[1:], threat.norm, spec.seed, restart)
            found, fell = apgd(victim, part, start, threat, spec.steps, objective)
            is_new = ~is_fooled[rows]
            points[rows[is_new]], is_fooled[rows[is_new]] = found[is_new], fell[is_new]
    return points


def _aims(victim: Victim, batch: DeviceBatch, n_aims: int) -> Iterable[Tensor]:
    """The outputs (n,) to aim at, one after the other: the likeliest wrong ones; a placeholder for untargeted attacks."""
    if not n_aims:
        return [batch.targets]
    with torch.no_grad():
        logits = checked_logits(victim.predict, batch.images, batch.networks)
    others = logits.scatter(1, batch.targets[:, None], -torch.inf)
    return list(others.topk(min(n_aims, logits.shape[1] - 1), dim=1).indices.unbind(1))


def apgd(
    victim: Victim, batch: DeviceBatch, noise: Tensor, threat: ThreatModel, steps: int, objective: Objective
) -> tuple[Tensor, Tensor]:
    """Points (n, ...) in ball and box, and which of them fool (n,); where none was found, the point of the highest objective.

    The published schedule. An image leaves the batch once the model itself is fooled, which changes no other image's iterates;
    not so where the model's answers depend on the batch. n steps cost n + 1 forward and n backward passes.
    Source: arXiv 2003.01690, algorithm 1 and section 4; it differs from the published code in that departure, and in one
    forward and one backward pass that no step follows.
    """
    epsilon = inner_radius(threat)
    s = _State(batch, epsilon * noise, epsilon)
    points, is_fooled = s.current.clone(), torch.zeros_like(batch.targets, dtype=torch.bool)
    until_check, shortest, shrink = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    since_check = 0
    for step in range(steps + 1):
        loss, gradient, seems_fooled = victim.evaluate(s.current, s.batch, objective, needs_gradient=step < steps)
        fell = victim.confirmed(s.current, s.batch, seems_fooled) & ~is_fooled[s.rows]
        n_fell = int(fell.sum())
        if n_fell:
            points[s.rows[fell]], is_fooled[s.rows[fell]] = s.current[fell], True
        if step == steps:
            s.note_best(loss)
            break
        if step == 0:
            s.begin(loss, gradient)
        else:
            since_check += 1
            s.record(loss, gradient)
            if since_check == until_check:
                s.check(until_check)
                until_check, since_check = max(until_check - shrink, shortest), 0
        if n_fell and not victim.traits.depends_on_batch:
            s.keep(~fell)
        if len(s.rows) == 0 or (n_fell and bool(is_fooled.all())):
            break
        s.move(threat.norm, _MOMENTUM if step else 1.0)
    standing = ~is_fooled[s.rows]
    points[s.rows[standing]] = s.best[standing]
    return points, is_fooled


class _State:
    """The iterates of Auto-PGD for the images that are not fooled yet; `rows` says which those are."""

    def __init__(self, batch: DeviceBatch, offset: Tensor, epsilon: float) -> None:
        self.batch, self.epsilon = batch, epsilon
        n, device = len(batch.images), batch.images.device
        self.rows = torch.arange(n, device=device)
        self.current = (batch.images + offset).clamp(0, 1)
        self.previous = self.current
        self.step_size = torch.full((n, 1, 1, 1), 2 * epsilon, device=device)
        self.last_loss = torch.zeros(n, device=device)
        self.n_increases = torch.zeros(n, device=device)
        self.was_reduced = torch.ones(n, dtype=torch.bool, device=device)

    def begin(self, loss: Tensor, gradient: Tensor) -> None:
        self.gradient, self.best_gradient, self.best = gradient, gradient, self.current
        self.best_loss, self.best_at_check = loss, loss

    def record(self, loss: Tensor, gradient: Tensor) -> None:
        self.n_increases = self.n_increases + (loss > self.last_loss)
        self.last_loss, self.gradient = loss, gradient
        self.best_gradient = torch.where((loss > self.best_loss).view(-1, 1, 1, 1), gradient, self.best_gradient)
        self.note_best(loss)

    def note_best(self, loss: Tensor) -> None:
        is_better = loss > self.best_loss
        self.best = torch.where(is_better.view(-1, 1, 1, 1), self.current, self.best)
        self.best_loss = torch.where(is_better, loss, self.best_loss)

    def check(self, n_steps: int) -> None:
        """Halves the step, and returns to the best point, where the loss rose too rarely or the last check brought nothing."""
        is_stuck = ~self.was_reduced & (self.best_at_check >= self.best_loss)
        is_reduced = (self.n_increases <= _RHO * n_steps) | is_stuck
        where = is_reduced.view(-1, 1, 1, 1)
        self.step_size = torch.where(where, self.step_size / 2, self.step_size)
        self.current = torch.where(where, self.best, self.current)
        self.gradient = torch.where(where, self.best_gradient, self.gradient)
        self.was_reduced, self.best_at_check = is_reduced, self.best_loss
        self.n_increases = torch.zeros_like(self.n_increases)

    def keep(self, is_kept: Tensor) -> None:
        self.batch = self.batch.take(is_kept)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[is_kept])

    def move(self, norm: str, momentum: float) -> None:
        step = steepest(self.gradient, self.step_size, norm)
        target = project(self.current + step, self.batch.images, self.epsilon, norm)
        moved = self.current + momentum * (target - self.current) + (1 - momentum) * (self.current - self.previous)
        self.previous, self.current = self.current, project(moved, self.batch.images, self.epsilon, norm)


def by_fmn(victim: Victim, batch: DeviceBatch, threat: ThreatModel, spec: AttackSpec) -> Tensor:
    """Candidates by the fast minimum-norm attack: from the image itself, then from random points on the ball's surface."""
    best = batch.images.clone()
    nearest = np.full(len(batch.ids), np.inf)
    for restart in range(spec.restarts):
        start = torch.zeros_like(batch.images)
        if restart:
            start = inner_radius(threat) * start_noise(batch.ids, start.shape[1:], threat.norm, spec.seed, restart)
        found, has_one = fmn(victim, batch, start, threat.norm, spec.steps)
        size = norm_of((found - batch.images).cpu().numpy(), threat.norm)
        is_nearer = has_one.cpu().numpy() & (size < nearest)
        nearest[is_nearer] = size[is_nearer]
        rows = torch.from_numpy(is_nearer).to(best.device)
        best[rows] = found[rows]
    return best


def fmn(victim: Victim, batch: DeviceBatch, start: Tensor, norm: str, steps: int) -> tuple[Tensor, Tensor]:
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
        factor = _cosine(*_FACTORS, step, steps)
        reach = size + value.abs() / norms(gradient, DUAL[norm]).flatten().clamp(min=1e-12)
        outside = torch.where(best_norm < math.inf, epsilon, reach + _LEAST) * (1 + factor)
        epsilon = torch.where(seems_fooled, torch.minimum(epsilon * (1 - factor), best_norm), outside)
        moved = points + steepest(gradient, _cosine(*_STEPS, step, steps), "L2")
        points = project(moved, batch.images, epsilon.view(-1, 1, 1, 1), norm)
    return best, best_norm < math.inf


def _cosine(first: float, last: float, step: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2

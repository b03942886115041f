"""Auto-PGD, for images of one network or of many, on any objective."""

import numpy as np
import torch
from torch import Tensor

from nnrobust.attacks.victim import Batch, Objective, Victim
from nnrobust.networks.ball import inner_radius, project, steepest
from nnrobust.threat import ThreatModel, norm_of

_RHO = 0.75
_MOMENTUM = 0.75


def start_noise(ids: Tensor, shape: torch.Size, norm: str, seed: int, restart: int) -> Tensor:
    """Starting directions (n, *shape), scaled to norm 1, on the device of `ids` (n,); seed, id and restart alone decide each."""
    size = int(np.prod(shape))
    rows = np.empty((len(ids), size), dtype=np.float32)
    for row, image_id in zip(rows, ids.tolist(), strict=True):
        generator = np.random.default_rng([seed, restart, image_id])
        noise = generator.uniform(-1, 1, size) if norm == "Linf" else generator.standard_normal(size)
        row[:] = noise / norm_of(noise[None], norm)
    return torch.from_numpy(rows).view(len(ids), *shape).to(ids.device)


def apgd(
    victim: Victim, batch: Batch, noise: Tensor, threat: ThreatModel, steps: int, objective: Objective
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

    def __init__(self, batch: Batch, offset: Tensor, epsilon: float) -> None:
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
        self.current, self.gradient = (
            torch.where(where, self.best, self.current),
            torch.where(where, self.best_gradient, self.gradient),
        )
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

"""Auto-PGD on the cross-entropy, for images of one network or of many."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel, norm_of

Predictor = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, classes) of images (n, c, h, w), given the network that each image is for (n,)."""
_RHO = 0.75
_MOMENTUM = 0.75


@dataclass(frozen=True)
class Batch:
    """Images (n, c, h, w) in [0, 1], the output that each should have (n,), and its network (n,)."""

    images: Tensor
    targets: Tensor
    networks: Tensor

    def take(self, rows: Tensor) -> "Batch":
        return Batch(self.images[rows], self.targets[rows], self.networks[rows])


def checked_logits(predict: Predictor, images: Tensor, networks: Tensor) -> Tensor:
    """Logits (n, classes), after checking that they are that.

    Raises:
        AttackError: when they have another shape, fewer than two classes, or a value that is not finite: such outputs run
            silently through attacks and look robust.
    """
    logits = predict(images, networks)
    if logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
        raise AttackError(f"expected logits of shape ({len(images)}, classes >= 2), got {tuple(logits.shape)}")
    if not bool(torch.isfinite(logits).all()):
        raise AttackError(
            "expected finite logits, got nan or infinity; the model is broken or was trained to divergence"
        )
    return logits


def start_noise(ids: np.ndarray, shape: torch.Size, norm: str, seed: int, restart: int) -> Tensor:
    """Starting directions (n, *shape), scaled to norm 1; each depends on seed, image id and restart alone."""
    size = int(np.prod(shape))
    rows = []
    for image_id in ids:
        generator = np.random.default_rng([seed, restart, int(image_id)])
        row = generator.uniform(-1, 1, size) if norm == "Linf" else generator.standard_normal(size)
        rows.append((row / norm_of(row[None], norm)).astype(np.float32))
    return torch.from_numpy(np.stack(rows)).view(len(ids), *shape)


def apgd(predict: Predictor, batch: Batch, noise: Tensor, threat: ThreatModel, steps: int) -> tuple[Tensor, Tensor]:
    """Adversarial images (n, ...) in ball and box, and which of them fool their network (n,).

    Auto-PGD on the cross-entropy with the published schedule; an image leaves the batch once it is fooled, which changes no
    other image's iterates. Epsilon is cut by float32's rounding, so that float64 finds every point inside.
    Source: arXiv 2003.01690, algorithm 1 and section 4; it differs from the published code in that departure alone.
    """
    epsilon = threat.epsilon * (1 - 1e-6) - 1.2e-7
    final, is_fooled = batch.images.clone(), torch.zeros_like(batch.targets, dtype=torch.bool)
    s = _State(batch, epsilon * noise, epsilon)
    until_check, shortest, shrink = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    since_check = 0
    for step in range(steps + 1):
        loss, gradient, fell = _evaluate(predict, s, needs_gradient=step < steps)
        if bool(fell.any()):
            final[s.rows[fell]], is_fooled[s.rows[fell]] = s.current[fell], True
        if step == steps or bool(fell.all()):
            break
        if step == 0:
            s.begin(loss, gradient)
        else:
            since_check += 1
            s.record(loss, gradient)
            if since_check == until_check:
                s.check(until_check)
                until_check, since_check = max(until_check - shrink, shortest), 0
        s.keep(~fell)
        s.move(threat.norm, _MOMENTUM if step else 1.0)
    return final, is_fooled


def _evaluate(predict: Predictor, s: "_State", needs_gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, gradients, and which images are fooled, at the current points."""
    with torch.enable_grad():
        points = s.current.detach().requires_grad_(needs_gradient)
        logits = checked_logits(predict, points, s.networks)
        loss = F.cross_entropy(logits, s.targets, reduction="none")
        gradient = torch.autograd.grad(loss.sum(), points)[0] if needs_gradient else torch.empty(0)
    return loss.detach(), gradient, logits.detach().argmax(dim=1) != s.targets


class _State:
    """The iterates of Auto-PGD for the images that are not fooled yet; `rows` says which those are."""

    def __init__(self, batch: Batch, offset: Tensor, epsilon: float) -> None:
        self.images, self.targets, self.networks, self.epsilon = batch.images, batch.targets, batch.networks, epsilon
        images = batch.images
        self.rows = torch.arange(len(images), device=images.device)
        self.current = (images + offset).clamp(0, 1)
        self.previous = self.current
        self.step_size = torch.full((len(images), 1, 1, 1), 2 * epsilon, device=images.device)
        self.last_loss = torch.zeros(len(images), device=images.device)
        self.n_increases = torch.zeros(len(images), device=images.device)
        self.was_reduced = torch.ones(len(images), dtype=torch.bool, device=images.device)

    def begin(self, loss: Tensor, gradient: Tensor) -> None:
        self.gradient, self.best_gradient, self.best = gradient, gradient, self.current
        self.best_loss, self.best_at_check = loss, loss

    def record(self, loss: Tensor, gradient: Tensor) -> None:
        self.n_increases = self.n_increases + (loss > self.last_loss)
        self.last_loss, self.gradient = loss, gradient
        is_better = loss > self.best_loss
        where = is_better.view(-1, 1, 1, 1)
        self.best, self.best_gradient = (
            torch.where(where, self.current, self.best),
            torch.where(where, gradient, self.best_gradient),
        )
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
        if bool(is_kept.all()):
            return
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[is_kept])

    def move(self, norm: str, momentum: float) -> None:
        direction = self.gradient.sign() if norm == "Linf" else _unit(self.gradient)
        target = self._into(self.current + self.step_size * direction, norm)
        moved = self.current + momentum * (target - self.current) + (1 - momentum) * (self.current - self.previous)
        self.previous, self.current = self.current, self._into(moved, norm)

    def _into(self, points: Tensor, norm: str) -> Tensor:
        """The points, moved into ball and box."""
        offset = points - self.images
        if norm == "Linf":
            offset = offset.clamp(-self.epsilon, self.epsilon)
        else:
            offset = _unit(offset) * _l2(offset).clamp(max=self.epsilon)
        return (self.images + offset).clamp(0, 1)


def _l2(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _unit(x: Tensor) -> Tensor:
    return x / (_l2(x) + 1e-12)

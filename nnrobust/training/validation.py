"""Accuracies of networks under training on held-out images: clean, and under PGD of a few steps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnrobust.networks.ball import steepest
from nnrobust.networks.stack import Stack
from nnrobust.training.losses import InnerAttack, pgd

STEPS_TO_THE_EDGE = 4
"""The step size is epsilon over this: 2/255 for 8/255. Source: arXiv 1706.06083."""


@dataclass(frozen=True)
class Validation:
    """PGD of so many steps at `epsilon` by norm, every so many epochs and after the last; `seed` draws its starting points."""

    epsilon: Mapping[str, float]
    steps: int
    every: int
    seed: int

    def is_due(self, epoch: int, n_epochs: int) -> bool:
        """Whether networks are validated after that epoch, counted from 0."""
        return (epoch + 1) % self.every == 0 or epoch + 1 == n_epochs


@dataclass(frozen=True)
class GroupImages:
    """Images of g networks: uint8 pixels (n, c, h, w), positions (g, m) in them, targets (g, m), all on one device."""

    pixels: Tensor
    positions: Tensor
    targets: Tensor

    @classmethod
    def of(cls, pixels: Tensor, positions: list[np.ndarray], targets: list[np.ndarray]) -> "GroupImages":
        """The images at each network's positions (m,), with targets (m,)."""
        return cls(pixels, *(torch.from_numpy(np.stack(rows)).to(pixels.device) for rows in (positions, targets)))

    def __len__(self) -> int:
        """The number of each network's images."""
        return self.positions.shape[1]

    def majority_share(self) -> float:
        """The largest accuracy that one answer for all images reaches in any network's task."""
        counts = torch.stack([torch.bincount(targets, minlength=2).max() for targets in self.targets])
        return float(counts.max()) / len(self)


def accuracies(
    stack: Stack, group: GroupImages, norms: tuple[str, ...], validation: Validation, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Clean accuracy (g,) and robust accuracy (g,), the fraction that no PGD in any of `norms` fools; on the CPU.

    The starting points depend on the seed and on an image's place among the m alone, so networks and epochs compare.
    """
    attacked = stack.folded()
    n_correct, n_robust = (torch.zeros(len(stack), dtype=torch.float64, device=stack.device) for _ in range(2))
    generator = torch.Generator(stack.device).manual_seed(validation.seed)
    for start in range(0, len(group), batch_size):
        images = group.pixels[group.positions[:, start : start + batch_size]].float() / 255
        targets = group.targets[:, start : start + batch_size]
        with torch.no_grad():
            is_robust = attacked.logits(images, training=False).argmax(-1) == targets
        n_correct += is_robust.sum(1)
        for norm in norms:
            epsilon = torch.full((len(stack),), validation.epsilon[norm], device=stack.device)
            attack = InnerAttack(norm, validation.steps, epsilon, epsilon / STEPS_TO_THE_EDGE)
            offset = _inside(images.shape[1:], norm, validation.epsilon[norm], generator)
            adversarial = pgd(attacked, images, targets, (images + offset).clamp(0, 1), attack)
            with torch.no_grad():
                is_robust = is_robust & (attacked.logits(adversarial, training=False).argmax(-1) == targets)
        n_robust += is_robust.sum(1)
    return (n_correct / len(group)).cpu(), (n_robust / len(group)).cpu()


def _inside(shape: torch.Size, norm: str, epsilon: float, generator: torch.Generator) -> Tensor:
    """Random perturbations (n, c, h, w) in the ball: uniform in Linf; in L2 of random direction, and uniform length."""
    if norm == "Linf":
        return epsilon * (2 * torch.rand(shape, generator=generator, device=generator.device) - 1)
    noise = torch.randn(shape, generator=generator, device=generator.device)
    length = epsilon * torch.rand((shape[0], 1, 1, 1), generator=generator, device=generator.device)
    return steepest(noise, length, norm)

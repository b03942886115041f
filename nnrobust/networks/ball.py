"""Balls in Linf and L2 around images (..., c, h, w) in the box [0, 1]: norms, steepest steps, projection."""

import torch
from torch import Tensor

from nnrobust.networks.roots import square_root
from nnrobust.threat import ThreatModel

_AXES = (-3, -2, -1)
_LEAST = 1e-12
"""The least L2 norm that is divided by."""


def norms(x: Tensor, order: float) -> Tensor:
    """Norms (..., 1, 1, 1) of an order: `ORDER` of a norm's name, or `DUAL` for its dual norm."""
    if order == 2:  # `vector_norm` sums in another order, which would change trained networks by rounding.
        return square_root(x.square().sum(dim=_AXES, keepdim=True))
    return torch.linalg.vector_norm(x, ord=order, dim=_AXES, keepdim=True)


def steepest(gradient: Tensor, length: Tensor | float, norm: str) -> Tensor:
    """The perturbations of norm `length` that raise a function of this gradient most; 0 where the gradient is."""
    if norm == "Linf":
        return length * gradient.sign()
    return length * gradient / norms(gradient, 2).clamp(min=_LEAST)


def project(points: Tensor, images: Tensor, epsilon: Tensor | float, norm: str) -> Tensor:
    """The points, moved into the balls of radius `epsilon` around the images, then into the box."""
    if norm == "Linf":
        return torch.maximum(torch.minimum(points, images + epsilon), images - epsilon).clamp(0, 1)
    offset = points - images
    return (images + offset * (epsilon / norms(offset, 2).clamp(min=_LEAST)).clamp(max=1)).clamp(0, 1)


def inner_radius(threat: ThreatModel) -> float:
    """Epsilon less float32's rounding, so that float64 finds every point inside the ball."""
    return threat.epsilon * (1 - 1e-6) - 1.2e-7

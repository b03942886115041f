"""The point of a half-space within a box that is nearest to the origin: what every lower bound of a radius comes down to."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nnrobust.threat import DUAL, ORDER

Box = tuple[Tensor, Tensor]
"""The lowest (n, d) and the highest (n, d) values that coordinates may take; the origin lies between, sides included."""


@dataclass(frozen=True)
class Adversary:
    """What a perturbation v of a query x may be: small in `norm`, and x + v in the box [low, high], if there is one."""

    norm: str = "L2"
    box: tuple[float, float] | None = None

    def room(self, x: Tensor) -> Box | None:
        """The lowest and the highest v for queries x (m, d)."""
        return None if self.box is None else (self.box[0] - x, self.box[1] - x)


UNBOXED = Adversary()


def nearest_points(normals: Tensor, depths: Tensor, norm: str, box: Box | None) -> tuple[Tensor, Tensor]:
    """The smallest norm (n,) of a v with g.v <= -c and low <= v <= high, and such a v (n, d), in float64.

    The norm is 0 where c <= 0, infinity where there is no such v (and v then the corner of the box that comes nearest to it).
    Without a box it is c / ||g||_q, q dual to `norm`. Within one, v goes against g until the box stops it, coordinate by
    coordinate, and how far it must go is found by sorting where that happens.

    Args:
        normals: g (n, d).
        depths: c (n,).
    """
    weights, depths = normals.abs(), depths.clamp(min=0)
    if box is None:
        size = distance(normals, depths, norm, None)
        return size, -normals.sign() * _along(weights, norm) * size[:, None].nan_to_num(posinf=0.0)
    caps = torch.where(normals < 0, box[1], -box[0])
    if norm == "L1":
        lengths = _heaviest_first(weights, caps, depths)
    else:
        rates = weights if norm == "L2" else torch.ones_like(weights)
        lengths = torch.minimum(_level(weights, rates, caps, depths)[:, None] * rates, caps)
    is_reached = torch.linalg.vecdot(weights, caps) >= depths
    size = torch.linalg.vector_norm(lengths, ORDER[norm], dim=1)
    return torch.where(is_reached, size, torch.inf), -normals.sign() * lengths


def distance(normals: Tensor, depths: Tensor, norm: str, box: Box | None) -> Tensor:
    """The norm that `nearest_points` returns."""
    if box is not None:
        return nearest_points(normals, depths, norm, box)[0]
    return torch.where(depths > 0, depths / torch.linalg.vector_norm(normals, DUAL[norm], dim=1), 0.0)


def _along(weights: Tensor, norm: str) -> Tensor:
    """The vector of norm 1 that has the largest product with each of `weights` (n, d)."""
    if norm == "L1":
        return torch.zeros_like(weights).scatter(1, weights.argmax(dim=1, keepdim=True), 1.0)
    return torch.ones_like(weights) if norm == "Linf" else torch.nn.functional.normalize(weights, dim=1, eps=1e-300)


def _level(weights: Tensor, rates: Tensor, caps: Tensor, depths: Tensor) -> Tensor:
    """The smallest s (n,) with sum_l weights_l min(s rates_l, caps_l) = depth; that of the last cap where the sum stays below."""
    ends, order = torch.where(weights > 0, caps / rates, 0.0).sort(dim=1)
    filled = (weights * caps).gather(1, order).cumsum(dim=1)
    filled = torch.cat([torch.zeros_like(filled[:, :1]), filled[:, :-1]], dim=1)
    # Summed from the far end, where few terms remain, so that no difference of large sums is taken.
    growth = (weights * rates).gather(1, order).flip(1).cumsum(dim=1).flip(1)
    place = (filled + ends * growth < depths[:, None]).sum(dim=1, keepdim=True).clamp(max=ends.shape[1] - 1)
    level = (depths[:, None] - filled.gather(1, place)) / growth.gather(1, place)
    return torch.minimum(level.nan_to_num(nan=0.0), ends[:, -1:]).clamp(min=0)[:, 0]


def _heaviest_first(weights: Tensor, caps: Tensor, depths: Tensor) -> Tensor:
    """The lengths (n, d) within caps, of smallest sum, with sum_l weights_l lengths_l = depth; caps where these fall short."""
    heavy, order = weights.sort(dim=1, descending=True)
    caps = caps.gather(1, order)
    gained = (heavy * caps).cumsum(dim=1)
    before = torch.cat([torch.zeros_like(gained[:, :1]), gained[:, :-1]], dim=1)
    missing = (depths[:, None] - before).clamp(min=0) / heavy
    return torch.zeros_like(weights).scatter(
        1, order, torch.minimum(missing.nan_to_num(nan=0.0, posinf=torch.inf), caps)
    )

"""The point of a half-space within a box that is nearest to the origin: what every lower bound of a radius comes down to."""

from dataclasses import dataclass

import numpy as np

from nnrobust.threat import DUAL, ORDER, norm_of

Side = float | tuple[float, ...]
"""A side of a box, for all features or for each of d."""
Box = tuple[np.ndarray, np.ndarray]
"""The lowest (n, d) and the highest (n, d) values that coordinates may take; the origin lies between, sides included."""


@dataclass(frozen=True)
class Adversary:
    """Limits of a perturbation v of a query x: small in `norm`, and x + v in the box [low, high], if there is one.

    `weights` (d,): the norm is that of v / weights, and a feature whose weight is 0 may not change. None: all are 1.
    """

    norm: str = "L2"
    box: tuple[Side, Side] | None = None
    weights: tuple[float, ...] | None = None

    def room(self, x: np.ndarray) -> Box | None:
        """The lowest and the highest v / weights for queries x (m, d), 0 for features that may not change."""
        if self.box is None:
            return None
        low, high = (np.asarray(side) - x for side in self.box)
        return (low, high) if self.weights is None else (self.weighed(low), self.weighed(high))

    def weighed(self, v: np.ndarray) -> np.ndarray:
        """v / weights (m, d), 0 for features that may not change."""
        if self.weights is None:
            return v
        weights = np.array(self.weights)
        return np.where(weights > 0, v / np.where(weights > 0, weights, 1.0), 0.0)

    def sizes(self, v: np.ndarray) -> np.ndarray:
        """The norms (m,) of perturbations v (m, d), infinite where a feature changes that may not."""
        if self.weights is None:
            return norm_of(v, self.norm)
        is_free = np.array(self.weights) > 0
        return np.where(np.any(v[:, ~is_free] != 0, axis=1), np.inf, norm_of(self.weighed(v), self.norm))

    def in_units(self, unit: float) -> "Adversary":
        """The same for points divided by `unit`."""
        if self.box is None or unit == 1:
            return self
        low, high = (_side(np.asarray(side) / unit) for side in self.box)
        return Adversary(self.norm, (low, high), self.weights)


def _side(values: np.ndarray) -> Side:
    return values.item() if values.ndim == 0 else tuple(values.tolist())


UNBOXED = Adversary()


@np.errstate(all="ignore")
def distance_and_point(
    normals: np.ndarray, depths: np.ndarray, norm: str, box: Box | None
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest norm (n,) of a v with g.v <= -c and low <= v <= high, and such a v (n, d), in float64.

    The norm is 0 where c <= 0, infinity where there is no such v (and v then the corner of the box that comes nearest to it).
    Without a box it is c / ||g||_q, q dual to `norm`. Within one, v goes against g until the box stops it, coordinate by
    coordinate, and how far it must go is found by sorting where that happens.

    Args:
        normals: g (n, d).
        depths: c (n,).
    """
    weights, depths = np.abs(normals), np.maximum(depths, 0)
    if box is None:
        size = distance(normals, depths, norm, None)
        return size, -np.sign(normals) * _along(weights, norm) * np.where(np.isfinite(size), size, 0.0)[:, None]
    # Where a box has no side, a coordinate that gains nothing must not count as nothing times infinity.
    caps = np.where(weights > 0, np.where(normals < 0, box[1], -box[0]), 0.0)
    if norm == "L1":
        lengths = _heaviest_first(weights, caps, depths)
    else:
        rates = weights if norm == "L2" else np.ones_like(weights)
        lengths = np.minimum(_level(weights, rates, caps, depths)[:, None] * rates, caps)
    is_reached = np.vecdot(weights, caps) >= depths
    size = np.linalg.norm(lengths, ORDER[norm], axis=1)
    return np.where(is_reached, size, np.inf), -np.sign(normals) * lengths


@np.errstate(all="ignore")
def distance(normals: np.ndarray, depths: np.ndarray, norm: str, box: Box | None) -> np.ndarray:
    """The norm that `distance_and_point` returns."""
    if box is not None:
        return distance_and_point(normals, depths, norm, box)[0]
    return np.where(depths > 0, depths / np.linalg.norm(normals, DUAL[norm], axis=1), 0.0)


def _along(weights: np.ndarray, norm: str) -> np.ndarray:
    """The vector of norm 1 that has the largest product with each of `weights` (n, d)."""
    if norm == "L1":
        along = np.zeros_like(weights)
        np.put_along_axis(along, weights.argmax(axis=1, keepdims=True), 1.0, axis=1)
        return along
    if norm == "Linf":
        return np.ones_like(weights)
    return weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-300)


def _level(weights: np.ndarray, rates: np.ndarray, caps: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """The smallest s (n,) with sum_l weights_l min(s rates_l, caps_l) = depth; that of the last cap where the sum stays below."""
    ends = np.where(weights > 0, caps / rates, 0.0)
    order = ends.argsort(axis=1)
    ends, weights, rates, caps = (np.take_along_axis(part, order, axis=1) for part in (ends, weights, rates, caps))
    filled = (weights * caps).cumsum(axis=1)
    filled = np.concatenate([np.zeros_like(filled[:, :1]), filled[:, :-1]], axis=1)
    # Summed from the far end, where few terms remain, so that no difference of large sums is taken.
    growth = (weights * rates)[:, ::-1].cumsum(axis=1)[:, ::-1]
    place = np.minimum((filled + ends * growth < depths[:, None]).sum(axis=1), ends.shape[1] - 1)
    rows = np.arange(len(ends))
    level = (depths - filled[rows, place]) / growth[rows, place]
    return np.maximum(np.minimum(np.where(np.isnan(level), 0.0, level), ends[:, -1]), 0)


def _heaviest_first(weights: np.ndarray, caps: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """The lengths (n, d) within caps, of smallest sum, with sum_l weights_l lengths_l = depth; caps where these fall short."""
    order = (-weights).argsort(axis=1)
    heavy, caps = (np.take_along_axis(part, order, axis=1) for part in (weights, caps))
    gained = (heavy * caps).cumsum(axis=1)
    before = np.concatenate([np.zeros_like(gained[:, :1]), gained[:, :-1]], axis=1)
    missing = np.maximum(depths[:, None] - before, 0) / heavy
    lengths = np.empty_like(weights)
    np.put_along_axis(lengths, order, np.minimum(np.where(np.isnan(missing), 0.0, missing), caps), axis=1)
    return lengths

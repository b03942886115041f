"""Distances and bounds that hold in float64, every rounding error on the safe side: what `checker` decides by."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.threat import DUAL

if TYPE_CHECKING:
    from nnrobust.nearest.proofs.proof import Certificate

_UNIT = 2.0**-53
"""The largest relative error of rounding to float64."""
ROUNDING = 64 * _UNIT
"""More than the relative error of a sum that NumPy takes pairwise in float64, and of each of its terms."""
TINY = 1e-140
"""A length of which nothing is claimed: squares of such coordinates lose digits."""
_AT_ONCE = 512
"""References whose float64 copies are held at once."""


@dataclass(frozen=True)
class Classifier:
    """References (n, k) with labels (n,), and the map (k, d) or none, and their digest; `largest`: of all coordinates."""

    references: np.ndarray
    labels: np.ndarray
    metric: np.ndarray | None
    digest: str
    largest: float
    scale: float = 1.0

    @classmethod
    def of(cls, one: "Certificate") -> "Classifier | None":
        """That of a certificate, if all its numbers are finite, and there is a label for each reference."""
        points, metric = one.references, one.metric
        if (
            points.ndim != 2
            or points.size == 0
            or points.dtype.kind not in "fiu"
            or one.labels.shape != points.shape[:1]
        ):
            return None
        if metric is not None and not (
            metric.ndim == 2 and len(metric) == points.shape[1] and np.isfinite(metric).all()
        ):
            return None
        found = cls.unchecked(one)
        return replace(found, digest=one.digest_now()) if np.isfinite(found.largest) else None

    @classmethod
    def unchecked(cls, one: "Certificate") -> "Classifier":
        """That of a certificate, taken at its word."""
        largest = max(float(one.references.max()), -float(one.references.min()))
        return cls(one.references, one.labels, one.metric, one.digest, largest)

    @property
    def n_features(self) -> int:
        return self.references.shape[1] if self.metric is None else self.metric.shape[1]

    def exactly(self, positions: np.ndarray) -> np.ndarray:
        """References in float64, times the scale, which is a power of two."""
        points: np.ndarray = self.references[positions].astype(np.float64)
        return points if self.scale == 1 else points * self.scale

    def squared_distances(self, point: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Squared distances, float64 (p,), from one point to references at positions (p,)."""
        found = np.empty(len(positions))
        for start in range(0, len(positions), _AT_ONCE):
            difference = self.exactly(positions[start : start + _AT_ONCE]) - point
            found[start : start + _AT_ONCE] = np.square(difference, out=difference).sum(axis=1)
        return found


@dataclass(frozen=True)
class Place:
    """Where a query (d,) is, in the image of the map (k,), and a bound on its l2 error."""

    query: np.ndarray
    point: np.ndarray
    error: float

    @classmethod
    def of(cls, query: np.ndarray, metric: np.ndarray | None) -> "Place":
        if metric is None:
            return cls(query, query, 0.0)
        error = ROUNDING * np.linalg.norm(np.abs(metric) @ np.abs(query))
        return cls(query, (metric * query).sum(axis=1), float(error))


def products(points: np.ndarray, classifier: Classifier, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (m, p) from points (m, k) to references, by products, and bounds on their errors.

    |p|^2 + |x|^2 - 2 p.x about the first point, so that data far from the origin loses nothing; the error is that of
    `References.error`, in float64.
    """
    points, centre = points - points[0], points[0]
    squares, slack = np.vecdot(points, points)[:, None], (points.shape[1] + 16) * _UNIT
    squared, errors = np.empty((len(points), len(positions))), np.empty((len(points), len(positions)))
    for start in range(0, len(positions), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        references = classifier.exactly(positions[part]) - centre
        lengths = np.vecdot(references, references)
        squared[:, part] = squares + lengths - 2 * (points @ references.T)
        errors[:, part] = slack * (np.sqrt(squares) + np.sqrt(lengths)) ** 2 + TINY**2
    return squared, errors


def bisectors(
    adversary: Adversary, classifier: Classifier, place: Place, i: int, rivals: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(d_j^2 - d_i^2) / (2 ||a||_q), rounded down, a the normal of reference i and each of the rivals, with their d_j^2.

    In a box only coordinates of a count that the query may go against: no other move brings it nearer to the rival.
    """
    (others, squared), metric, order = rivals, classifier.metric, DUAL[adversary.norm]
    weights = np.ones(1) if adversary.weights is None else np.array(adversary.weights)
    own = np.array([i])
    falls, rises = _may_change(adversary, place.query)
    x_i, nearest = classifier.exactly(own), classifier.squared_distances(place.point, own)[0]
    gap = squared - nearest - ROUNDING * (squared + nearest)
    between, is_same = np.empty(len(others)), np.zeros(len(others), dtype=bool)
    for start in range(0, len(others), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        ways = classifier.exactly(others[part]) - x_i
        normals = (ways if metric is None else ways @ metric) * weights
        between[part] = np.linalg.norm(np.where(normals > 0, normals * rises, normals * falls), ord=order, axis=1)
        if metric is None:
            is_same[part] = ~np.any(((ways > 0) & rises) | ((ways < 0) & falls), axis=1)
        if metric is not None:
            gap[part] -= 2 * place.error * _lengths(ways)
            between[part] += np.abs(ways) @ (
                _of_product(len(metric)) * np.linalg.norm(metric * weights, ord=order, axis=1)
            )
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.where(between > TINY, gap / (2 * between * (1 + ROUNDING)), -np.inf)
    # Where no feature tells the two apart that may change so, the farther one never wins.
    return np.where(is_same & (gap > 0), np.inf, bounds)


def _may_change(adversary: Adversary, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which features (d,) may fall, and which may rise."""
    is_free = np.ones(len(query), dtype=bool) if adversary.weights is None else np.array(adversary.weights) > 0
    if adversary.box is None:
        return is_free, is_free
    low, high = adversary.box
    return is_free & (query > low), is_free & (query < high)


def weighed(one: "Certificate", classifier: Classifier, place: Place, j: int) -> float:
    """The distance of the half-space that the multipliers of j make, rounded down."""
    (own, weights), rival, metric = one.multipliers[j], np.array([j]), classifier.metric
    ways = classifier.exactly(own) - classifier.exactly(rival)
    normals = ways if metric is None else ways @ metric
    d_i, d_j = (classifier.squared_distances(place.point, part) for part in (own, rival))
    depth = weights @ (d_j - d_i) / 2 - ROUNDING * (weights @ (d_j + d_i))
    combined, error = weights @ normals, ROUNDING * (weights @ np.abs(normals))
    if metric is not None:
        depth -= place.error * (weights @ _lengths(ways))
        error += _of_product(len(metric)) * ((weights @ np.abs(ways)) @ np.abs(metric))
    return half_space(one.adversary, one.query, (combined, error), float(depth))


def half_space(adversary: Adversary, query: np.ndarray, normal: tuple[np.ndarray, np.ndarray], depth: float) -> float:
    """The distance of {v : g.v <= -depth}, rounded down, for every normal g (d,) that is within an error (d,) of one."""
    combined, error = normal
    units = None if adversary.weights is None else np.array(adversary.weights)
    if units is not None:
        combined, error = combined * units, error * units * (1 + ROUNDING)
    combined = combined + np.copysign(error, combined)
    if not np.abs(combined).max() > TINY:
        return 0.0
    room = adversary.room(query[None])
    if room is not None:
        if units is not None:
            room = room[0] * (1 + ROUNDING), room[1] * (1 + ROUNDING)
        # Where rounding hides the sign of a coordinate, it may go as far as either side of the box allows.
        is_hidden = (np.abs(combined) <= 2 * error)[None]
        reach = np.maximum(-room[0], room[1])
        room = np.where(is_hidden, -reach, room[0]), np.where(is_hidden, reach, room[1])
    distance = halfspace.distance(combined[None], np.array([depth]), adversary.norm, room)[0]
    return float(distance) * (1 - ROUNDING * len(query))


def _of_product(n: int) -> float:
    """More than the error of a sum of n products in any order, relative to the sum of their absolute values."""
    return (n + 8) * _UNIT


def _lengths(ways: np.ndarray) -> np.ndarray:
    """The l2 norms (n,), rounded up."""
    lengths: np.ndarray = np.linalg.norm(ways, axis=1) * (1 + ROUNDING)
    return lengths

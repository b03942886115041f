"""The nearest point at which some references are no farther than others: one query, in any norm, in a box.

A pair (near, far) holds at x + v where x_near is no farther than x_far: in the half-space a.v <= b with a = x_far - x_near
and b = (||x_far - x||^2 - ||x_near - x||^2) / 2. A problem is the smallest v that a few pairs leave. Its multipliers make one
half-space of all of them, whose distance is a lower bound, whoever proposed them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.optimize import nnls

from nnrobust.nearest.convex.careful import solve_with_care
from nnrobust.nearest.convex.polytopes import multipliers_and_points
from nnrobust.nearest.convex.problems import FEW_DIMENSIONS
from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.rigorous import ROUNDING, half_space
from nnrobust.threat import DUAL, ORDER

Pairs = tuple[tuple[int, int], ...]
"""Places of a near and a far reference each."""
_OF_SLACK, _OF_WAY = 3e-9, 1e-8
"""How far a point stays inside its pairs: no more than this part of what it can, or of the way to the farthest plane."""
_OF_DEPTH = 2e-14
"""What `voting_checker` takes off a depth for rounding, relative to the squared distances in it."""
_MET = 1e-12
"""How far beyond a pair, relative to the squared distances, a point is taken to be on it."""
_LOOSE = 1e-7
"""Relative difference of a point's norm and its bound beyond which a problem is solved once more, with care."""
_IN_SPAN = 1e-14
"""What rounding leaves of a way in the span of others, relative to it."""
_ACROSS = 0.01
"""What is left, at the least, of a direction of length 1 that is across a basis."""
_NOTHING = 1e-12
"""What is left of an infeasible problem's sum."""


@dataclass(frozen=True)
class Found:
    """The solution of one problem: multipliers (p,), their lower bound, a point v (d,), squared distances there (l,)."""

    weights: np.ndarray
    bound: float
    point: np.ndarray
    squared: np.ndarray


class Local:
    """The references that the problems of one query are about; a place is their number here.

    `positions`: where each is in the field. `ways` (l, d): x_r - x, `squared` (l,) their squared lengths. `coordinates` (l, r):
    the ways in an orthonormal basis (r, d) of their span, or the ways themselves where there are as few dimensions.
    """

    def __init__(self, x: np.ndarray, adversary: Adversary) -> None:
        self.x, self.adversary, self.room = x, adversary, adversary.room(x[None])
        self.is_plain = adversary.norm == "L2" and self.room is None
        self.positions: list[int] = []
        self.places: dict[int, int] = {}
        self.ways, self.squared = np.empty((0, len(x))), np.empty(0)
        self.basis = np.eye(len(x)) if len(x) <= FEW_DIMENSIONS // 4 else np.empty((0, len(x)))
        self.coordinates = np.empty((0, len(self.basis)))

    def add(self, positions: list[int], points: np.ndarray) -> None:
        """Takes in references (p, d) at new positions of the field."""
        for position in positions:
            self.places[position] = len(self.positions)
            self.positions.append(position)
        ways = points - self.x
        self.ways = np.concatenate([self.ways, ways])
        self.squared = np.concatenate([self.squared, np.square(ways).sum(axis=1)])
        if len(self.basis) < len(self.x):
            self.basis = _widened(self.basis, ways)
        self.coordinates = self.ways @ self.basis.T

    def bisectors(self, near: int, fars: np.ndarray) -> np.ndarray:
        """Lower bounds (f,) of the distance at which one reference is no farther than each of the `fars`, rounded down."""
        ways = self.coordinates if self.adversary.norm == "L2" else self.ways
        return self._bisectors((self.squared[near], ways[near]), (self.squared[fars], ways[fars]))

    def bounds(self, points: np.ndarray, fars: np.ndarray) -> np.ndarray:
        """The same (p, f) for points (p, d)."""
        ways = points - self.x
        squared = np.square(ways).sum(axis=1)
        return self._bisectors((squared[:, None], ways[:, None]), (self.squared[fars], self.ways[fars]))

    def _bisectors(self, near: tuple[np.ndarray, np.ndarray], far: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        gaps = near[0] - far[0] - _OF_DEPTH * (near[0] + far[0])
        lengths = np.linalg.norm(far[1] - near[1], DUAL[self.adversary.norm], axis=-1) * (1 + _MET)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(lengths > 0, gaps / (2 * lengths), -np.inf)

    def solve(self, pairs: Pairs, ceiling: float) -> Found:
        """The smallest v that the pairs leave; only a bound, where that reaches the ceiling before."""
        if not pairs:
            return Found(np.empty(0), 0.0, np.zeros_like(self.x), self.squared)
        near, far = np.array(pairs).T
        a = self.coordinates[far] - self.coordinates[near]
        lengths = np.sqrt(np.square(a).sum(axis=1))
        lengths = np.where(lengths > 0, lengths, 1.0)
        limits = (self.squared[far] - self.squared[near]) / 2
        farthest = max(float((-limits / lengths).max()), 0.0)
        inner = limits - np.minimum(_OF_SLACK / 2 * lengths**2, _OF_WAY * farthest * lengths)
        found = self._solve((near, far), (a, lengths), limits, inner, ceiling)
        if found.bound >= ceiling or self.size(found.point) <= found.bound * (1 + _LOOSE):
            return found
        # There may be no point inside the pairs, and one where their planes meet.
        again = self._solve((near, far), (a, lengths), limits, limits, ceiling)
        return again if again.bound >= found.bound else found

    def _solve(
        self,
        pair: tuple[np.ndarray, np.ndarray],
        normals: tuple[np.ndarray, np.ndarray],
        limits: np.ndarray,
        inner: np.ndarray,
        ceiling: float,
    ) -> Found:
        """The point that inner limits leave, and the bound of its multipliers with the limits as they are."""
        (near, far), (a, lengths) = pair, normals
        weights = _multipliers(a / lengths[:, None], inner / lengths) / lengths
        if not self.is_plain:
            return self._in_norm(pair, limits, inner, weights, ceiling)
        lost = _OF_DEPTH * (weights @ (self.squared[far] + self.squared[near]))
        depth, combined = max(float(-weights @ limits - lost), 0.0), weights @ a
        length = float(np.sqrt(combined @ combined)) + ROUNDING * float(weights @ lengths)
        bound = depth / length if length > 0 else 0.0
        return Found(weights, bound, -combined, self._squared_at(-combined, self.coordinates))

    def moved(self, found: Found) -> np.ndarray:
        """The v (d,) of a solution, in the box."""
        v = found.point @ self.basis if self.is_plain and len(found.point) == len(self.basis) else found.point
        return v if self.room is None else np.clip(v, self.room[0][0], self.room[1][0])

    def size(self, v: np.ndarray) -> float:
        """The norm of v (d,)."""
        return float(np.linalg.norm(v, ORDER[self.adversary.norm]))

    def _squared_at(self, v: np.ndarray, ways: np.ndarray) -> np.ndarray:
        squared: np.ndarray = self.squared - 2 * (ways @ v) + v @ v
        return squared

    def _in_norm(
        self,
        pair: tuple[np.ndarray, np.ndarray],
        limits: np.ndarray,
        inner: np.ndarray,
        weights: np.ndarray,
        ceiling: float,
    ) -> Found:
        """The same in the adversary's norm and box: from the multipliers in l2, and where these do not suffice by a solver."""
        near, far = pair
        a, norm, room = self.ways[far] - self.ways[near], self.adversary.norm, self.room

        def found(weights: np.ndarray, point: np.ndarray | None) -> Found:
            lost = _OF_DEPTH * (weights @ (self.squared[far] + self.squared[near]))
            normal, error = weights @ a, ROUNDING * (weights @ np.abs(a))
            bound = half_space(self.adversary, self.x, (normal, error), float(-weights @ limits - lost))
            if point is None:
                point = halfspace.distance_and_point(normal[None], np.array([-weights @ inner]), norm, room)[1][0]
            return Found(weights, bound, point, self._squared_at(point, self.ways))

        first = found(weights, None)
        scale = self.squared.max()
        is_met = (first.squared[near] - first.squared[far]).max() <= _MET * scale
        if is_met or not first.bound < ceiling or not weights.any():
            return first
        with np.errstate(all="ignore"):
            multipliers, points = multipliers_and_points(a[None], inner[None], norm, room, weights[None])
        second = found(np.nan_to_num(multipliers[0]), np.nan_to_num(points[0]))
        is_met = (second.squared[near] - second.squared[far]).max() <= _MET * scale
        if not (is_met and self.size(second.point) <= second.bound * (1 + _LOOSE)) and len(self.x) <= FEW_DIMENSIONS:
            sides = None if room is None else (room[0][0], room[1][0])
            multipliers, point = solve_with_care(a, inner, norm, sides)
            third = found(multipliers, second.point if np.isnan(point).any() else point)
            second = (
                third
                if third.bound >= second.bound
                else Found(second.weights, second.bound, third.point, third.squared)
            )
        return (
            second if second.bound >= first.bound else Found(first.weights, first.bound, second.point, second.squared)
        )


def _widened(basis: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """An orthonormal basis (r, d) with the directions of ways (p, d) that are not in its span, as far as there are any."""
    lengths = np.sqrt(np.vecdot(ways, ways))
    rest = ways[lengths > 0] / lengths[lengths > 0, None]
    rest = rest - (rest @ basis.T) @ basis
    directions, sizes, _ = qr(rest.T, mode="economic", pivoting=True, check_finite=False)
    rest = directions.T[np.abs(np.diag(sizes)) > _IN_SPAN]
    # Of what is nearly in the span, rounding has made much of the direction: once more.
    directions, sizes = np.linalg.qr((rest - (rest @ basis.T) @ basis).T)
    return np.concatenate([basis, directions.T[np.abs(np.diag(sizes)) > _ACROSS]])


def _multipliers(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multipliers (p,) of the point nearest to the origin in {v : a v <= b}, rows of unit length; a proof where there is none.

    Source: C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), chapter 23: NNLS and its use for LDP.
    """
    scale = max(float(np.abs(b).max()), 1e-300)
    goal = np.zeros(a.shape[1] + 1)
    goal[-1] = -1.0
    try:
        u, _ = nnls(np.concatenate([a.T, b[None] / scale]), goal)
    except RuntimeError:  # it did not end: no multipliers prove nothing
        return np.zeros(len(a))
    total = 1 + float(b @ u) / scale
    multipliers: np.ndarray = u * (scale / total if total > _NOTHING else 1.0)
    return multipliers

"""The problems of one other-class reference each: the way to the nearest point that it wins, by proposal and by solution."""

from dataclasses import dataclass

import numpy as np

from nnrobust.nearest import halfspace, least_norm, quadratic
from nnrobust.nearest.halfspace import Adversary
from nnrobust.nearest.systems import diagonals
from nnrobust.threat import DUAL

_OF_SLACK, _OF_WAY = 3e-9, 1e-8
"""How far a solution stays inside its polytope: no more than this part of the slack that x_j has, or of the way to the farthest
plane, a million times what float64 errs by on images."""
_AT_ONCE = 64
"""Problems whose normals are held at once (64 x 16 x 3,072 values)."""


@dataclass(frozen=True)
class Solution:
    """Multipliers (n, p), their lower bounds (n,) of the radii, and points v (n, d), of n problems.

    `is_final` (n,): the point meets all constraints, as far as the method could. `is_sound` (n,): no numerical failure.
    """

    multipliers: np.ndarray
    bounds: np.ndarray
    points: np.ndarray
    is_final: np.ndarray
    is_sound: np.ndarray


@dataclass(frozen=True)
class Problems:
    """n problems: least ||v|| with a_i.v <= b_i for p own-class references i each, a_i = x_i - x_j, b_i = `limits`.

    `offsets` (n, p, d) holds x_i - x, `towards` (n, d) x_j - x; `gram` (n, p, p) the a_i.a_k. Constraints that are not `is_used`
    (n, p), among them those of an x_i that equals x_j, have a unit gram matrix and a limit of 1, which nothing violates.
    """

    offsets: np.ndarray
    towards: np.ndarray
    gram: np.ndarray
    limits: np.ndarray
    is_used: np.ndarray

    @classmethod
    def of(
        cls, offsets: np.ndarray, squared: np.ndarray, own_gram: np.ndarray, is_used: np.ndarray, towards: np.ndarray
    ) -> "Problems":
        """From the squared lengths (n, p) of the offsets and their inner products (n, p, p)."""
        length = np.vecdot(towards, towards)
        products = np.matvec(offsets, towards)
        gram = own_gram - products[:, :, None] - products[:, None] + length[:, None, None]
        is_used = is_used & (diagonals(gram) > 0)
        gram = np.where(is_used[:, :, None] & is_used[:, None], gram, 0.0)
        diagonals(gram)[:] += ~is_used
        return cls(offsets, towards, gram, np.where(is_used, (squared - length[:, None]) / 2, 1.0), is_used)

    @property
    def inner_limits(self) -> np.ndarray:
        """Limits a little lower, such that x_j wins by more than rounding where they are met.

        x_j itself meets them all, and they are lower by little next to the distance of the farthest plane.
        """
        squared = diagonals(self.gram)
        lengths = np.sqrt(squared)
        farthest = np.maximum((-self.limits / lengths).max(axis=1, keepdims=True), 0)
        return self.limits - np.minimum(_OF_SLACK / 2 * squared, _OF_WAY * farthest * lengths)

    def take(self, rows: slice) -> "Problems":
        parts = (self.offsets, self.towards, self.gram, self.limits, self.is_used)
        return Problems(*(part[rows] for part in parts))

    def combined(self, multipliers: np.ndarray) -> np.ndarray:
        """sum_i multipliers_i a_i (n, d)."""
        return np.vecmat(multipliers, self.offsets) - multipliers.sum(axis=1, keepdims=True) * self.towards

    def normals(self) -> np.ndarray:
        """a_i (n, p, d), 0 where a constraint is not used."""
        return np.where(self.is_used[:, :, None], self.offsets - self.towards[:, None], 0.0)

    def bisectors(self, norm: str) -> np.ndarray:
        """The best bound (n,) that one own-class reference gives, max_i -b_i / ||a_i||_q with q dual to `norm`."""
        if norm == "L2":
            lengths = np.sqrt(diagonals(self.gram))
        else:
            parts = [self.take(slice(b, b + _AT_ONCE)).normals() for b in range(0, len(self.limits), _AT_ONCE)]
            lengths = np.concatenate([np.linalg.norm(part, DUAL[norm], axis=2) for part in parts])
        return np.maximum(np.where(self.is_used, -self.limits / lengths, 0.0).max(axis=1), 0)


def propose(problems: Problems, adversary: Adversary, room: halfspace.Box | None) -> Solution:
    """The solutions in l2 without a box, and what their multipliers say about the adversary's problem.

    The multipliers make one half-space out of all constraints; its nearest point within the box is the solution, if it happens to
    meet the constraints, and its distance is a lower bound in any case.
    """
    multipliers, is_sound = quadratic.nearest_points(problems.gram, problems.inner_limits)
    combined = problems.combined(multipliers)
    depths = -np.vecdot(multipliers, problems.limits)
    if adversary.norm == "L2" and room is None:
        bounds = halfspace.distance(combined, depths, "L2", None)
        return Solution(multipliers, bounds, -combined, np.ones_like(is_sound), is_sound)
    inner = -np.vecdot(multipliers, problems.inner_limits)
    bounds = halfspace.distance(combined, depths, adversary.norm, room)
    _, points = halfspace.nearest_points(combined, inner, adversary.norm, room)
    products = np.matvec(problems.offsets, points) - np.vecdot(problems.towards, points)[:, None]
    is_final = np.all(np.where(problems.is_used, products - problems.limits, -1.0) <= 0, axis=1)
    return Solution(multipliers, bounds, points, is_final, is_sound)


def solve(problems: Problems, adversary: Adversary, room: halfspace.Box | None, multipliers: np.ndarray) -> Solution:
    """The solutions of the adversary's problems, from the multipliers of the proposals on."""
    parts = []
    for start in range(0, len(multipliers), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        part, box = problems.take(rows), None if room is None else (room[0][rows], room[1][rows])
        found, points = least_norm.nearest_points(
            part.normals(), part.inner_limits, adversary.norm, box, multipliers[rows]
        )
        found = np.where(part.is_used, found, 0.0)
        depths = -np.vecdot(found, part.limits)
        bounds = halfspace.distance(part.combined(found), depths, adversary.norm, box)
        parts.append((found, bounds, points if box is None else np.clip(points, *box)))
    found, bounds, points = (np.concatenate(one) for one in zip(*parts, strict=True))
    sound = np.ones(len(bounds), dtype=bool)
    return Solution(found, bounds, points, sound, sound)

"""The problems of one other-class reference each: the way to the nearest point that it wins.

`propose` solves them in l2 without a box, `solve` in the norm and box asked for, by the interior-point method.
"""

from dataclasses import dataclass, fields

import numpy as np

from nnrobust.nearest.convex import quadratic
from nnrobust.nearest.convex.careful import solve_with_care
from nnrobust.nearest.convex.polytopes import multipliers_and_points
from nnrobust.nearest.convex.systems import diagonals
from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.halfspace import Adversary, Box
from nnrobust.threat import DUAL

_OF_SLACK, _OF_WAY = 3e-9, 1e-8
"""How far a solution stays inside its polytope: no more than this part of the slack that x_j has, or of the way to the farthest
plane, a million times what float64 errs by on images."""
_OF_DEPTH = 2e-14
"""What `proof` takes off the depth of a combination of constraints for rounding, relative to the squared distances in it."""
FEW_DIMENSIONS = 256
"""Dimensions up to which another solution of a problem takes milliseconds."""
_MOST_LOSS = 1e6
"""How many times as long multiplied normals may be as their sum, which rounding blurs by so much more."""
_BLURRED = 1e-6
"""Squared length of a normal, relative to the squared distances of its references, below which it has lost digits."""
_SLIGHT = 1e-11
"""Relative loss of a depth that the rounding of reported bounds covers."""
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
class Apart:
    """What normals do not tell where distances are taken in the image of a map, of n problems with p references each.

    `length` (n,): the squared distance from x to x_j; `squared` (n, p): from x_i to x_j; `errors` (n, p): the largest of b_i.
    """

    length: np.ndarray
    squared: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class Problems:
    """n problems: least ||v|| with a_i.v <= b_i for p own-class references i each, a_i = x_i - x_j, b_i = `limits`.

    `offsets` (n, p, d) holds x_i - x, `towards` (n, d) x_j - x, or their normals in a metric; `gram` (n, p, p) the a_i.a_k.
    `squared` (n, p): the squared distances from x_i to x_j. `errors` (n, p): what a limit may be too high by.
    `sizes` (n, p): the sums of the two squared distances whose difference is twice a limit, halved.
    Constraints that are not `is_used` (n, p), among them those of an x_i that equals x_j, have a unit gram matrix and a limit of
    1, which nothing violates.
    """

    offsets: np.ndarray
    towards: np.ndarray
    gram: np.ndarray
    limits: np.ndarray
    is_used: np.ndarray
    squared: np.ndarray
    errors: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(
        cls,
        offsets: np.ndarray,
        own: tuple[np.ndarray, np.ndarray],
        is_used: np.ndarray,
        towards: np.ndarray,
        apart: Apart | None = None,
    ) -> "Problems":
        """From the squared distances (n, p) to the `own` references, and the inner products (n, p, p) of the offsets.

        Without `apart` these are one another's.
        """
        squared, own_gram = own
        length = np.vecdot(towards, towards)
        products = np.matvec(offsets, towards)
        gram = own_gram - products[:, :, None] - products[:, None] + length[:, None, None]
        is_used = is_used & (diagonals(gram) > 0)
        # Far from the references, rounding gives a length to normals that have none.
        rows, columns = np.nonzero(is_used & (diagonals(gram) < _BLURRED * length[:, None]))
        is_used[rows, columns] = (offsets[rows, columns] != towards[rows]).any(axis=1)
        if apart is not None:
            is_used, length = is_used & (apart.squared > 0), apart.length
        gram = np.where(is_used[:, :, None] & is_used[:, None], gram, 0.0)
        diagonals(gram)[:] += ~is_used
        between, errors = diagonals(gram), np.zeros_like(squared)
        if apart is not None:
            between, errors = np.where(is_used, apart.squared, 1.0), np.where(is_used, apart.errors, 0.0)
        limits = np.where(is_used, (squared - length[:, None]) / 2 + errors, 1.0)
        sizes = np.where(is_used, (squared + length[:, None]) / 2, 0.0)
        return cls(offsets, towards, gram, limits, is_used, between, 2 * errors, sizes)

    @property
    def inner_limits(self) -> np.ndarray:
        """Limits a little lower, such that x_j wins by more than rounding where they are met.

        x_j itself meets them all, and they are lower by little next to the distance of the farthest plane.
        """
        lengths = np.sqrt(diagonals(self.gram))
        farthest = np.maximum((-self.limits / lengths).max(axis=1, keepdims=True), 0)
        return self.limits - np.minimum(_OF_SLACK / 2 * self.squared, _OF_WAY * farthest * lengths) - self.errors

    @property
    def are_blurred(self) -> np.ndarray:
        """Where references next to each other are so far from x that rounding shows in the length of a normal (n,)."""
        return np.any(self.is_used & (diagonals(self.gram) < _BLURRED * self.sizes), axis=1)

    def take(self, rows: slice | np.ndarray) -> "Problems":
        return Problems(*(getattr(self, field.name)[rows] for field in fields(self)))

    def combined(self, multipliers: np.ndarray) -> np.ndarray:
        """sum_i multipliers_i a_i (n, d)."""
        return np.vecmat(multipliers, self.offsets) - multipliers.sum(axis=1, keepdims=True) * self.towards

    def depths(self, multipliers: np.ndarray, room: Box | None) -> np.ndarray:
        """-sum_i multipliers_i b_i (n,), rounded down as `proof` does it, where that is more than what every bound loses.

        In a box always: a corner that just reaches it must not fall short of it.
        """
        depths: np.ndarray = -np.vecdot(multipliers, self.limits)
        lost = _OF_DEPTH * np.vecdot(multipliers, self.sizes)
        return depths - lost if room is not None else np.where(lost > _SLIGHT * depths, depths - lost, depths)

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


def propose(problems: Problems, adversary: Adversary, room: Box | None) -> Solution:
    """The solutions in l2 without a box, and the bounds that their multipliers give in the adversary's problem.

    The multipliers make one half-space out of all constraints; its nearest point within the box is the solution, if it happens to
    meet the constraints, and its distance is a lower bound in any case.
    """
    multipliers, is_sound = quadratic.optimal_multipliers(problems.gram, problems.inner_limits)
    combined = problems.combined(multipliers)
    depths = problems.depths(multipliers, room)
    if adversary.norm == "L2" and room is None:
        bounds = halfspace.distance(combined, depths, "L2", None)
        return Solution(multipliers, bounds, -combined, np.ones_like(is_sound), is_sound)
    inner = -np.vecdot(multipliers, problems.inner_limits)
    bounds = halfspace.distance(combined, depths, adversary.norm, room)
    _, points = halfspace.distance_and_point(combined, inner, adversary.norm, room)
    products = np.matvec(problems.offsets, points) - np.vecdot(problems.towards, points)[:, None]
    is_final = np.all(np.where(problems.is_used, products - problems.limits, -1.0) <= 0, axis=1)
    return Solution(multipliers, bounds, points, is_final, is_sound)


def solve(problems: Problems, adversary: Adversary, room: Box | None, multipliers: np.ndarray) -> Solution:
    """The solutions of the adversary's problems, from the multipliers of the proposals on."""
    parts = []
    for start in range(0, len(multipliers), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        part, box = problems.take(rows), None if room is None else (room[0][rows], room[1][rows])
        found, points = multipliers_and_points(
            part.normals(), part.inner_limits, adversary.norm, box, multipliers[rows]
        )
        found = np.where(part.is_used, found, 0.0)
        combined = part.combined(found)
        bounds = halfspace.distance(combined, part.depths(found, box), adversary.norm, box)
        if found.size and combined.shape[1] <= FEW_DIMENSIONS:
            is_lossy = np.vecdot(found, np.sqrt(diagonals(part.gram))) > _MOST_LOSS * np.linalg.norm(combined, axis=1)
            for n in np.flatnonzero(is_lossy):
                one = with_care(
                    part.take(slice(n, n + 1)), adversary, None if box is None else (box[0][[n]], box[1][[n]])
                )
                if one.is_sound[0]:
                    found[n], bounds[n], points[n] = one.multipliers[0], one.bounds[0], one.points[0]
        parts.append((found, bounds, points if box is None else np.clip(points, *box)))
    found, bounds, points = (np.concatenate(part) for part in zip(*parts, strict=True))
    sound = np.ones(len(bounds), dtype=bool)
    return Solution(found, bounds, points, sound, sound)


@np.errstate(all="ignore")
def with_care(problem: Problems, adversary: Adversary, room: Box | None) -> Solution:
    """The solution of one problem by a method that is slow and stands degenerate corners."""
    used = problem.is_used[0]
    a, limits = problem.normals()[0, used], (problem.limits - problem.errors)[0, used]
    found, point = solve_with_care(a, limits, adversary.norm, None if room is None else (room[0][0], room[1][0]))
    multipliers = np.zeros_like(problem.limits)
    multipliers[0, used] = found
    bounds = halfspace.distance(problem.combined(multipliers), problem.depths(multipliers, room), adversary.norm, room)
    is_sound = np.array([bool(found.any())])
    return Solution(multipliers, bounds, np.nan_to_num(point)[None], np.ones_like(is_sound), is_sound)

"""Problems of many pairs of a query and a rival side by side, each with constraints of its own, which are generated."""

from dataclasses import dataclass, field

import numpy as np

from nnrobust.nearest.convex import plane
from nnrobust.nearest.convex.problems import Apart, Problems, Solution, propose, solve
from nnrobust.nearest.distances.metric import Metric
from nnrobust.nearest.distances.screening import Rivals
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import EXACT_WITHIN
from nnrobust.threat import ORDER

DOWN, UP = 1 - 1e-10, 1 + 1e-12
"""Factors that round bounds in float64 to the safe side: their relative errors are below 1e-11 from below, 1e-12 from above."""
OF_SQUARES = 1e-14
"""More than the error of a difference of two squared distances that `proof` takes off, relative to their sum."""
TIGHT_WITHIN = 0.9 * EXACT_WITHIN
"""How near the bounds of an exact radius are before the lower one is rounded down to what its certificate reaches."""
_AS_FAR = 1 - EXACT_WITHIN / 10
"""A bound that is this part of the distance of a known point is as far as that."""
_MAX_ROUNDS = 40
_AT_ONCE = 2**22
"""Distances between points and own-class references that are held at once."""


@dataclass
class Known:
    """What is known of the radii of m queries x (m, d): the nearest point so far that another class wins, and its distance.

    `limit` (m,): a radius beyond it does not matter. `is_left` (m,): the query met a corner that another search has to go round.
    """

    x: np.ndarray
    rivals: Rivals
    adversary: Adversary
    limit: np.ndarray
    places: np.ndarray = field(init=False)
    errors: np.ndarray = field(init=False)
    upper: np.ndarray = field(init=False)
    witness: np.ndarray = field(init=False)
    is_left: np.ndarray = field(init=False)
    is_delicate: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        metric, m = self.rivals.metric, len(self.x)
        self.places, self.errors = metric.mapped(self.x), metric.errors(self.x)
        self.upper, self.witness = np.full(m, np.inf), self.x.copy()
        self.is_left, self.is_delicate = np.zeros(m, dtype=bool), np.zeros(m, dtype=bool)

    def reach(self, rows: np.ndarray) -> np.ndarray:
        """The bounds from which on a rival of these queries does not matter."""
        return np.minimum(_AS_FAR * self.upper[rows], self.limit[rows] / DOWN * UP)

    def note(self, rows: np.ndarray, points: np.ndarray) -> None:
        """Notes that another class wins at these points (p, d) of queries (p,), of which several may be one."""
        distances = np.linalg.norm(points - self.x[rows], ORDER[self.adversary.norm], axis=1) * UP
        order = (-distances).argsort(kind="stable")  # of one query the nearest comes last, and stays
        order = order[distances[order] < self.upper[rows[order]]]
        self.upper[rows[order]], self.witness[rows[order]] = distances[order], points[order]

    def problems(self, rows: np.ndarray, goals: np.ndarray, constraints: np.ndarray) -> Problems:
        """Those of queries (p,) and rivals at places (p, k), with constraints (p, c), own-class references or -1."""
        metric, place = self.rivals.metric, self.places[rows]
        points = self.rivals.own.exactly(constraints)
        ways, towards = points - place[:, None], goals - place
        squared, offsets, apart = np.vecdot(ways, ways), metric.normals(ways), None
        if isinstance(metric, Metric):
            between = points - goals[:, None]
            length, far = np.vecdot(towards, towards), np.vecdot(between, between)
            errors = self.errors[rows, None] * np.sqrt(far) + OF_SQUARES * (squared + length[:, None])
            apart = Apart(length, far, errors)
        gram = offsets @ offsets.transpose(0, 2, 1)
        found = Problems.of(offsets, (squared, gram), constraints >= 0, metric.normals(towards), apart)
        self.is_delicate[rows] |= found.are_blurred
        return found


class Pairs:
    """n pairs of a query and a rival, whose problems begin with own-class references `constraints` (n, c) and `bounds` (n,).

    `proofs`: the constraints and multipliers that the bounds rest on, where a problem raised them.
    """

    def __init__(
        self, known: Known, rows: np.ndarray, others: np.ndarray, constraints: np.ndarray, bounds: np.ndarray
    ) -> None:
        self.known, self.rows, self.others, self.constraints = known, rows, others, constraints
        self.goals, self.bounds = known.rivals.other.exactly(others), bounds
        self.proofs: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(rows)

    def run(self) -> None:
        """Raises bounds until each is as far as the nearest known point, or that of a point that its rival wins."""
        live = np.arange(len(self.rows))
        for _ in range(_MAX_ROUNDS):
            live = live[self._are_near(live) & ~self.known.is_left[self.rows[live]]]
            if len(live) == 0:
                return
            live = self._advance(live)
        self.known.is_left[self.rows[live]] = True

    def _are_near(self, live: np.ndarray) -> np.ndarray:
        return self.bounds[live] < self.known.reach(self.rows[live])

    def _advance(self, live: np.ndarray) -> np.ndarray:
        """Solves the problems of these pairs with the constraints that they have; returns which have one more."""
        known, rows = self.known, self.rows[live]
        problems = known.problems(rows, self.goals[live], self.constraints[live])
        room = known.adversary.room(known.x[rows])
        is_plane = known.x.shape[1] == 2 and known.adversary.norm != "L2"
        proposed = (plane.solve if is_plane else propose)(problems, known.adversary, room)
        self._keep(live, proposed)
        points = proposed.points
        rest = np.flatnonzero(~proposed.is_final & proposed.is_sound & self._are_near(live))
        if len(rest):
            sides = None if room is None else (room[0][rest], room[1][rest])
            found = solve(problems.take(rest), known.adversary, sides, proposed.multipliers[rest])
            self._keep(live[rest], found)
            points[rest] = found.points
        is_near = self._are_near(live)
        return self._checked(live[is_near], points[is_near])

    def _keep(self, live: np.ndarray, solution: Solution) -> None:
        self.known.is_left[self.rows[live[~solution.is_sound]]] = True
        bounds = np.where(np.isnan(solution.bounds), 0.0, solution.bounds)
        for n in np.flatnonzero(bounds > self.bounds[live]):
            pair = live[n]
            self.bounds[pair], self.proofs[pair] = bounds[n], (self.constraints[pair], solution.multipliers[n])

    def _checked(self, live: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """Notes which of the points are won, and adds the constraint that the others violate most."""
        known, goals, rows = self.known, self.goals[live], self.rows[live]
        points = known.x[rows] + known.rivals.metric.allowed(ways)
        if known.adversary.box is not None:
            points = np.clip(points, *known.adversary.box)
        places = known.rivals.metric.mapped(points)
        nearest, worst = self._nearest_own(places, goals)
        is_won = np.vecdot(goals - places, goals - places) < nearest
        known.note(rows[is_won], points[is_won])
        is_new = ~is_won & ~(self.constraints[live] == worst[:, None]).any(axis=1)
        is_tight = self.bounds[live] >= (1 - TIGHT_WITHIN) * known.upper[rows]
        known.is_left[rows[~is_won & ~is_new & ~is_tight]] = True
        added = np.full(len(self.rows), -1)
        added[live[is_new]] = worst[is_new]
        self.constraints = np.concatenate([self.constraints, added[:, None]], axis=1)
        return live[is_new]

    def _nearest_own(self, places: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = max(1, _AT_ONCE // len(self.known.rivals.own))
        parts = [slice(start, start + size) for start in range(0, len(places), size)] or [slice(0)]
        found = [self.known.rivals.own.nearest(places[part], excluded=goals[part]) for part in parts]
        return np.concatenate([squared for squared, _ in found]), np.concatenate([position for _, position in found])

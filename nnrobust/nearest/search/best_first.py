"""The search of `radius` where few rivals matter: each time the one with the lowest bound is looked at.

Every j has a lower bound, at first from bisectors, and the j with the lowest is refined until the lowest one is the length of a
point that lies in its polytope. Most j are never looked at. Constraints are generated: a problem starts with the own-class
references nearest to the query, and the one that its solution violates most is added; all problems of a query share them.
"""

import numpy as np

from nnrobust.nearest.convex.problems import FEW_DIMENSIONS, Apart, Problems, Solution, propose, solve, with_care
from nnrobust.nearest.distances.metric import Metric
from nnrobust.nearest.distances.screening import Rivals, Screened, lowest
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import EXACT_WITHIN
from nnrobust.nearest.search.pairs import DOWN, OF_SQUARES, TIGHT_WITHIN, UP
from nnrobust.nearest.search.radii import Radii
from nnrobust.nearest.search.witness import moved_until_won
from nnrobust.threat import ORDER

_MAX_ROUNDS = 1000
_TOGETHER = 4
"""Violated constraints that are added at once, at most."""
_SCREENED, _PROPOSED, _SOLVED = 0, 1, 2
"""How far the problem of a reference has come: a bisector bound alone, the multipliers of the proposal, a point."""


class BestFirst:
    """The best-first search for m queries side by side; rows of all arrays are queries.

    `bounds` (m, k + 1) holds the lower bound of each screened reference and, last, that of all others. A problem's constraints
    are the own-class references in `constraints` (m, p), of which -1 is padding; `squared` are their squared distances,
    `offsets` their x_i - x, or the normals of these, `gram` the inner products of the offsets; `places` are x in the metric.
    `points` and `proofs` hold the solution of a problem, by query and place.
    """

    def __init__(self, x: np.ndarray, rivals: Rivals, screened: Screened, adversary: Adversary) -> None:
        m, k = screened.others.shape
        self.x, self.rivals, self.others, self.adversary = x, rivals, screened.others, adversary
        self.places, self.metric, self.bounds = rivals.metric.mapped(x), rivals.metric, screened.bounds
        self.errors = self.metric.errors(x)
        self.bisector = np.full(m, np.inf)
        self.constraints, self.squared = screened.own, screened.own_squared
        self.offsets = screened.offsets
        self.gram = self.offsets @ self.offsets.transpose(0, 2, 1)
        self.progress = np.full((m, k + 1), _SCREENED, dtype=np.uint8)
        self.n_constraints = np.zeros((m, k + 1), dtype=np.int64)
        self.points: dict[tuple[int, int], np.ndarray] = {}
        self.multipliers: dict[tuple[int, int], np.ndarray] = {}
        self.proofs: dict[tuple[int, int], np.ndarray] = {}
        self.lower, self.upper = np.zeros(m), np.full(m, np.inf)
        self.witness = x.copy()
        self.needs_more, self.is_delicate = np.zeros(m, dtype=bool), np.zeros(m, dtype=bool)
        self.careful: dict[tuple[int, int], int] = {}

    def run(self, stop_above: np.ndarray) -> None:
        live = np.arange(len(self.x))
        for _ in range(_MAX_ROUNDS):
            j = self.bounds[live].argmin(axis=1)
            best = self.bounds[live, j]
            self.lower[live] = best * DOWN
            is_last = j == self.others.shape[1]
            is_settled = (self.lower[live] > stop_above[live]) | np.isinf(best) | (best >= self.upper[live])
            self.needs_more[live[is_last & ~is_settled]] = True
            settled = live[is_settled]
            self.bisector[settled] = np.minimum(self.bisector[settled], self.lower[settled])
            live, j = live[~is_last & ~is_settled], j[~is_last & ~is_settled]
            if len(live) == 0:
                return
            is_open = self._advance(live, j)
            stuck = np.flatnonzero(~is_open & ~self._is_tight(live, j))
            if len(stuck):
                is_open[stuck] = self._rescue(live[stuck], j[stuck])
            live = live[is_open]

    def _advance(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Takes the problem of reference j of each query a step further; returns which queries are still open."""
        progress, is_open = self.progress[rows, j], np.ones_like(rows, dtype=bool)
        for stage, step in ((_SCREENED, self._propose), (_PROPOSED, self._solve), (_SOLVED, self._check)):
            chosen = progress == stage
            if chosen.any():
                is_open[chosen] = step(rows[chosen], j[chosen])
        return is_open

    def _problems(self, rows: np.ndarray, j: np.ndarray) -> Problems:
        goals = self.rivals.other.exactly(self.others[rows, j])
        ways, squared, apart = goals - self.places[rows], self.squared[rows], None
        if isinstance(self.metric, Metric):
            between = self.rivals.own.exactly(self.constraints[rows]) - goals[:, None]
            length, lengths = np.vecdot(ways, ways), np.vecdot(between, between)
            errors = self.errors[rows, None] * np.sqrt(lengths) + OF_SQUARES * (squared + length[:, None])
            apart = Apart(length, lengths, errors)
        is_used, towards = self.constraints[rows] >= 0, self.metric.normals(ways)
        problems = Problems.of(self.offsets[rows], (squared, self.gram[rows]), is_used, towards, apart)
        self.is_delicate[rows] |= problems.are_blurred
        return problems

    def _propose(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        problems = self._problems(rows, j)
        if self.adversary.box is None:
            bisectors = problems.bisectors(self.adversary.norm) * DOWN
            self.bisector[rows] = np.minimum(self.bisector[rows], bisectors)
            self.bounds[rows, j] = np.maximum(self.bounds[rows, j], bisectors)
        return self._keep(rows, j, propose(problems, self.adversary, self.adversary.room(self.x[rows])))

    def _solve(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        problems = self._problems(rows, j)
        width = self.constraints.shape[1]
        start = np.stack([np.pad(kept, (0, width - len(kept))) for kept in self._kept(self.multipliers, rows, j)])
        return self._keep(rows, j, solve(problems, self.adversary, self.adversary.room(self.x[rows]), start))

    def _kept(self, store: dict[tuple[int, int], np.ndarray], rows: np.ndarray, j: np.ndarray) -> list[np.ndarray]:
        return [store[key] for key in zip(rows.tolist(), j.tolist(), strict=True)]

    def _keep(self, rows: np.ndarray, j: np.ndarray, solution: Solution) -> np.ndarray:
        """Notes bounds, points and multipliers of the problems; returns which of them did not fail."""
        bounds, known = np.where(np.isnan(solution.bounds), 0.0, solution.bounds), self.bounds[rows, j]
        is_better, points = bounds >= known, self.metric.allowed(solution.points)
        self.bounds[rows, j] = np.maximum(known, bounds)
        self.progress[rows, j] = np.where(solution.is_final, _SOLVED, _PROPOSED)
        self.n_constraints[rows, j] = (self.constraints[rows] >= 0).sum(axis=1)
        for n, key in enumerate(zip(rows.tolist(), j.tolist(), strict=True)):
            self.points[key], self.multipliers[key] = points[n], solution.multipliers[n]
            if is_better[n]:
                self.proofs[key] = solution.multipliers[n]
        return solution.is_sound

    def _check(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Adds the constraint that a point violates most; returns where one is, and more can be done."""
        point = self.x[rows] + np.stack(self._kept(self.points, rows, j))
        if self.adversary.box is not None:
            point = np.clip(point, *self.adversary.box)
        goal, place = self.rivals.other.exactly(self.others[rows, j]), self.metric.mapped(point)
        # An own-class reference equal to x_j is as near as x_j everywhere, and never nearer.
        squared, error = self.rivals.own.squared_distances(place)
        nearest, worst = self.rivals.own.settled(place, squared, error, excluded=goal)
        is_found = np.vecdot(goal - place, goal - place) < nearest
        self._note(rows[is_found], point[is_found])
        self.progress[rows[~is_found], j[~is_found]] = _SCREENED
        is_outdated = self.n_constraints[rows, j] < (self.constraints[rows] >= 0).sum(axis=1)
        is_new = ~is_found & ~(self.constraints[rows] == worst[:, None]).any(axis=1)
        self._add(rows[is_new], worst[is_new])
        self._add_violated(rows[is_new], squared[is_new], np.vecdot(goal - place, goal - place)[is_new])
        # A violated constraint that the problem had all along is one that rounding keeps from being met.
        return ~is_found & (is_new | is_outdated)

    def _note(self, rows: np.ndarray, points: np.ndarray) -> None:
        """Notes that another class wins at these points."""
        distances = np.linalg.norm(points - self.x[rows], ORDER[self.adversary.norm], axis=1) * UP
        is_nearer = distances < self.upper[rows]
        self.witness[rows[is_nearer]], self.upper[rows[is_nearer]] = points[is_nearer], distances[is_nearer]

    def _rescue(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Finds points for queries whose problem of reference j has none that wins; returns where more can be done.

        The point is moved towards j, and the problem is solved once more with care: in few dimensions always, as multipliers at
        a corner may be so large that rounding hides what they prove, else where the point ends farther than the bound says.
        """
        self.is_delicate[rows] = True
        goals = self.rivals.other.exactly(self.others[rows, j])
        points = self.x[rows] + np.nan_to_num(np.stack(self._kept(self.points, rows, j)))
        mended, is_won = self._moved(points, goals)
        self._note(rows[is_won], mended[is_won])
        goes_on = ~self._is_tight(rows, j) | (self.x.shape[1] <= FEW_DIMENSIONS)
        for n in np.flatnonzero(goes_on):
            goes_on[n] = self._solve_with_care(rows[[n]], j[[n]])
        return goes_on

    def _is_tight(self, rows: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Whether a point is known that is as near as the bound of reference j says."""
        return self.bounds[rows, j] >= (1 - TIGHT_WITHIN) * self.upper[rows]

    def _solve_with_care(self, rows: np.ndarray, j: np.ndarray) -> bool:
        """Solves the problem of one reference in another way, once for the constraints it has; says whether it did."""
        key, n_constraints = (int(rows[0]), int(j[0])), int((self.constraints[rows] >= 0).sum())
        if self.careful.get(key) == n_constraints:
            return False
        self.careful[key] = n_constraints
        solution = with_care(self._problems(rows, j), self.adversary, self.adversary.room(self.x[rows]))
        # Rounding may have added to the bound of large multipliers.
        self.bounds[rows, j] *= 1 - EXACT_WITHIN / 10
        return bool(self._keep(rows, j, solution)[0])

    def _fall_back(self, rows: np.ndarray) -> None:
        """Finds some point for queries that have none: on the straight way to the nearest of the other-class references."""
        for row in rows.tolist():
            goals = self.rivals.other.exactly(self.others[row])
            ends = self.x[row] + self.metric.ways_to(goals - self.places[row])
            distances = np.linalg.norm(ends - self.x[row], ORDER[self.adversary.norm], axis=1)
            if self.adversary.box is not None:
                low, high = self.adversary.box
                distances[((ends < low) | (ends > high)).any(axis=1)] = np.inf
            best = [distances.argmin()]
            point, is_won = self._moved(self.x[[row]], goals[best])
            self._note(np.array([row])[is_won], point[is_won])

    def _moved(self, points: np.ndarray, goals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return moved_until_won(points, goals, self.rivals.own, self.metric, self.adversary.box)

    def _add_violated(self, rows: np.ndarray, squared: np.ndarray, to_goals: np.ndarray) -> None:
        """Adds a few more references that are nearer than the goals, by squared distances (n, n_own) and (n,) in float32."""
        if len(rows) == 0:
            return
        i = lowest(squared, _TOGETHER)
        nearest = np.take_along_axis(squared, i, axis=1)
        is_nearer = nearest < to_goals[:, None]
        for column in range(i.shape[1]):
            is_new = is_nearer[:, column] & ~(self.constraints[rows] == i[:, [column]]).any(axis=1)
            self._add(rows[is_new], i[is_new, column])

    def _add(self, rows: np.ndarray, i: np.ndarray) -> None:
        """Adds own-class references i to the constraints of these queries."""
        if len(rows) == 0:
            return
        is_free = self.constraints[rows] < 0
        if not is_free.any(axis=1).all():
            self._widen()
            is_free = self.constraints[rows] < 0
        slot = is_free.argmax(axis=1)
        way = self.rivals.own.exactly(i) - self.places[rows]
        offset = self.metric.normals(way)
        self.constraints[rows, slot], self.offsets[rows, slot] = i, offset
        products = np.matvec(self.offsets[rows], offset)
        self.squared[rows, slot] = np.vecdot(way, way)
        self.gram[rows, slot] = products
        self.gram[rows[:, None], np.arange(products.shape[1]), slot[:, None]] = products

    def _widen(self) -> None:
        """Makes room for eight constraints more."""
        m, p = self.constraints.shape
        self.constraints = np.concatenate([self.constraints, np.full((m, 8), -1)], axis=1)
        self.squared = np.concatenate([self.squared, np.zeros((m, 8))], axis=1)
        self.offsets = np.concatenate([self.offsets, np.zeros((m, 8, self.x.shape[1]))], axis=1)
        gram = np.zeros((m, p + 8, p + 8))
        gram[:, :p, :p] = self.gram
        self.gram = gram

    def result(self, stop_above: np.ndarray) -> Radii:
        is_open = np.isfinite(self.lower) & (self.lower <= stop_above) & ~self.needs_more
        self._fall_back(np.flatnonzero(is_open & np.isinf(self.upper)))
        proofs: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in self.x]
        for (row, place), multipliers in self.proofs.items():
            is_kept = (multipliers > 0) & np.isfinite(multipliers)
            used = self.constraints[row, : len(multipliers)][is_kept]
            proofs[row][int(self.others[row, place])] = used, multipliers[is_kept]
        own = [row[row >= 0] for row in self.constraints]
        is_delicate = self.is_delicate | np.isinf(self.bounds[:, :-1]).any(axis=1)
        lower = np.minimum(self.lower, self.upper)
        return Radii(lower, self.upper, self.witness, self.bisector, own, proofs, is_delicate)

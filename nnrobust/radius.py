"""The exact l2 radius of 1NN: the distance from a query to the nearest point that another class wins.

An other-class reference x_j wins at x + v when it is at least as near as every own-class reference x_i, that is in the polytope
a_i.v <= b_i with a_i = x_i - x_j and b_i = (||x_i - x||^2 - ||x_j - x||^2) / 2; the radius is the smallest distance, over j, from
0 to it. The search is best first: every j has a lower bound, at first from bisectors, and the j with the lowest is refined until
the lowest one is the length of a point that lies in its polytope. Most j are never looked at. Constraints are generated: a
problem starts with the own-class references nearest to the query, and the one that its solution violates most is added.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnrobust.quadratic import nearest_points
from nnrobust.screening import Rivals, Screened, screen

_DOWN = 1 - 1e-12
_ACROSS = 1e-10
"""How far, relative to the way from the solution to x_j, the witness goes beyond it: a million times what float64 errs by."""
_EXACT = 1e-6
_MORE = 8
_MAX_ROUNDS = 1000


@dataclass(frozen=True)
class Radii:
    """For m queries: bounds (m,) of the radius, a witness (m, d), and the bisector bound (m,), in the units of the points.

    At `witness`, `upper` away, some other-class reference is strictly nearer than every own-class one (infinity where none was
    looked for). `is_exact` (m,): the bounds agree within a relative 1e-6. `bisector` is the best
    bound that single own-class references give: for a reference that no problem was solved for, it is no lower than `lower`.
    """

    lower: np.ndarray
    upper: np.ndarray
    witness: np.ndarray
    bisector: np.ndarray

    @property
    def is_exact(self) -> np.ndarray:
        return np.isfinite(self.upper) & (self.upper - self.lower <= _EXACT * self.upper)


def exact_radii(
    queries: np.ndarray,
    rivals: Rivals,
    n_own: int,
    n_others: int,
    screened: Screened | None = None,
    stop_above: float = np.inf,
) -> Radii:
    """The l2 radii of queries (m, d) of which the nearest reference is of their own class.

    Args:
        n_own: own-class references that a problem starts with.
        n_others: other-class references that get a bound of their own; more are taken where these do not suffice.
        screened: what `screen` found for these queries with these numbers, if it was called before.
        stop_above: a query whose radius is proven to exceed this is left at that bound, with an infinite `upper`.
    """
    x = torch.from_numpy(np.asarray(queries, dtype=np.float64))
    search = _Search(x, rivals, screened or screen(x, rivals, n_own, n_others))
    search.run(stop_above)
    lower, upper, witness, bisector = (t.numpy() for t in (search.lower, search.upper, search.witness, search.bisector))
    rows = search.needs_more.nonzero()[:, 0].numpy()
    if len(rows):
        more = exact_radii(queries[rows], rivals, n_own, _MORE * n_others, None, stop_above)
        lower[rows], upper[rows], witness[rows], bisector[rows] = more.lower, more.upper, more.witness, more.bisector
    return Radii(lower, upper, witness, bisector)


class _Search:
    """The best-first search for m queries side by side; rows of all tensors are queries.

    `bounds` (m, k + 1) holds the lower bound of each screened reference and, last, that of all others. A problem's constraints
    are the own-class references in `constraints` (m, p), of which -1 is padding; `offsets`, `squared`, `gram` are their
    x_i - x, its squared length, and inner products.
    """

    def __init__(self, x: Tensor, rivals: Rivals, screened: Screened) -> None:
        m, k = screened.others.shape
        self.x, self.rivals, self.others = x, rivals, screened.others
        self.bounds = torch.cat([screened.by_all, screened.by_one[:, k:]], dim=1)
        self.bisector = torch.full((m,), torch.inf, dtype=torch.float64)
        self.constraints, self.squared = screened.own, screened.own_squared
        self.offsets = rivals.own.exactly(self.constraints) - x[:, None]
        self.gram = self.offsets @ self.offsets.transpose(1, 2)
        self.is_solved = torch.zeros(m, k + 1, dtype=torch.bool)
        self.n_constraints = torch.zeros(m, k + 1, dtype=torch.long)
        self.points: dict[tuple[int, int], Tensor] = {}
        self.lower, self.upper = torch.zeros(m, dtype=torch.float64), torch.full((m,), torch.inf, dtype=torch.float64)
        self.witness = x.clone()
        self.needs_more = torch.zeros(m, dtype=torch.bool)

    def run(self, stop_above: float) -> None:
        live = torch.arange(len(self.x))
        for _ in range(_MAX_ROUNDS):
            best, j = self.bounds[live].min(dim=1)
            self.lower[live] = best * _DOWN
            is_last = j == self.others.shape[1]
            is_settled = self.lower[live] > stop_above
            self.needs_more[live[is_last & ~is_settled]] = True
            self.bisector[live[is_settled]] = torch.minimum(self.bisector, self.lower)[live[is_settled]]
            live, j = live[~is_last & ~is_settled], j[~is_last & ~is_settled]
            if len(live) == 0:
                return
            is_solved = self.is_solved[live, j]
            failed = self._solve(live[~is_solved], j[~is_solved])
            is_done = self._check(live[is_solved], j[is_solved])
            live = torch.cat([live[~is_solved][~failed], live[is_solved][~is_done]])

    def _solve(self, rows: Tensor, j: Tensor) -> Tensor:
        """Refines the bounds of references j with the constraints known; returns which problems could not be solved."""
        if len(rows) == 0:
            return torch.zeros(0, dtype=torch.bool)
        towards = self.rivals.other.exactly(self.others[rows, j]) - self.x[rows]
        squared = torch.linalg.vecdot(towards, towards)
        products = (self.offsets[rows] @ towards[:, :, None])[:, :, 0]
        gram = self.gram[rows] - products[:, :, None] - products[:, None] + squared[:, None, None]
        limits = (self.squared[rows] - squared[:, None]) / 2
        is_used = self.constraints[rows] >= 0
        gram = torch.where(is_used[:, :, None] & is_used[:, None], gram, 0.0) + torch.diag_embed((~is_used).double())
        limits = torch.where(is_used, limits, 1.0)
        bisectors = (-limits / torch.diagonal(gram, dim1=1, dim2=2).sqrt().clamp(min=1e-300)).amax(dim=1)
        self.bisector[rows] = torch.minimum(self.bisector[rows], bisectors.clamp(min=0) * _DOWN)
        multipliers, is_solved = nearest_points(gram, limits)
        length = (multipliers[:, None] @ gram @ multipliers[:, :, None])[:, 0, 0].sqrt().clamp(min=1e-300)
        refined = -torch.linalg.vecdot(multipliers, limits) / length
        self.bounds[rows, j] = torch.maximum(self.bounds[rows, j], refined)
        self.is_solved[rows, j] = True
        self.n_constraints[rows, j] = is_used.sum(dim=1)
        moved = multipliers.sum(dim=1, keepdim=True) * towards - (multipliers[:, None] @ self.offsets[rows])[:, 0]
        for row, one, point in zip(rows.tolist(), j.tolist(), moved, strict=True):
            self.points[row, one] = point
        return ~is_solved

    def _check(self, rows: Tensor, j: Tensor) -> Tensor:
        """Adds the constraint that a solution violates most; returns where none is violated, or where no more can be done."""
        if len(rows) == 0:
            return torch.zeros(0, dtype=torch.bool)
        moved = torch.stack([self.points[row, one] for row, one in zip(rows.tolist(), j.tolist(), strict=True)])
        goal = self.rivals.other.exactly(self.others[rows, j])
        point = self.x[rows] + moved
        across = point + _ACROSS * (goal - point)
        slack, worst = self._smallest_slack(across, goal)
        is_found = slack > 0
        found = rows[is_found]
        self.witness[found] = across[is_found]
        self.upper[found] = (across[is_found] - self.x[found]).norm(dim=1)
        self.is_solved[rows[~is_found], j[~is_found]] = False
        is_outdated = self.n_constraints[rows, j] < (self.constraints[rows] >= 0).sum(dim=1)
        is_new = ~is_found & ~(self.constraints[rows] == worst[:, None]).any(dim=1)
        self._add(rows[is_new], worst[is_new])
        # A violated constraint that the problem had all along is one that rounding keeps from being met.
        return is_found | ~(is_new | is_outdated)

    def _smallest_slack(self, points: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """min_i ||x_i - z||^2 - ||x_j - z||^2 over all own-class i, for points z and goals x_j, and the i; float64 concludes."""
        proposed, error = self.rivals.own.squared_distances(points)
        to_goal = torch.linalg.vecdot(goals - points, goals - points)
        nearest = proposed.amin(dim=1, keepdim=True)
        rows, i = (proposed <= nearest + 2 * error).nonzero(as_tuple=True)
        offsets = self.rivals.own.exactly(i) - points[rows]
        slack = torch.linalg.vecdot(offsets, offsets) - to_goal[rows]
        smallest = torch.full((len(points),), torch.inf, dtype=torch.float64).scatter_reduce(0, rows, slack, "amin")
        is_smallest = slack == smallest[rows]
        worst = torch.zeros(len(points), dtype=torch.long)
        worst[rows[is_smallest]] = i[is_smallest]
        return smallest, worst

    def _add(self, rows: Tensor, i: Tensor) -> None:
        """Adds own-class references i to the constraints of these queries."""
        if len(rows) == 0:
            return
        is_free = self.constraints[rows] < 0
        if not bool(is_free.any(dim=1).all()):
            self._widen()
            is_free = self.constraints[rows] < 0
        slot = is_free.double().argmax(dim=1)
        offset = self.rivals.own.exactly(i) - self.x[rows]
        self.constraints[rows, slot], self.offsets[rows, slot] = i, offset
        products = (self.offsets[rows] @ offset[:, :, None])[:, :, 0]
        self.squared[rows, slot] = torch.linalg.vecdot(offset, offset)
        self.gram[rows, slot] = products
        self.gram[rows[:, None], torch.arange(products.shape[1]), slot[:, None]] = products

    def _widen(self) -> None:
        """Makes room for eight constraints more."""
        m, p = self.constraints.shape
        self.constraints = torch.cat([self.constraints, torch.full((m, 8), -1)], dim=1)
        self.squared = torch.cat([self.squared, torch.zeros(m, 8, dtype=torch.float64)], dim=1)
        self.offsets = torch.cat([self.offsets, torch.zeros(m, 8, self.x.shape[1], dtype=torch.float64)], dim=1)
        gram = torch.zeros(m, p + 8, p + 8, dtype=torch.float64)
        gram[:, :p, :p] = self.gram
        self.gram = gram

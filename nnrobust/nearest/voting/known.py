"""What a search knows of one query: the references that its problems are about, and the nearest lost point.

`limits` rule most other-class references out beforehand (`ruled_out`); those that they do not are taken in when a target asks for
them, measured closely first.
"""

from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.votes import loses, most_own
from nnrobust.nearest.voting.field import Field
from nnrobust.nearest.voting.pairs import Found, Local, Pairs

UP = 1 + 1e-12
"""Factor that rounds a norm up."""
MET = 1e-12
"""Relative difference of squared distances that rounding may make."""
MANY_TIMES = 1e6
"""A radius is given up beyond as many times the distance to the farthest reference."""
MORE = 3
"""Own-class references, beside the m nearest, whose bisectors rule others out beforehand."""
_TOGETHER = 8
"""References that are added at once, at most, where one is missing."""
_AT_ONCE = 64
"""References whose bisectors are taken at once."""
_SHORT = 2.0**-24
"""To what part of the largest coordinate a point is rounded whose sums of squares are to be exact."""
_WORST = 2
"""Near and far references of which violated pairs are taken together."""


class SpentError(Exception):
    """The budget of problems has ended."""


class FallenError(Exception):
    """A lost point within epsilon is known."""


@dataclass(frozen=True)
class Question:
    """A query (d,), the code of its label, which k votes keep there, and the adversary; epsilon, if only that is asked about."""

    x: np.ndarray
    code: int
    k: int
    adversary: Adversary
    epsilon: float = np.inf


@dataclass(frozen=True)
class Around:
    """All references around a query.

    `squared` (n,): distances within `error`. `limits` (n,): lower bounds, rounded down, of the distance at which a reference of
    another class can be among the k nearest of a lost point, infinite for the own class. `own`: own-class positions to start
    with, the nearest first, m at least, where there are as many.
    """

    field: Field
    squared: np.ndarray
    error: float
    limits: np.ndarray
    own: np.ndarray


class Known:
    """What is known of one question, by place in `local`; `allowed` problems may be solved.

    `codes`, `limits` (l,): class and limit of each reference. `own`: places of the own class. `upper`, `point`: the nearest lost
    point.
    """

    def __init__(self, question: Question, around: Around, allowed: int) -> None:
        self.question, self.around, self.field = question, around, around.field
        self.x, self.code, self.k, self.m = question.x, question.code, question.k, most_own(question.k) + 1
        self.local = Local(question.x, question.adversary)
        self.farthest = float(np.sqrt(max(around.squared.max(), 0.0)))
        self.all_limits, self.is_refined = around.limits.copy(), np.zeros(len(around.limits), dtype=bool)
        self.upper, self.point = np.inf, np.full_like(question.x, np.nan)
        self.n_solved, self.allowed, self.least_left = 0, allowed, -np.inf
        self.is_binary = len(self.field.parts) == 2
        self.codes, self.own, self.limits = np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty(0)
        self.beyond: dict[int, np.ndarray] = {}
        self.add(around.own)

    @property
    def least_limit(self) -> float:
        """What limits alone prove: m of the k are of other classes at a lost point."""
        return (
            float(np.partition(self.all_limits, self.m - 1)[self.m - 1]) if len(self.all_limits) >= self.m else np.inf
        )

    def rivals(self) -> np.ndarray:
        """Positions of the other classes' references, those that limits rule out least first."""
        order = np.argsort(self.all_limits)
        return order[np.isfinite(self.all_limits[order])]

    def places(self, positions: np.ndarray) -> tuple[int, ...]:
        """The places of references at these positions, all of which are known."""
        return tuple(self.local.places[position] for position in positions.tolist())

    def available(self, said: set[int] | frozenset[int], target: float) -> list[int]:
        """Others that may be among the k nearest of a lost point nearer than the target, but for those said."""
        return [place for place in np.flatnonzero(self.limits < target).tolist() if place not in said]

    def surely_nearer(self, near: tuple[int, ...], target: float) -> frozenset[int]:
        """Own-class references whose bisectors with one of `near` lie beyond the target."""
        found: set[int] = set()
        for place in near:
            found.update(self.own[self.bisectors(place) >= target].tolist())
        return frozenset(found)

    def bisectors(self, place: int) -> np.ndarray:
        """The bounds of an other-class reference with each own-class one."""
        if place not in self.beyond:
            self.beyond[place] = self.local.bisectors(place, self.own)
        return self.beyond[place]

    def admit(self, target: float) -> None:
        """Takes in every reference whose limit is below the target, also when it is measured more closely."""
        if target <= self.least_left:
            return
        rough = np.flatnonzero((self.all_limits < target) & ~self.is_refined)
        for start in range(0, len(rough), _AT_ONCE):
            part = rough[start : start + _AT_ONCE]
            self.all_limits[part] = np.maximum(self.all_limits[part], self._closely(self.field.exactly(part)))
            self.is_refined[part] = True
        self.add(np.flatnonzero(self.all_limits < target))
        left = self.all_limits.copy()
        left[self.local.positions] = np.inf
        self.least_left = float(left.min())

    def _closely(self, points: np.ndarray) -> np.ndarray:
        """The limits of references (p, d) of other classes, from their bisectors with the first own-class ones."""
        if len(self.own) < self.m:
            return np.zeros(len(points))
        bounds = self.local.bounds(points, self.own[: self.m + MORE])
        return np.sort(bounds, axis=1)[:, -self.m]

    def add(self, positions: np.ndarray) -> None:
        """Takes in those of the references at these positions that are not known."""
        new = [position for position in positions.tolist() if position not in self.local.places]
        if not new:
            return
        self.local.add(new, self.field.exactly(np.array(new)))
        self.codes = self.field.codes[self.local.positions]
        self.own, self.beyond = np.flatnonzero(self.codes == self.code), {}
        limits = self.all_limits[self.local.positions]
        if len(self.own) >= self.m:
            for place in np.flatnonzero(self.codes != self.code).tolist():
                limits[place] = max(limits[place], np.sort(self.bisectors(place))[-self.m])
        self.limits = np.where(self.codes == self.code, np.inf, limits)

    def solve(self, pairs: Pairs, target: float) -> Found:
        """The solution of a problem of pairs.

        Raises:
            SpentError: when as many as allowed are solved.
        """
        self.n_solved += 1
        if self.n_solved > self.allowed:
            raise SpentError
        return self.local.solve(pairs, target)

    def solve_all(self, near: list[int], far: list[int], pairs: Pairs, target: float) -> tuple[Found, Pairs]:
        """That of all pairs of `near` and `far`, or one that reaches the target before; and those that it took, with `pairs`."""
        inside, outside = np.array(near), np.array(far)
        while True:
            found = self.solve(pairs, target)
            if found.bound >= target or len(outside) == 0:
                return found, pairs
            new = self._violated(found, inside, outside, pairs)
            if not new:
                return found, pairs
            pairs = (*pairs, *new)

    def _violated(self, found: Found, near: np.ndarray, far: np.ndarray, known: Pairs) -> Pairs:
        """The worst of the near references with a few far ones, as far as they are violated and not known."""
        i, j = near[(-found.squared[near]).argsort()[:_WORST]], far[found.squared[far].argsort()[:_WORST]]
        gaps = found.squared[i][:, None] - found.squared[j] - MET * self.local.squared.max()
        new = [(int(i[r]), int(j[c])) for r, c in zip(*(gaps > 0).nonzero(), strict=True)]
        return () if new and new[0] in known else tuple(pair for pair in new if pair not in known)

    def try_at(self, found: Found, is_short: bool = False) -> list[int]:
        """Notes the point of a solution if the label loses there; returns the places nearest to it, the k nearest among them.

        Where planes only touch float64 may see a tie at a point of few binary digits, if `is_short`.

        Raises:
            FallenError: when it loses within epsilon, if there is one.
        """
        z = self._end(found, is_short)
        ways = self.local.ways - (z - self.x)
        known = np.vecdot(ways, ways)
        reach = np.partition(known, self.k - 1)[self.k - 1] * (1 + MET) if len(known) >= self.k else np.inf
        slack = np.sqrt(reach) + float(np.linalg.norm(z - self.x))
        may_be = np.flatnonzero(self.around.squared - self.around.error <= slack * slack * (1 + MET))
        positions = self.field.within(z, may_be, reach)
        squared = self.field.measured(z, positions)
        if loses(squared, self.field.codes[positions], self.code, self.k):
            size = self.local.size(z - self.x) * UP
            if size < min(self.upper, MANY_TIMES * self.farthest):
                self.upper, self.point = size, z
                if np.isfinite(self.question.epsilon) and size <= self.question.epsilon:
                    raise FallenError
        nearest = positions[np.lexsort((positions, squared))][: self.k + _TOGETHER]
        if any(position not in self.local.places for position in nearest[: self.k].tolist()):
            self.add(nearest)
        return [self.local.places[position] for position in nearest.tolist() if position in self.local.places]

    def _end(self, found: Found, is_short: bool) -> np.ndarray:
        """The point (d,) of a solution, in the box."""
        z = self.x + self.local.moved(found)
        if is_short:
            step = 2.0 ** np.ceil(np.log2(max(float(np.abs(z).max()), 1e-300))) * _SHORT
            z = np.round(z / step) * step
        box = self.question.adversary.box
        return z if box is None else np.clip(z, *box)

"""The least worst-case loss of a linear classifier, with a proof of how near it is.

L-BFGS minimises a surrogate until the duality gap of the objective itself, kinks and all, is small enough. Products with the
points are taken in float32 where there are many, and what is proven in float64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from nnrobust.linear.norms import largest_error
from nnrobust.linear.objective import Evaluation, Objective
from nnrobust.linear.progress import unreported
from nnrobust.linear.surrogates import Smooth, Split, Surrogate

_FIRST, _FACTOR, _LAST = 0.1, 0.3, 1e-3
"""The share of the loss without weights that smoothing may add at first; by what it shrinks; the last one, of the tolerance."""
_NEAR = 0.5
"""A smooth problem is left once it is solved to this part of what smoothing may add."""
_EVERY = 5
"""Iterations between two looks at the gap."""
_MEMORY = 20
"""Steps that L-BFGS remembers."""
_SAFE = 0.9
"""The part of the tolerance that a gap must be within before it is measured in float64."""
_ROUNDING = 1e-12
"""More than float64 sums of 50,000 losses err by, relative to their mean: taken from every bound."""
_SMALL, _FINE = 2**20, 1e-5
"""Points of so few values, and tolerances below, have products in float64 from the start."""

Report = Callable[[int, float], None]
"""Takes iterations and relative gap."""


@dataclass(frozen=True)
class Solution:
    """Vectors (r, d), intercepts (k,) for centred points, the objective's `value` there, a `lower` bound of its least value."""

    vectors: np.ndarray
    intercepts: np.ndarray
    value: float
    lower: float
    n_iter: int

    @property
    def gap(self) -> float:
        """How far the value is from the least one at most, relative to the value."""
        return (self.value - self.lower) / self.value


def solve(objective: Objective, tol: float, max_iter: int, report: Report = unreported) -> Solution:
    """The best vectors found: to a proven relative gap of `tol`, where `max_iter` iterations and float64 suffice.

    `report` is told, every few iterations, how many there were and the relative gap, before it is proven in float64.
    """
    search = _Search(objective, tol, max_iter, report)
    for surrogate in search.surrogates():
        if search.best.gap <= tol or search.n_iter >= max_iter:
            break
        search.minimise(surrogate)
    return search.best


class _Search:
    """The best solution proven so far, and the vectors and intercepts at which the search is."""

    def __init__(self, objective: Objective, tol: float, max_iter: int, report: Report) -> None:
        self.objective, self.tol, self.max_iter, self.report = objective, tol, max_iter, report
        is_fine = objective.points.size <= _SMALL or tol < _FINE
        self.centred = objective.centred(np.float64 if is_fine else np.float32)
        self.vectors = np.zeros((objective.mix.shape[1], objective.points.shape[1]))
        self.intercepts, self.n_iter = np.log(objective.shares), 0
        start = Smooth(objective, 0.0)
        self.best = self._proven(start, start.variables(self.vectors))
        self._last: tuple[np.ndarray, np.ndarray, Evaluation]
        self._share, self._is_left = 0.0, False

    def surrogates(self) -> Iterator[Surrogate]:
        """The problems to minimise one after the other, each from the last one's solution."""
        objective, share = self.objective, _FIRST
        if objective.epsilon == 0 or (objective.norm == "Linf" and objective.n_classes == 2):
            yield Smooth(objective, 0.0) if objective.epsilon == 0 else Split(objective)
            return
        unit = self.best.value / (objective.epsilon * largest_error(objective.norm, objective.points.shape[1]))
        if objective.norm == "L2":
            share = _FACTOR * self.tol  # smooth but at 0
        while share >= _LAST * self.tol:
            self._share = share
            yield Smooth(objective, share * unit)
            share *= _FACTOR

    def minimise(self, surrogate: Surrogate) -> None:
        """Takes L-BFGS to the surrogate until the gap is reached, a smooth problem is nearly solved, or it gets no further."""
        while True:
            n_left = self.max_iter - self.n_iter
            options = {"maxiter": n_left, "maxfun": 20 * n_left, "maxcor": _MEMORY, "ftol": 0.0, "gtol": 0.0}
            self._is_left = False
            found = minimize(
                self._value, surrogate.variables(self.vectors), args=(surrogate,), jac=True, method="L-BFGS-B",
                bounds=surrogate.bounds, options=options,
                callback=lambda intermediate_result: self._look(surrogate, intermediate_result),
            )  # fmt: skip
            self.vectors = surrogate.vectors(found.x)
            if self._is_left:
                return
            self._keep(surrogate, found.x)
            is_last = self.best.gap <= self.tol or self.n_iter >= self.max_iter
            if is_last or self.centred.dtype == np.float64:
                return
            self.centred = self.objective.centred(np.float64)

    def _value(self, variables: np.ndarray, surrogate: Surrogate) -> tuple[float, np.ndarray]:
        lengths, slopes = surrogate.norms(variables)
        found = self.objective.evaluate(surrogate.vectors(variables), lengths, self.intercepts, self.centred)
        self.intercepts, self._last = found.intercepts, (variables.copy(), slopes, found)
        return found.value, surrogate.gradient(slopes, found)

    def _look(self, surrogate: Surrogate, at: OptimizeResult) -> None:
        """Counts iterations, and stops them where the gap is reached or a smooth problem is solved well enough."""
        self.n_iter += 1
        if self.n_iter % _EVERY:
            return
        variables, slopes, found = self._last
        if not np.array_equal(variables, at.x):
            return
        value = self.objective.true_value(surrogate.vectors(variables), found)
        excess = value - self.objective.lower_bound(found, slopes)
        self.report(self.n_iter, min(excess / value, self.best.gap))
        if excess <= _SAFE * self.tol * value:
            self._keep(surrogate, variables)
            self._is_left = self.best.gap <= self.tol
        if isinstance(surrogate, Smooth) and self._share:
            # The smooth problem's own gap, by its strong convexity.
            gradient = surrogate.gradient(slopes, found)
            is_solved = gradient @ gradient <= 2 * self.objective.alpha * _NEAR * self._share * value
            self._is_left |= bool(is_solved) and self.objective.norm != "L2"
        if self._is_left:
            raise StopIteration

    def _keep(self, surrogate: Surrogate, variables: np.ndarray) -> None:
        """Takes the better value and the better bound, both proven in float64."""
        found = self._proven(surrogate, variables)
        better, lower = min(found, self.best, key=lambda one: one.value), max(found.lower, self.best.lower)
        self.best = Solution(better.vectors, better.intercepts, better.value, lower, self.n_iter)

    def _proven(self, surrogate: Surrogate, variables: np.ndarray) -> Solution:
        vectors = surrogate.vectors(variables)
        lengths, slopes = surrogate.norms(variables)
        found = self.objective.evaluate(vectors, lengths, self.intercepts)
        value, lower = self.objective.true_value(vectors, found), self.objective.lower_bound(found, slopes)
        return Solution(vectors, found.intercepts, value, min(lower, value) - _ROUNDING * value, self.n_iter)

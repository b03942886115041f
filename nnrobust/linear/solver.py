"""The least worst-case loss of a linear classifier, with a proof of how near it is.

L-BFGS minimises a surrogate until the duality gap of the objective itself, kinks and all, is small enough. Products with the
points are taken in float32 where there are many, and what is proven in float64. Against Linf most weights are 0 at the optimum:
there the features are few at first, and those join whose weights the bound of the whole problem says are not 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

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
_MANY = 512
"""Features from which it is worth to begin with few of them."""
_SHARE = 8
"""At first one feature in so many; later as many join at most as there are."""
_NEARER = 0.1
"""The part of the gap of the whole problem, 1 at most, to which that on some features is solved, down to the tolerance."""
_END = 3
"""A problem that would be solved to so many times the tolerance is solved to the tolerance."""
_OUTSIDE = 0.1
"""The part of the tolerance that features left out may add to the gap; the others are solved to the rest of it."""

Report = Callable[[int, float], None]
"""Takes iterations and relative gap."""


@dataclass(frozen=True)
class Solution:
    """Vectors (r, d), the objective's `value` there, a `lower` bound of its least value, and what they were proven with.

    `slopes` (n_pairs, d): those of the dual norms; `found`: the evaluation; `rest` (r, d): what its bound rests on.
    """

    vectors: np.ndarray
    slopes: np.ndarray
    found: Evaluation
    rest: np.ndarray
    value: float
    lower: float
    n_iter: int

    @property
    def intercepts(self) -> np.ndarray:
        """(k,), for centred points."""
        return self.found.intercepts

    @property
    def gap(self) -> float:
        """How far the value is from the least one at most, relative to the value."""
        return (self.value - self.lower) / self.value

    def then(self, later: "Solution") -> "Solution":
        """The one of the lower value, with the higher bound, after the iterations of the later one."""
        better = later if later.value < self.value else self
        return replace(better, lower=max(self.lower, later.lower), n_iter=later.n_iter)

    def of(self, features: np.ndarray) -> "Solution":
        """It on features (m,) that hold all weights but 0. A bound of the whole problem is one of that on these alone."""
        return replace(self, **{name: getattr(self, name)[:, features] for name in ("vectors", "slopes", "rest")})


def solve(objective: Objective, tol: float, max_iter: int, report: Report = unreported) -> Solution:
    """The best vectors found: to a proven relative gap of `tol`, where `max_iter` iterations and float64 suffice.

    `report` is told, every few iterations, how many there were and the relative gap, before it is proven in float64.
    """
    best = _without_weights(objective)
    if objective.norm == "Linf" and objective.epsilon > 0 and objective.points.shape[1] >= _MANY:
        best = _solved_on_few(objective, tol, max_iter, report, best)
    return _Search(objective, tol, max_iter, report, best).run()


def _solved_on_few(objective: Objective, tol: float, max_iter: int, report: Report, best: Solution) -> Solution:
    """The best solution with few features: to the gap, unless they become half of all or no others would help."""
    features, found, near, last = np.array([], dtype=int), best, np.inf, (1 - _OUTSIDE) * tol
    while best.gap > tol and best.n_iter < max_iter:
        before, near = near, _NEARER * min(1.0, best.gap)
        near = near if near > _END * last else last
        if near < before:
            features = np.flatnonzero(best.vectors.any(axis=0))
        joined = _joined(features, found.rest, 2 * objective.alpha * _OUTSIDE * tol * best.value)
        if len(joined) > len(objective.centre) / 2 or (len(joined) == len(features) and near >= before):
            break
        features = joined
        part = _Search(
            objective.restricted(features), near, max_iter, partial(_reported, report, best.gap), best.of(features)
        ).run()
        vectors, slopes = np.zeros(best.vectors.shape), np.zeros(best.slopes.shape)
        vectors[:, features], slopes[:, features] = part.vectors, part.slopes
        found = _proven(objective, vectors, slopes, part.found, part.n_iter)
        best = best.then(found)
    return best


def _joined(features: np.ndarray, rest: np.ndarray, least: float) -> np.ndarray:
    """The features with those of the largest `rest` (r, d), until the squares of what is left out add up to `least`."""
    squares = (rest**2).sum(axis=0)
    squares[features] = 0
    order = np.argsort(-squares, stable=True)
    n_wanted = int((squares[order][::-1].cumsum()[::-1] > least).sum())
    return np.union1d(features, order[: min(n_wanted, max(len(squares) // _SHARE, len(features)))])


def _reported(report: Report, gap: float, n_iter: int, _: float) -> None:
    """Says the gap of the whole problem while a part of it is solved."""
    report(n_iter, gap)


def _without_weights(objective: Objective) -> Solution:
    n, d = objective.points.shape
    none, zeros = np.array([], dtype=int), np.zeros(len(objective.pairs))
    vectors = np.zeros((objective.mix.shape[1], d))
    found = objective.restricted(none).evaluate(vectors[:, :0], zeros, np.log(objective.shares), np.zeros((n, 0)))
    return _proven(objective, vectors, np.zeros((len(zeros), d)), found, 0)


def _proven(objective: Objective, vectors: np.ndarray, slopes: np.ndarray, found: Evaluation, n_iter: int) -> Solution:
    """The objective at the vectors, at the intercepts and the probabilities that were found there, in float64."""
    found = objective.concluded(vectors, found)
    rest = objective.rest(found, slopes)
    value, lower = objective.true_value(vectors, found), objective.lower_bound(found, rest)
    return Solution(vectors, slopes, found, rest, value, min(lower, value) - _ROUNDING * value, n_iter)


class _Search:
    """The best solution proven so far, and the vectors and intercepts at which the search is."""

    def __init__(self, objective: Objective, tol: float, max_iter: int, report: Report, start: Solution) -> None:
        self.objective, self.tol, self.max_iter, self.report = objective, tol, max_iter, report
        self.best, self.vectors, self.intercepts, self.n_iter = start, start.vectors, start.intercepts, start.n_iter
        self._last: tuple[np.ndarray, np.ndarray, Evaluation]
        self._share, self._is_left = 0.0, False

    def run(self) -> Solution:
        """The best solution after one surrogate and the other, until the gap is reached."""
        for surrogate in self.surrogates():
            if self.best.gap <= self.tol or self.n_iter >= self.max_iter:
                break
            self.minimise(surrogate)
        return self.best

    @cached_property
    def centred(self) -> np.ndarray:
        """The points that products are taken with."""
        is_fine = self.objective.points.size <= _SMALL or self.tol < _FINE
        return self.objective.centred(np.float64 if is_fine else np.float32)

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
        excess = value - self.objective.lower_bound(found, self.objective.rest(found, slopes))
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
        if not np.array_equal(self._last[0], variables):
            self._value(variables, surrogate)
        _, slopes, found = self._last
        later = _proven(self.objective, surrogate.vectors(variables), slopes, found, self.n_iter)
        self.best = self.best.then(later)

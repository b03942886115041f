"""The worst case of the cross-entropy over a ball, and a proof of how far from its least value some weights are.

For classes with scores z_j = w_j.x + b_j the loss of an example (x, y) is log sum_j exp(z_j - z_y + epsilon ||w_j - w_y||_q),
q dual to the norm of the perturbation: each rival's margin at its own worst point. For two classes that is the worst case over
the ball; for more it is an upper bound of it, convex like it, because one point need not be the worst against every rival.

Weights of classes are `mix` @ vectors: for two classes there is one vector, w_1 = -w_0 = vector / 2, so that w_1 - w_0 = vector.
The objective is the mean loss plus alpha / 2 times the squared length of the vectors, at the best intercepts.

Its dual, of which every feasible point is a lower bound: for probabilities p_i (n, k) whose mean is the share of each class, and
flows F_e (n_pairs, d) with ||F_e|| <= epsilon S_e, S_e the mean probability that passes between the two classes of pair e,
    mean_i H(p_i) - ||G - E'F||^2 / (2 alpha),    G = mean_i mix'(onehot(y_i) - p_i) x_i,   E vectors = differences of pairs,
by log sum exp(u) = max_p p.u + H(p) and epsilon S ||v||_q = max_F F.v. At the optimum the two are equal.

Source: binary, arXiv 2410.12677, section 2; the bound for more classes and its dual are ours, by the dual-norm argument that
gives the worst-case margin of a linear classifier (Xu, Caramanis and Mannor, JMLR 10, 2009).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from nnrobust.linear.intercepts import best_intercepts, losses_of
from nnrobust.linear.norms import dual_norm, project_onto_ball

_AT_ONCE = 2**18
"""Values of points that are centred at once; in float64 they fit a processor's cache."""
_BALANCED = 1e-11
"""How far mean probabilities may be from the shares of the classes; times intercepts of 10 it is a bound's error."""
_FLOW_STEPS = 20
"""Steps that make the flows of three classes and more better; for two classes the first is the best."""


@dataclass(frozen=True)
class Evaluation:
    """The objective at some vectors, with an upper bound in place of each pair's dual norm.

    `value`, at the best `intercepts` (k,); `slope` (r, d), its gradient in the vectors with those bounds kept as they are;
    `limits` (n_pairs,), its gradient in the bounds: epsilon S_e. `scores` (n, k) without intercepts, `probabilities` (n, k),
    `data_gradient` G (r, d).
    """

    value: float
    slope: np.ndarray
    limits: np.ndarray
    intercepts: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    data_gradient: np.ndarray


@dataclass(frozen=True)
class Objective:
    """The problem of one fit: points (n, d) about their `centre` (d,), codes (n,) of k classes, each with an example or more."""

    points: np.ndarray
    centre: np.ndarray
    codes: np.ndarray
    n_classes: int
    norm: str
    epsilon: float
    alpha: float

    @cached_property
    def mix(self) -> np.ndarray:
        """Weights of classes = mix (k, r) @ vectors."""
        return np.array([[-0.5], [0.5]]) if self.n_classes == 2 else np.eye(self.n_classes)

    @cached_property
    def pairs(self) -> np.ndarray:
        """The two classes of every pair (n_pairs, 2)."""
        return np.array(list(combinations(range(self.n_classes), 2)))

    @cached_property
    def differences(self) -> np.ndarray:
        """E (n_pairs, r): differences of weights, second class less first, = E @ vectors."""
        return self.mix[self.pairs[:, 1]] - self.mix[self.pairs[:, 0]]

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of each class among the examples (k,)."""
        return np.bincount(self.codes, minlength=self.n_classes) / len(self.codes)

    @cached_property
    def _own(self) -> np.ndarray:
        """1 at the own class of each example, else 0, (n, k)."""
        return np.eye(self.n_classes)[self.codes]

    def restricted(self, features: np.ndarray) -> "Objective":
        """The same problem on these features alone, as if the weights of all others were 0."""
        return replace(self, points=self.points[:, features], centre=self.centre[features])

    def evaluate(self, vectors: np.ndarray, lengths: np.ndarray, start: np.ndarray, centred: np.ndarray) -> Evaluation:
        """The objective at vectors (r, d) with `lengths` (n_pairs,) in place of the dual norms of their differences.

        Args:
            start: intercepts (k,) from which the best are searched.
            centred: the points less their centre, in the precision that products shall have.
        """
        scores = (centred @ vectors.T.astype(centred.dtype)).astype(np.float64) @ self.mix.T
        intercepts, probabilities, losses = best_intercepts(
            scores + self._allowances(lengths), self.codes, self.shares, start
        )
        value = self._mean(losses, scores) + self._decay(vectors)
        passed = self._own.T @ probabilities / len(self.codes)
        first, second = self.pairs.T
        gradient = (self._pulls(probabilities).T.astype(centred.dtype) @ centred).astype(np.float64)
        limits = self.epsilon * (passed[first, second] + passed[second, first])
        return Evaluation(value, self.alpha * vectors - gradient, limits, intercepts, scores, probabilities, gradient)

    def true_value(self, vectors: np.ndarray, found: Evaluation) -> float:
        """The objective itself at the vectors (r, d) and the intercepts that were found there: above its least value."""
        lengths, _ = dual_norm(self.differences @ vectors, self.norm)
        _, losses = losses_of(found.scores + self._allowances(lengths), found.intercepts, self.codes)
        return self._mean(losses, found.scores) + self._decay(vectors)

    def concluded(self, vectors: np.ndarray, found: Evaluation) -> Evaluation:
        """What was found at the vectors (r, d), with products with the points in float64: scores and the data's gradient."""
        scores, gradient = np.empty((len(self.codes), len(vectors))), np.zeros(vectors.shape)
        weights = self._pulls(found.probabilities)
        for rows, part in self._centred_parts(np.float64):
            scores[rows] = part @ vectors.T
            gradient += weights[rows].T @ part
        slope = self.alpha * vectors - gradient
        return replace(found, slope=slope, scores=scores @ self.mix.T, data_gradient=gradient)

    def rest(self, found: Evaluation, slopes: np.ndarray) -> np.ndarray:
        """G - E'F (r, d) at the probabilities that were found and the best flows of some steps: what bounds rest on.

        Args:
            slopes: subgradients (n_pairs, d) of the dual norms, or of smooth ones; the flows start from them.
        """
        flows = ahead = found.limits[:, None] * slopes
        step, momentum = 1 / (1 if self.n_classes == 2 else self.n_classes), 1.0
        best, least = found.data_gradient, np.inf
        for _ in range(1 if self.n_classes == 2 else _FLOW_STEPS):
            rest = found.data_gradient - self.differences.T @ ahead
            moved = project_onto_ball(ahead + step * (self.differences @ rest), found.limits, self.norm)
            faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = moved + (momentum - 1) / faster * (moved - flows)
            flows, momentum = moved, faster
            rest = found.data_gradient - self.differences.T @ flows
            if (size := float(np.vdot(rest, rest))) < least:
                best, least = rest, size
        return best

    def lower_bound(self, found: Evaluation, rest: np.ndarray) -> float:
        """The dual's value at the probabilities found and flows that leave `rest` (r, d): below the objective everywhere.

        Minus infinity where the best intercepts were not found, so that the mean probabilities are not the shares of the classes.
        """
        if np.abs(found.probabilities.mean(axis=0) - self.shares).max() > _BALANCED:
            return -np.inf
        probabilities = np.maximum(found.probabilities, 1e-300)
        entropy = -float((found.probabilities * np.log(probabilities)).sum(axis=1).mean())
        return entropy - float(np.vdot(rest, rest)) / (2 * self.alpha)

    def centred(self, dtype: type) -> np.ndarray:
        """The points less their centre, a copy."""
        copy: np.ndarray = np.empty(self.points.shape, dtype)
        for rows, part in self._centred_parts(dtype):
            copy[rows] = part
        return copy

    def _pulls(self, probabilities: np.ndarray) -> np.ndarray:
        """How much each example adds of itself to G, (n, r)."""
        return (self._own - probabilities) @ self.mix / len(self.codes)

    def _mean(self, losses: np.ndarray, scores: np.ndarray) -> float:
        """The mean of losses (n,) less the scores (n, k) of examples' own classes."""
        return float((losses - scores[np.arange(len(losses)), self.codes]).mean())

    def _decay(self, vectors: np.ndarray) -> float:
        return self.alpha / 2 * float(np.vdot(vectors, vectors))

    def _allowances(self, lengths: np.ndarray) -> np.ndarray:
        """By how much an adversary can raise the score of each class next to the own one, (n, k)."""
        table = np.zeros((self.n_classes, self.n_classes))
        table[self.pairs[:, 0], self.pairs[:, 1]] = self.epsilon * lengths
        return (table + table.T)[self.codes]

    def _centred_parts(self, dtype: type) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows, and those points less their centre, in memory that the next ones take."""
        n, d = self.points.shape
        size = max(1, _AT_ONCE // max(d, 1))
        # A centre that is rounded moves all points by the same, which the intercepts make good.
        centre = self.centre.astype(dtype) if self.points.dtype != np.float64 else self.centre
        part = np.empty((min(size, n), d), dtype)
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            yield rows, np.subtract(self.points[rows], centre, out=part[: rows.stop - start], casting="same_kind")

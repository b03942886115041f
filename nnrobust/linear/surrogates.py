"""Smooth problems in place of the worst-case loss, whose dual norms have kinks where the optimum likes to be.

Weights of 0 for Linf, weights of equal size for L1, all weights 0 for L2. Both surrogates are above the objective, and L-BFGS
minimises both, one within bounds.
"""

from dataclasses import dataclass

import numpy as np

from nnrobust.linear.norms import dual_norm
from nnrobust.linear.objective import Evaluation, Objective


@dataclass(frozen=True)
class Smooth:
    """The objective with dual norms made smooth: variables are the vectors."""

    objective: Objective
    smoothing: float
    bounds = None

    def variables(self, vectors: np.ndarray) -> np.ndarray:
        return vectors.ravel()

    def vectors(self, variables: np.ndarray) -> np.ndarray:
        """The vectors (r, d) that variables stand for."""
        return variables.reshape(self.objective.mix.shape[1], -1)

    def norms(self, variables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths (n_pairs,) in place of dual norms, and slopes (n_pairs, d) that flows start from."""
        return dual_norm(self.objective.differences @ self.vectors(variables), self.objective.norm, self.smoothing)

    def gradient(self, slopes: np.ndarray, found: Evaluation) -> np.ndarray:
        return (found.slope + self.objective.differences.T @ (found.limits[:, None] * slopes)).ravel()


@dataclass(frozen=True)
class Split:
    """The objective for Linf and two classes: variables, none below 0, are the parts of the weights above 0 and below.

    Their sum is in place of the l1 norm of the weights, which it equals where one part of each weight is 0, as at the optimum.
    On a pair of CIFAR-10 (10,000 x 3,072) it takes 90 iterations to a gap of 1e-3, the smooth one 600.
    """

    objective: Objective

    @property
    def bounds(self) -> list[tuple[float, None]]:
        return [(0.0, None)] * (2 * self.objective.points.shape[1])

    def variables(self, vectors: np.ndarray) -> np.ndarray:
        return np.r_[np.maximum(vectors[0], 0), np.maximum(-vectors[0], 0)]

    def vectors(self, variables: np.ndarray) -> np.ndarray:
        """The vectors (1, d) that variables stand for."""
        above, below = variables.reshape(2, -1)
        return (above - below)[None]

    def norms(self, variables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths (1,) in place of dual norms, and slopes (1, d) that flows start from."""
        return variables.sum(keepdims=True), np.sign(self.vectors(variables))

    def gradient(self, slopes: np.ndarray, found: Evaluation) -> np.ndarray:
        return np.r_[found.slope[0] + found.limits, found.limits - found.slope[0]]


Surrogate = Smooth | Split

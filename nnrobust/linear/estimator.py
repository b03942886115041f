"""A linear classifier trained against an adversary, near the optimum by proof, that knows its exact robustness."""

import warnings
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.linear.objective import Objective
from nnrobust.linear.progress import FitProgress, unreported
from nnrobust.linear.radius import linear_radius
from nnrobust.linear.solver import solve
from nnrobust.nearest.arguments import checked, known_norm, number
from nnrobust.nearest.proofs.proof import RobustRadius


class RobustLinearClassifier(ClassifierMixin, BaseEstimator):
    """The class of the highest linear score, trained against perturbations of size epsilon in a norm.

    Two classes: the weights w and intercept b of least
        mean softplus(-y_i (w.x_i + b) + epsilon ||w||_q) + alpha / 2 ||w||^2,   y_i = -1 or 1, q dual to the norm,
    which is the logistic loss at the worst point of the ball, exactly. More classes, one vector w_j each:
        mean_i log sum_j exp(z_j - z_y + epsilon ||w_j - w_y||_q) + alpha / 2 ||W||^2,   z_j = w_j.x_i + b_j,
    an *upper bound* of the cross-entropy at the worst point, since each rival has a worst point of its own; convex too. Neither
    knows a box. With epsilon 0 it is logistic regression.

    The fit ends when a dual bound proves that no weights are better by more than `tol`, relative to the objective. It is
    deterministic.

    Parameters:
        norm: of the perturbations, `L2`, `Linf` or `L1`.
        epsilon: their size, 0 or more, in the units of the points.
        alpha: weight decay, above 0: without any there need be no optimum, and the bound rests on it. In squared units of the
            points: for pixels of 0 to 255 in place of 0 to 1 the same fit has 255^2 times the alpha.
        tol: the relative gap to reach, above 0.
        max_iter: iterations of L-BFGS after which a fit that has not reached it is left, with a ConvergenceWarning.
        verbose: whether a fit says on standard error how many iterations it has taken and which gap it has reached.

    Attributes:
        coef_: (1, n_features) for two classes, of which the second has the scores above 0, else (n_classes, n_features).
        intercept_: (1,) or (n_classes,).
        gap_: the relative gap that was proven, in float64; `converged_`: whether it is `tol` at most.
        objective_: the objective at the weights.
        n_iter_: iterations taken.
        classes_: the labels (n_classes,).
        n_features_in_: values of one point.

    Source: Ribeiro et al., AISTATS 2025 (arXiv 2410.12677), for two classes; the bound for more and the proofs are ours, see
    `nnrobust.linear.objective`.
    """

    def __init__(
        self,
        *,
        norm: Literal["L2", "Linf", "L1"] = "L2",
        epsilon: float = 0.0,
        alpha: float = 1e-3,
        tol: float = 1e-3,
        max_iter: int = 5000,
        verbose: bool = False,
    ) -> None:
        self.norm = norm
        self.epsilon = epsilon
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    def fit(self, X: np.ndarray, y: np.ndarray) -> "RobustLinearClassifier":  # noqa: N803
        """Trains on points X (n, ...), float32, float64 or uint8, with labels y (n,).

        Raises:
            DataError: for a parameter out of range, values that are not finite, or fewer than two classes.
        """
        norm, epsilon = known_norm(self.norm), number("epsilon", self.epsilon, 0, is_open=False)
        alpha, tol = (number(name, getattr(self, name), 0, is_open=True) for name in ("alpha", "tol"))
        max_iter = int(number("max_iter", self.max_iter, 1, is_open=False))
        X, y = checked(self, X, y, reset=True)  # noqa: N806
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"y: expected labels of at least two classes, got one class, {classes[0]}")
        centre = X.mean(axis=0, dtype=np.float64)
        objective = Objective(X, centre, codes, len(classes), norm, epsilon, alpha)
        progress = FitProgress(tol) if self.verbose else None
        solution = solve(objective, tol, max_iter, progress or unreported)
        if progress is not None:
            progress(solution.n_iter, solution.gap, is_last=True)
        weights = objective.mix @ solution.vectors
        intercepts = solution.intercepts - weights @ centre
        self.classes_, self.coef_, self.intercept_ = classes, weights, intercepts
        if len(classes) == 2:
            self.coef_, self.intercept_ = solution.vectors, np.diff(intercepts)
        self.gap_, self.objective_, self.n_iter_ = solution.gap, solution.value, solution.n_iter
        self.converged_ = bool(self.gap_ <= tol)
        if not self.converged_:
            warnings.warn(
                f"the fit reached a relative duality gap of {self.gap_:.2g} after {self.n_iter_} iterations, expected {tol:g}: "
                "its weights may be that far from the optimum; raise max_iter, alpha or tol, or scale the features",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The scores of queries X (m, ...): of the second class (m,) if there are two, else (m, n_classes).

        Raises:
            DataError: for values that are not finite, or another number of features.
        """
        check_is_fitted(self)
        X, _ = checked(self, X)  # noqa: N806
        scores = X.astype(np.float64) @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The labels (m,) of queries X (m, ...); of classes with the same score the one that comes first in `classes_`."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def robust_radius(
        self,
        X: np.ndarray,  # noqa: N803
        y: np.ndarray | None = None,
        *,
        norm: Literal["L2", "Linf", "L1"] = "L2",
        box: tuple[float, float] | None = None,
        epsilon: float | None = None,
    ) -> RobustRadius:
        """The exact distance in `norm` from each query to the nearest point that is not labelled y, ties included.

        As `nnrobust.linear.radius.linear_radius`, in any norm, whatever that of the training.
        """
        check_is_fitted(self)
        checked(self, X)
        return linear_radius(self, X, y, norm=norm, box=box, epsilon=epsilon)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

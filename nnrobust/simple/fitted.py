"""From a block of params to a fitted classifier, and how near its fit is to the optimum."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from nnrobust.config.classifiers import Linear, Mean, Simple
from nnrobust.linear.estimator import RobustLinearClassifier
from nnrobust.nearest.certificate import PROGRAMS
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.proof import RobustRadius

CLOSED_FORM = dict.fromkeys(PROGRAMS, "closed form")


class ExactClassifier(Protocol):
    """A classifier that knows its exact radii."""

    def predict(self, X: np.ndarray) -> np.ndarray: ...  # noqa: N803

    def robust_radius(self, X: np.ndarray, y: np.ndarray, **options: Any) -> RobustRadius: ...  # noqa: N803


@dataclass(frozen=True)
class Fit:
    """How a fit ended: the relative gap to the optimum that it proved, 0 for a formula, and whether it is the tolerance at most.

    `n_prototypes` is of a class, 0 for a classifier that has none.
    """

    gap: float
    tolerance: float
    is_converged: bool
    n_iterations: int
    n_prototypes: int


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier; `methods` names, by norm, what its radii are solutions of."""

    classifier: ExactClassifier
    fit: Fit
    methods: Mapping[str, str]

    def about(self) -> dict[str, Any]:
        """How the fit ended, by name."""
        return asdict(self.fit)


def fitted(options: Simple, points: np.ndarray, labels: np.ndarray) -> Fitted:
    """The classifier that the block describes, fitted to points (n, d) in [0, 1], with class ids as labels (n,)."""
    return FITS[type(options)](options, points, labels)


def _linear(options: Linear, points: np.ndarray, labels: np.ndarray) -> Fitted:
    classifier = RobustLinearClassifier(
        norm=options.norm, epsilon=options.epsilon, alpha=options.alpha, tol=options.tolerance, max_iter=options.max_iterations
    )  # fmt: skip
    classifier.fit(points, labels)
    fit = Fit(float(classifier.gap_), options.tolerance, classifier.converged_, int(classifier.n_iter_), 0)
    return Fitted(classifier, fit, CLOSED_FORM)


def _mean(options: Mean, points: np.ndarray, labels: np.ndarray) -> Fitted:
    classes = np.unique(labels)
    means = np.stack([points[labels == label].mean(axis=0, dtype=np.float64) for label in classes])
    return Fitted(OneNearestNeighbor().fit(means, classes), Fit(0.0, 0.0, True, 0, 1), PROGRAMS)


FITS: dict[type, Callable[..., Fitted]] = {Linear: _linear, Mean: _mean}

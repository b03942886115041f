"""From a block of params to a fitted classifier, and how near its fit is to the optimum."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from nnrobust.config.classifiers import Linear, Mean, Metric, Prototypes, Simple
from nnrobust.linear.estimator import RobustLinearClassifier
from nnrobust.nearest.dataset.certificate import PROGRAMS
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.learned.metric_learning import Learning, learn_metric
from nnrobust.nearest.learned.prototypes import choose_prototypes, class_means, prototypes
from nnrobust.nearest.proofs.proof import RobustRadius

CLOSED_FORM = dict.fromkeys(PROGRAMS, "closed form")


class ExactClassifier(Protocol):
    """A classifier that knows its exact radii."""

    def predict(self, X: np.ndarray) -> np.ndarray: ...  # noqa: N803

    def robust_radius(self, X: np.ndarray, y: np.ndarray, **options: Any) -> RobustRadius: ...  # noqa: N803


@dataclass(frozen=True)
class Fit:
    """How a fit ended: the relative gap to the optimum that it proved, and whether it is the tolerance at most.

    The gap is 0 where no optimum is sought: means are a formula, k-means and a learned metric are taken for what they are.

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
    return _nearest(*class_means(points, labels), 1)


def _prototypes(options: Prototypes, points: np.ndarray, labels: np.ndarray) -> Fitted:
    k = choose_prototypes(points, labels, options.counts, options.norm, options.epsilon, options.fraction, options.seed)
    return _nearest(*prototypes(points, labels, k, options.seed), k)


def _metric(options: Metric, points: np.ndarray, labels: np.ndarray) -> Fitted:
    learning = Learning(n_steps=options.n_steps, held_out_fraction=options.fraction)
    metric = learn_metric(
        points, labels, options.norm, options.epsilon, options.n_components, seed=options.seed, learning=learning
    )
    return _nearest(points, labels, 0, metric)


def _nearest(references: np.ndarray, labels: np.ndarray, k: int, metric: np.ndarray | None = None) -> Fitted:
    """1NN on references, which are k prototypes of each class, or, for a k of 0, the training points."""
    classifier = OneNearestNeighbor(metric=metric).fit(references, labels)
    return Fitted(classifier, Fit(0.0, 0.0, True, 0, k), PROGRAMS)


FITS: dict[type, Callable[..., Fitted]] = {Linear: _linear, Mean: _mean, Prototypes: _prototypes, Metric: _metric}
"""How each kind of block is fitted."""

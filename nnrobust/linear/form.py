"""The linear form of scikit-learn's linear classifiers: one score a class."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from nnrobust.errors import DataError

_LEAST = 2.0**-60
"""The largest weight is from here to its inverse, else all are scaled."""


@dataclass(frozen=True)
class LinearForm:
    """A linear classifier: the class of the highest score weights @ x + biases, float64 (k, d), (k,); sorted `classes` (k,)."""

    weights: np.ndarray
    biases: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, estimator: Any) -> "LinearForm":
        """The linear form of a fitted scikit-learn classifier.

        Of any with `coef_` and `intercept_` that gives each class a score, or two classes one; and of a NearestCentroid,
        Euclidean and with equal priors, by ||x - c||^2 = ||x||^2 - 2 (c.x - ||c||^2 / 2).

        Raises:
            DataError: for any other.
        """
        classes = np.asarray(getattr(estimator, "classes_", ()))
        if hasattr(estimator, "centroids_"):
            return cls._of_centroids(estimator, classes)
        if not hasattr(estimator, "coef_") or not hasattr(estimator, "intercept_") or len(classes) < 2:
            raise DataError(
                f"estimator: expected a fitted linear classifier with coef_, intercept_ and classes_, got {estimator!r}"
            )
        coef = estimator.coef_.toarray() if issparse(estimator.coef_) else estimator.coef_
        weights = np.atleast_2d(np.asarray(coef, dtype=np.float64))
        n_scores = 1 if len(classes) == 2 and len(weights) == 1 else len(classes)
        # Support vector machines with a linear kernel have a row for each two classes: for three classes as many as classes.
        if weights.ndim != 2 or len(weights) != n_scores or (n_scores > 1 and hasattr(estimator, "support_vectors_")):
            raise DataError(f"estimator: expected one score a class ({n_scores} rows of coef_, not one for each two classes), "
                            f"got coef_ of shape {np.shape(coef)} of {estimator!r}")  # fmt: skip
        biases = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1), n_scores)
        if n_scores == 1:
            weights, biases = np.r_[np.zeros_like(weights), weights], np.r_[0.0, biases]
        return cls._finite(weights, biases, classes)

    @classmethod
    def of_pair(cls, pair: Any) -> "LinearForm":
        """That of weights (k, d) and intercepts (k,), or of one score for two classes, as `coef_` and `intercept_` have them.

        Raises:
            DataError: for others.
        """
        if len(pair) != 2:
            raise DataError(f"references: expected a pair, coef_ and intercept_, got {len(pair)} parts")
        coef = np.atleast_2d(np.asarray(pair[0], dtype=np.float64))
        classes = np.arange(max(2, len(coef)))
        return cls.of(SimpleNamespace(coef_=coef, intercept_=np.asarray(pair[1]), classes_=classes))

    @classmethod
    def _of_centroids(cls, estimator: Any, classes: np.ndarray) -> "LinearForm":
        priors = np.asarray(getattr(estimator, "class_prior_", 1 / len(classes)))
        if getattr(estimator, "metric", "euclidean") != "euclidean" or not np.isclose(priors, 1 / len(classes)).all():
            raise DataError(f"estimator: expected a Euclidean NearestCentroid with equal priors, got {estimator!r}")
        weights = np.asarray(estimator.centroids_, dtype=np.float64)
        return cls._finite(weights, -np.vecdot(weights, weights) / 2, classes)

    @classmethod
    def _finite(cls, weights: np.ndarray, biases: np.ndarray, classes: np.ndarray) -> "LinearForm":
        if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
            raise DataError("estimator: expected finite weights and intercepts, got NaN or inf")
        largest = np.abs(weights).max(initial=0)
        if largest > 0 and not _LEAST < largest < 1 / _LEAST:
            # Scores times a power of two have the same largest, and squares that float64 holds.
            step = -int(np.frexp(largest)[1])
            weights, biases = np.ldexp(weights, step), np.ldexp(biases, step)
            if not np.isfinite(biases).all():
                raise DataError(
                    f"estimator: expected intercepts that weights of up to {largest:g} can outweigh, got larger ones"
                )
        return cls(weights, biases, classes)

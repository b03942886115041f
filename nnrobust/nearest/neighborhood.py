"""What a fitted classifier says of queries beside their labels: neighbours, votes, margins, and robust accuracy."""

from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import whole_number
from nnrobust.nearest.proofs.votes import most_own
from nnrobust.nearest.voting.field import Field

_BLOCK = 64
"""Queries whose distances are taken at once."""


class Neighborhood:
    """Methods that `OneNearestNeighbor` and `KNearestNeighbor` share; k is 1 where there is no `n_neighbors`."""

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # noqa: N803
        """As scikit-learn writes it, but for an array as a parameter, of which it gives the shape."""
        model: Any = self
        params = model.get_params(deep=False)
        arrays = {name: value for name, value in params.items() if isinstance(value, np.ndarray)}
        if not arrays:
            return str(super().__repr__(N_CHAR_MAX))  # type: ignore[call-arg]
        plain = type(model)(**{**params, **{name: _Shape(value.shape) for name, value in arrays.items()}})
        return repr(plain)

    def kneighbors(
        self,
        X: np.ndarray,  # noqa: N803
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """Distances (m, k) and positions (m, k) of the references nearest to queries X (m, ...), or the positions alone.

        In the classifier's metric, by float64, the nearest first; of equally near ones those whose label comes first in
        `classes_`, then those that came first. A query that is a reference is its own neighbour.

        Args:
            n_neighbors: k; None: that of the classifier.

        Raises:
            DataError: for a k above the number of references, or values that are not finite.
        """
        check_is_fitted(self)
        k = whole_number("n_neighbors", getattr(self, "n_neighbors", 1) if n_neighbors is None else n_neighbors, 1)
        model: Any = self
        field, unit = Field.of(model._references, model._ids), model._unit
        if k > len(field):
            raise DataError(f"n_neighbors: expected at most the number of references, {len(field)}, got {k}")
        x = model._metric.mapped(model._scaled(model._queries(X)).astype(np.float64))
        distances, positions = np.empty((len(x), k)), np.empty((len(x), k), dtype=np.int64)
        for start in range(0, len(x), _BLOCK):
            squared, errors = field.approximately(x[start : start + _BLOCK])
            for n, (row, error) in enumerate(zip(squared, errors[:, 0].tolist(), strict=True), start=start):
                found, exact = field.around(x[n], row, error, k)
                positions[n], distances[n] = field.order[found[:k]], np.sqrt(exact[:k]) * unit
        return (distances, positions) if return_distance else positions

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The shares (m, n_classes) of the k votes that each of `classes_` has: no calibrated probabilities; 0 or 1 for k = 1.

        Raises:
            DataError: for values that are not finite, or another number of features.
        """
        model: Any = self
        positions = model.kneighbors(X, return_distance=False)
        codes = np.searchsorted(model.classes_, model._labels)[positions]
        votes: np.ndarray = (codes[:, :, None] == np.arange(len(model.classes_))).mean(axis=1)
        return votes

    def decision_function(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Scores of queries X (m, ...), the highest for the label that is predicted.

        Two classes: how much farther the first class is than the second, (m,), each by its ((k + 1) / 2)-th nearest reference,
        so that it is above 0 where the second has most votes. Half of its size is a certified l2 radius without a metric. More
        classes, (m, n_classes): minus the distance to the nearest reference of each for k = 1, else the shares of the votes.

        Raises:
            DataError: for values that are not finite, or another number of features.
        """
        check_is_fitted(self)
        model: Any = self
        k, n_classes = getattr(self, "n_neighbors", 1), len(model.classes_)
        if k > 1 and n_classes > 2:
            return self.predict_proba(X)
        x = model._metric.mapped(model._scaled(model._queries(X)).astype(np.float64))
        found, m = np.full((len(x), n_classes), np.inf), most_own(k) + 1
        for code, ids in enumerate(model._ids):
            part = Field.of([model._references[code]], [ids])
            squared, errors = part.approximately(x)
            for n in range(len(x) if len(part) >= m else 0):
                found[n, code] = np.sqrt(part.around(x[n], squared[n], float(errors[n, 0]), m)[1][m - 1]) * model._unit
        return found[:, 0] - found[:, 1] if n_classes == 2 else -found

    def robust_score(
        self,
        X: np.ndarray,  # noqa: N803
        y: np.ndarray,
        *,
        norm: Literal["L2", "Linf", "L1"] = "L2",
        epsilon: float,
        box: tuple[float, float] | None = None,
    ) -> float:
        """The share of queries X (m, ...) with labels y (m,) that are proven to keep them in the closed ball of radius epsilon.

        It is the exact robust accuracy unless a budget ended a search, which counts as not robust.

        Raises:
            DataError: as `robust_radius`.
        """
        return RobustScorer(norm, epsilon, box)(self, X, y)


class _Shape:
    """What stands for an array where an estimator is written."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __repr__(self) -> str:
        return f"<array of shape {self.shape}>"


class RobustScorer:
    """A scorer for `cross_val_score` and `GridSearchCV`: `robust_score` at a norm, an epsilon and a box."""

    def __init__(
        self, norm: Literal["L2", "Linf", "L1"], epsilon: float, box: tuple[float, float] | None = None
    ) -> None:
        self.norm, self.epsilon, self.box = norm, epsilon, box

    def __call__(self, estimator: Any, X: np.ndarray, y: np.ndarray) -> float:  # noqa: N803
        """The robust accuracy of a fitted estimator that has `robust_radius`."""
        result = estimator.robust_radius(X, y, norm=self.norm, box=self.box, epsilon=self.epsilon)
        return float((result.lower > self.epsilon).mean())

    def __repr__(self) -> str:
        box = "" if self.box is None else f", box={self.box}"
        return f"RobustScorer({self.norm!r}, {self.epsilon:g}{box})"

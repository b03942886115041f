"""k nearest neighbours as a scikit-learn estimator that knows its exact adversarial robustness."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import adversary_of, codes_of, number, whole_number
from nnrobust.nearest.distances.metric import FOR_VERIFY
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.proofs.proof import RobustRadius
from nnrobust.nearest.proofs.voting_proof import VotingCertificate
from nnrobust.nearest.voting.field import Field
from nnrobust.nearest.voting.known import Question
from nnrobust.nearest.voting.search import VotingSearch
from nnrobust.nearest.voting.tree import SPLIT, Outcome
from nnrobust.runtime.jobs import Report, spread
from nnrobust.runtime.threads import on_one_thread

if TYPE_CHECKING:
    from nnrobust.nearest.module import NearestNeighborModule

_BLOCK, _OF_DISTANCE = 64, 24
"""Queries whose distances are taken at once, in one process, and what each distance takes meanwhile."""


class KNearestNeighbor(OneNearestNeighbor):
    """The label that most of the k nearest references in l2 have.

    Of labels with equally many votes, and of references as far as the k-th nearest, those that come first in `classes_` count
    first. Where a label y is asked about, ties count against it: y is kept where it has more votes than every other label in
    whatever way ties in distance are resolved. With `n_neighbors=1` it is `OneNearestNeighbor`, in every answer.

    Parameters:
        n_neighbors: k, odd, at most the number of references.
        weights: `uniform`, the one kind of vote whose regions are bounded by planes.
        max_problems: least-norm problems that are solved for a query at most, for k above 1. What is not exact by then is
            `bounded`, and `ended_by` says so.
        metric, working_memory, device, n_jobs, verbose: as of `OneNearestNeighbor`; k above 1 has no metric.

    Attributes:
        classes_: the labels (n_classes,).
        n_features_in_: values of one reference.
    """

    def __init__(  # noqa: PLR0913
        self,
        n_neighbors: int = 1,
        *,
        weights: str = "uniform",
        max_problems: int = 5000,
        metric: Any = None,
        working_memory: int = 1024,
        device: str = "cpu",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(metric=metric, working_memory=working_memory, device=device, n_jobs=n_jobs, verbose=verbose)
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.max_problems = max_problems

    def fit(self, X: np.ndarray, y: np.ndarray) -> "KNearestNeighbor":  # noqa: N803
        """Keeps the references X (n, ...), float32, float64 or uint8, and their labels y (n,).

        Raises:
            DataError: for a k that is even or above n, other weights, values that are not finite, or fewer than two classes.
        """
        super().fit(X, y)
        self._require_votes()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The labels (m,) of queries X (m, ...).

        Raises:
            DataError: for values that are not finite, or another number of features.
        """
        if self.n_neighbors == 1:
            return super().predict(X)
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @on_one_thread
    def robust_radius(  # noqa: PLR0913
        self,
        X: np.ndarray,  # noqa: N803
        y: np.ndarray | None = None,
        *,
        norm: Literal["L2", "Linf", "L1"] = "L2",
        box: tuple[Any, Any] | None = None,
        epsilon: Any = None,
        weights: np.ndarray | None = None,
        categories: Mapping[Any, Any] | None = None,
    ) -> RobustRadius:
        """The exact distance in `norm` from each query to the nearest point that is not labelled y, ties included.

        As `OneNearestNeighbor.robust_radius`; for k above 1 it is `bounded` where `max_problems` ended the search, and box,
        epsilon and weights may not differ between features, none of which is a category.
        """
        check_is_fitted(self)
        self._require_votes()
        if self.n_neighbors == 1:
            return super().robust_radius(
                X, y, norm=norm, box=box, epsilon=epsilon, weights=weights, categories=categories
            )
        if categories is not None:
            raise DataError("categories: expected none where n_neighbors is above 1, got some; use n_neighbors=1")
        self._check_parameters()
        x = self._queries(X)
        sides = box if isinstance(box, (tuple, list)) else (box,)
        for name, values in (("box", sides), ("epsilon", (epsilon,)), ("weights", (weights,))):
            if any(isinstance(value, (np.ndarray, tuple, list)) for value in values):
                raise DataError(
                    f"{name}: expected the same for every feature where n_neighbors is above 1, got an array; use n_neighbors=1"
                )
        adversary = adversary_of(norm, box, x).in_units(self._unit)
        limit = np.inf if epsilon is None else number("epsilon", epsilon, 0, is_open=True) / self._unit
        x = self._scaled(x).astype(np.float64)
        codes = None if y is None else codes_of(y, self.classes_, len(x))
        field = Field.of(self._references, self._ids)
        search = VotingSearch(field, self.n_neighbors, adversary, limit, self.max_problems, self._memory // 2)
        size = int(np.clip(self._memory // (_OF_DISTANCE * len(field)), 1, _BLOCK))
        blocks = [slice(start, start + size) for start in range(0, len(x), size)]
        if len(blocks) > 1:
            _ = field.outline  # here, once for all blocks
        questions = [(x[block], None if codes is None else codes[block]) for block in blocks]
        report = Report.of(self.verbose, "robust_radius", len(blocks))
        answers = [answer for part in spread(search, questions, self._jobs, report) for answer in part]
        proofs = [
            self._certificate(Question(x[n], code, self.n_neighbors, adversary), field, outcome)
            for n, (code, outcome) in enumerate(answers)
        ]
        return RobustRadius.of(proofs, np.stack([one.query for one in proofs]), np.shape(X))

    def as_module(self, scale: float = 1.0) -> "NearestNeighborModule":
        """That of `OneNearestNeighbor`, for k = 1: votes have no gradient.

        Raises:
            DataError: for k above 1, or a scale that is not above 0.
        """
        if self.n_neighbors > 1:
            raise DataError(f"as_module: expected n_neighbors=1, as votes have no gradient, got {self.n_neighbors}; "
                            "ask for robust_radius")  # fmt: skip
        return super().as_module(scale)

    def _certificate(self, question: Question, field: Field, outcome: Outcome) -> VotingCertificate:
        order, tree = field.order, outcome.tree.copy()
        is_reference = np.r_[False, tree[:-1] == SPLIT] if len(tree) else np.zeros(0, dtype=bool)
        tree[is_reference] = order[tree[is_reference]]
        proof = VotingCertificate(
            query=question.x, label=self.classes_[question.code], references=self._in_units, labels=self._labels,
            digest=self._digest, adversary=question.adversary, n_neighbors=self.n_neighbors,
            lower=outcome.lower * FOR_VERIFY, upper=outcome.upper, x_adv=outcome.point,
            own=order[outcome.own], tree=tree, near=order[outcome.near], far=order[outcome.far], weights=outcome.weights,
            ended_by=f"max_problems={self.max_problems}" if outcome.is_spent else "",
        )  # fmt: skip
        if self._unit == 1:
            return proof
        return replace(proof.in_units(1 / self._unit), references=self._points)

    def _require_votes(self) -> None:
        """Nothing, where k and weights are such as there can be; else a DataError."""
        n, k = sum(len(part) for part in self._ids), self.n_neighbors
        if whole_number("n_neighbors", k, 1) % 2 == 0:
            raise DataError(
                f"n_neighbors: expected an odd number, so that two classes never tie, got {k}; give {k - 1} or {k + 1}"
            )
        if k > n:
            raise DataError(f"n_neighbors: expected at most the number of references, {n}, got {k}")
        if self.weights != "uniform":
            raise DataError(f"weights: expected uniform, whose regions are bounded by planes, got {self.weights!r}")
        whole_number("max_problems", self.max_problems, 1)
        if k > 1 and self.metric is not None:
            raise DataError(f"metric: expected None for n_neighbors above 1, got one with n_neighbors={k}; "
                            "transform X beforehand")  # fmt: skip

"""The 1-nearest-neighbour classifier as a scikit-learn estimator that knows its exact adversarial robustness."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import (
    checked,
    codes_of,
    known_device,
    known_jobs,
    known_norm,
    number,
    warn_of_units,
    weighted_adversary_of,
    whole_number,
)
from nnrobust.nearest.categories import categorical_radius
from nnrobust.nearest.distances.facing import Facing, rows_at
from nnrobust.nearest.distances.measured import MOST, Distances, ToClasses
from nnrobust.nearest.distances.metric import PLAIN, Metric
from nnrobust.nearest.distances.references import References, centre_of, unit_of
from nnrobust.nearest.distances.screening import Rivals
from nnrobust.nearest.neighborhood import Neighborhood
from nnrobust.nearest.proofs.digest import digest_of
from nnrobust.nearest.proofs.proof import RobustRadius
from nnrobust.nearest.search.answers import Answers, matrix_of
from nnrobust.nearest.search.radius import Search
from nnrobust.runtime.jobs import Lazily, Report, spread
from nnrobust.runtime.threads import on_one_thread

if TYPE_CHECKING:
    from nnrobust.nearest.module import NearestNeighborModule

_MEBI = 2**20
_FEW, _BLOCKS = 128, 8
"""Queries of a label that are one block, if they are few; more are in 8 blocks at least, for processes side by side."""
_LEAST = 1e-280
"""Squared distances below this, in units of the largest coordinate, may have lost digits."""
_FARTHEST = 2.0**300
"""The largest coordinate of a query in these units: squares of sums of squares of such are numbers."""


class OneNearestNeighbor(Neighborhood, ClassifierMixin, BaseEstimator):
    """The label of the nearest reference in l2; of classes equally near, the one that comes first in `classes_`.

    Float32 proposes the nearest references, float64 concludes, so predictions are exact for float64 distances, ties included.

    Parameters:
        metric: W, an array (k, n_features) of rank 1 or more, or a fitted affine transformer of scikit-learn, such as PCA:
            distances are ||W x - W x'||, perturbations those of x. None: distances are those of the points.
        n_own: own-class references that a query's problems start with.
        n_screened: other-class references that get a bound of their own.
        working_memory: MiB for the blocks that queries are handled in, and for float32 copies of the references. Where these do
            not fit they are made block by block: uint8 references then take their own bytes and no more. Memory-mapped ones
            (`np.load` with `mmap_mode="r"`) stay on disk if they lie in the order of their labels; else they are copied once.
        device: where products of points are taken, `cpu` or, by PyTorch, a CUDA device; the rest is NumPy on the CPU.
        n_jobs: processes that `robust_radius` spreads blocks of queries over, as in scikit-learn: None and 1 are none, -1 is one
            for each processor. Radii and proofs are the same to the bit. With a device there is none.
        verbose: 1 for a line of progress on standard error.

    Attributes:
        classes_: the labels (n_classes,).
        n_features_in_: values of one reference.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        metric: Any = None,
        n_own: int = 8,
        n_screened: int = 64,
        working_memory: int = 1024,
        device: str = "cpu",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.metric = metric
        self.n_own = n_own
        self.n_screened = n_screened
        self.working_memory = working_memory
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: np.ndarray, y: np.ndarray) -> "OneNearestNeighbor":  # noqa: N803
        """Keeps the references X (n, ...), float32, float64 or uint8, and their labels y (n,).

        Raises:
            DataError: for values that are not finite, fewer than two classes, or a metric of the wrong shape or rank.
        """
        self._check_parameters()
        X, y = checked(self, X, y, reset=True)  # noqa: N806
        self._metric = PLAIN if self.metric is None else Metric.of(self.metric, X.shape[1])
        self._keep(self._metric.kept(X), y)
        return self

    def _keep(self, X: np.ndarray, y: np.ndarray) -> None:  # noqa: N803
        """Keeps references X (n, k), as the metric has them, and their labels y (n,)."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y: expected labels of at least two classes, got one class, {self.classes_[0]}")
        self._points, self._labels = X, y
        self._range = None if self.metric is not None else (float(X.min()), float(X.max()))
        self._digest = digest_of(X, y, matrix_of(self._metric))
        self._ids = [np.flatnonzero(codes == code) for code in range(len(self.classes_))]
        self._unit = unit_of(X)
        self._in_units = X = X if self._unit == 1 else X.astype(np.float64) / self._unit  # noqa: N806
        centre, is_held = centre_of(X), 4 * X.size <= self._memory
        self._references = [References.of(rows_at(X, ids), centre, self.device, is_held) for ids in self._ids]

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The labels (m,) of queries X (m, ...).

        Raises:
            DataError: for values that are not finite, or another number of features.
        """
        check_is_fitted(self)
        X = self._queries(X)  # noqa: N806
        return self.classes_[self._distances(self._scaled(X)).nearest.argmin(axis=1)]

    @on_one_thread
    def robust_radius(  # noqa: PLR0913
        self,
        X: np.ndarray,  # noqa: N803
        y: np.ndarray | None = None,
        *,
        norm: Literal["L2", "Linf", "L1"] = "L2",
        box: tuple[Any, Any] | None = None,
        epsilon: float | np.ndarray | None = None,
        weights: np.ndarray | None = None,
        categories: Mapping[Any, Any] | None = None,
    ) -> RobustRadius:
        """The exact distance in `norm` from each query to the nearest point that is not labelled y, ties included.

        0 where the query itself is labelled differently or tied; infinity where no point of the box is.

        Args:
            X: queries (m, ...), in the units of the references.
            y: labels (m,); None: the predictions.
            box: lowest and highest value a coordinate of the nearest point may have, two numbers or arrays (n_features,); None:
                any.
            epsilon: decides only whether the radius exceeds epsilon, which is cheaper: bounds stop once on one side of it. An
                array (n_features,) is the size of each feature: weights, and the verdict at 1.
            weights: (n_features,), the norm is that of v / weights, and so is the radius; 0: a feature that may not change.
            categories: columns that are categories, by column or tuple of columns, with the rows of values that they may have,
                as in {(3, 4, 5): np.eye(3), 6: [0, 1]}. Changing one costs 1: the radius is the norm of the changes of numbers
                and of a 1 for each category that is changed. Box and weights say nothing of them. Where the choices that could
                be nearer are too many, the radius is `bounded`, and `ended_by` says so.

        Raises:
            DataError: naming the argument, what was expected, and the first value that is wrong.
            MemoryError: when a single query does not fit.
        """
        check_is_fitted(self)
        self._check_parameters()
        x = self._queries(X)
        if categories is not None:
            labels = self.predict(X) if y is None else self.classes_[codes_of(y, self.classes_, len(x))]
            options = {"norm": known_norm(norm), "box": box, "epsilon": epsilon, "weights": weights}
            return categorical_radius(self, x.astype(np.float64), labels, categories, options, np.shape(X))
        if np.ndim(epsilon):  # type: ignore[arg-type]
            if weights is not None:
                raise DataError("weights: expected none beside an epsilon for each feature, got both")
            weights, epsilon = epsilon, 1.0  # type: ignore[assignment]
        adversary = weighted_adversary_of(norm, box, x, weights)
        limit = np.inf if epsilon is None else number("epsilon", epsilon, 0, is_open=True)
        x = self._scaled(x)
        is_kept = weights is None and 8 * len(x) * len(self._in_units) <= self._memory // 4
        distances = self._distances(x, is_kept)
        squared = distances.nearest
        codes = squared.argmin(axis=1) if y is None else codes_of(y, self.classes_, len(x))
        answers = Answers(x, codes, squared, adversary.in_units(self._unit), limit / self._unit, self._metric)
        facing = Facing(self._in_units, self._ids, self._references, self._memory)
        n_open = [len(answers.open_rows(code)) for code in range(len(self._ids))]
        for code, rivals, others in facing.rivals(n_open, answers.metric):
            self._refine(answers, code, (rivals, others), distances)
        classifier = {"references": self._in_units, "labels": self._labels, "digest": self._digest}
        certificates = answers.certificates(classifier, self.classes_)
        if self._unit != 1:
            certificates = [replace(one.in_units(1 / self._unit), references=self._points) for one in certificates]
        return RobustRadius.of(certificates, np.stack([one.query for one in certificates]), np.shape(X))

    def as_module(self, scale: float = 1.0) -> "NearestNeighborModule":
        """The classifier as a `torch.nn.Module`: logits (n, n_classes) = minus the distance to each of `classes_`.

        AutoAttack, Foolbox and this project's attacks run on it; no success of theirs is nearer than `robust_radius` in a box.
        Its largest logit is always that of `predict`. References are searched on `device`, wherever the module is moved.

        Args:
            scale: what inputs are multiplied by to be in the units of the references: 255 for uint8 and images in [0, 1].

        Raises:
            DataError: for a scale that is not above 0.
        """
        from nnrobust.nearest.module import NearestNeighborModule

        check_is_fitted(self)
        factor = number("scale", scale, 0, is_open=True)
        return NearestNeighborModule(self._references, self._metric, factor / self._unit)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _check_parameters(self) -> None:
        for name in ("n_own", "n_screened"):
            whole_number(name, getattr(self, name), 1)
        number("working_memory", self.working_memory, 0, is_open=True)
        known_device(self.device)
        known_jobs(self.n_jobs)

    def _queries(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Queries (m, ...) as (m, n_features), checked."""
        x, _ = checked(self, X)
        if self._range is not None:
            warn_of_units(self._range, x)
        return x

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Queries in the units of the references in `_in_units`."""
        x = x if self._unit == 1 else x.astype(np.float64) / self._unit
        largest = max(float(x.max()), -float(x.min()))
        if largest > _FARTHEST:
            raise DataError(f"X: expected queries within {_FARTHEST:.3g} times the references, got values of up to "
                            f"{largest * self._unit:g}; drop fill values")  # fmt: skip
        return x

    def _distances(self, x: np.ndarray, is_kept: bool = False) -> ToClasses:
        """The squared distances of queries (m, d) to the nearest reference of each class; `is_kept`: those of all references too.

        Raises:
            DataError: where they are so small, beside the largest value, that squares cannot tell classes apart.
        """
        width = 16 * max(len(references) for references in self._references) + 8 * x.shape[1]
        measured = ToClasses.of(x, self._metric, self._references, self._n_fitting(width), is_kept)
        found = measured.nearest
        is_blurred = ((found < _LEAST).sum(axis=1) > 1) & (found.min(axis=1) < found.max(axis=1))
        for row in np.flatnonzero(is_blurred | (found == 0).all(axis=1)).tolist():
            self._require_ties(row, x[[row]], np.flatnonzero(found[row] < _LEAST))
        return measured

    def _require_ties(self, row: int, x: np.ndarray, codes: np.ndarray) -> None:
        """Nothing, where a query (1, d) is at the very place of a reference of each of these classes; else a DataError."""
        place = self._metric.mapped(x.astype(np.float64))[0]
        for references in (self._references[code] for code in codes):
            if not (references.points == place).all(axis=1).any():
                raise DataError(f"X: expected distances that float64 tells from 0 beside values of up to "
                                f"{np.abs(references.points).max() * self._unit:g}, got a query closer to two classes, in row "
                                f"{row}; drop fill values, or scale columns alike")  # fmt: skip

    @property
    def _memory(self) -> int:
        """The working memory in bytes."""
        return int(self.working_memory * _MEBI)

    def _n_fitting(self, bytes_per_query: int) -> int:
        """How many queries at once half of the memory is enough for, one at least."""
        return max(1, self._memory // (2 * bytes_per_query))

    def _refine(self, answers: Answers, own: int, facing: tuple[Rivals, np.ndarray], distances: ToClasses) -> None:
        """Notes the radii of the open queries of class `own`, which are so far away, against rivals, with their positions."""
        (rivals, others), rows = facing, answers.open_rows(own)
        width = 8 * (4 * (self.n_own + 8) * answers.x.shape[1] + 4 * max(len(rivals.own), len(rivals.other)))
        size = min(self._n_fitting(width), MOST, max(_FEW, -(-len(rows) // _BLOCKS)))
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        if rivals.between.is_whole and len(blocks) > 1:
            _ = rivals.between.all  # here, once for all blocks
        search = Search(rivals, self.n_own, self.n_screened, answers.adversary)
        is_part = len(rivals.own) + len(rivals.other) < len(self._in_units)

        def question(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, Distances | None]:
            known = None if is_part else distances.against_others(own, block)
            return answers.x[block], answers.stop_above(block), known

        report = Report.of(self.verbose, f"robust_radius, label {self.classes_[own]}", len(blocks))
        for block, found in zip(blocks, spread(search, Lazily(question, blocks), self._jobs, report), strict=True):
            answers.note(block, found, self._ids[own], others)

    @property
    def _jobs(self) -> int | None:
        """Processes as joblib counts them: one where products are taken on a device, which it does not share."""
        return self.n_jobs if self.device == "cpu" else 1

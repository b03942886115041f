"""The 1-nearest-neighbour classifier as a scikit-learn estimator that knows its exact adversarial robustness."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import adversary_of, checked, codes_of, number
from nnrobust.nearest.checker import provable, shows_upper
from nnrobust.nearest.halfspace import Adversary
from nnrobust.nearest.metric import PLAIN, Metric, Plain
from nnrobust.nearest.proof import Certificate, RobustRadius, digest_of
from nnrobust.nearest.radius import PAST, Radii, exact_radii
from nnrobust.nearest.references import References, centre_of
from nnrobust.nearest.screening import Effort, Rivals
from nnrobust.runtime.memory import fitting
from nnrobust.threat import norm_of

if TYPE_CHECKING:
    from nnrobust.nearest.module import NearestNeighborModule

_MEBI = 2**20
_MOST = 256
"""Queries handled at once, however much memory there is: more are no faster."""
_CLOSE = 1e-4
"""Difference of the squared distances to two classes, relative to them, below which their rounding shows in a lower bound."""
_PUSHES = 2.0 ** np.arange(-40, 1)
"""Of a point that ties within rounding: how much farther it is tried, relative to its distance."""


class OneNearestNeighbor(ClassifierMixin, BaseEstimator):
    """The label of the nearest reference in l2; of classes equally near, the one that comes first in `classes_`.

    Float32 proposes the nearest references, float64 concludes, so predictions are exact for float64 distances, ties included.

    Parameters:
        metric: W, an array (k, n_features) of rank 1 or more, or a fitted affine transformer of scikit-learn, such as PCA:
            distances are ||W x - W x'||, perturbations those of x. None: distances are those of the points.
        n_own: own-class references that a query's problems start with.
        n_screened: other-class references that get a bound of their own.
        working_memory: MiB for the blocks that queries are handled in, beside the references themselves.
        device: where products of points are taken, `cpu` or, by PyTorch, a CUDA device; the rest is NumPy on the CPU.

    Attributes:
        classes_: the labels (n_classes,).
        n_features_in_: values of one reference.
    """

    def __init__(
        self,
        *,
        metric: Any = None,
        n_own: int = 8,
        n_screened: int = 64,
        working_memory: int = 1024,
        device: str = "cpu",
    ) -> None:
        self.metric = metric
        self.n_own = n_own
        self.n_screened = n_screened
        self.working_memory = working_memory
        self.device = device

    def fit(self, X: np.ndarray, y: np.ndarray) -> "OneNearestNeighbor":  # noqa: N803
        """Keeps the references X (n, ...), float32, float64 or uint8, and their labels y (n,).

        Raises:
            DataError: for values that are not finite, fewer than two classes, or a metric of the wrong shape or rank.
        """
        X, y = checked(self, X, y, reset=True)  # noqa: N806
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y: expected labels of at least two classes, got one class, {self.classes_[0]}")
        self._metric = PLAIN if self.metric is None else Metric.of(self.metric, X.shape[1])
        X = self._metric.kept(X)  # noqa: N806
        self._points, self._labels = X, y
        self._digest = digest_of(X, y, _matrix(self._metric))
        self._ids = [np.flatnonzero(codes == code) for code in range(len(self.classes_))]
        centre = centre_of(X)
        self._references = [References.of(X[ids], centre, self.device) for ids in self._ids]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """The labels (m,) of queries X (m, ...).

        Raises:
            DataError: for values that are not finite; ValueError for another number of features.
        """
        check_is_fitted(self)
        X, _ = checked(self, X)  # noqa: N806
        return self.classes_[self._squared_distances(X).argmin(axis=1)]

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

        0 where the query itself is labelled differently or tied; infinity where no point of the box is.

        Args:
            X: queries (m, ...), in the units of the references.
            y: labels (m,); None: the predictions.
            box: lowest and highest value a coordinate of the nearest point may have; None: any.
            epsilon: decides only whether the radius exceeds epsilon, which is cheaper: bounds stop once on one side of it.

        Raises:
            DataError: naming the argument, what was expected, and the first value that is wrong.
            MemoryError: when a single query does not fit.
        """
        check_is_fitted(self)
        x, _ = checked(self, X)
        adversary = adversary_of(norm, box, x)
        limit = np.inf if epsilon is None else number("epsilon", epsilon, 0, is_open=True)
        squared = self._squared_distances(x)
        codes = squared.argmin(axis=1) if y is None else codes_of(y, self.classes_, len(x))
        answers = _Answers(x, codes, squared, adversary, limit, self._metric)
        for code, rivals, others in self._facing(answers):
            self._refine(answers, code, rivals, others)
        classifier = {"references": self._points, "labels": self._labels, "digest": self._digest}
        return answers.result(classifier, self.classes_, np.shape(X))

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
        return NearestNeighborModule(self._references, self._metric, number("scale", scale, 0, is_open=True))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _squared_distances(self, x: np.ndarray) -> np.ndarray:
        """Squared distances (m, n_classes) to the nearest reference of each class."""
        found = np.empty((len(x), len(self.classes_)))
        width = 16 * max(len(references) for references in self._references) + 8 * x.shape[1]

        def nearest(rows: np.ndarray) -> np.ndarray:
            queries = self._metric.mapped(x[rows].astype(np.float64))
            return np.stack([references.nearest(queries)[0] for references in self._references], axis=1)

        for rows, squared in fitting(nearest, np.arange(len(x)), self._block_size(width)):
            found[rows] = squared
        return found

    def _block_size(self, bytes_per_query: int) -> int:
        return int(np.clip(self.working_memory * _MEBI // (2 * bytes_per_query), 1, _MOST))

    def _facing(self, answers: "_Answers") -> Iterator[tuple[int, Rivals, np.ndarray]]:
        """Each class with open queries, against the references of all others, and the positions of these.

        In parts, where they and their distances to the class do not fit in half the working memory.
        """
        rivals: Rivals | None = None
        for code in (code for code in range(len(self._ids)) if len(answers.open_rows(code))):
            own, ids = self._references[code], np.concatenate(self._ids[:code] + self._ids[code + 1 :])
            size = max(1, self.working_memory * _MEBI // 2 // (4 * len(own) + 8 * own.points.shape[1]))
            if size < len(ids):
                for part in (ids[start : start + size] for start in range(0, len(ids), size)):
                    others = References.of(self._points[part], own.centre, self.device)
                    yield code, Rivals.of(own, others, metric=self._metric), part
                continue
            if rivals is not None and rivals.other is own:  # two classes, whose distances are there already
                rivals = rivals.exchanged()
            else:
                others = References.joined(self._references[:code] + self._references[code + 1 :])
                rivals = Rivals.of(own, others, metric=self._metric)
            yield code, rivals, ids

    def _refine(self, answers: "_Answers", own: int, rivals: Rivals, others: np.ndarray) -> None:
        """Notes the radii of the open queries of class `own` against these rivals."""
        rows = answers.open_rows(own)
        width = 8 * (4 * (self.n_own + 8) * answers.x.shape[1] + 4 * max(len(rivals.own), len(rivals.other)))

        def radii(block: np.ndarray) -> Radii:
            effort = Effort(self.n_own, self.n_screened, len(block))
            return exact_radii(answers.x[block], rivals, effort, answers.adversary, answers.stop_above(block))

        for block, found in fitting(radii, rows, self._block_size(width)):
            answers.note(block, found, self._ids[own], others)


class _Answers:
    """Bounds on the radii of m queries, with points and proofs, as their rivals are gone through."""

    def __init__(
        self,
        x: np.ndarray,
        codes: np.ndarray,
        squared: np.ndarray,
        adversary: Adversary,
        epsilon: float,
        metric: Plain,
    ) -> None:
        self.metric, rows = metric, np.arange(len(x))
        self.x, self.codes, self.adversary, self.epsilon = x.astype(np.float64), codes, adversary, epsilon
        others = squared.copy()
        others[rows, codes] = np.inf
        self.nearest_other = np.sqrt(others.min(axis=1))
        self.is_won = squared[rows, codes] < others.min(axis=1)
        self.is_close = others.min(axis=1) - squared[rows, codes] < _CLOSE * others.min(axis=1)
        self.lower = np.where(self.is_won, np.inf, 0.0)
        self.upper = self.lower.copy()
        self.x_adv = np.where(self.is_won[:, None], np.nan, self.x)
        self.own: list[list[np.ndarray]] = [[] for _ in rows]
        self.multipliers: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in rows]

    def open_rows(self, code: int) -> np.ndarray:
        """The queries of a class whose bounds further rivals may move."""
        return np.flatnonzero((self.codes == code) & self.is_won & ~self.has_fallen)

    @property
    def has_fallen(self) -> np.ndarray:
        """Queries (m,) with a known point within epsilon, if there is an epsilon."""
        return (self.upper <= self.epsilon) & np.isfinite(self.epsilon)

    def stop_above(self, rows: np.ndarray) -> np.ndarray:
        """The radius beyond which a rival class does not matter."""
        return np.minimum(self.upper[rows], self.epsilon * PAST)

    def note(self, rows: np.ndarray, radii: Radii, own: np.ndarray, others: np.ndarray) -> None:
        """Takes in radii against the references `others`; `own` are the positions of those of the queries' class."""
        self.lower[rows] = np.minimum(self.lower[rows], radii.lower)
        self.is_close[rows] |= radii.is_delicate
        is_nearer = radii.upper < self.upper[rows]
        self.upper[rows[is_nearer]], self.x_adv[rows[is_nearer]] = radii.upper[is_nearer], radii.witness[is_nearer]
        for n, row in enumerate(rows):
            self.own[row].append(own[radii.own[n]])
            self.multipliers[row] |= {
                int(others[j]): (own[i], _of_size_1(m)) for j, (i, m) in radii.proofs[n].items() if len(i)
            }

    def result(self, classifier: dict[str, Any], classes: np.ndarray, shape: tuple[int, ...]) -> RobustRadius:
        """The radii and their certificates, for queries of this shape, against a classifier: references, labels and digest."""
        # A query that fell within epsilon was not compared with the classes that came after.
        lower = np.where(self.has_fallen, 0.0, self.lower)
        lower = np.maximum(self.metric.reported(lower, self.nearest_other), 0.0)
        certificates = [
            Certificate(
                query=self.x[row], label=classes[self.codes[row]], adversary=self.adversary, lower=float(lower[row]),
                upper=float(self.upper[row]), x_adv=self.x_adv[row], own=_together(self.own[row]),
                multipliers=self.multipliers[row], metric=_matrix(self.metric), **classifier,
            )
            for row in range(len(self.x))
        ]  # fmt: skip
        for row in np.flatnonzero(self.is_won & self.is_close):
            certificates[row] = _within_rounding(certificates[row])
        return RobustRadius.of(certificates, self.x, shape)


def _matrix(metric: Plain) -> np.ndarray | None:
    return metric.matrix if isinstance(metric, Metric) else None


def _within_rounding(found: Certificate) -> Certificate:
    """With bounds that float64 shows: a lower one as proven, and the point a little farther away until it is seen to win."""
    lower = min(found.lower, provable(found)) if found.lower > 0 else found.lower
    if np.isinf(found.upper) or shows_upper(found):
        return replace(found, lower=lower)
    box = found.adversary.box or (-np.inf, np.inf)
    for push in _PUSHES:
        point = np.clip(found.query + (1 + push) * (found.x_adv - found.query), *box)
        upper = float(norm_of(point[None] - found.query, found.adversary.norm)[0])
        moved = replace(found, lower=lower, upper=upper, x_adv=point)
        if shows_upper(moved):
            return moved
    return replace(found, lower=lower, upper=np.inf, x_adv=np.full_like(found.x_adv, np.nan))


def _of_size_1(weights: np.ndarray) -> np.ndarray:
    """Weights times a power of two, so that the largest is from 1/2 to 1."""
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """All positions, the first of each part first: they come nearest first."""
    return np.array(list(dict.fromkeys(np.concatenate(parts).tolist())) if parts else [], dtype=np.int64)

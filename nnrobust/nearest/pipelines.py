"""Pipelines of scikit-learn with affine steps before the classifier, in the units of their raw input."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from nnrobust.errors import DataError
from nnrobust.nearest.distances.metric import Metric, NotAffineError, affine_part
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.proofs.digest import rounded
from nnrobust.nearest.proofs.proof import RobustRadius


def robust_radius(estimator: Any, X: np.ndarray, y: np.ndarray | None = None, **options: Any) -> RobustRadius:  # noqa: N803
    """The exact radii of an estimator that has some, or of a fitted pipeline of affine steps and `OneNearestNeighbor`.

    Perturbations are those of X (m, ...), the pipeline's raw input, in its units: norm, box and epsilon too.

    Args:
        options: those of the estimator's `robust_radius`.

    Raises:
        DataError: naming the step that is not affine, or a last step without exact radii; and as the estimator does.
    """
    model = in_raw_units(estimator) if isinstance(estimator, Pipeline) else estimator
    if not hasattr(model, "robust_radius"):
        raise DataError(f"estimator: expected one with a method robust_radius, or a pipeline that ends in OneNearestNeighbor, "
                        f"got {type(estimator).__name__}")  # fmt: skip
    found: RobustRadius = model.robust_radius(X, y, **options)
    return found


def in_raw_units(pipeline: Pipeline) -> OneNearestNeighbor:
    """The classifier of raw input that a fitted pipeline of affine steps and `OneNearestNeighbor` is, fitted.

    With z = A x + c what the steps make of x, and references z_i, it compares A x with z_i - c; if its last step takes distances
    of W z, W A x with W (z_i - c). These are rounded to 2^-40 of the largest coordinate, as in any metric.

    Raises:
        DataError: naming a step that is not affine, or not fitted, or a last step of another kind.
    """
    name, model = pipeline.steps[-1]
    if not isinstance(model, OneNearestNeighbor):
        raise DataError(f"pipeline: expected OneNearestNeighbor as the last step, got {type(model).__name__}, {name!r}")
    k = getattr(model, "n_neighbors", 1)
    if k != 1:
        raise DataError(f"pipeline: expected a last step of one neighbour, got n_neighbors={k}, which has no metric; "
                        "transform the data first, and ask in those units")  # fmt: skip
    check_is_fitted(model)
    steps = [(name, step) for name, step in pipeline.steps[:-1] if step is not None and step != "passthrough"]
    if not steps:
        return model
    matrix, offset = _affine(*steps[0], int(steps[0][1].n_features_in_))
    for name, step in steps[1:]:
        further, shift = _affine(name, step, len(matrix))
        matrix, offset = further @ matrix, further @ offset + shift
    if isinstance(model._metric, Metric):
        matrix, offset = model._metric.matrix @ matrix, model._metric.matrix @ offset
    raw = OneNearestNeighbor(
        metric=matrix,
        n_own=model.n_own,
        n_screened=model.n_screened,
        working_memory=model.working_memory,
        device=model.device,
    )
    raw.n_features_in_ = matrix.shape[1]
    raw._metric = Metric.of(matrix, matrix.shape[1])
    points = model._points.astype(np.float64) - offset
    if raw._metric.matrix.shape != matrix.shape or not np.array_equal(raw._metric.matrix, matrix):
        points = points @ (raw._metric.matrix @ np.linalg.pinv(matrix)).T  # another matrix of the same distances
    raw._keep(rounded(points), model._labels)
    return raw


def _affine(name: str, step: Any, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix and the offset of a step."""
    kind = f"the step {name!r}, {type(step).__name__}"
    try:
        if getattr(step, "clip", False):
            raise NotAffineError
        return affine_part(step, n_features)
    except NotAffineError as error:
        raise DataError(f"pipeline: expected affine steps, x -> W x + c, before the classifier, got {kind}, which is not; "
                        "leave it out, or ask in the units behind it") from error  # fmt: skip
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"pipeline: expected steps fitted to numbers, got {kind}: {error}") from error

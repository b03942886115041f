"""Exact robustness of the 1-nearest-neighbour classifier, beside adversarially trained networks (arXiv 2404.06313)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnrobust.evaluation.evaluate import evaluate as evaluate
    from nnrobust.evaluation.modules import as_module as as_module
    from nnrobust.linear.estimator import RobustLinearClassifier as RobustLinearClassifier
    from nnrobust.models.sources import load_model as load_model
    from nnrobust.nearest.estimator import OneNearestNeighbor as OneNearestNeighbor
    from nnrobust.nearest.k_estimator import KNearestNeighbor as KNearestNeighbor
    from nnrobust.nearest.neighborhood import RobustScorer as RobustScorer
    from nnrobust.nearest.pipelines import robust_radius as robust_radius
    from nnrobust.nearest.proofs.verification import verify as verify

__version__ = "0.2.0"
__all__ = [
    "KNearestNeighbor",
    "OneNearestNeighbor",
    "RobustLinearClassifier",
    "RobustScorer",
    "as_module",
    "evaluate",
    "load_model",
    "robust_radius",
    "verify",
]
_HOMES = {
    "KNearestNeighbor": "nnrobust.nearest.k_estimator",
    "OneNearestNeighbor": "nnrobust.nearest.estimator",
    "RobustLinearClassifier": "nnrobust.linear.estimator",
    "RobustScorer": "nnrobust.nearest.neighborhood",
    "as_module": "nnrobust.evaluation.modules",
    "evaluate": "nnrobust.evaluation.evaluate",
    "load_model": "nnrobust.models.sources",
    "robust_radius": "nnrobust.nearest.pipelines",
    "verify": "nnrobust.nearest.proofs.verification",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: a stage imports only what it uses."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

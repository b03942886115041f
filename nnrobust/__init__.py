"""Exact robustness of the 1-nearest-neighbour classifier, beside adversarially trained networks (arXiv 2404.06313)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnrobust.nearest.estimator import OneNearestNeighbor as OneNearestNeighbor

__version__ = "0.1.0"
__all__ = ["OneNearestNeighbor"]


def __getattr__(name: str) -> Any:
    """The estimator, imported when it is first asked for: a stage imports only what it uses."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nnrobust.nearest.estimator import OneNearestNeighbor

    return OneNearestNeighbor

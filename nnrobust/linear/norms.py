"""Dual norms of weights, made smooth, and projections onto balls: what the optimum of a robust fit rests on.

A perturbation of size epsilon in a norm moves a score by at most epsilon times the dual norm of its weights. L2 is its own
dual; Linf and L1 are each other's. All functions take the norm of the *perturbation*.
"""

import numpy as np

_TINY = 1e-300


@np.errstate(over="ignore", under="ignore")
def dual_norm(vectors: np.ndarray, norm: str, smoothing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The dual norm of vectors (m, d) from above, smooth in them (m,), and its gradients (m, d).

    Too large by at most: `smoothing` (L2), d times it (Linf), log(2 d) times it (L1). With smoothing 0 it is the dual norm and a
    subgradient of it. Gradients are of norm 1 at most in the norm of the perturbation, so each is a worst-case perturbation.
    Source: sqrt(v^2 + mu^2) and mu log sum exp(v / mu), Beck and Teboulle, SIAM J. Optim. 22(2), 2012.
    """
    if norm == "L2":
        lengths = np.sqrt(np.vecdot(vectors, vectors) + smoothing**2)
        return lengths, vectors / np.maximum(lengths, _TINY)[:, None]
    if norm == "Linf":
        sizes = np.sqrt(vectors**2 + smoothing**2) if smoothing else np.abs(vectors)
        return sizes.sum(axis=1), vectors / np.maximum(sizes, _TINY)
    sizes = np.abs(vectors)
    largest = sizes.max(axis=1, keepdims=True)
    if not smoothing:
        is_largest = (sizes == largest) & (sizes > 0)
        return largest[:, 0], np.sign(vectors) * is_largest / np.maximum(is_largest.sum(axis=1, keepdims=True), 1)
    plus, minus = np.exp((vectors - largest) / smoothing), np.exp((-vectors - largest) / smoothing)
    total = (plus + minus).sum(axis=1, keepdims=True)
    return largest[:, 0] + smoothing * np.log(total[:, 0]), (plus - minus) / total


def largest_error(norm: str, n_features: int) -> float:
    """By how much the dual norm is too large at most, for each unit of smoothing."""
    return {"L2": 1.0, "Linf": float(n_features), "L1": float(np.log(2 * n_features))}[norm]


def project_onto_ball(vectors: np.ndarray, radii: np.ndarray, norm: str) -> np.ndarray:
    """The points (m, d) of the balls of `radii` (m,) in `norm`, about the origin, that are nearest to vectors (m, d) in l2."""
    radii = radii[:, None]
    if norm == "Linf":
        return np.clip(vectors, -radii, radii)
    if norm == "L2":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors * np.where(lengths > radii, radii / np.maximum(lengths, _TINY), 1.0)
    # L1: every coordinate shrinks by the same amount, found among the sums of the largest ones.
    sizes = np.abs(vectors)
    largest = -np.sort(-sizes, axis=1)
    shrinks = (largest.cumsum(axis=1) - radii) / np.arange(1, vectors.shape[1] + 1)
    n_left = np.maximum((largest > shrinks).sum(axis=1, keepdims=True), 1)
    shrink = np.maximum(np.take_along_axis(shrinks, n_left - 1, axis=1), 0.0)
    return np.sign(vectors) * np.maximum(sizes - shrink, 0.0)

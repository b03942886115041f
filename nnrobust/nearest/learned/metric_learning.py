"""A metric learned for robustness: the W whose bisectors are far from the points, chosen by exact robust accuracy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import as_rows, known_norm, number, require_finite
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.nearest.learned.projections import principal_components
from nnrobust.nearest.learned.prototypes import Labelled
from nnrobust.nearest.learned.selection import Norm, best_of, hold_out

_BETAS = (0.9, 0.999)
"""Decay of the two moments of Adam. Source: arXiv 1412.6980, algorithm 1."""
_SHARPNESS = 8.0
"""How much the least of the rivals' bounds outweighs the others, in 1 / epsilon."""
_LEAST = 1e-12


@dataclass(frozen=True)
class Learning:
    """How a metric is learned.

    Of each of `batch_size` points the `n_own` nearest own-class references and the `n_rivals` nearest others count, for `n_steps`
    steps of Adam of size `learning_rate`, which falls to 0. `temperature`: how far from epsilon, relative to it, a bound still
    counts. The best of `n_snapshots` on the way, and of the start, is chosen on the `held_out_fraction` of each class, at most
    `n_held_out` points in all.
    """

    n_steps: int = 300
    batch_size: int = 256
    learning_rate: float = 0.005
    temperature: float = 0.3
    n_own: int = 4
    n_rivals: int = 8
    n_snapshots: int = 3
    held_out_fraction: float = 0.1
    n_held_out: int = 200


def learn_metric(  # noqa: PLR0913
    X: np.ndarray,  # noqa: N803
    y: np.ndarray,
    norm: Norm,
    epsilon: float,
    n_components: int,
    *,
    seed: int = 0,
    references: Labelled | None = None,
    learning: Learning = Learning(),
) -> np.ndarray:
    """W (n_components, d) for `OneNearestNeighbor(metric=W)`, learned for robust accuracy at epsilon without a box.

    W = A P with P the principal components. Of a point x, with i of its class and rivals j, learning raises
        min_j max_i (||W x_j - W x||^2 - ||W x_i - W x||^2) / (2 ||W'W (x_i - x_j)||_q),   q dual to the norm,
    the distance to the nearest bisector, which is a lower bound of the radius when i and j go through all references: it lowers
    the mean of sigmoid((epsilon - bound) / (temperature * epsilon)), a smooth share of the points that are not robust. It starts
    from A = I; what it returns is at least as robust as that on the held-out points, by exact radii.

    Args:
        X: points (n, ...), with labels y (n,).
        norm: of the perturbations, and `epsilon`, their size, in the units of the points.
        seed: of the held-out points and of the batches; the same seed gives the same W on the same machine.
        references: what 1NN compares with, if not the points: prototypes, say. A point is no reference for itself.
        learning: steps, sizes and shares.

    Raises:
        DataError: naming the argument, for values that cannot be meant.

    Source: ours; the bisector bound is that of arXiv 1906.03972, section 3. Wang et al. (arXiv 2006.07024) learn a Mahalanobis
    metric for a certified bound too.
    """
    norm = known_norm(norm)  # type: ignore[assignment]
    epsilon = number("epsilon", epsilon, 0, is_open=True)
    rows, y = np.asarray(as_rows(X)), np.asarray(y)
    require_finite(rows)
    if y.shape != (len(rows),):
        raise DataError(f"y: expected one label for each of {len(rows)} points, got shape {y.shape}")
    kept, held, kept_y, held_y = hold_out(rows, y, learning.held_out_fraction, seed)
    if len(held) > learning.n_held_out:
        _, held, _, held_y = hold_out(held, held_y, learning.n_held_out / len(held), seed)
    basis = principal_components(kept, n_components)
    compared = (kept, kept_y) if references is None else (np.asarray(as_rows(references[0])), np.asarray(references[1]))
    centre = kept.mean(axis=0, dtype=np.float64)
    task = _Task(
        points=_projected(kept, centre, basis), labels=kept_y, references=_projected(compared[0], centre, basis),
        reference_labels=compared[1], is_self=references is None, basis=basis, norm=norm, epsilon=epsilon,
    )  # fmt: skip
    found = [factor @ basis for factor in _descend(task, learning, seed)]
    models = (OneNearestNeighbor(metric=metric).fit(*compared) for metric in found)
    return found[best_of(models, held, held_y, norm, epsilon)]


def _projected(points: np.ndarray, centre: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Points (n, d) along the basis (r, d) from the centre."""
    found: np.ndarray = points.astype(np.float64) @ basis.T - basis @ centre
    return found


@dataclass(frozen=True)
class _Task:
    """Points (n, r) and references (m, r) along a basis (r, d), their labels, and the threat; `is_self`: they are the same."""

    points: np.ndarray
    labels: np.ndarray
    references: np.ndarray
    reference_labels: np.ndarray
    is_self: bool
    basis: np.ndarray
    norm: Norm
    epsilon: float


def _descend(task: _Task, learning: Learning, seed: int) -> Iterator[np.ndarray]:
    """The factors A (r, r) of the start and of the snapshots, by Adam."""
    factor = np.eye(len(task.basis))
    yield factor
    generator = np.random.default_rng(seed)
    first, second = np.zeros_like(factor), np.zeros_like(factor)
    snapshots = set(np.linspace(0, learning.n_steps, learning.n_snapshots + 1).round().astype(int)[1:].tolist())
    size = min(learning.batch_size, len(task.points))
    for step in range(1, learning.n_steps + 1):
        rows = generator.choice(len(task.points), size, replace=False)
        slope = factor_gradient(task, factor, rows, learning)[1]
        first, second = (
            beta * moment + (1 - beta) * part
            for beta, moment, part in zip(_BETAS, (first, second), (slope, slope**2), strict=True)
        )
        mean, spread = first / (1 - _BETAS[0] ** step), second / (1 - _BETAS[1] ** step)
        rate = learning.learning_rate * (1 - (step - 1) / learning.n_steps)
        factor = factor - rate * mean / (np.sqrt(spread) + _LEAST)
        if step in snapshots:
            yield factor


def factor_gradient(task: _Task, factor: np.ndarray, rows: np.ndarray, learning: Learning) -> tuple[float, np.ndarray]:
    """The mean loss of points at `rows`, and its gradient (k, r) with respect to the factor A (k, r).

    With M = A'A, c_i = x - x_i, a = x_i - x_j and N = ||P'M a||_q a bound is (c_j'M c_j - c_i'M c_i) / 2N. Its derivative by M is
    (c_j c_j' - c_i c_i') / 2N - bound / N dN/dM, and dN/dM = (P s) a' with s a subgradient of the norm at P'M a.
    """
    points, square = task.points[rows], factor.T @ factor
    own, rivals = _nearest(task, factor, rows, learning)
    to_own, to_rivals = (points[:, None] - task.references[places] for places in (own, rivals))
    ways = to_rivals[:, None] - to_own[:, :, None]  # x_i - x_j (m, i, j, r)
    squared_own, squared_rivals = (np.vecdot(way @ square, way) for way in (to_own, to_rivals))
    gaps = (squared_rivals[:, None] - squared_own[:, :, None]) / 2
    # Which i bounds each j best is seen in l2 along the basis; the bound of that one is in the norm asked for.
    best = (gaps / (np.linalg.norm(ways @ square, axis=3) + _LEAST)).argmax(axis=1)
    m, j = np.indices(best.shape)
    way, gap, to_best = ways[m, best, j], gaps[m, best, j], to_own[m, best]
    length, along = _dual_norms(way @ square @ task.basis, task.norm)
    bounds = gap / (length + _LEAST)
    least = bounds.min(axis=1, keepdims=True)
    shares = np.exp(-_SHARPNESS / task.epsilon * (bounds - least))
    shares /= shares.sum(axis=1, keepdims=True)
    scaled = (task.epsilon - (shares * bounds).sum(axis=1)) / (learning.temperature * task.epsilon)
    loss = expit(scaled)
    slope = -loss * (1 - loss) / (learning.temperature * task.epsilon) / len(rows)
    weights = slope[:, None] * _share_slopes(shares, bounds, task.epsilon)
    by_square = (
        _summed(weights / (2 * length + _LEAST), to_rivals, to_rivals)
        - _summed(weights / (2 * length + _LEAST), to_best, to_best)
        - _summed(weights * bounds / (length + _LEAST), along @ task.basis.T, way)
    )
    return float(loss.mean()), factor @ (by_square + by_square.T)


def _share_slopes(shares: np.ndarray, bounds: np.ndarray, epsilon: float) -> np.ndarray:
    """The derivatives (m, j) of sum_j shares_j bounds_j by the bounds, of which the shares are the soft least."""
    mean = (shares * bounds).sum(axis=1, keepdims=True)
    found: np.ndarray = shares * (1 - _SHARPNESS / epsilon * (bounds - mean))
    return found


def _nearest(task: _Task, factor: np.ndarray, rows: np.ndarray, learning: Learning) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the nearest references of each point's class (m, i), itself apart, and of the others (m, j)."""
    image, queries = task.references @ factor.T, task.points[rows] @ factor.T
    squared = np.vecdot(image, image) - 2 * queries @ image.T
    if task.is_self:
        squared[np.arange(len(rows)), rows] = np.inf
    is_own = task.labels[rows][:, None] == task.reference_labels
    n_own, n_rivals = (
        min(learning.n_own, int(is_own.sum(axis=1).min())),
        min(learning.n_rivals, int((~is_own).sum(axis=1).min())),
    )
    own, rivals = (
        np.argpartition(np.where(is_asked, squared, np.inf), n - 1, axis=1)[:, :n]
        for is_asked, n in ((is_own, n_own), (~is_own, n_rivals))
    )
    return own, rivals


def _summed(weights: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """sum weights_mj left_mj right_mj' (r, r) of vectors (m, j, r)."""
    r = left.shape[2]
    return (left * weights[:, :, None]).reshape(-1, r).T @ right.reshape(-1, r)


def _dual_norms(vectors: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """||v||_q (...), q dual to `norm`, of vectors (..., d), and a subgradient of each (..., d)."""
    if norm == "Linf":
        return np.abs(vectors).sum(axis=-1), np.sign(vectors)
    if norm == "L2":
        lengths = np.linalg.norm(vectors, axis=-1)
        return lengths, vectors / (lengths[..., None] + _LEAST)
    largest = np.abs(vectors).argmax(axis=-1)[..., None]
    along = np.zeros_like(vectors)
    np.put_along_axis(along, largest, np.sign(np.take_along_axis(vectors, largest, -1)), -1)
    return np.abs(vectors).max(axis=-1), along

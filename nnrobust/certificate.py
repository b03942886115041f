"""Certified robustness of the 1-nearest-neighbour classifier: lower bounds on its radius that hold for every attack.

Two certificates, for a query x with nearest own-class reference at distance d_own and other-class references x_j at d_j:

- half gap: (min_j d_j - d_own) / 2 in l2 (theorem 1); divided by sqrt(dimensions) in linf, whose ball that l2 ball contains.
- bisector: min_j max_i (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q), q dual to the norm. x_j is nearer than x_i only beyond their
  bisector, and (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q) is the distance to it; x_j must be nearer than every x_i to win.
  Fewer i make the bound weaker, never wrong; every j counts, most through a float32 bound from which its error is taken.

Source: arXiv 2404.06313, theorem 1 with the inequality of definition 3.3 the right way round; the bisector bound is that of
arXiv 1906.03972, section 3. Both hold without the box [0, 1], hence with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from nnrobust.neighbors import UNIT, ClassIndex, Neighbours, float32_error, search
from nnrobust.progress import Progress, silent
from nnrobust.records import to_frame
from nnrobust.threat import ThreatModel

_DOWN = 1 - 1e-12
"""Bounds are computed in float64 with relative errors below 1e-13 and rounded down by this factor."""

_FEW = 8
"""Queries whose candidates are held in float64 at once (8 x 128 x 3,072 values: 25 MB)."""


@dataclass(frozen=True)
class Effort:
    """How much work a bisector bound gets.

    `n_own` nearest own-class references are the i; `n_other` other-class references j are bounded with all of these i, the
    rest with the nearest i alone; in linf `n_screened` of them get their l1 distance, the rest its bound by the l2 distance.
    `block_size` queries are handled at once.
    """

    n_own: int
    n_other: int
    n_screened: int
    block_size: int


@dataclass(frozen=True)
class Bounds:
    """For n queries and every class c: what is known against the references of c, in pixel range [0, 1].

    `own` (n,): distance to the nearest reference of the query's class. `other` (n, classes): the same for class c; infinite
    at the query's own class. `half_gap` and `bisector`, by norm (n, classes): certified radii, 0 where c is as near as own.
    """

    own: np.ndarray
    other: np.ndarray
    half_gap: dict[str, np.ndarray]
    bisector: dict[str, np.ndarray]


def certify(
    queries: np.ndarray,
    labels: np.ndarray,
    indexes: list[ClassIndex],
    effort: Effort,
    settled_at: dict[str, float] | None = None,
    progress: Progress = silent,
) -> Bounds:
    """Certified radii of uint8 queries (n, ...) with class ids `labels` (n,) against the references in `indexes`.

    With `settled_at`, epsilon by norm, a query whose half gap exceeds its epsilon in every norm keeps the half gap as its
    bisector bound (the bisector bound is at least that), which saves nearly all work on training images.
    """
    flat = np.asarray(queries).reshape(len(queries), -1)
    n, n_classes = len(flat), len(indexes)
    own, other = np.zeros(n), np.full((n, n_classes), np.inf)
    half_gap = {norm: np.full((n, n_classes), np.inf) for norm in ("Linf", "L2")}
    bisector = {norm: np.full((n, n_classes), np.inf) for norm in ("Linf", "L2")}
    blocks = [
        members[start : start + effort.block_size]
        for members in (np.flatnonzero(labels == label) for label in range(n_classes))
        for start in range(0, len(members), effort.block_size)
    ]
    for rows in progress(blocks, "certify"):
        label = int(labels[rows[0]])
        own_found = search(indexes[label], flat[rows], effort.n_own)
        own[rows] = own_found.squared
        for class_id in (c for c in range(n_classes) if c != label):
            other[rows, class_id] = search(indexes[class_id], flat[rows]).squared
            gaps = _half_gaps(own_found.squared, other[rows, class_id], flat.shape[1])
            is_open = other[rows, class_id] > own_found.squared
            if settled_at is not None:
                is_open &= ~np.logical_and.reduce([gaps[norm] > epsilon for norm, epsilon in settled_at.items()])
            refined = _bisectors(flat[rows], indexes[label], indexes[class_id], own_found, is_open, effort)
            for norm, values in gaps.items():
                half_gap[norm][rows, class_id] = values
                best = values.copy()
                best[is_open] = np.maximum(best[is_open], refined[norm])
                bisector[norm][rows, class_id] = best
    return Bounds(np.sqrt(own) / UNIT, np.sqrt(other) / UNIT, half_gap, bisector)


def _half_gaps(own_squared: np.ndarray, other_squared: np.ndarray, n_dimensions: int) -> dict[str, np.ndarray]:
    """Half the gap between the distances, by norm, from squared distances in pixel values."""
    gap = np.maximum(np.sqrt(other_squared) - np.sqrt(own_squared), 0) / 2 / UNIT * _DOWN
    return {"L2": gap, "Linf": gap / np.sqrt(n_dimensions) * _DOWN}


def _bisectors(
    queries: np.ndarray,
    own: ClassIndex,
    other: ClassIndex,
    own_found: Neighbours,
    is_open: np.ndarray,
    effort: Effort,
) -> dict[str, np.ndarray]:
    """Bisector bounds, by norm, of the queries that are open, in pixel range [0, 1]."""
    rows = np.flatnonzero(is_open)
    if len(rows) == 0:
        return {norm: np.zeros(0) for norm in ("Linf", "L2")}
    anchor = own.references[own_found.position[rows]]
    screened = _screen(queries[rows], anchor, own_found.squared[rows], other, effort.n_screened)
    parts = [
        _bisectors_of_few(
            queries[rows[start : start + _FEW]],
            own.references[_with_nearest(own_found, rows[start : start + _FEW])],
            other.references,
            screened.positions[start : start + _FEW],
            screened.lower[start : start + _FEW],
            effort.n_other,
        )
        for start in range(0, len(rows), _FEW)
    ]
    return {norm: np.concatenate([part[norm] for part in parts]) for norm in ("Linf", "L2")}


def _with_nearest(found: Neighbours, rows: np.ndarray) -> np.ndarray:
    """Candidates (m, k + 1) of these rows, the exact nearest first."""
    return np.concatenate([found.position[rows, None], found.candidates[rows]], axis=1)


@dataclass(frozen=True)
class _Screened:
    """References of the other class in ascending order of `lower`.

    `positions` (m, k), and `lower` (m, k + 1): a lower bound on (d_j^2 - d_own^2) / (2 ||x_own - x_j||_2) in pixel values;
    the last column bounds all references that are not in `positions`.
    """

    positions: np.ndarray
    lower: np.ndarray


def _screen(queries: np.ndarray, anchors: np.ndarray, own_squared: np.ndarray, other: ClassIndex, k: int) -> _Screened:
    """The `k` references whose bisector with the anchor (the nearest own-class reference) is nearest, by float32 products."""
    references = torch.from_numpy(other.references - other.centre)
    norms = (references**2).sum(dim=1)
    squared = []
    for points in (queries, anchors):
        centred = torch.from_numpy(points - other.centre)
        squared.append(((centred**2).sum(dim=1, keepdim=True) + norms - 2 * centred @ references.T).double())
    from_query = (
        squared[0] - torch.from_numpy(float32_error(queries, other))[:, None] - torch.from_numpy(own_squared)[:, None]
    )
    from_anchor = squared[1] + torch.from_numpy(float32_error(anchors, other))[:, None]
    lower = from_query.clamp(min=0) / (2 * from_anchor.sqrt())
    count = min(k, len(other))
    values, positions = lower.topk(min(count + 1, len(other)), dim=1, largest=False)
    if values.shape[1] == count:
        values = torch.cat([values, torch.full((len(values), 1), torch.inf, dtype=torch.float64)], dim=1)
    return _Screened(positions[:, :count].numpy(), values.numpy())


def _bisectors_of_few(
    queries: np.ndarray,
    own: np.ndarray,
    references: np.ndarray,
    positions: np.ndarray,
    lower: np.ndarray,
    n_other: int,
) -> dict[str, np.ndarray]:
    """Bounds of m queries (m, d) with own-class references (m, i, d), the nearest first, and screened others (m, k)."""
    x = torch.from_numpy(queries).double()[:, None]
    x_i = torch.from_numpy(own).double()
    d_i = _squared(x_i - x)
    n_other = min(n_other, positions.shape[1])
    x_j = torch.from_numpy(references[positions[:, :n_other]]).double()
    d_j = _squared(x_j - x)
    between = _squared(x_i)[:, :, None] + _squared(x_j)[:, None] - 2 * x_i @ x_j.transpose(1, 2)
    bound_l2 = _smallest(d_i, d_j, between.sqrt(), torch.from_numpy(lower[:, n_other]))

    # In linf the order of the bounds differs from that in l2, so more references get the distance that matters there (l1).
    # l1 distances of whole numbers up to 255 stay below 2^24 for up to 65,000 pixels, hence are exact in float32.
    screened = torch.from_numpy(references[positions]).float()
    l1 = torch.cdist(x_i[:, :1].float(), screened, p=1)[:, 0].double()
    d_screened = _squared(screened.double() - x)
    by_anchor = torch.where(l1 > 0, (d_screened - d_i[:, :1]).clamp(min=0) / (2 * l1), torch.zeros(()).double())
    order = by_anchor.argsort(dim=1, stable=True)
    rest = (
        by_anchor.gather(1, order[:, n_other:]).amin(dim=1)
        if n_other < order.shape[1]
        else torch.full_like(d_i[:, 0], torch.inf)
    )
    chosen = order[:, :n_other]
    x_c = screened.gather(1, chosen[:, :, None].expand(-1, -1, screened.shape[2]))
    floor = torch.minimum(rest, torch.from_numpy(lower[:, -1]) / np.sqrt(queries.shape[1]))
    bound_linf = _smallest(d_i, d_screened.gather(1, chosen), torch.cdist(x_i.float(), x_c, p=1).double(), floor)
    return {"L2": bound_l2.numpy(), "Linf": bound_linf.numpy()}


def _smallest(d_i: torch.Tensor, d_j: torch.Tensor, between: torch.Tensor, floor: torch.Tensor) -> torch.Tensor:
    """min(floor, min_j max_i (d_j - d_i) / (2 between)) in pixel range [0, 1]; a pair at distance 0 separates nothing."""
    pairwise = (d_j[:, None] - d_i[:, :, None]) / (2 * between)
    pairwise = torch.where(between > 0, pairwise, torch.zeros(()).double()).clamp(min=0)
    return torch.minimum(pairwise.amax(dim=1).amin(dim=1), floor) / UNIT * _DOWN


def _squared(vectors: torch.Tensor) -> torch.Tensor:
    """Squared l2 norms (m, k) of vectors (m, k, d)."""
    return torch.linalg.vecdot(vectors, vectors)


def certificate_records(
    about: Mapping[str, object],
    indices: np.ndarray,
    labels: np.ndarray,
    class_ids: np.ndarray,
    bounds: Bounds,
    threat: ThreatModel,
) -> pd.DataFrame:
    """One record for each query at `indices`, in the problem of the classes `class_ids`; `labels` (n,) are of all queries.

    `about` gives dataset, split, classifier and pair. Of classes equally near, the lower id is predicted, and the query is
    not robust. The closed ball is certified where the radius exceeds epsilon.
    """
    rows, label = np.arange(len(indices)), labels[indices]
    others = np.stack([class_ids[class_ids != one] for one in label])
    own, other = bounds.own[indices], bounds.other[indices[:, None], others]
    nearest = other.argmin(axis=1)
    rival, rival_distance = others[rows, nearest], other[rows, nearest]
    is_correct = (own < rival_distance) | ((own == rival_distance) & (label < rival))
    half_gap = bounds.half_gap[threat.norm][indices[:, None], others].min(axis=1)
    bisector = bounds.bisector[threat.norm][indices[:, None], others].min(axis=1)
    radius = np.maximum(half_gap, bisector)
    return to_frame(
        {
            **about,
            "index": indices.astype(np.int32),
            "label": label.astype(np.int16),
            "prediction": np.where(is_correct, label, rival).astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": "certified",
            "method": "bisector",
            "is_correct": is_correct,
            "is_robust": is_correct & (radius > threat.epsilon),
            "radius_lower": radius,
            "radius_upper": np.where(is_correct, np.inf, 0.0),
            "radius_half_gap": half_gap,
            "radius_bisector": bisector,
            "perturbation_norm": np.nan,
            "status": "ok",
        }
    )

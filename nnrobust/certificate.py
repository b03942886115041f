"""The robustness of the 1-nearest-neighbour classifier: radii that hold for every attack.

For a query x with nearest own-class reference at distance d_own and other-class references x_j at d_j, weakest first:

- half gap: (min_j d_j - d_own) / 2 in l2 (theorem 1); divided by sqrt(dimensions) in linf, whose ball that l2 ball contains.
- bisector: min_j max_i (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q), q dual to the norm. x_j is nearer than x_i only beyond their
  bisector, and (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q) is the distance to it; x_j must be nearer than every x_i to win.
  Fewer i make the bound weaker, never wrong; every j counts, most through a float32 bound from which its error is taken.
- exact, in l2: the solution of the quadratic problems that `radius` describes, with a point that proves it from above.

Source: arXiv 2404.06313, theorem 1 with the inequality of definition 3.3 the right way round; the bisector bound and the
quadratic problems are those of arXiv 1906.03972, section 3. None uses the box [0, 1];
the two lower bounds hold with it all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from nnrobust.neighbors import UNIT, ClassIndex, search
from nnrobust.progress import Progress, silent
from nnrobust.radius import exact_radii
from nnrobust.records import to_frame
from nnrobust.references import References
from nnrobust.screening import Rivals, Screened, screen
from nnrobust.threat import ThreatModel

NORMS = ("Linf", "L2")
_DOWN = 1 - 1e-12
"""Bounds are computed in float64 with relative errors below 1e-13 and rounded down by this factor."""
_FEW = 8
"""Queries whose candidates are held at once in linf (8 x 128 x 3,072 values)."""


@dataclass(frozen=True)
class Effort:
    """How much work a query gets.

    `n_own` nearest own-class references are the i of the bisector bound, and the first constraints of the quadratic problems.
    `n_screened` other-class references get a bound of their own, in linf with their l1 distance from the nearest i; `n_other` of
    these get the linf bound with all i. `block_size` queries are handled at once.
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
    `lower` and `upper` (n, classes): the l2 radius lies between them; `upper` is infinite where no problem was solved.
    """

    own: np.ndarray
    other: np.ndarray
    half_gap: dict[str, np.ndarray]
    bisector: dict[str, np.ndarray]
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def unknown(cls, n: int, n_classes: int) -> "Bounds":
        """Nothing known yet: every radius infinite, as it is against the query's own class."""
        radii = [np.full((n, n_classes), np.inf) for _ in range(7)]
        own = np.zeros(n)
        return cls(
            own,
            radii[0],
            dict(zip(NORMS, radii[1:3], strict=True)),
            dict(zip(NORMS, radii[3:5], strict=True)),
            *radii[5:],
        )


def certify(
    queries: np.ndarray,
    labels: np.ndarray,
    indexes: list[ClassIndex],
    effort: Effort,
    settled_at: dict[str, float] | None = None,
    progress: Progress = silent,
) -> Bounds:
    """What is known of uint8 queries (n, ...) with class ids `labels` (n,) against the references in `indexes`.

    With `settled_at`, epsilon by norm, a query whose half gap exceeds its epsilon in every norm keeps the half gap for every
    bound, and no upper one, which saves nearly all work on training images.
    """
    flat = np.asarray(queries).reshape(len(queries), -1)
    bounds = Bounds.unknown(len(flat), len(indexes))
    present = np.unique(labels).tolist()
    for label in present:
        members = np.flatnonzero(labels == label)
        bounds.own[members] = np.sqrt(search(indexes[label], flat[members]).squared) / UNIT
    work = [(a, b) for a in range(len(indexes)) for b in range(a + 1, len(indexes)) if {a, b} & set(present)]
    for a, b in progress(work, "certify"):
        rivals: Rivals | None = None
        for label, rival in ((a, b), (b, a)):
            rows = np.flatnonzero(labels == label)
            if len(rows) == 0:
                continue
            bounds.other[rows, rival] = np.sqrt(search(indexes[rival], flat[rows]).squared) / UNIT
            rows = rows[_start(bounds, rows, rival, flat.shape[1], settled_at)]
            if len(rows):
                rivals = _facing(rivals, indexes[label].references, indexes[rival].references)
                for start in range(0, len(rows), effort.block_size):
                    block = rows[start : start + effort.block_size]
                    _refine(bounds, block, rival, flat[block], rivals, effort)
    return bounds


def _facing(rivals: Rivals | None, own: References, other: References) -> Rivals:
    """The rivals of these roles, made from those of the exchanged roles where they are known."""
    return Rivals.of(own, other) if rivals is None else rivals.exchanged()


def _start(
    bounds: Bounds, rows: np.ndarray, rival: int, n_dimensions: int, settled_at: dict[str, float] | None
) -> np.ndarray:
    """Writes the half gaps of these rows, as every bound; returns which rows are worth more work."""
    own, other = bounds.own[rows], bounds.other[rows, rival]
    gap = np.maximum(other - own, 0) / 2 * _DOWN
    gaps = {"L2": gap, "Linf": gap / np.sqrt(n_dimensions) * _DOWN}
    for norm in NORMS:
        bounds.half_gap[norm][rows, rival] = bounds.bisector[norm][rows, rival] = gaps[norm]
    bounds.lower[rows, rival] = gap
    bounds.upper[rows, rival] = np.where(other > own, np.inf, 0.0)
    is_open = other > own
    if settled_at is not None:
        is_open &= ~np.logical_and.reduce([gaps[norm] > epsilon for norm, epsilon in settled_at.items()])
    return is_open


def _refine(bounds: Bounds, rows: np.ndarray, rival: int, queries: np.ndarray, rivals: Rivals, effort: Effort) -> None:
    """Writes the bisector bounds of these rows, and their exact l2 radii."""
    screened = screen(torch.from_numpy(queries).double(), rivals, effort.n_own, effort.n_screened)
    radii = exact_radii(queries, rivals, effort.n_own, effort.n_screened, screened)
    linf = [
        _linf_bisectors(
            queries[start : start + _FEW], rivals, screened.take(slice(start, start + _FEW)), effort.n_other
        )
        for start in range(0, len(rows), _FEW)
    ]
    for norm, values in (("L2", radii.bisector), ("Linf", np.concatenate(linf))):
        at = bounds.bisector[norm][rows, rival]
        bounds.bisector[norm][rows, rival] = np.maximum(at, values / UNIT * _DOWN)
    bounds.lower[rows, rival] = np.maximum(bounds.bisector["L2"][rows, rival], radii.lower / UNIT * _DOWN)
    bounds.upper[rows, rival] = np.maximum(bounds.lower[rows, rival], radii.upper / UNIT)


def _linf_bisectors(queries: np.ndarray, rivals: Rivals, screened: Screened, n_other: int) -> np.ndarray:
    """Bisector bounds (m,) in linf, in pixel values, of uint8 queries (m, d).

    The order of the bounds differs from that in l2, so all screened references get the distance that matters here (l1), and the
    rest the l2 bound divided by sqrt(d). l1 distances of whole numbers to 255 are exact in float32 for up to 65,000 pixels.
    """
    x = torch.from_numpy(queries).double()[:, None]
    nearest_first = screened.own_squared.argsort(dim=1, stable=True)
    x_i = rivals.own.exactly(screened.own.gather(1, nearest_first)).float()
    d_i = screened.own_squared.gather(1, nearest_first)
    x_j = rivals.other.exactly(screened.others)
    d_j = (x_j - x).square().sum(dim=2)
    x_j = x_j.float()
    by_nearest = _pairwise(d_i[:, :1], d_j, torch.cdist(x_i[:, :1], x_j, p=1).double())[:, 0]
    by_nearest, order = by_nearest.sort(dim=1, stable=True)
    few = order[:, :n_other]
    x_few = x_j.gather(1, few[:, :, None].expand(-1, -1, x_j.shape[2]))
    by_all = _pairwise(d_i, d_j.gather(1, few), torch.cdist(x_i, x_few, p=1).double()).amax(dim=1)
    beyond = torch.cat([by_nearest[:, n_other:], screened.by_one[:, -1:] / np.sqrt(queries.shape[1])], dim=1)
    return torch.minimum(by_all.amin(dim=1), beyond.amin(dim=1)).numpy()


def _pairwise(d_i: torch.Tensor, d_j: torch.Tensor, between: torch.Tensor) -> torch.Tensor:
    """(d_j - d_i) / (2 between), (m, i, j), at least 0; two references at distance 0 separate nothing."""
    bound = (d_j[:, None] - d_i[:, :, None]).clamp(min=0) / (2 * between)
    return torch.where(between > 0, bound, 0.0)


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
    not robust. The closed ball is certified where the radius exceeds epsilon. A record in l2 is exact where a bound on either
    side proves its verdict; `method` is the weakest that does.
    """
    label, others = labels[indices], np.stack([class_ids[class_ids != one] for one in labels[indices]])
    at = indices[:, None], others
    rival, is_correct = _predict(bounds.own[indices], bounds.other[at], label, others)
    half_gap, bisector = (part[threat.norm][at].min(axis=1) for part in (bounds.half_gap, bounds.bisector))
    lower, upper = bisector, np.where(is_correct, np.inf, 0.0)
    if threat.norm == "L2":
        lower, upper = bounds.lower[at].min(axis=1), np.where(is_correct, bounds.upper[at].min(axis=1), 0.0)
    is_exact = (threat.norm == "L2") & ((lower > threat.epsilon) | (upper <= threat.epsilon))
    proofs = [~is_correct, half_gap > threat.epsilon, bisector > threat.epsilon, is_exact]
    return to_frame(
        {
            **about,
            "index": indices.astype(np.int32),
            "label": label.astype(np.int16),
            "prediction": np.where(is_correct, label, rival).astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": np.where(is_exact, "exact", "certified"),
            "method": np.select(proofs, ["prediction", "half gap", "bisector", "quadratic program"], "bisector"),
            "is_correct": is_correct,
            "is_robust": is_correct & (lower > threat.epsilon),
            "radius_lower": lower,
            "radius_upper": upper,
            "radius_half_gap": half_gap,
            "radius_bisector": bisector,
            "perturbation_norm": np.nan,
            "status": "ok",
        }
    )


def _predict(
    own: np.ndarray, other: np.ndarray, label: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other class (m,), and whether the label (m,) is predicted, from distances own (m,) and other (m, classes)."""
    rival, distance = others[np.arange(len(own)), other.argmin(axis=1)], other.min(axis=1)
    return rival, (own < distance) | ((own == distance) & (label < rival))

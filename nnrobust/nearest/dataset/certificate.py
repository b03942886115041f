"""The robustness of the 1-nearest-neighbour classifier: radii that hold for every attack.

For a query x with nearest own-class reference at distance d_own and other-class references x_j at d_j, weakest first:

- half gap: (min_j d_j - d_own) / 2 in l2 (theorem 1); divided by sqrt(dimensions) in linf, whose ball that l2 ball contains.
- bisector: min_j max_i (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q), q dual to the norm. x_j is nearer than x_i only beyond their
  bisector, and (d_j^2 - d_i^2) / (2 ||x_i - x_j||_q) is the distance to it; x_j must be nearer than every x_i to win.
  Fewer i make the bound weaker, never wrong; every j counts, most through a float32 bound from which its error is taken.
- exact: the solution of the convex problems that `radius` describes, with a point that proves it from above; without a box,
  and for perturbed images in the box [0, 1], where it can only be larger.

Source: arXiv 2404.06313, theorem 1 with the inequality of definition 3.3 the right way round; the bisector bound and the
quadratic problems are those of arXiv 1906.03972, section 3; the linear problems and the box are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from nnrobust.nearest.dataset.neighbors import UNIT, ClassIndex, search
from nnrobust.nearest.dataset.shards import Shard, groups_of
from nnrobust.nearest.distances.metric import OF_DISTANCE
from nnrobust.nearest.distances.screening import Effort, Known, Rivals
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.search.pairs import DOWN
from nnrobust.nearest.search.radius import PAST, exact_radii
from nnrobust.records import to_frame
from nnrobust.runtime.memory import fitting
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel

NORMS = ("Linf", "L2")
BOX = (0.0, UNIT)
ADVERSARIES = tuple(Adversary(norm, box) for norm in NORMS for box in (None, BOX))
"""The problems solved for every query, in pixel values."""
PROGRAMS = {"Linf": "linear program", "L2": "quadratic program"}
"""How a record names the convex problems of each norm."""


@dataclass(frozen=True)
class Bounds:
    """Bounds on the radii of n queries against the references of each class c, in pixel range [0, 1].

    `own` (n,): distance to the nearest reference of the query's class. `other` (n, classes): the same for class c; infinite
    at the query's own class. `half_gap` and `bisector`, by norm (n, classes): certified radii, 0 where c is as near as own.
    `lower` and `upper`, by adversary (n, classes): the radius lies between them; `upper` is infinite where nothing was solved.
    """

    own: np.ndarray
    other: np.ndarray
    half_gap: dict[str, np.ndarray]
    bisector: dict[str, np.ndarray]
    lower: dict[Adversary, np.ndarray]
    upper: dict[Adversary, np.ndarray]

    @classmethod
    def unknown(cls, n: int, n_classes: int) -> "Bounds":
        """Infinite radii, as they stay against the query's own class."""

        def infinite() -> np.ndarray:
            return np.full((n, n_classes), np.inf)

        half_gap, bisector = ({norm: infinite() for norm in NORMS} for _ in range(2))
        lower, upper = ({adversary: infinite() for adversary in ADVERSARIES} for _ in range(2))
        return cls(np.zeros(n), infinite(), half_gap, bisector, lower, upper)

    def put(self, rows: np.ndarray, found: "Bounds") -> None:
        """Takes in bounds of the queries `rows` against some of the references: the least of all parts is that of the whole."""
        self.own[rows] = found.own
        self.other[rows] = np.minimum(self.other[rows], found.other)
        for name in ("half_gap", "bisector", "lower", "upper"):
            for key, values in getattr(found, name).items():
                whole = getattr(self, name)[key]
                whole[rows] = np.minimum(whole[rows], values)


def certify(
    queries: np.ndarray,
    labels: np.ndarray,
    indexes: list[ClassIndex],
    effort: Effort,
    progress: Progress = silent,
) -> Bounds:
    """Bounds on the radii of uint8 queries (n, ...) with class ids `labels` (n,) against the references in `indexes`.

    Where only verdicts are sought, a query whose half gap exceeds its epsilon in every norm keeps the half gap for every bound,
    and no upper one, which saves nearly all work on training images.
    """
    bounds = Bounds.unknown(len(queries), len(indexes))
    present, sizes = np.unique(labels).tolist(), [len(index) for index in indexes]
    work = [(label, group) for label in present for group in groups_of(sizes, label)]
    for label, group in progress(work, "certify"):
        rows = np.flatnonzero(labels == label)
        bounds.put(rows, certify_against(queries[rows], label, group, indexes, effort))
    return bounds


def certify_against(
    queries: np.ndarray, label: int, group: list[Shard], indexes: list[ClassIndex], effort: Effort
) -> Bounds:
    """`certify` of queries of one label, against some of the other references; nothing is known against the rest."""
    flat = np.asarray(queries).reshape(len(queries), -1)
    bounds, rows = Bounds.unknown(len(flat), len(indexes)), np.arange(len(flat))
    bounds.own[:] = np.sqrt(search(indexes[label], flat)[0]) / UNIT
    is_open, parts = np.zeros((len(flat), len(group)), dtype=bool), [indexes[one.class_id].part(one) for one in group]
    for place, (shard, part) in enumerate(zip(group, parts, strict=True)):
        bounds.other[:, shard.class_id] = np.sqrt(search(part, flat)[0]) / UNIT
        is_open[:, place] = _start(bounds, rows, shard.class_id, flat.shape[1], effort.settled_at)
    places, members = np.nonzero(is_open.T)
    if len(places):
        class_ids = np.array([shard.class_id for shard in group])
        others = {shard.class_id: part.references for shard, part in zip(group, parts, strict=True)}
        rivals = Rivals.of_groups(indexes[label].references, others, len(places) * len(ADVERSARIES))
        at = rows[members], class_ids[places]
        for _ in fitting(partial(_refine, bounds, at, flat, rivals, effort), np.arange(len(places)), effort.block_size):
            pass
    return bounds


def _start(
    bounds: Bounds, rows: np.ndarray, rival: int, n_dimensions: int, settled_at: Mapping[str, float] | None
) -> np.ndarray:
    """Writes the half gaps of these rows, as every bound; returns which rows are worth more work."""
    own, other = bounds.own[rows], bounds.other[rows, rival]
    gap = np.maximum((other - own) / 2 * DOWN - OF_DISTANCE * other, 0)
    gaps = {"L2": gap, "Linf": gap / np.sqrt(n_dimensions) * DOWN}
    for norm in NORMS:
        bounds.half_gap[norm][rows, rival] = bounds.bisector[norm][rows, rival] = gaps[norm]
    for adversary in ADVERSARIES:
        bounds.lower[adversary][rows, rival] = gaps[adversary.norm]
        bounds.upper[adversary][rows, rival] = np.where(other > own, np.inf, 0.0)
    is_open: np.ndarray = other > own
    if settled_at is not None:
        is_open &= ~np.logical_and.reduce([gaps[norm] > epsilon for norm, epsilon in settled_at.items()])
    return is_open


def _refine(
    bounds: Bounds,
    everywhere: tuple[np.ndarray, np.ndarray],
    queries: np.ndarray,
    rivals: Rivals,
    effort: Effort,
    block: np.ndarray,
) -> None:
    """Writes the bisector bounds and the exact radii of a block of these rows and classes, which are the groups of the rivals."""
    at = everywhere[0][block], everywhere[1][block]
    known = Known.of(queries[at[0]].astype(np.float64), rivals, at[1])
    for adversary in ADVERSARIES:
        stop_above = np.inf if effort.settled_at is None else effort.settled_at[adversary.norm] * UNIT * PAST
        radii = exact_radii(queries[at[0]], rivals, effort, adversary, stop_above, at[1], known)
        bisector, lower, upper = bounds.bisector[adversary.norm], bounds.lower[adversary], bounds.upper[adversary]
        if adversary.box is None:
            bisector[at] = np.maximum(bisector[at], radii.bisector / UNIT * DOWN)
        lower[at] = np.maximum(bisector[at], radii.lower / UNIT * DOWN)
        upper[at] = np.maximum(lower[at], radii.upper / UNIT)
    for norm in NORMS:
        # Without the box the radius is no larger than in it.
        free, boxed = Adversary(norm), Adversary(norm, BOX)
        bounds.lower[boxed][at] = np.maximum(bounds.lower[boxed][at], bounds.lower[free][at])
        bounds.upper[free][at] = np.minimum(bounds.upper[free][at], bounds.upper[boxed][at])


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
    not robust. The closed ball is certified where the radius exceeds epsilon. A record is exact where a bound on either side
    proves its verdict without the box; `method` is the weakest that does.
    """
    label, others = labels[indices], np.stack([class_ids[class_ids != own] for own in labels[indices]])
    at = indices[:, None], others
    rival, is_correct = _predict(bounds.own[indices], bounds.other[at], label, others)
    known = _radii(bounds, at, is_correct, threat.norm)
    lower, upper = known["radius_lower"], known["radius_upper"]
    is_exact = (lower > threat.epsilon) | (upper <= threat.epsilon)
    by_half_gap, by_bisector = (known[f"radius_{name}"] > threat.epsilon for name in ("half_gap", "bisector"))
    methods = ["prediction", "half gap", "bisector", PROGRAMS[threat.norm]]
    return to_frame(
        {
            **about,
            "index": indices.astype(np.int32),
            "label": label.astype(np.int16),
            "prediction": np.where(is_correct, label, rival).astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": np.where(is_exact, "exact", "certified"),
            "method": np.select([~is_correct, by_half_gap, by_bisector, is_exact], methods, "bisector"),
            "is_correct": is_correct,
            "is_robust": is_correct & (lower > threat.epsilon),
            **known,
            "perturbation_norm": np.nan,
            **dict.fromkeys(("attacks", "note"), ""),
            "status": "ok",
        }
    )


def _radii(bounds: Bounds, at: tuple[np.ndarray, ...], is_correct: np.ndarray, norm: str) -> dict[str, np.ndarray]:
    """The columns of all radii in a norm, against the nearest of the classes at `at`."""
    columns = {f"radius_{name}": part[norm][at].min(axis=1) for name, part in (
        ("half_gap", bounds.half_gap), ("bisector", bounds.bisector),
    )}  # fmt: skip
    for prefix, adversary in (("", Adversary(norm)), ("box_", Adversary(norm, BOX))):
        columns[f"{prefix}radius_lower"] = bounds.lower[adversary][at].min(axis=1)
        columns[f"{prefix}radius_upper"] = np.where(is_correct, bounds.upper[adversary][at].min(axis=1), 0.0)
    return columns


def _predict(
    own: np.ndarray, other: np.ndarray, label: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other class (m,), and whether the label (m,) is predicted, from distances own (m,) and other (m, classes)."""
    rival, distance = others[np.arange(len(own)), other.argmin(axis=1)], other.min(axis=1)
    return rival, (own < distance) | ((own == distance) & (label < rival))

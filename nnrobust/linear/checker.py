"""Whether certificates of linear classifiers hold: from weights, queries and what is claimed, rounding always on the safe side.

`which_hold` takes certificates of one classifier together. `_is_well_formed`: made of numbers that mean something, about these
weights. `_Claims.show_upper`: at `x_adv`, no farther than `upper`, a rival's score is as high as that of the own class.
`_Claims.show_lower`: every rival's half-space is `lower` away at least, by one of three: as if there were no box; within it;
within it, where the lead at the query is taken exactly.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnrobust.linear.signs import rough_error, score_gap, wins_or_ties
from nnrobust.nearest.proofs import halfspace
from nnrobust.threat import DUAL, norm_of

if TYPE_CHECKING:
    from nnrobust.linear.proof import LinearCertificate

_ROUNDING = 64 * 2.0**-53
"""More than the relative error of each factor of a distance, and of a sum that NumPy takes pairwise."""
_TOGETHER = 256
"""Certificates that are checked together."""


def which_hold(certificates: Sequence["LinearCertificate"]) -> np.ndarray:
    """Which certificates hold (n,)."""
    holds, digests = np.zeros(len(certificates), dtype=bool), dict[tuple[int, int], str | None]()
    groups: dict[tuple[int, int, int], list[int]] = {}
    for n, one in enumerate(certificates):
        about = id(one.weights), id(one.biases)
        if about not in digests:
            digests[about] = one.digest_now() if _are_numbers(one.weights, one.biases) else None
        digest = digests[about]
        if digest is not None and _is_well_formed(one, digest):
            groups.setdefault((*about, id(one.adversary)), []).append(n)
    for places in groups.values():
        for part in (places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)):
            claims = _Claims([certificates[n] for n in part])
            holds[part] = claims.show_upper() & claims.show_lower()
    return holds


def _are_numbers(weights: np.ndarray, biases: np.ndarray) -> bool:
    """Whether weights (k, d) and biases (k,) are finite, and so large or small that no product leaves float64."""
    largest = np.abs(weights).max()
    return bool(
        biases.shape == weights.shape[:1]
        and np.isfinite(biases).all()
        and (largest == 0 or 2.0**-100 < largest < 2.0**100)
    )


def _is_well_formed(one: "LinearCertificate", digest: str) -> bool:
    """Whether a certificate is of the classifier with this digest, its numbers mean something, and its parts fit together."""
    k, d = one.weights.shape
    points, box = [one.query] if np.isinf(one.upper) else [one.query, one.x_adv], one.adversary.box
    return bool(
        one.digest == digest
        and one.adversary.norm in DUAL
        and isinstance(one.code, int) and 0 <= one.code < k
        and 0 <= one.lower <= one.upper
        and all(point.shape == (d,) and np.abs(point).max() < 2.0**500 for point in points)
        and one.adversary.weights is None
        and (box is None or bool(np.all(np.less(*box)) and all(np.all((p >= box[0]) & (p <= box[1])) for p in points)))
    )  # fmt: skip


class _Claims:
    """What well-formed certificates claim of queries `x` (n, d), for the same weights (k, d), biases (k,) and adversary."""

    def __init__(self, group: Sequence["LinearCertificate"]) -> None:
        self.weights, self.biases, self.adversary = group[0].weights, group[0].biases, group[0].adversary
        self.x = np.stack([one.query for one in group])
        self.own = np.array([one.code for one in group])
        self.lower, self.upper = (np.array([getattr(one, name) for one in group]) for name in ("lower", "upper"))
        self.is_met = np.isfinite(self.upper)
        self.x_adv = np.stack(
            [one.x_adv if is_met else one.query for one, is_met in zip(group, self.is_met, strict=True)]
        )

    def show_upper(self) -> np.ndarray:
        """Whether some rival wins or ties at x_adv, which is no farther than `upper` (n,); always where that is infinite."""
        is_near = norm_of(self.x_adv - self.x, self.adversary.norm) <= self.upper * (1 + _ROUNDING)
        scores = self.x_adv @ self.weights.T + self.biases
        scores[np.arange(len(scores)), self.own] = -np.inf
        # The highest first: one exact sign nearly always decides.
        is_shown = ~self.is_met
        for rivals in (-scores).argsort(axis=1).T[:-1]:
            rows = np.flatnonzero(is_near & ~is_shown)
            is_shown[rows] = wins_or_ties(self.weights, self.biases, rivals[rows], self.own[rows], self.x_adv[rows])
        return is_shown

    def show_lower(self) -> np.ndarray:
        """Whether every rival's half-space is `lower` away at least (n,)."""
        depths = self._rough_depths()
        is_clear = self._unboxed_distances(depths) >= self.lower[:, None]
        is_clear[np.arange(len(self.own)), self.own] = True
        is_clear[self.lower <= 0] = True
        rows, rivals = np.nonzero(~is_clear)
        is_clear[rows, rivals] = self._distances(rows, rivals, depths[rows, rivals]) >= self.lower[rows]
        rows, rivals = np.nonzero(~is_clear)
        exact = np.array([self._depth(row, rival) for row, rival in zip(rows.tolist(), rivals.tolist(), strict=True)])
        is_clear[rows, rivals] = self._distances(rows, rivals, exact) >= self.lower[rows]
        return np.asarray(is_clear.all(axis=1))

    def _rough_depths(self) -> np.ndarray:
        """By how much the own class leads each at the queries (n, k), less all that float64 may err."""
        places = np.arange(len(self.own)), self.own
        scores = self.x @ self.weights.T + self.biases
        sizes = np.abs(self.x) @ np.abs(self.weights).T + np.abs(self.biases)
        errors = rough_error(sizes + sizes[places][:, None], self.x.shape[1])
        rounded_down: np.ndarray = scores[places][:, None] - scores - errors
        return rounded_down

    def _depth(self, row: int, rival: int) -> float:
        """By how much the own class leads the rival at a query, rounded once."""
        return -score_gap(self.weights, self.biases, (rival, self.own[row]), self.x[row])

    def _unboxed_distances(self, depths: np.ndarray) -> np.ndarray:
        """Bounds (n, k) of the distances to where each class wins or ties, which a box makes no nearer."""
        distances = np.empty(depths.shape)
        for own in np.unique(self.own):
            rows = self.own == own
            slopes = np.linalg.norm(self.weights[own] - self.weights, DUAL[self.adversary.norm], axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                distances[rows] = np.where(depths[rows] > 0, depths[rows] / slopes, 0.0)
        return distances * (1 - (self.x.shape[1] + 8) * 2.0**-53)

    def _distances(self, rows: np.ndarray, rivals: np.ndarray, depths: np.ndarray) -> np.ndarray:
        """The distances (n,) to the nearest points in the box where rivals, led by `depths`, win or tie, rounded down.

        0 where they do at the query; infinity where they do nowhere in the box, which its best corner decides exactly.
        """
        normals, x, box = self.weights[self.own[rows]] - self.weights[rivals], self.x[rows], self.adversary.box
        # With so much less to cover, sums of d terms in any order do not end on the wrong side.
        covered = depths * (1 - 8 * (x.shape[1] + 8) * 2.0**-53)
        distances = halfspace.distance(normals, covered, self.adversary.norm, self.adversary.room(x)) * (1 - _ROUNDING)
        if box is not None:
            corners = np.where(normals < 0, box[1], box[0])
            is_reached = wins_or_ties(self.weights, self.biases, rivals, self.own[rows], corners)
            distances = np.where(is_reached, distances, np.inf)
        return np.where(depths > 0, distances, 0.0)

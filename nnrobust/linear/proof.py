"""The radius of a linear classifier with its proof, checked from the weights, the query and the certificate alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.linear.form import LinearForm
from nnrobust.linear.signs import rough_error, score_gap
from nnrobust.nearest import halfspace
from nnrobust.nearest.digest import digest_of
from nnrobust.nearest.halfspace import Adversary
from nnrobust.threat import DUAL, norm_of

_ROUNDING = 64 * 2.0**-53
"""More than the relative error of each factor of a distance, and of a sum that NumPy takes pairwise."""


@dataclass(frozen=True)
class LinearCertificate:
    """Why no point nearer to `query` (d,) than `lower` is labelled other than `code`, and why one at `upper` is, or ties.

    `weights` (k, d) and `biases` (k,) of the classifier, float64, not copies; the class of the highest score wins. A rival j wins
    or ties only at a v with (w_j - w_code).v >= the gap of the scores at the query, a half-space, whose distance is the bound.
    `digest` is that of weights and biases.
    """

    query: np.ndarray
    code: int
    weights: np.ndarray
    biases: np.ndarray
    digest: str
    adversary: Adversary
    lower: float
    upper: float
    x_adv: np.ndarray

    def verify(self) -> bool:
        """True when both bounds hold: who wins by exact signs, distances by float64 with rounding on the safe side.

        False also where a part is malformed, or weights and biases are not those of the digest.
        """
        return self._holds(self.digest_now())

    @staticmethod
    def which_hold(certificates: "Sequence[LinearCertificate]") -> np.ndarray:
        """Which certificates hold (n,), as `verify` says; those that share weights and biases have them digested once."""
        digests: dict[tuple[int, int], str] = {}
        holds = np.zeros(len(certificates), dtype=bool)
        for n, one in enumerate(certificates):
            about = id(one.weights), id(one.biases)
            if about not in digests:
                digests[about] = one.digest_now()
            holds[n] = one._holds(digests[about])
        return holds

    def _holds(self, digest: str) -> bool:
        """What `verify` says, where `digest` is that of the weights and biases now."""
        return self._is_well_formed(digest) and self._holds_above() and self._holds_below()

    def digest_now(self) -> str:
        """The digest of the weights and biases that are here now."""
        return digest_of(self.weights, np.arange(len(self.weights)), self.biases)

    def _is_well_formed(self, digest: str) -> bool:
        """Whether numbers are finite, and so large or small that no product leaves float64, and the parts fit together."""
        k, d = self.weights.shape
        points = [self.query] if np.isinf(self.upper) else [self.query, self.x_adv]
        largest, box = np.abs(self.weights).max(), self.adversary.box
        return bool(
            self.digest == digest
            and self.adversary.norm in DUAL
            and self.biases.shape == (k,) and np.isfinite(self.biases).all()
            and (largest == 0 or 2.0**-100 < largest < 2.0**100)
            and isinstance(self.code, int) and 0 <= self.code < k
            and 0 <= self.lower <= self.upper
            and all(point.shape == (d,) and np.abs(point).max() < 2.0**500 for point in points)
            and self.adversary.weights is None
            and (box is None or bool(np.all(np.less(*box)) and all(np.all((p >= box[0]) & (p <= box[1])) for p in points)))
        )  # fmt: skip

    @staticmethod
    def to_arrays(certificates: "Sequence[LinearCertificate]") -> dict[str, np.ndarray]:
        """What `of_arrays` takes, besides what all proofs have."""
        return {"code": np.array([one.code for one in certificates], dtype=np.int64)}

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], references: Any, digest: str, adversary: Adversary
    ) -> "list[LinearCertificate]":
        """The certificates that `to_arrays` made arrays of, about a pair of `coef_` and `intercept_`, or a fitted classifier.

        Raises:
            DataError: for others.
        """
        form = LinearForm.of_pair(references) if isinstance(references, (tuple, list)) else LinearForm.of(references)
        if form.weights.shape[1] != arrays["query"].shape[1]:
            raise DataError(
                f"references: expected weights of {arrays['query'].shape[1]} features, got {form.weights.shape[1]}"
            )
        return [
            cls(
                query=arrays["query"][n], code=int(arrays["code"][n]), weights=form.weights, biases=form.biases, digest=digest,
                adversary=adversary, lower=float(arrays["lower"][n]), upper=float(arrays["upper"][n]), x_adv=arrays["x_adv"][n],
            )
            for n in range(len(arrays["query"]))
        ]  # fmt: skip

    def _rivals(self) -> list[int]:
        return [j for j in range(len(self.biases)) if j != self.code]

    def _gap(self, rival: int, point: np.ndarray) -> float:
        return score_gap(self.weights, self.biases, (rival, self.code), point)

    def _is_across(self, rival: int, point: np.ndarray) -> bool:
        """Whether the rival wins or ties at the point, by the exact sign where rounding may hide it."""
        (ours, theirs), (own, other) = self.weights[[self.code, rival]], self.biases[[self.code, rival]]
        gap = (theirs - ours) @ point + (other - own)
        size = (np.abs(theirs) + np.abs(ours)) @ np.abs(point) + np.abs(other) + np.abs(own)
        if np.abs(gap) > rough_error(size, len(point)):
            return bool(gap > 0)
        return self._gap(rival, point) >= 0

    def _holds_above(self) -> bool:
        """x_adv is no farther than `upper`, in the box, and some rival's score there is as high as that of the own class."""
        if np.isinf(self.upper):
            return True
        if not np.isfinite(self.x_adv).all():
            return False
        moved = norm_of((self.x_adv - self.query)[None], self.adversary.norm)[0]
        if not moved <= self.upper * (1 + _ROUNDING):
            return False
        box = self.adversary.box
        if box is not None and not (box[0] <= self.x_adv.min() and self.x_adv.max() <= box[1]):
            return False
        scores = self.weights @ self.x_adv + self.biases
        # The highest first: one exact sign nearly always decides.
        return any(self._is_across(j, self.x_adv) for j in sorted(self._rivals(), key=lambda j: -scores[j]))

    def _holds_below(self) -> bool:
        """Every rival's half-space is `lower` away at least."""
        if self.lower <= 0:
            return True
        depths = self._rough_depths()
        is_clear = self._unboxed_distances(depths) >= self.lower
        return all(
            is_clear[j] or self._distance(j, depths[j]) >= self.lower or self._distance(j, self._depth(j)) >= self.lower
            for j in self._rivals()
        )

    def _rough_depths(self) -> np.ndarray:
        """By how much the own class leads each (k,) at the query, less all that float64 may err."""
        sizes = (np.abs(self.weights) + np.abs(self.weights[self.code])) @ np.abs(self.query)
        sizes += np.abs(self.biases) + np.abs(self.biases[self.code])
        leads = (self.weights[self.code] - self.weights) @ self.query + (self.biases[self.code] - self.biases)
        rounded_down: np.ndarray = leads - rough_error(sizes, len(self.query))
        return rounded_down

    def _depth(self, rival: int) -> float:
        """By how much the own class leads the rival at the query, rounded once."""
        return -self._gap(rival, self.query)

    def _unboxed_distances(self, depths: np.ndarray) -> np.ndarray:
        """Bounds (k,) of the distances to where each class wins or ties, which a box makes no nearer."""
        distances = halfspace.distance(self.weights[self.code] - self.weights, depths, self.adversary.norm, None)
        return distances * (1 - rough_error(np.ones_like(distances), len(self.query)))

    def _distance(self, rival: int, depth: float) -> float:
        """The distance to the nearest point in the box where the rival, led by `depth`, wins or ties, rounded down.

        0 where it does at the query; infinity where it does nowhere in the box, which its best corner decides exactly.
        """
        if depth <= 0:
            return 0.0
        normal = self.weights[self.code] - self.weights[rival]
        box, room = self.adversary.box, self.adversary.room(self.query[None])
        if box is not None and not self._is_across(rival, np.where(normal < 0, box[1], box[0])):
            return float("inf")
        # With so much less to cover, sums of d terms in any order do not end on the wrong side.
        depth *= 1 - 8 * (len(normal) + 8) * 2.0**-53
        distance = halfspace.distance(normal[None], np.array([depth]), self.adversary.norm, room)[0]
        return float(distance) * (1 - _ROUNDING)

"""The radius of a query with its proof, checked from the query, the references and the certificate alone, without a solver."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nnrobust.errors import SolverError
from nnrobust.nearest import halfspace
from nnrobust.nearest.halfspace import Adversary
from nnrobust.threat import DUAL, norm_of

_ROUNDING = 64 * 2.0**-53
"""More than the relative error of a sum that NumPy takes pairwise in float64, and of each of its terms."""
_AT_ONCE = 512
"""References compared with a query at once."""


@dataclass(frozen=True)
class Certificate:
    """Why no point nearer to `query` than `lower` is labelled differently from `label`, and why one at `upper` is.

    `own`: positions of own-class references, whose bisectors settle every other-class reference j that `multipliers` does not
    hold. `multipliers`: for those j, positions of own-class references i and weights m_i >= 0. x_j wins only at a v with
    a_i.v <= b_i for all i, so in the half-space (sum m_i a_i).v <= sum m_i b_i, whose distance is the bound.
    `references` (n, d) and `labels` (n,) are those of the classifier, not copies. With a `metric` W (k, d) it compares W x with
    references (n, k), and a_i is W'(x_i - x_j).
    """

    query: np.ndarray
    label: object
    references: np.ndarray
    labels: np.ndarray
    adversary: Adversary
    lower: float
    upper: float
    x_adv: np.ndarray
    own: np.ndarray
    multipliers: dict[int, tuple[np.ndarray, np.ndarray]]
    metric: np.ndarray | None = None

    def verify(self) -> bool:
        """True when both bounds hold: by float64 distances, every rounding error on the safe side."""
        return self.shows_lower() and self.shows_upper()

    def provable(self) -> float:
        """The largest `lower` that verifies."""
        others, place = np.flatnonzero(self.labels != self.label), self._place()
        squared = _squared_distances(place.point, self.references[others])
        bounds = np.array([self._weighed(int(j), place) if j in self.multipliers else 0.0 for j in others])
        for i in self.own:
            bounds = np.fmax(bounds, self._bisectors(int(i), others, squared, place))
        return float(bounds.min())

    def shows_upper(self) -> bool:
        """x_adv is no farther than `upper`, in the box, and some other-class reference is as near to it as every own one."""
        if np.isinf(self.upper):
            return True
        moved = self.x_adv - self.query
        if not norm_of(moved[None], self.adversary.norm)[0] <= self.upper * (1 + _ROUNDING):
            return False
        if self.adversary.box is not None and not (
            self.adversary.box[0] <= self.x_adv.min() and self.x_adv.max() <= self.adversary.box[1]
        ):
            return False
        place = self.x_adv if self.metric is None else np.matvec(self.metric, self.x_adv)
        squared = _squared_distances(place, self.references)
        is_own = self.labels == self.label
        return bool(squared[~is_own].min() <= squared[is_own].min())

    def shows_lower(self) -> bool:
        """Every other-class reference has a bound of at least `lower`."""
        if self.lower <= 0:
            return True
        others = np.flatnonzero(self.labels != self.label)
        place = self._place()
        weighed = [j in self.multipliers and self._weighed(int(j), place) >= self.lower for j in others]
        others = others[~np.array(weighed, dtype=bool)]
        squared = _squared_distances(place.point, self.references[others])
        for i in self.own:
            is_open = ~(self._bisectors(int(i), others, squared, place) >= self.lower)
            others, squared = others[is_open], squared[is_open]
        return len(others) == 0

    def _place(self) -> "_Place":
        """Where distances to the query are taken from."""
        if self.metric is None:
            return _Place(self.query, 0.0)
        error = _ROUNDING * np.linalg.norm(np.abs(self.metric) @ np.abs(self.query))
        return _Place((self.metric * self.query).sum(axis=1), float(error))

    def _bisectors(self, i: int, others: np.ndarray, squared: np.ndarray, place: "_Place") -> np.ndarray:
        """(d_j^2 - d_i^2) / (2 ||a||_q), rounded down, a the normal of own-class reference i and each j in `others`."""
        x_i = self.references[i].astype(np.float64)
        nearest = _squared_distances(place.point, self.references[[i]])[0]
        gap = squared - nearest - _ROUNDING * (squared + nearest)
        between, order = np.empty(len(others)), DUAL[self.adversary.norm]
        for start in range(0, len(others), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            ways = self.references[others[rows]].astype(np.float64) - x_i
            normals = ways if self.metric is None else ways @ self.metric
            between[rows] = np.linalg.norm(normals, ord=order, axis=1)
            if self.metric is not None:
                gap[rows] -= 2 * place.error * _lengths(ways)
                rounding = _of_product(len(self.metric)) * np.linalg.norm(self.metric, ord=order, axis=1)
                between[rows] += np.where(between[rows] > 0, np.abs(ways) @ rounding, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(between > 0, gap / (2 * between * (1 + _ROUNDING)), -np.inf)

    def _weighed(self, j: int, place: "_Place") -> float:
        """The distance of the half-space that the multipliers of j make, rounded down."""
        own, weights = self.multipliers[j]
        if not (weights >= 0).all() or (self.labels[own] != self.label).any():
            return 0.0
        ways = self.references[own].astype(np.float64) - self.references[j].astype(np.float64)
        normals = ways if self.metric is None else ways @ self.metric
        d_i, d_j = (_squared_distances(place.point, self.references[i]) for i in (own, [j]))
        depth = weights @ (d_j - d_i) / 2 - _ROUNDING * (weights @ (d_j + d_i))
        combined, error = weights @ normals, _ROUNDING * (weights @ np.abs(normals))
        if self.metric is not None:
            depth -= place.error * (weights @ _lengths(ways))
            error += _of_product(len(self.metric)) * ((weights @ np.abs(ways)) @ np.abs(self.metric))
        combined = combined + np.copysign(error, combined)
        room = self.adversary.room(self.query[None])
        if room is not None:
            # Where rounding hides the sign of a coordinate, it may go as far as either side of the box allows.
            is_hidden = (np.abs(combined) <= 2 * error)[None]
            reach = np.maximum(-room[0], room[1])
            room = np.where(is_hidden, -reach, room[0]), np.where(is_hidden, reach, room[1])
        distance = halfspace.distance(combined[None], np.array([depth]), self.adversary.norm, room)[0]
        return float(distance) * (1 - _ROUNDING * len(self.query))


@dataclass(frozen=True)
class _Place:
    """A point (k,), and a bound on its l2 error."""

    point: np.ndarray
    error: float


def _of_product(n: int) -> float:
    """More than the error of a sum of n products in any order, relative to the sum of their absolute values."""
    return (n + 8) * 2.0**-53


def _lengths(ways: np.ndarray) -> np.ndarray:
    """The l2 norms (n,), rounded up."""
    lengths: np.ndarray = np.linalg.norm(ways, axis=1) * (1 + _ROUNDING)
    return lengths


def _squared_distances(point: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Squared distances, float64 (n,), from one point to references (n, d)."""
    found = np.empty(len(references))
    for start in range(0, len(references), _AT_ONCE):
        difference = references[start : start + _AT_ONCE].astype(np.float64) - point
        found[start : start + _AT_ONCE] = np.square(difference, out=difference).sum(axis=1)
    return found


class Proof(Protocol):
    """The proof of one query's bounds, of whatever classifier: `Certificate`, or that of a linear one."""

    @property
    def lower(self) -> float:
        """No point nearer than this is labelled differently."""

    @property
    def upper(self) -> float:
        """One at this distance is, or ties."""

    def verify(self) -> bool:
        """True when both bounds hold."""


@dataclass(frozen=True)
class RobustRadius:
    """The radii of n queries.

    `lower`, `upper` (n,): the radius lies between them, in the units of the data. `status` (n,): `exact` where they agree within
    a relative 1e-6, else `bounded`. `x_adv`, float64 in the shape of the queries: a point at distance `upper` that is labelled
    differently, the query itself where the radius is 0, NaN where none is known. `certificate`: the n proofs.
    """

    lower: np.ndarray
    upper: np.ndarray
    status: np.ndarray
    x_adv: np.ndarray
    certificate: Sequence[Proof]

    def is_robust(self, epsilon: float) -> np.ndarray:
        """Which queries keep their label in the closed ball of radius epsilon (n,).

        Raises:
            SolverError: when neither bound of a query decides it.
        """
        robust = self.lower > epsilon
        open_rows = np.flatnonzero(~robust & (self.upper > epsilon))
        if len(open_rows):
            row = open_rows[0]
            got = f"[{self.lower[row]:g}, {self.upper[row]:g}] in row {row} ({len(open_rows)} such queries)"
            raise SolverError(f"epsilon = {epsilon:g}: expected bounds on one side of it, got {got}; "
                              "ask for the radius, or for this epsilon")  # fmt: skip
        return robust

    def verify(self) -> np.ndarray:
        """Which queries' bounds hold (n,), checked without the solver."""
        return np.array([proof.verify() for proof in self.certificate])

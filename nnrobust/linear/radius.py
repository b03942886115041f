"""The exact radius of any linear classifier: the distance to the nearest point that a rival wins, in any norm, in a box.

Rival j wins or ties where (w_j - w_y).v >= the gap of the scores, a half-space, so the radius is the least of k - 1 closed forms:
gap / ||w_j - w_y||_q without a box, q dual to the norm, and a sum filled in order of the box's stops within one.
"""

from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_array

from nnrobust.errors import DataError
from nnrobust.linear.form import LinearForm
from nnrobust.linear.proof import LinearCertificate
from nnrobust.linear.signs import rough_error, score_gap, wins_or_ties
from nnrobust.nearest.arguments import TYPES, adversary_of, as_rows, codes_of, number, require_finite
from nnrobust.nearest.proofs import halfspace
from nnrobust.nearest.proofs.digest import digest_of
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import RobustRadius
from nnrobust.threat import DUAL, norm_of

_DOWN, _UP = 1 - 1e-9, 1 + 1e-12
"""Rounding of the bounds to the safe side; a gap that rounding may have changed by a quarter of the first is taken exactly."""
_NEAR = 1e-8
"""How near a box's corner must be to the boundary, relative to the gap, for its side to be decided by the exact sign."""
_PUSHES = tuple(4.0**power for power in range(8))
"""How far beyond the boundary a point is put, in units of rounding, until it is on the other side by the exact sign."""
_AT_ONCE = 256
"""Queries whose half-spaces are held at once."""


def linear_radius(
    estimator: Any,
    X: np.ndarray,  # noqa: N803
    y: np.ndarray | None = None,
    *,
    norm: Literal["L2", "Linf", "L1"] = "L2",
    box: tuple[float, float] | None = None,
    epsilon: float | None = None,
) -> RobustRadius:
    """The exact distance in `norm` from each query to the nearest point that is not labelled y, ties included.

    0 where the query itself is labelled differently or tied; infinity where no point of the box is.

    Args:
        estimator: a fitted linear classifier of scikit-learn or of this package; see `LinearForm.of`.
        X: queries (m, ...), in the units that the estimator was fitted in.
        y: labels (m,); None: the predictions.
        box: lowest and highest value a coordinate of the nearest point may have; None: any.
        epsilon: decides only whether the radius exceeds epsilon: within a box, queries that do without one are left at that,
            and those above it get no point.

    Raises:
        DataError: naming the argument, what was expected, and the first value that is wrong.
    """
    form = LinearForm.of(estimator)
    points = check_array(as_rows(X), dtype=TYPES, ensure_all_finite=False, input_name="X")
    require_finite(points)
    if points.shape[1] != form.weights.shape[1]:
        raise DataError(f"X: expected {form.weights.shape[1]} features, as the classifier has, got {points.shape[1]}")
    adversary = adversary_of(norm, box, points)
    limit = np.inf if epsilon is None else number("epsilon", epsilon, 0, is_open=True)
    x = points.astype(np.float64)
    codes = None if y is None else codes_of(y, form.classes, len(x))
    search = _Radii(form, x, codes, adversary)
    if box is not None:
        search.confine(limit)
    return search.result(limit, np.shape(X))


class _Radii:
    """The radii of m queries: `gaps` (m, k) by which the own class leads each rival, `bounds` (m, k) of the distances to them.

    A gap above 0 is rounded down, by `overshoot` at most; of the others the sign is exact. The own class has infinite ones.
    """

    def __init__(self, form: LinearForm, x: np.ndarray, codes: np.ndarray | None, adversary: Adversary) -> None:
        self.form, self.x, self.adversary, self.rows = form, x, adversary, np.arange(len(x))
        scores = x @ form.weights.T + form.biases
        self.codes = scores.argmax(axis=1) if codes is None else codes
        sizes = np.abs(x) @ np.abs(form.weights).T + np.abs(form.biases)
        sizes += sizes[self.rows, self.codes][:, None]
        gaps = scores[self.rows, self.codes][:, None] - scores
        errors = rough_error(sizes, x.shape[1])
        gaps[self.rows, self.codes] = np.inf
        for row, rival in np.argwhere(errors > (1 - _DOWN) / 4 * np.abs(gaps)):
            gaps[row, rival] = -score_gap(form.weights, form.biases, (rival, self.codes[row]), x[row])
            errors[row, rival] = 0.0
        self.gaps = np.where(gaps > 0, gaps - errors, gaps)
        self.overshoot = 2 * errors + 2.0**-50 * sizes
        self.is_won = (self.gaps > 0).all(axis=1)
        slopes = np.stack([np.linalg.norm(form.weights - own, DUAL[adversary.norm], axis=1) for own in form.weights])
        with np.errstate(divide="ignore", invalid="ignore"):
            self.bounds = np.where(self.gaps > 0, self.gaps * _DOWN / slopes[self.codes], 0.0)
        self.bounds[self.rows, self.codes] = np.inf

    def confine(self, limit: float) -> None:
        """Takes the box into account, rival by rival, nearest first, where bounds without it do not exceed the limit."""
        order = self.bounds.argsort(axis=1)
        best = np.full(len(self.x), np.inf)
        for rivals in order.T[:-1]:
            known = self.bounds[self.rows, rivals]
            for rows in _parts(np.flatnonzero(self.is_won & (known <= best) & (known <= limit))):
                self.bounds[rows, rivals[rows]] = self._boxed(rows, rivals[rows])
                best[rows] = np.minimum(best[rows], self.bounds[rows, rivals[rows]])

    def result(self, limit: float, shape: tuple[int, ...]) -> RobustRadius:
        """The bounds with points and certificates, for queries of this shape; no points beyond the limit."""
        lower = np.where(self.is_won, self.bounds.min(axis=1), 0.0)
        upper = np.where(self.is_won, np.inf, 0.0)
        x_adv = np.where(self.is_won[:, None], np.nan, self.x)
        for rows in _parts(np.flatnonzero(self.is_won & np.isfinite(lower) & (lower <= limit))):
            x_adv[rows], upper[rows] = self._crossed(rows, self.bounds[rows].argmin(axis=1))
        weights, biases = self.form.weights, self.form.biases
        digest = digest_of(weights, np.arange(len(weights)), biases)
        proofs = [
            LinearCertificate(
                query=self.x[row], code=int(self.codes[row]), weights=weights, biases=biases, digest=digest,
                adversary=self.adversary, lower=float(lower[row]), upper=float(upper[row]), x_adv=x_adv[row],
            )
            for row in self.rows
        ]  # fmt: skip
        return RobustRadius.of(proofs, self.x, shape)

    def _normals(self, rows: np.ndarray, rivals: np.ndarray) -> np.ndarray:
        """w_own - w_rival (n, d): a rival gains on the way against it."""
        return self.form.weights[self.codes[rows]] - self.form.weights[rivals]

    def _corners(self, normals: np.ndarray) -> np.ndarray:
        """The corners of the box where the rivals gain most (n, d)."""
        low, high = self.adversary.box or (-np.inf, np.inf)
        return np.where(normals < 0, high, low)

    def _boxed(self, rows: np.ndarray, rivals: np.ndarray) -> np.ndarray:
        """The distances (n,) within the box, rounded down; infinity where no corner is on the rival's side."""
        normals, gaps = self._normals(rows, rivals), self.gaps[rows, rivals]
        distances = halfspace.distance(normals, gaps * _DOWN, self.adversary.norm, self.adversary.room(self.x[rows]))
        corners = self._corners(normals)
        gained = np.vecdot(np.abs(normals), np.abs(corners - self.x[rows]))
        for n in np.flatnonzero(np.abs(gained - gaps) <= _NEAR * gaps + self.overshoot[rows, rivals]):
            if self._gain(rows[n], rivals[n], corners[n]) < 0:
                distances[n] = np.inf
        return distances

    def _gain(self, row: int, rival: int, point: np.ndarray) -> float:
        return score_gap(self.form.weights, self.form.biases, (rival, self.codes[row]), point)

    def _crossed(self, rows: np.ndarray, rivals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest points (n, d) where the rivals win or tie, by the exact sign, and their distances (n,), rounded up."""
        points, distances = np.full((len(rows), self.x.shape[1]), np.nan), np.full(len(rows), np.inf)
        pending = np.arange(len(rows))
        for push in _PUSHES:
            tried = self._beyond(rows[pending], rivals[pending], push)
            is_across = wins_or_ties(
                self.form.weights, self.form.biases, rivals[pending], self.codes[rows[pending]], tried
            )
            found = pending[is_across]
            points[found] = tried[is_across]
            distances[found] = norm_of(points[found] - self.x[rows[found]], self.adversary.norm) * _UP
            pending = pending[~is_across]
            if len(pending) == 0:
                break
        return points, distances

    def _beyond(self, rows: np.ndarray, rivals: np.ndarray, push: float) -> np.ndarray:
        """Points (n, d) in the box, nearest to the queries, where the rivals are ahead by `push` times rounding."""
        normals, x, box = self._normals(rows, rivals), self.x[rows], self.adversary.box
        depths = self.gaps[rows, rivals] + push * self.overshoot[rows, rivals]
        room = self.adversary.room(x)
        sizes, moves = halfspace.distance_and_point(normals, depths, self.adversary.norm, room)
        if box is None or room is None:
            return x + moves
        # Where a coordinate is stopped, it is at the side of the box itself: x + (side - x) need not be.
        points = np.clip(np.where(moves >= room[1], box[1], np.where(moves <= room[0], box[0], x + moves)), *box)
        return np.where(np.isinf(sizes)[:, None] & (normals != 0), self._corners(normals), points)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]

"""What the search finds for the queries of one call, class by class, and the certificates that this makes."""

from dataclasses import replace
from typing import Any

import numpy as np

from nnrobust.nearest.distances.metric import Metric, Plain
from nnrobust.nearest.distances.weighted import Weighted
from nnrobust.nearest.proofs.checker import provable, shows_upper
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import Certificate
from nnrobust.nearest.search.pairs import UP
from nnrobust.nearest.search.radii import Radii
from nnrobust.nearest.search.radius import PAST

_CLOSE = 1e-4
"""Difference of the squared distances to two classes, relative to them, below which their rounding shows in a lower bound."""
_PUSHES = 2.0 ** np.arange(-40, 1)
"""Of a point that ties within rounding: how much farther it is tried, relative to its distance."""


class Answers:
    """Bounds on the radii of m queries, with points and proofs, as their rivals are gone through."""

    def __init__(
        self,
        x: np.ndarray,
        codes: np.ndarray,
        squared: np.ndarray,
        adversary: Adversary,
        epsilon: float,
        metric: Plain,
    ) -> None:
        rows = np.arange(len(x))
        self.queries, self.asked, self.base, self.codes, self.epsilon = (
            x.astype(np.float64),
            adversary,
            metric,
            codes,
            epsilon,
        )
        self.x, self.adversary, self.metric = self._in_weights()
        others = squared.copy()
        others[rows, codes] = np.inf
        self.nearest_other = np.sqrt(others.min(axis=1))
        self.is_won = squared[rows, codes] < others.min(axis=1)
        self.is_close = others.min(axis=1) - squared[rows, codes] < _CLOSE * others.min(axis=1)
        self.lower = np.where(self.is_won, np.inf, 0.0)
        self.upper = self.lower.copy()
        self.x_adv = np.where(self.is_won[:, None], np.nan, self.x)
        self.own: list[list[np.ndarray]] = [[] for _ in rows]
        self.multipliers: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in rows]

    def _in_weights(self) -> tuple[np.ndarray, Adversary, Plain]:
        """Queries, adversary and metric with which the search finds the norm of v / weights as that of v."""
        if self.asked.weights is None:
            return self.queries, self.asked, self.base
        metric = Weighted(self.base, np.array(self.asked.weights))
        box = None if self.asked.box is None else tuple(np.asarray(side) / metric.units for side in self.asked.box)
        return self.queries / metric.units, Adversary(self.asked.norm, box), metric

    def _as_asked(self) -> None:
        """Takes the points back to the units of the features, and measures them there."""
        if isinstance(self.metric, Weighted):
            known = np.isfinite(self.upper) & (self.upper > 0)
            points = self.metric.as_asked(self.x_adv)
            clipped = points if self.asked.box is None else np.clip(points, *self.asked.box)
            self.is_close |= known & np.any(clipped != points, axis=1)
            self.x_adv = np.where(
                known[:, None], clipped, np.where(np.isfinite(self.upper)[:, None], self.queries, np.nan)
            )
            self.upper[known] = self.asked.sizes(self.x_adv[known] - self.queries[known]) * UP

    def open_rows(self, code: int) -> np.ndarray:
        """The queries of a class whose bounds further rivals may move."""
        return np.flatnonzero((self.codes == code) & self.is_won & ~self.has_fallen)

    @property
    def has_fallen(self) -> np.ndarray:
        """Queries (m,) with a known point within epsilon, if there is an epsilon."""
        return (self.upper <= self.epsilon) & np.isfinite(self.epsilon)

    def stop_above(self, rows: np.ndarray) -> np.ndarray:
        """The radius beyond which a rival class does not matter."""
        return np.minimum(self.upper[rows], self.epsilon * PAST)

    def note(self, rows: np.ndarray, radii: Radii, own: np.ndarray, others: np.ndarray) -> None:
        """Takes in radii against the references `others`; `own` are the positions of those of the queries' class."""
        self.lower[rows] = np.minimum(self.lower[rows], radii.lower)
        self.is_close[rows] |= radii.is_delicate
        is_nearer = radii.upper < self.upper[rows]
        self.upper[rows[is_nearer]], self.x_adv[rows[is_nearer]] = radii.upper[is_nearer], radii.witness[is_nearer]
        for n, row in enumerate(rows):
            self.own[row].append(own[radii.own[n]])
            self.multipliers[row] |= {
                int(others[j]): (own[i], _of_size_1(m)) for j, (i, m) in radii.proofs[n].items() if len(i)
            }

    def certificates(self, classifier: dict[str, Any], classes: np.ndarray) -> list[Certificate]:
        """The radii with their proofs, against a classifier: references, labels and digest."""
        self._as_asked()
        # A query that fell within epsilon was not compared with the classes that came after.
        lower = np.where(self.has_fallen, 0.0, self.lower)
        lower = np.maximum(self.metric.reported(lower, self.nearest_other), 0.0)
        if isinstance(self.metric, Weighted):
            lower = np.minimum(lower, self.upper)
        found = [
            Certificate(
                query=self.queries[row], label=classes[self.codes[row]], adversary=self.asked, lower=float(lower[row]),
                upper=float(self.upper[row]), x_adv=self.x_adv[row], own=_together(self.own[row]),
                multipliers=self.multipliers[row], metric=matrix_of(self.base), **classifier,
            )
            for row in range(len(self.queries))
        ]  # fmt: skip
        for row in np.flatnonzero(self.is_won & self.is_close):
            found[row] = _within_rounding(found[row])
        return found


def matrix_of(metric: Plain) -> np.ndarray | None:
    """The map of a metric, if it is one."""
    return metric.matrix if isinstance(metric, Metric) else None


def _within_rounding(found: Certificate) -> Certificate:
    """With bounds that float64 shows: a lower one as proven, and the point a little farther away until it is seen to win."""
    lower = min(found.lower, provable(found)) if found.lower > 0 else found.lower
    if np.isinf(found.upper) or shows_upper(found):
        return replace(found, lower=lower)
    box = found.adversary.box or (-np.inf, np.inf)
    for push in _PUSHES:
        point = np.clip(found.query + (1 + push) * (found.x_adv - found.query), *box)
        upper = float(found.adversary.sizes(point[None] - found.query)[0])
        moved = replace(found, lower=lower, upper=upper, x_adv=point)
        if shows_upper(moved):
            return moved
    return replace(found, lower=lower, upper=np.inf, x_adv=np.full_like(found.x_adv, np.nan))


def _of_size_1(weights: np.ndarray) -> np.ndarray:
    """Weights times a power of two, so that the largest is from 1/2 to 1."""
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """All positions, the first of each part first: they come nearest first."""
    return np.array(list(dict.fromkeys(np.concatenate(parts).tolist())) if parts else [], dtype=np.int64)

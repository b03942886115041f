"""A primal-dual interior-point method for many small convex problems of one kind side by side, in float64.

Each of n problems is

    minimise rho |z|^2 / 2 + cost sum(z) + t   subject to   A z + s = b   and   signs_r z_l - shares_r t + slacks_rl = limits_rl

with s, slacks >= 0: k dense constraints, and rows r of simple ones. t is there only if a share is not 0; then the first two rows
are z <= t and -z <= t. A Newton step solves one k x k system.

Source: S. Mehrotra, On the implementation of a primal-dual interior point method, SIAM Journal on Optimization 2 (1992).
"""

from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.convex.systems import are_definite, diagonals, solutions

_GAP = 1e-7
"""Relative gap at which a problem is solved: near a degenerate optimum float64 does not bring it below some 5e-8."""
_LOST = 1e3
"""A problem is given up when its error is this many times the least so far."""
_RESIDUAL = 1e-10
"""Violation that a dense constraint may have, relative to the largest of them."""
_RIDGES = (1e-13, 1e-11, 1e-9)
"""Added to the unit diagonal of a scaled system that is not definite, one after the other."""
_MAX_STEPS = 100
_KEPT = 0.999
"""Share of the way to the boundary that a step may go."""
_LEAST_SLACK = 0.03
"""The smallest slack of a dense constraint to start with, relative to the largest |b|."""


@dataclass
class Rows:
    """Simple constraints: signs (r, 1) and shares (r, 1), common to all problems, and limits (n, r, d)."""

    signs: np.ndarray
    shares: np.ndarray
    limits: np.ndarray

    @classmethod
    def of(cls, *rows: tuple[float, float, np.ndarray]) -> "Rows":
        """From sign, share and limits (n, d) of each row."""
        limits = np.stack([limit for _, _, limit in rows], axis=1)
        columns = np.array([[sign, share] for sign, share, _ in rows])
        return cls(columns[:, :1], columns[:, 1:], limits)


@dataclass
class Programs:
    """n problems: a (n, k, d), b (n, k), simple constraints, and the terms rho and cost of what is minimised."""

    a: np.ndarray
    b: np.ndarray
    rows: Rows
    rho: float = 0.0
    cost: float = 0.0

    @property
    def has_t(self) -> bool:
        return bool(self.rows.shares.any())

    @property
    def n_constraints(self) -> int:
        return self.b.shape[1] + self.rows.limits.shape[1] * self.rows.limits.shape[2]

    def take(self, kept: np.ndarray) -> "Programs":
        rows = Rows(self.rows.signs, self.rows.shares, self.rows.limits[kept])
        return Programs(self.a[kept], self.b[kept], rows, self.rho, self.cost)

    def begin(self, z: np.ndarray, t: np.ndarray, y: np.ndarray, mu: np.ndarray) -> "State":
        """A state at z (n, d) and t (n,), with multipliers near y (n, k), where slacks times multipliers are about mu (n, 1)."""
        s = self.b - times(self.a, z)
        s = np.maximum(s, _LEAST_SLACK * np.abs(self.b).max(axis=1, keepdims=True))
        slacks = self.rows.limits - self.rows.signs * z[:, None] + self.rows.shares * t[:, None, None]
        return State(z, t, s, slacks, y + mu / s, mu[:, :, None] / slacks)


@dataclass
class State:
    """z (n, d) and t (n,); s (n, k) and slacks (n, r, d), the multipliers y (n, k) and w (n, r, d) of their constraints."""

    z: np.ndarray
    t: np.ndarray
    s: np.ndarray
    slacks: np.ndarray
    y: np.ndarray
    w: np.ndarray

    def take(self, kept: np.ndarray) -> "State":
        return State(*(part[kept] for part in (self.z, self.t, self.s, self.slacks, self.y, self.w)))


def follow(programs: Programs, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and points of the problems, the best on the way of Newton steps, until each is solved or lost."""
    y, z = state.y.copy(), state.z.copy()
    place = np.arange(len(z))
    least = np.full_like(state.t, np.inf)
    for _ in range(_MAX_STEPS):
        residuals = _Residuals(programs, state)
        error = residuals.error
        is_better = error < least[place]
        y[place[is_better]], z[place[is_better]] = state.y[is_better], state.z[is_better]
        least[place[is_better]] = error[is_better]
        goes_on = (error > 1) & (error <= _LOST * least[place])
        if not goes_on.any():
            break
        if not goes_on.all():
            place, programs, state = place[goes_on], programs.take(goes_on), state.take(goes_on)
            residuals = _Residuals(programs, state)
        state = _Newton(residuals).step()
    return y, z


class _Residuals:
    """The errors of a state in the conditions of the optimum."""

    def __init__(self, programs: Programs, state: State) -> None:
        p, now = programs, state
        self.programs, self.state = programs, state
        self.primal = p.b - times(p.a, now.z) - now.s
        self.dual = -(p.rho * now.z + p.cost + back(p.a, now.y)) - (p.rows.signs * now.w).sum(axis=1)
        self.dual_t = (p.rows.shares * now.w).sum(axis=(1, 2)) - float(p.has_t)
        self.gap = _products(now.s, now.slacks, now.y, now.w)

    @property
    def error(self) -> np.ndarray:
        """The largest of gap and residuals (n,), each relative to what a solution may have; NaN where numbers failed."""
        p, now = self.programs, self.state
        value = p.rho * np.vecdot(now.z, now.z) / 2 + p.cost * now.z.sum(axis=1) + now.t
        parts = (
            self.gap / (_GAP * value),
            np.abs(self.primal).max(axis=1) / (_RESIDUAL * np.abs(p.b).max(axis=1)),
            np.abs(self.dual).sum(axis=1) / (10 * _GAP),
            np.abs(self.dual_t) / _GAP,
        )
        return np.stack(parts).max(axis=0)


class _Newton:
    """The system of one state, scaled, and the step from there."""

    def __init__(self, residuals: _Residuals) -> None:
        self.residuals, self.programs, self.state = residuals, residuals.programs, residuals.state
        self.weights = self.state.w / self.state.slacks
        own = self.weights.sum(axis=1) + self.programs.rho
        self.inverse = 1 / own
        a = self.programs.a
        system = (a * self.inverse[:, None]) @ a.transpose(0, 2, 1)
        if self.programs.has_t:
            # z <= t and -z <= t come first. The pivot of t is a sum of positive terms: no digits are lost near the optimum.
            up, down, rest = self.weights[:, 0], self.weights[:, 1], self.weights[:, 2:].sum(axis=1)
            self.pivot = (((up + down) * rest + 4 * up * down) * self.inverse).sum(axis=1)
            self.coupling = (down - up) * self.inverse
            along = times(a, self.coupling)
            system += along[:, :, None] * along[:, None] / self.pivot[:, None, None]
        diagonals(system)[:] += self.state.s / self.state.y
        # Constraints that bind and those that do not differ by twenty orders in the end; scaled, the system stays definite.
        self.scale = 1 / np.sqrt(diagonals(system))
        self.system = _definite(system * self.scale[:, :, None] * self.scale[:, None])

    def step(self) -> State:
        """The state after a predictor and a corrector step."""
        now, gap = self.state, self.residuals.gap
        first = self._direction(now.s, now.w)
        ahead, behind = self._lengths(first, 1.0)
        predicted = (
            gap
            + ahead * _products(first.s, first.slacks, now.y, now.w)
            + behind * _products(now.s, now.slacks, first.y, first.w)
            + ahead * behind * _products(first.s, first.slacks, first.y, first.w)
        )
        target = ((predicted / gap) ** 3 * gap / self.programs.n_constraints)[:, None]
        # The second order as far as the predictor could go: in full it makes some problems go round in circles.
        weight = np.sqrt(ahead * behind)[:, None]
        of_s = now.s + (weight * first.s * first.y - target) / now.y
        of_slacks = now.w + (weight[:, :, None] * first.slacks * first.w - target[:, :, None]) / now.slacks
        second = self._direction(of_s, of_slacks)
        ahead, behind = self._lengths(second, _KEPT)
        return State(
            now.z + ahead[:, None] * second.z,
            now.t + ahead * second.t,
            now.s + ahead[:, None] * second.s,
            now.slacks + ahead[:, None, None] * second.slacks,
            now.y + behind[:, None] * second.y,
            now.w + behind[:, None, None] * second.w,
        )

    def _direction(self, of_s: np.ndarray, of_slacks: np.ndarray) -> State:
        """The change that makes s y smaller by `of_s` y, slacks w by `of_slacks` slacks, and all residuals 0, to first order."""
        rows, residuals = self.programs.rows, self.residuals
        pull = residuals.dual + (rows.signs * of_slacks).sum(axis=1)
        pull_t = residuals.dual_t - (rows.shares * of_slacks).sum(axis=(1, 2))
        z, _ = self._move(pull, pull_t)
        right = times(self.programs.a, z) - residuals.primal - of_s
        y = solutions(self.system, right * self.scale) * self.scale
        z, t = self._move(pull - back(self.programs.a, y), pull_t)
        s = residuals.primal - times(self.programs.a, z)
        slacks = rows.shares * t[:, None, None] - rows.signs * z[:, None]
        return State(z, t, s, slacks, y, -of_slacks - self.weights * slacks)

    def _move(self, pull: np.ndarray, pull_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z and t that balance these pulls against the simple constraints."""
        if not self.programs.has_t:
            return pull * self.inverse, np.zeros_like(pull_t)
        t = (pull_t - np.vecdot(self.coupling, pull)) / self.pivot
        return pull * self.inverse - self.coupling * t[:, None], t

    def _lengths(self, step: State, kept: float) -> tuple[np.ndarray, np.ndarray]:
        """How far, at most 1, slacks and multipliers (n,) may go along a step; equally far where z has a quadratic term."""
        now = self.state
        ahead, behind = (
            kept / np.maximum(np.maximum(-(few[1] / few[0]).min(axis=1), -(many[1] / many[0]).min(axis=(1, 2))), kept)
            for few, many in (
                ((now.s, step.s), (now.slacks, step.slacks)),
                ((now.y, step.y), (now.w, step.w)),
            )
        )
        return (np.minimum(ahead, behind),) * 2 if self.programs.rho else (ahead, behind)


def _definite(systems: np.ndarray) -> np.ndarray:
    """Systems (n, k, k) with unit diagonals, and a ridge on those that rounding has made indefinite."""
    is_bad = ~are_definite(systems)
    for ridge in _RIDGES:
        if not is_bad.any():
            break
        rows = np.flatnonzero(is_bad)
        ridged = systems[rows]
        diagonals(ridged)[:] += ridge
        is_bad[rows] = ~are_definite(ridged)
        kept = ~is_bad[rows]
        systems[rows[kept]] = ridged[kept]
    return systems


def times(a: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.matvec(a, z)


def back(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.vecmat(y, a)


def _products(s: np.ndarray, slacks: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """s.y + slacks.w (n,)."""
    return np.vecdot(s, y) + np.vecdot(slacks.reshape(len(slacks), -1), w.reshape(len(w), -1))

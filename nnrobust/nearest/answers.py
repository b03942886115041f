"""What is known of the radii of many queries, while one class after the other is compared with them."""

import numpy as np

from nnrobust.nearest.halfspace import Adversary
from nnrobust.nearest.proof import Certificate, RobustRadius
from nnrobust.nearest.radius import EXACT_WITHIN, FOR_VERIFY, OF_DISTANCE, PAST, Radii


class Answers:
    """What is known of m queries, while rival classes are gone through."""

    def __init__(
        self, x: np.ndarray, codes: np.ndarray, squared: np.ndarray, adversary: Adversary, epsilon: float
    ) -> None:
        rows = np.arange(len(x))
        self.x, self.codes, self.adversary, self.epsilon = x.astype(np.float64), codes, adversary, epsilon
        others = squared.copy()
        others[rows, codes] = np.inf
        self.nearest_other = np.sqrt(others.min(axis=1))
        self.is_won = squared[rows, codes] < others.min(axis=1)
        self.lower = np.where(self.is_won, np.inf, 0.0)
        self.upper = self.lower.copy()
        self.x_adv = np.where(self.is_won[:, None], np.nan, self.x)
        self.own: list[list[np.ndarray]] = [[] for _ in rows]
        self.multipliers: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in rows]

    def open_rows(self, code: int) -> np.ndarray:
        """The queries of a class that more work may say more about."""
        return np.flatnonzero((self.codes == code) & self.is_won & ~self.has_fallen)

    @property
    def has_fallen(self) -> np.ndarray:
        """Which queries (m,) a point within epsilon is known for, if there is an epsilon."""
        return (self.upper <= self.epsilon) & np.isfinite(self.epsilon)

    def stop_above(self, rows: np.ndarray) -> np.ndarray:
        """The radius beyond which a rival class does not matter."""
        return np.minimum(self.upper[rows], self.epsilon * PAST)

    def note(self, rows: np.ndarray, radii: Radii, own: np.ndarray, others: np.ndarray) -> None:
        """Takes in radii against the references `others`; `own` are the positions of those of the queries' class."""
        self.lower[rows] = np.minimum(self.lower[rows], radii.lower)
        is_nearer = radii.upper < self.upper[rows]
        self.upper[rows[is_nearer]], self.x_adv[rows[is_nearer]] = radii.upper[is_nearer], radii.witness[is_nearer]
        for n, row in enumerate(rows):
            self.own[row].append(own[radii.own[n]])
            self.multipliers[row] |= {int(others[j]): (own[i], m) for j, (i, m) in radii.proofs[n].items()}

    def result(
        self, references: np.ndarray, labels: np.ndarray, classes: np.ndarray, shape: tuple[int, ...]
    ) -> RobustRadius:
        """The radii and their certificates, for queries of this shape, against references (n, d) with labels (n,)."""
        # A query that fell within epsilon was not compared with the classes that came after.
        lower = np.where(self.has_fallen, 0.0, self.lower)
        lower = np.maximum(lower * FOR_VERIFY - OF_DISTANCE * self.nearest_other, 0.0)
        agree = (lower == self.upper) | (lower >= (1 - EXACT_WITHIN) * self.upper)
        certificates = [
            Certificate(
                query=self.x[row], label=classes[self.codes[row]], references=references,
                labels=labels, adversary=self.adversary, lower=float(lower[row]), upper=float(self.upper[row]),
                x_adv=self.x_adv[row], own=_together(self.own[row]), multipliers=self.multipliers[row],
            )
            for row in range(len(self.x))
        ]  # fmt: skip
        status = np.where(agree, "exact", "bounded")
        return RobustRadius(lower, self.upper, status, self.x_adv.reshape(shape), certificates)


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """All positions, the first of each part first: they come nearest first."""
    return np.array(list(dict.fromkeys(np.concatenate(parts).tolist())) if parts else [], dtype=np.int64)

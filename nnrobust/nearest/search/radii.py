"""Bounds on the radii of queries, with the points and multipliers that they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.proofs.proof import EXACT_WITHIN


@dataclass(frozen=True)
class Radii:
    """For m queries: bounds (m,) of the radius, a witness (m, d), and the bisector bound (m,), in the units of the points.

    At `witness`, `upper` away, some other-class reference is strictly nearer than every own-class one (infinity where none was
    looked for). `is_exact` (m,): the bounds agree within a relative 1e-6. `bisector` is the best bound that single own-class
    references give, without the box: for a reference that no problem was solved for, it is no lower than `lower`.
    `own`: for each query, the positions of the own-class references that its bounds rest on. `proofs`: for each query, by
    position of the other-class reference, the own-class positions and multipliers of its problem. `is_delicate` (m,): a corner
    of the polytope or of the box decided, so that both bounds should be checked.
    """

    lower: np.ndarray
    upper: np.ndarray
    witness: np.ndarray
    bisector: np.ndarray
    own: list[np.ndarray]
    proofs: list[dict[int, tuple[np.ndarray, np.ndarray]]]
    is_delicate: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["Radii"]) -> "Radii":
        """Those of all parts, one after the other."""
        names = ("lower", "upper", "witness", "bisector", "is_delicate")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(
            **arrays,
            own=[own for part in parts for own in part.own],
            proofs=[one for part in parts for one in part.proofs],
        )

    @property
    def is_exact(self) -> np.ndarray:
        agree = np.isfinite(self.upper) & (self.upper - self.lower <= EXACT_WITHIN * self.upper)
        return agree | (np.isinf(self.lower) & np.isinf(self.upper))

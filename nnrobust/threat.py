"""Threat models: which perturbations an adversary may use, and how their sizes compare."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NORMS = ("Linf", "L2", "L1")
ORDER = {"Linf": math.inf, "L2": 2.0, "L1": 1.0}
DUAL = {"Linf": 1.0, "L2": 2.0, "L1": math.inf}
"""The order of the dual norm."""
LONGEST = 100
"""Characters that an epsilon may be written in."""
_FACTOR = re.compile(
    r" *(?:sqrt\( *(?P<root>[1-9][0-9]*|0) *\)|(?P<number>(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)) *"
)


@dataclass(frozen=True)
class ThreatModel:
    """The closed ball of radius `epsilon` (pixel range [0, 1]) in `norm`, as RobustBench spells norms."""

    norm: str
    epsilon: float

    def contains(self, other: "ThreatModel", n_dimensions: int) -> bool:
        """True when every perturbation of `other` in `n_dimensions` dimensions is one of this threat model too.

        Uses ||v||_q <= n^(1/q - 1/p) ||v||_p for q <= p, and ||v||_q <= ||v||_p for q >= p; both are tight.
        A relative 1e-12 of slack absorbs the rounding of epsilon.
        Source: arXiv 2404.06313, corollaries 3.1 to 3.3.
        """
        q, p = ORDER[self.norm], ORDER[other.norm]
        growth = 1.0 if q >= p else n_dimensions ** (1 / q - 1 / p)
        return other.epsilon * growth <= self.epsilon * (1 + 1e-12)


def norm_of(perturbations: "np.ndarray", norm: str) -> "np.ndarray":
    """Norms, float64 of shape (n,), of perturbations of shape (n, ...)."""
    import numpy as np  # here: params read epsilons, and need no numpy

    values = np.asarray(perturbations, dtype=np.float64)
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.linalg.norm(flat, ord=ORDER[norm], axis=1)


def diameter(norm: str, n_dimensions: int) -> float:
    """The largest distance within the box [0, 1]^n_dimensions: every ball of that radius has the whole box."""
    return float(n_dimensions ** (1 / ORDER[norm]))


def parse_epsilon(text: object) -> float:
    """The number that `8/255`, `8/255*sqrt(3072)`, `0.031` or a plain number stands for.

    Only products and quotients of non-negative decimal numbers and square roots of integers are understood, in ASCII digits,
    without leading zeros, with spaces around numbers alone.

    Raises:
        ValueError: for anything else, for a text of more than 100 characters, and where the number is not finite.
    """
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError(f"expected a number or a text like 8/255*sqrt(3072), got {text!r}")
    try:
        value = _product(text) if isinstance(text, str) else float(text)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {_cut(text)}")
    return value


def _product(text: str) -> float:
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} characters like 8/255*sqrt(3072), got {len(text):,}")
    value, operator, rest = 1.0, "*", text
    while operator:
        factor = _FACTOR.match(rest)
        if factor is None:
            raise ValueError(f"expected a number or a text like 8/255*sqrt(3072), got {text!r}")
        number = math.sqrt(int(factor["root"])) if factor["root"] else float(factor["number"])
        if operator == "/" and number == 0:
            raise ValueError(f"division by zero in {text!r}")
        value = value * number if operator == "*" else value / number
        rest = rest[factor.end() :]
        operator, rest = rest[:1], rest[1:]
        if operator not in ("", "*", "/"):
            raise ValueError(f"expected * or / between numbers, got {operator!r} in {text!r}")
    return value


def _cut(value: object) -> str:
    """The value as it is written, or its first digits."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length():,} bits"
    return repr(value)

"""Votes of blocks of queries: which are kept, what the search of each begins with, and what it finds."""

from dataclasses import dataclass

import numpy as np

from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.votes import loses, most_own
from nnrobust.nearest.voting.field import Field
from nnrobust.nearest.voting.known import MORE, Around, Question
from nnrobust.nearest.voting.radius import bounded_radius
from nnrobust.nearest.voting.ruled_out import Limits
from nnrobust.nearest.voting.tree import Outcome

_OWN = 8
"""Own-class references, beside the m nearest, that a search begins with."""


@dataclass(frozen=True)
class VotingSearch:
    """The search for blocks of queries against all references of a field, of which k vote; `memory`: bytes for distances."""

    field: Field
    k: int
    adversary: Adversary
    epsilon: float
    max_problems: int
    memory: int

    def __call__(self, question: tuple[np.ndarray, np.ndarray | None]) -> list[tuple[int, Outcome]]:
        """The label code that each query (m, d) was asked about, its own (m,) or that of the vote, and the outcome."""
        (x, codes), field, m = question, self.field, most_own(self.k) + 1
        squared, errors = field.approximately(x)
        around = [field.around(x[n], squared[n], float(errors[n, 0]), self.k) for n in range(len(x))]
        if codes is None:
            votes = [np.bincount(field.codes[positions[: self.k]]) for positions, _ in around]
            codes = np.array([counts.argmax() for counts in votes])
        asked: list[int] = codes.tolist()
        kept = [n for n, (at, exact) in enumerate(around) if not loses(exact, field.codes[at], asked[n], self.k)]
        own = {n: self._nearest_own(x[n], asked[n], squared[n]) for n in kept}
        limits = Limits(field, self.memory)
        if kept:
            limits.prepare(np.concatenate([positions[: m + MORE] for positions, _ in own.values()]))
        found = []
        for n, code in enumerate(asked):
            outcome = Outcome.at_once(x[n])
            if n in own:
                positions, exact = own[n]
                few, error = (positions[: m + MORE], exact[: m + MORE]), float(errors[n, 0])
                ruled_out = limits.of(squared[n], error, few, m, self.adversary.norm)
                known = Around(field, squared[n], error, ruled_out, positions)
                asks = Question(x[n], code, self.k, self.adversary, self.epsilon)
                outcome = bounded_radius(asks, known, self.max_problems)
            found.append((code, outcome))
        return found

    def _nearest_own(self, x: np.ndarray, code: int, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and squared distances of the nearest references of a class, as many as a search begins with."""
        field = self.field
        part = squared[field.starts[code] : field.starts[code + 1]]
        n = min(most_own(self.k) + 1 + _OWN, len(part))
        positions = field.starts[code] + np.argpartition(part, n - 1)[:n]
        exact = field.measured(x, positions)
        order = exact.argsort()
        return positions[order], exact[order]

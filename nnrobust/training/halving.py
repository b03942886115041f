"""How a search by successive halving spends epochs: plain values, which need no Optuna, so that a bare machine reads them too."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nnrobust.config.recipes import Setting


@dataclass(frozen=True)
class SearchPlan:
    """Which settings are tried, and for how long.

    A trial first gets `min_epochs`; the best of each `reduction_factor` trials then get that many times as many, trained from the
    start so that the schedule is whole, and so on to `max_epochs` or the setting's own number.
    """

    space: dict[str, list[Any]]
    n_trials: int
    n_at_once: int
    min_epochs: int
    max_epochs: int
    reduction_factor: int
    seed: int

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> "SearchPlan":
        """What the block `search` of params.yaml says; it is taken to be valid."""
        budgets = {field.name: block[field.name] for field in fields(cls) if field.name != "space"}
        return cls(space=Setting.space_of(block["space"]), **budgets)

    def limit(self, setting: Setting) -> int:
        return min(self.max_epochs, setting.epochs)

    def next_budget(self, setting: Setting, spent: list[int]) -> int:
        """The epochs of a trial's next training, after trainings of `spent` epochs."""
        budget = self.min_epochs * self.reduction_factor ** len(spent)
        return min(budget, self.limit(setting))

    def epochs_a_pair(self) -> float:
        """About those that all trials of a pair train for, each round as many: a factor fewer go on, for as much longer."""
        longest = min(self.max_epochs, max(self.space["epochs"]))
        n_rounds = 1 + math.ceil(math.log(max(1.0, longest / self.min_epochs), self.reduction_factor) - 1e-9)
        return float(self.n_trials * self.min_epochs * n_rounds)

"""The two-class networks of pairs under attack: which images each is for, and the forms that it is searched and judged in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import Victim
from nnrobust.data.datasets import Pair, Split, first_per_class
from nnrobust.networks.stack import Stack, predictor


def pair_inputs(part: Split, pairs: list[Pair], n_per_class: int | None) -> AttackInputs:
    """The first `n_per_class` images of each class of each pair (None: all), for the network at the pair's position."""
    chosen = first_per_class(part.labels, n_per_class)
    indices = [np.intersect1d(pair.indices(part.labels), chosen) for pair in pairs]
    none = np.zeros(0, dtype=np.int64)
    ids = np.concatenate([none, *indices])
    targets = np.concatenate(
        [none, *(pair.targets(part.labels[rows]) for pair, rows in zip(pairs, indices, strict=True))]
    )
    networks = np.repeat(np.arange(len(pairs)), [len(rows) for rows in indices])
    return AttackInputs(np.asarray(part.images[ids]), targets, networks, ids)


@dataclass(frozen=True)
class PairSource:
    """Victims out of the `state_dict` of each pair's network; `precision` is that of the search."""

    keeps_failures: ClassVar[bool] = False
    build: Callable[[], nn.Module]
    states: list[dict[str, Tensor]]
    precision: torch.dtype = torch.float32
    is_compiled: bool = False

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The networks at the positions `members`, side by side."""
        stack = Stack.loaded(self.build, [self.states[i] for i in members], device).frozen()
        return stack_victim(stack, self.precision, self.is_compiled)


def stack_victim(stack: Stack, precision: torch.dtype = torch.float32, is_compiled: bool = False) -> Victim:
    """Networks of one architecture as a victim: searched with batch normalisation folded, in `precision`, compiled if asked."""
    search = predictor(stack.folded().in_precision(precision))
    return Victim(predictor(stack), torch.compile(search, dynamic=True) if is_compiled else search)

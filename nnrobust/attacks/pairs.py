"""The networks of problems under attack: which images each is for, and the forms that it is searched and judged in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nnrobust.attacks.batches import Source
from nnrobust.attacks.verdicts import AttackInputs, Verdicts, attack_records, untrained_records
from nnrobust.attacks.victim import Predictor, Victim
from nnrobust.data.datasets import Problem, Split, first_per_class
from nnrobust.networks.stack import Stack, predictor
from nnrobust.threat import ThreatModel


def pair_inputs(part: Split, problems: Sequence[Problem], n_per_class: int | None) -> AttackInputs:
    """The first `n_per_class` images of each class of each problem (None: all), for the network at the problem's position."""
    chosen = first_per_class(part.labels, n_per_class)
    indices = [np.intersect1d(problem.indices(part.labels), chosen) for problem in problems]
    none = np.zeros(0, dtype=np.int64)
    ids = np.concatenate([none, *indices])
    targets = np.concatenate(
        [none, *(problem.targets(part.labels[rows]) for problem, rows in zip(problems, indices, strict=True))]
    )
    networks = np.repeat(np.arange(len(problems)), [len(rows) for rows in indices])
    return AttackInputs(np.asarray(part.images[ids]), targets, networks, ids)


def problem_records(
    about: Mapping[str, object],
    inputs: AttackInputs,
    problems: Sequence[Problem],
    verdicts: Mapping[str, Verdicts] | None,
    threats: list[ThreatModel],
) -> list[pd.DataFrame]:
    """The records of each problem under each threat model, of images that `pair_inputs` gave; without verdicts, untrained.

    `about` gives dataset, split and classifier.
    """
    frames = []
    for number, problem in enumerate(problems):
        rows = np.flatnonzero(inputs.networks == number)
        here, mine, ids = {**about, "pair": str(problem)}, inputs.take(rows), problem.class_ids()
        for threat in threats:
            if verdicts is None:
                frames.append(untrained_records(here, mine, ids, threat))
            else:
                frames.append(attack_records(here, mine, ids, verdicts[threat.norm].take(rows), threat))
    return frames


@dataclass(frozen=True)
class PairSource:
    """Victims out of the `state_dict` of each problem's network; `precision` is that of the search."""

    keeps_failures: ClassVar[bool] = False
    build: Callable[[], nn.Module]
    states: list[dict[str, Tensor]]
    precision: torch.dtype = torch.float32
    is_compiled: bool = False

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The networks at the positions `members`, side by side."""
        stack = Stack.loaded(self.build, [self.states[i] for i in members], device).frozen()
        return stack_victim(stack, self.precision, self.is_compiled)


@dataclass(frozen=True)
class RestrictedSource:
    """Victims out of one network of all classes: for each problem its outputs for the classes `class_ids` (problems, 2)."""

    keeps_failures: ClassVar[bool] = False
    whole: Source
    class_ids: np.ndarray

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The network, restricted to the classes of each of the problems at the positions `members`."""
        victim = self.whole.victim(np.zeros(1, dtype=np.int64), device)
        outputs = torch.from_numpy(self.class_ids[members]).to(device)
        return Victim(_restricted(victim.predict, outputs), _restricted(victim.search, outputs))


def _restricted(predict: Predictor, outputs: Tensor) -> Predictor:
    """Logits (n, 2): those of a single network at the `outputs` (problems, 2) of each image's problem."""

    def logits_of(images: Tensor, problem: Tensor) -> Tensor:
        return predict(images, torch.zeros_like(problem)).gather(1, outputs[problem])

    return logits_of


def stack_victim(stack: Stack, precision: torch.dtype = torch.float32, is_compiled: bool = False) -> Victim:
    """Networks of one architecture as a victim: searched with batch normalisation folded, in `precision`, compiled if asked."""
    search = predictor(stack.folded().in_precision(precision))
    return Victim(predictor(stack), torch.compile(search, dynamic=True) if is_compiled else search)

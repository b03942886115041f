"""Attacks on many images: block by block, over devices, in as much memory as there is."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol

import numpy as np
import torch

from nnrobust.attacks.attack import attack
from nnrobust.attacks.verdicts import NO_OUTPUT, AttackInputs, Verdicts
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.errors import AttackError
from nnrobust.runtime.machine import Machine, plain_float32
from nnrobust.runtime.memory import fitting
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel


class Source(Protocol):
    """Where victims come from; it travels to the workers that attack them.

    With `keeps_failures`, the images of a block in which a victim fails get a `status` that says why, and the others go on.
    """

    keeps_failures: ClassVar[bool]

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        """The networks at the positions `members`, which are numbered within those from then on."""


def attack_in_blocks(
    source: Source,
    inputs: AttackInputs,
    threat_models: list[ThreatModel],
    attacks: list[AttackSpec],
    machine: Machine,
    progress: Progress = silent,
) -> dict[str, Verdicts]:
    """As `attack`, for many networks: a group of them at a time, each on a batch of images at a time, as `machine` has it.

    Batches that do not fit into memory are halved.

    Raises:
        AttackError: as `attack`, unless the source keeps failures.
        MemoryError: when one image does not fit, likewise.
    """
    place = np.zeros(len(inputs.networks), dtype=np.int64)
    for network in np.unique(inputs.networks):
        rows = np.flatnonzero(inputs.networks == network)
        place[rows] = np.arange(len(rows))
    keys = np.stack([inputs.networks // machine.group_size, place // machine.batch_size], axis=1)
    blocks = [np.flatnonzero((keys == key).all(axis=1)) for key in np.unique(keys, axis=0)]
    work = _Work(source, inputs, threat_models, attacks, machine.device)
    done: list[tuple[np.ndarray, dict[str, Verdicts]]] = []
    for _, (_, parts) in zip(progress(blocks, "attack"), machine.engine.map(work, blocks), strict=True):
        done += parts
    order = np.argsort(np.concatenate([rows for rows, _ in done]), kind="stable")
    return {threat.norm: _joined([part[threat.norm] for _, part in done], order) for threat in threat_models}


@dataclass(frozen=True)
class _Work:
    """The work on a block: gives its rows, in parts, and their verdicts by norm."""

    source: Source
    inputs: AttackInputs
    threat_models: list[ThreatModel]
    attacks: list[AttackSpec]
    device: torch.device

    def __call__(self, rows: np.ndarray) -> list[tuple[np.ndarray, dict[str, Verdicts]]]:
        try:
            with plain_float32():
                return list(fitting(self._attack, rows, len(rows)))
        except (AttackError, MemoryError, RuntimeError) as error:
            if not self.source.keeps_failures:
                raise
            return [(rows, self._failed(rows, error))]

    def _attack(self, rows: np.ndarray) -> dict[str, Verdicts]:
        members = np.unique(self.inputs.networks[rows])
        part = self.inputs.take(rows)
        part = replace(part, networks=np.searchsorted(members, part.networks))
        return attack(self.source.victim(members, self.device), part, self.threat_models, self.attacks, self.device)

    def _failed(self, rows: np.ndarray, error: Exception) -> dict[str, Verdicts]:
        n, cause = len(rows), (str(error).splitlines() or [""])[0]
        status = f"attack failed: {type(error).__name__}: {cause}"
        texts = (np.full(n, text, dtype=object) for text in ("none", "none", "", status))
        nothing = Verdicts(np.full(n, NO_OUTPUT), np.ones(n, dtype=bool), np.full(n, np.nan), *texts)
        return {threat.norm: nothing for threat in self.threat_models}


def _joined(parts: list[Verdicts], order: np.ndarray) -> Verdicts:
    return Verdicts(
        *(np.concatenate([getattr(part, field.name) for part in parts])[order] for field in fields(Verdicts))
    )

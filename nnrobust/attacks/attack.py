"""The attacks by name, and the checks that each candidate passes before it counts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nnrobust.attacks.arguments import check_specs, check_targets, check_threats, check_victim, checked_inputs
from nnrobust.attacks.gradient import by_apgd, by_fmn, cross_entropy, logit_ratio, margin, targeted_logit_ratio
from nnrobust.attacks.libraries import autoattack, cleverhans_pgd, foolbox_pgd
from nnrobust.attacks.masking import as_notes, gradient_notes
from nnrobust.attacks.verdicts import AttackInputs, Verdicts
from nnrobust.attacks.victim import AttackSpec, DeviceBatch, Victim, examined, seeded
from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel, norm_of

TOLERANCE = 1e-6
"""The relative excess over epsilon that a perturbation may have, measured in float64 from the stored image."""
N_EXAMINED = 16
"""Images, spread over a batch, whose passes show a model's traits."""
N_AIMS = 9
"""Classes that a targeted attack tries, likeliest first. Source: AutoAttack's standard version."""


@dataclass(frozen=True)
class Kind:
    """The attack behind a name.

    `run` gives a candidate (n, ...) for each image; where it found nothing, any point. `n_classes` is the least that its
    objective is defined for. A minimum-norm attack knows no epsilon: its candidates may lie outside the ball.
    """

    run: Callable[[Victim, DeviceBatch, ThreatModel, AttackSpec], Tensor]
    n_classes: int = 2
    is_minimum_norm: bool = False
    needs_gradient: bool = True


KINDS = {
    "apgd-ce": Kind(partial(by_apgd, objective=cross_entropy)),
    "apgd-margin": Kind(partial(by_apgd, objective=margin)),
    "apgd-dlr": Kind(partial(by_apgd, objective=logit_ratio), n_classes=3),
    "apgd-t": Kind(partial(by_apgd, objective=targeted_logit_ratio, n_aims=N_AIMS), n_classes=4),
    "fmn": Kind(by_fmn, is_minimum_norm=True),
    "apgd-ce-autoattack": Kind(autoattack),
    "fab": Kind(autoattack),
    "fab-t": Kind(autoattack),
    "square": Kind(autoattack, needs_gradient=False),
    "pgd-foolbox": Kind(foolbox_pgd),
    "pgd-cleverhans": Kind(cleverhans_pgd),
}
"""Every attack that params may name."""


def attack(
    victim: Victim,
    inputs: AttackInputs,
    threat_models: list[ThreatModel],
    attacks: list[AttackSpec],
    device: torch.device,
) -> dict[str, Verdicts]:
    """Verdicts by norm.

    Each attack tries the images that stand after those before it; a minimum-norm attack, all that are right unperturbed. Points
    found under one threat model are measured under the later ones too, and count where they lie inside. Every candidate is
    predicted by the model itself, and its size measured in float64 from the stored image.

    Raises:
        AttackError: when an argument is malformed (`arguments`); the model raises, runs out of memory, has no gradient where an
            attack needs one, or gives malformed logits; an attack needs more classes than there are; or a candidate that fools
            leaves its ball by more than a relative 1e-6, or its box.
    """
    hunts = _hunts(victim, inputs, threat_models, attacks, device)
    return {hunt.threat.norm: hunt.verdicts(attacks) for hunt in hunts}


def adversarial_images(
    victim: Victim, inputs: AttackInputs, threat: ThreatModel, attacks: list[AttackSpec], device: torch.device
) -> tuple[Verdicts, np.ndarray]:
    """The verdicts of `attack` under one threat model, and images (n, c, h, w) in [0, 1]: the nearest found that fools each.

    A minimum-norm attack's may lie outside the ball, where `is_fooled` is false. Where none was found, the image itself.

    Raises:
        AttackError: as `attack`.
    """
    (hunt,) = _hunts(victim, inputs, [threat], attacks, device)
    return hunt.verdicts(attacks), hunt.nearest_images()


def _hunts(
    victim: Victim,
    inputs: AttackInputs,
    threat_models: list[ThreatModel],
    attacks: list[AttackSpec],
    device: torch.device,
) -> list["_Hunt"]:
    """The finds of all attacks under each threat model."""
    check_victim(victim, device)
    inputs = checked_inputs(inputs)
    check_threats(threat_models, int(np.prod(inputs.images.shape[1:])))
    check_specs(attacks, KINDS)
    batch = DeviceBatch.of(inputs, device)
    hunts: list[_Hunt] = []
    with seeded(attacks[0].seed, device):
        spread = torch.linspace(0, len(inputs.ids) - 1, min(N_EXAMINED, len(inputs.ids)), device=device).long()
        victim = examined(victim, batch.take(spread))
        _check_classes(victim.traits.n_classes, attacks)
        check_targets(inputs.targets, victim.traits.n_classes)
        predictions = victim.answers(batch.images, batch.networks)
        notes = [""] * len(inputs.ids)
        if any(KINDS[spec.name].needs_gradient for spec in attacks):
            has_square = any(spec.name == "square" for spec in attacks)
            notes = gradient_notes(victim, batch, threat_models[0], has_square)
        note = as_notes(victim.traits.notes, notes)
        for threat in threat_models:
            hunt = _Hunt(victim, inputs, batch, threat, predictions.cpu().numpy(), note)
            for spec in attacks:
                for earlier in hunts:
                    hunt.measure(spec.name, earlier)
                hunt.run(spec)
            hunts.append(hunt)
    return hunts


def _check_classes(n_classes: int, attacks: list[AttackSpec]) -> None:
    for spec in attacks:
        needed = KINDS[spec.name].n_classes
        if n_classes < needed:
            raise AttackError(
                f"{spec.name}: expected a model of at least {needed} classes, got {n_classes}; use apgd-margin instead"
            )


class _Hunt:
    """The finds under one threat model: which images are fooled, by which attack, and the nearest point of each."""

    def __init__(
        self,
        victim: Victim,
        inputs: AttackInputs,
        batch: DeviceBatch,
        threat: ThreatModel,
        predictions: np.ndarray,
        note: np.ndarray,
    ) -> None:
        self.victim, self.inputs, self.batch, self.threat = victim, inputs, batch, threat
        self.predictions, self.note = predictions, note
        self.is_correct = predictions == inputs.targets
        self.is_fooled = ~self.is_correct
        self.nearest = np.where(self.is_correct, np.nan, 0.0)
        self.method = np.full(len(inputs.ids), "unperturbed", dtype=object)
        self.found: dict[str, tuple[np.ndarray, Tensor]] = {}

    def run(self, spec: AttackSpec) -> None:
        """Runs an attack on the images that stand, and takes its finds."""
        kind = KINDS[spec.name]
        wanted = self.is_correct if kind.is_minimum_norm else ~self.is_fooled
        if not wanted.any():
            return
        rows = np.arange(len(wanted)) if self.victim.traits.depends_on_batch else np.flatnonzero(wanted)
        part = self.batch.take(torch.from_numpy(rows).to(self.batch.images.device))
        points = kind.run(self.victim, part, self.threat, spec)
        fools = (self.victim.answers(points, part.networks) != part.targets).cpu().numpy() & wanted[rows]
        rows, points = rows[fools], points[torch.from_numpy(fools).to(points.device)]
        norms = self._norms(spec.name, rows, points)
        if not kind.is_minimum_norm and (norms > self.threat.epsilon * (1 + TOLERANCE)).any():
            worst = int(norms.argmax())
            raise AttackError(self._fault(spec.name, rows[worst], norms[worst], "is larger than epsilon"))
        self.found[spec.name] = rows, points
        self._take(spec.name, rows, norms)

    def measure(self, name: str, other: "_Hunt") -> None:
        """Takes an attack's finds under another threat model, as far as they lie within this one."""
        rows, points = other.found.get(name, (np.zeros(0, dtype=np.int64), self.batch.images[:0]))
        self._take(f"{name} ({other.threat.norm})", rows, self._norms(name, rows, points))

    def verdicts(self, attacks: list[AttackSpec]) -> Verdicts:
        names = " + ".join(spec.name for spec in attacks)
        withstood, status = (np.full(len(self.method), text, dtype=object) for text in (names, "ok"))
        method = np.where(self.is_fooled, self.method, names)
        return Verdicts(self.predictions, self.is_fooled, self.nearest, method, withstood, self.note, status)

    def nearest_images(self) -> np.ndarray:
        """The images (n, c, h, w) at the distances `nearest`; where there is none, the stored ones."""
        images = self.inputs.pixels()
        for name, (rows, points) in self.found.items():
            is_nearest = self._norms(name, rows, points) == self.nearest[rows]
            images[rows[is_nearest]] = points.cpu().numpy()[is_nearest]
        return images

    def _take(self, name: str, rows: np.ndarray, norms: np.ndarray) -> None:
        is_inside = norms <= self.threat.epsilon * (1 + TOLERANCE)
        is_first = is_inside & ~self.is_fooled[rows]
        self.method[rows[is_first]], self.is_fooled[rows[is_first]] = name, True
        self.nearest[rows] = np.fmin(self.nearest[rows], norms)

    def _norms(self, name: str, rows: np.ndarray, points: Tensor) -> np.ndarray:
        """Sizes (m,) in float64 from the stored images, of points in the box."""
        pixels = points.cpu().numpy().astype(np.float64)
        norms = norm_of(pixels - self.inputs.take(rows).pixels(), self.threat.norm)
        outside = ((pixels < 0) | (pixels > 1)).any(axis=(1, 2, 3))
        if outside.any():
            worst = int(outside.argmax())
            raise AttackError(self._fault(name, rows[worst], norms[worst], "leaves the box [0, 1]"))
        return norms

    def _fault(self, name: str, row: int, norm: float, fault: str) -> str:
        where = f"{name}, {self.threat.norm} {self.threat.epsilon:.9g}"
        return f"{where}: the perturbation of image {self.inputs.ids[row]} (norm {norm:.9g}) {fault}"

"""APGD-CE on one network or on many side by side, and the checks that every result has passed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnrobust.apgd import Batch, Predictor, apgd, checked_logits, start_noise
from nnrobust.compute import Machine, plain_float32
from nnrobust.errors import AttackError
from nnrobust.progress import Progress, silent
from nnrobust.threat import ThreatModel, norm_of

METHOD = "apgd-ce"
TOLERANCE = 1e-6
"""By how much a perturbation may exceed epsilon, relative to it, when float64 measures it from the stored image."""


@dataclass(frozen=True)
class Strength:
    """How hard an attack tries: `steps` iterations from each of `restarts` starting points drawn by `seed` and image id."""

    steps: int
    restarts: int
    seed: int


@dataclass(frozen=True)
class AttackInputs:
    """What is attacked: uint8 images (n, c, h, w), the output each should have (n,), its network (n,), its id (n,)."""

    images: np.ndarray
    targets: np.ndarray
    networks: np.ndarray
    ids: np.ndarray

    def take(self, rows: np.ndarray) -> "AttackInputs":
        return AttackInputs(self.images[rows], self.targets[rows], self.networks[rows], self.ids[rows])


@dataclass(frozen=True)
class Verdicts:
    """Outcome under one threat model: predicted output (n,) on the stored image, which images were fooled, how, how far.

    `is_fooled` (n,) includes images that are wrong unperturbed, whose `perturbation_norm` is 0; it is nan where the attack
    failed. `method` (n,) is the attack that decided.
    """

    predictions: np.ndarray
    is_fooled: np.ndarray
    perturbation_norm: np.ndarray
    method: np.ndarray

    def take(self, rows: np.ndarray) -> "Verdicts":
        return Verdicts(self.predictions[rows], self.is_fooled[rows], self.perturbation_norm[rows], self.method[rows])


def attack(
    predict: Predictor, inputs: AttackInputs, threat_models: list[ThreatModel], strength: Strength, device: torch.device
) -> dict[str, Verdicts]:
    """Verdicts by norm.

    A perturbation found under one threat model counts under every later one that contains it, and is not searched again.
    Every success is re-predicted, and its size measured in float64 from the stored image.

    Raises:
        AttackError: when logits are malformed, or a perturbation leaves its ball by more than a relative
            1e-6, or its box.
    """
    batch = Batch(
        torch.from_numpy(inputs.images).to(device).float() / 255,
        torch.from_numpy(inputs.targets).to(device),
        torch.from_numpy(inputs.networks).to(device),
    )
    with torch.no_grad():
        predictions = checked_logits(predict, batch.images, batch.networks).argmax(dim=1)
    found: list[tuple[ThreatModel, Tensor, Tensor]] = []
    verdicts = {}
    for threat in threat_models:
        adversarial, is_fooled = batch.images.clone(), predictions != batch.targets
        method = np.full(len(inputs.ids), METHOD, dtype=object)
        for earlier, rows, points in found:
            if threat.contains(earlier, batch.images[0].numel()):
                adversarial[rows], is_fooled[rows] = points, True
                method[rows.cpu().numpy()] = f"{METHOD} ({earlier.norm})"
        rows = (~is_fooled).nonzero()[:, 0]
        points, fell = _search(predict, batch.take(rows), inputs.ids[rows.cpu().numpy()], threat, strength)
        adversarial[rows[fell]], is_fooled[rows[fell]] = points[fell], True
        rows = (is_fooled & (predictions == batch.targets)).nonzero()[:, 0]
        found.append((threat, rows, adversarial[rows]))
        norms = np.where(is_fooled.cpu().numpy(), 0.0, np.nan)
        members = rows.cpu().numpy()
        norms[members] = _verified_norms(predict, inputs.take(members), adversarial[rows], threat)
        verdicts[threat.norm] = Verdicts(predictions.cpu().numpy(), is_fooled.cpu().numpy(), norms, method)
    return verdicts


def _search(
    predict: Predictor, batch: Batch, ids: np.ndarray, threat: ThreatModel, strength: Strength
) -> tuple[Tensor, Tensor]:
    """Adversarial images (n, ...) by APGD-CE, restart after restart, and which of them fool their network (n,)."""
    adversarial, is_fooled = batch.images.clone(), torch.zeros_like(batch.targets, dtype=torch.bool)
    for restart in range(strength.restarts):
        rows = (~is_fooled).nonzero()[:, 0]
        if len(rows) == 0:
            break
        noise = start_noise(ids[rows.cpu().numpy()], batch.images.shape[1:], threat.norm, strength.seed, restart)
        points, fell = apgd(predict, batch.take(rows), noise.to(batch.images.device), threat, strength.steps)
        adversarial[rows[fell]], is_fooled[rows[fell]] = points[fell], True
    return adversarial, is_fooled


def attack_in_blocks(
    predict_of: Callable[[np.ndarray], Predictor], inputs: AttackInputs, threat_models: list[ThreatModel], strength: Strength,
    machine: Machine, progress: Progress = silent,
) -> dict[str, Verdicts]:  # fmt: skip
    """As `attack`, for many networks: a group of them at a time, each on a batch of images at a time, as `machine` has it.

    `predict_of` gives the predictor of the networks at the positions it is handed; images are numbered within those.
    """
    place = np.zeros(len(inputs.networks), dtype=np.int64)
    for network in np.unique(inputs.networks):
        rows = np.flatnonzero(inputs.networks == network)
        place[rows] = np.arange(len(rows))
    keys = np.stack([inputs.networks // machine.group_size, place // machine.batch_size], axis=1)
    results: list[tuple[np.ndarray, dict[str, Verdicts]]] = []
    for key in progress(np.unique(keys, axis=0).tolist(), "attack"):
        rows = np.flatnonzero((keys == key).all(axis=1))
        members = np.unique(inputs.networks[rows])
        part = inputs.take(rows)
        part = AttackInputs(part.images, part.targets, np.searchsorted(members, part.networks), part.ids)
        with plain_float32():
            results.append((rows, attack(predict_of(members), part, threat_models, strength, machine.device)))
    order = np.argsort(np.concatenate([rows for rows, _ in results]), kind="stable")
    return {threat.norm: _joined([part[threat.norm] for _, part in results], order) for threat in threat_models}


def _joined(parts: list[Verdicts], order: np.ndarray) -> Verdicts:
    names = ("predictions", "is_fooled", "perturbation_norm", "method")
    return Verdicts(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in names))


def _verified_norms(predict: Predictor, inputs: AttackInputs, adversarial: Tensor, threat: ThreatModel) -> np.ndarray:
    """Sizes (n,) in float64 from the stored images, of perturbations that do fool, in ball and box.

    Raises:
        AttackError: for one that does not.
    """
    if len(adversarial) == 0:
        return np.zeros(0)
    with torch.no_grad():
        networks = torch.from_numpy(inputs.networks).to(adversarial.device)
        outputs = checked_logits(predict, adversarial, networks).argmax(dim=1).cpu().numpy()
    points = adversarial.cpu().numpy().astype(np.float64)
    norms = norm_of(points - inputs.images / 255, threat.norm)
    faults = {
        "fools its network no more when predicted again; the model is not deterministic": outputs == inputs.targets,
        f"is larger than {threat.norm} {threat.epsilon:.9g}": norms > threat.epsilon * (1 + TOLERANCE),
        "leaves the box [0, 1]": (points.min(axis=(1, 2, 3)) < 0) | (points.max(axis=(1, 2, 3)) > 1),
    }
    for fault, is_bad in faults.items():
        if is_bad.any():
            worst = int(np.flatnonzero(is_bad)[norms[is_bad].argmax()])
            raise AttackError(
                f"{METHOD}, {threat.norm}: the perturbation of image {inputs.ids[worst]} (norm {norms[worst]:.9g}) {fault}"
            )
    return norms

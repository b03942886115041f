"""APGD-CE on one network or on many side by side, and the checks that every result has passed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.compute import Machine
from nnrobust.errors import AttackError
from nnrobust.progress import Progress, silent
from nnrobust.threat import ThreatModel, norm_of

METHOD = "apgd-ce"
Predictor = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, classes) of images (n, c, h, w), given the network that each image is for (n,)."""
TOLERANCE = 1e-6
"""By how much a perturbation may exceed epsilon, relative to it, when float64 measures it from the stored image."""
_RHO = 0.75
_MOMENTUM = 0.75


@dataclass(frozen=True)
class Strength:
    """How hard an attack tries: `steps` iterations from each of `restarts` starting points drawn by `seed` and image id."""

    steps: int
    restarts: int
    seed: int


@dataclass(frozen=True)
class Victims:
    """What is attacked: uint8 images (n, c, h, w), the output each should have (n,), its network (n,), its id (n,)."""

    images: np.ndarray
    targets: np.ndarray
    networks: np.ndarray
    ids: np.ndarray

    def take(self, rows: np.ndarray) -> "Victims":
        return Victims(self.images[rows], self.targets[rows], self.networks[rows], self.ids[rows])


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
    predict: Predictor, victims: Victims, threat_models: list[ThreatModel], strength: Strength, device: torch.device
) -> dict[str, Verdicts]:
    """Verdicts by norm.

    A perturbation found under one threat model counts under every later one that contains it, and is not searched again.
    Every success is re-predicted, and its size measured in float64 from the stored image.

    Raises:
        AttackError: when logits are malformed, or a perturbation leaves its ball by more than a relative
            1e-6, or its box.
    """
    images = torch.from_numpy(victims.images).to(device).float() / 255
    targets = torch.from_numpy(victims.targets).to(device)
    networks = torch.from_numpy(victims.networks).to(device)
    with torch.no_grad():
        predictions = checked_logits(predict, images, networks).argmax(dim=1)
    found: list[tuple[ThreatModel, np.ndarray, Tensor]] = []
    verdicts = {}
    for threat in threat_models:
        adversarial, is_fooled = images.clone(), predictions != targets
        method = np.full(len(images), METHOD, dtype=object)
        for earlier, rows, points in found:
            if threat.contains(earlier, images[0].numel()):
                adversarial[rows], is_fooled[rows] = points, True
                method[rows] = f"{METHOD} ({earlier.norm})"
        for restart in range(strength.restarts):
            rows = (~is_fooled).nonzero()[:, 0]
            if len(rows) == 0:
                break
            noise = start_noise(victims.ids[rows.cpu().numpy()], images.shape[1:], threat.norm, strength.seed, restart)
            points, fell = _apgd(
                predict, images[rows], targets[rows], networks[rows], noise.to(device), threat, strength.steps
            )
            adversarial[rows[fell]], is_fooled[rows[fell]] = points[fell], True
        rows_fooled = (is_fooled & (predictions == targets)).cpu().numpy()
        norms = np.where(is_fooled.cpu().numpy(), 0.0, np.nan)
        norms[rows_fooled] = _verified_norms(
            predict, victims.take(rows_fooled), adversarial[torch.from_numpy(rows_fooled).to(device)], threat
        )
        found.append((threat, rows_fooled, adversarial[torch.from_numpy(rows_fooled).to(device)]))
        verdicts[threat.norm] = Verdicts(predictions.cpu().numpy(), is_fooled.cpu().numpy(), norms, method)
    return verdicts


def attack_in_blocks(
    predict_of: Callable[[np.ndarray], Predictor], victims: Victims, threat_models: list[ThreatModel], strength: Strength,
    machine: Machine, progress: Progress = silent,
) -> dict[str, Verdicts]:  # fmt: skip
    """As `attack`, for many networks: a group of them at a time, each on a batch of images at a time, as `machine` has it.

    `predict_of` gives the predictor of the networks at the positions it is handed; images are numbered within those.
    """
    place = np.zeros(len(victims.networks), dtype=np.int64)
    for network in np.unique(victims.networks):
        rows = np.flatnonzero(victims.networks == network)
        place[rows] = np.arange(len(rows))
    keys = np.stack([victims.networks // machine.group_size, place // machine.batch_size], axis=1)
    results: list[tuple[np.ndarray, dict[str, Verdicts]]] = []
    for key in progress(np.unique(keys, axis=0).tolist(), "attack"):
        rows = np.flatnonzero((keys == key).all(axis=1))
        members = np.unique(victims.networks[rows])
        part = victims.take(rows)
        part = Victims(part.images, part.targets, np.searchsorted(members, part.networks), part.ids)
        results.append((rows, attack(predict_of(members), part, threat_models, strength, machine.device)))
    order = np.argsort(np.concatenate([rows for rows, _ in results]), kind="stable")
    return {threat.norm: _joined([part[threat.norm] for _, part in results], order) for threat in threat_models}


def _joined(parts: list[Verdicts], order: np.ndarray) -> Verdicts:
    names = ("predictions", "is_fooled", "perturbation_norm", "method")
    return Verdicts(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in names))


def checked_logits(predict: Predictor, images: Tensor, networks: Tensor) -> Tensor:
    """Logits (n, classes), after checking that they are that.

    Raises:
        AttackError: when they have another shape, fewer than two classes, or a value that is not finite: such outputs run
            silently through attacks and look robust.
    """
    logits = predict(images, networks)
    if logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
        raise AttackError(f"expected logits of shape ({len(images)}, classes >= 2), got {tuple(logits.shape)}")
    if not bool(torch.isfinite(logits).all()):
        raise AttackError(
            "expected finite logits, got nan or infinity; the model is broken or was trained to divergence"
        )
    return logits


def start_noise(ids: np.ndarray, shape: torch.Size, norm: str, seed: int, restart: int) -> Tensor:
    """Starting directions (n, *shape), scaled to norm 1; each depends on seed, image id and restart alone."""
    size = int(np.prod(shape))
    rows = []
    for image_id in ids:
        generator = np.random.default_rng([seed, restart, int(image_id)])
        row = generator.uniform(-1, 1, size) if norm == "Linf" else generator.standard_normal(size)
        rows.append((row / norm_of(row[None], norm)).astype(np.float32))
    return torch.from_numpy(np.stack(rows)).view(len(ids), *shape)


def _apgd(
    predict: Predictor,
    images: Tensor,
    targets: Tensor,
    networks: Tensor,
    noise: Tensor,
    threat: ThreatModel,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Adversarial images (n, ...) in ball and box, and which of them fool their network (n,).

    Auto-PGD on the cross-entropy with the published schedule; an image leaves the batch once it is fooled, which changes no
    other image's iterates. Epsilon is cut by float32's rounding, so that float64 finds every point inside.
    Source: arXiv 2003.01690, algorithm 1 and section 4; it differs from the published code in that departure alone.
    """
    epsilon = threat.epsilon * (1 - 1e-6) - 1.2e-7
    final, is_fooled = images.clone(), torch.zeros(len(images), dtype=torch.bool, device=images.device)
    s = _State(torch.arange(len(images), device=images.device), images, targets, networks, epsilon * noise, epsilon)
    until_check, since_check, shortest, shrink = (
        max(int(0.22 * steps), 1),
        0,
        max(int(0.06 * steps), 1),
        max(int(0.03 * steps), 1),
    )
    for step in range(steps + 1):
        loss, gradient, fell = _evaluate(predict, s, needs_gradient=step < steps)
        if bool(fell.any()):
            final[s.rows[fell]], is_fooled[s.rows[fell]] = s.current[fell], True
        if step == steps or bool(fell.all()):
            break
        if step == 0:
            s.begin(loss, gradient)
        else:
            since_check += 1
            s.record(loss, gradient)
            if since_check == until_check:
                s.check(until_check)
                until_check, since_check = max(until_check - shrink, shortest), 0
        s.keep(~fell)
        s.move(threat.norm, _MOMENTUM if step else 1.0)
    return final, is_fooled


def _evaluate(predict: Predictor, s: "_State", needs_gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, gradients, and which images are fooled, at the current points."""
    with torch.enable_grad():
        points = s.current.detach().requires_grad_(needs_gradient)
        logits = checked_logits(predict, points, s.networks)
        loss = F.cross_entropy(logits, s.targets, reduction="none")
        gradient = torch.autograd.grad(loss.sum(), points)[0] if needs_gradient else torch.empty(0)
    return loss.detach(), gradient, logits.detach().argmax(dim=1) != s.targets


class _State:
    """The iterates of Auto-PGD for the images that are not fooled yet; `rows` says which those are."""

    def __init__(
        self, rows: Tensor, images: Tensor, targets: Tensor, networks: Tensor, offset: Tensor, epsilon: float
    ) -> None:
        self.rows, self.images, self.targets, self.networks, self.epsilon = rows, images, targets, networks, epsilon
        self.current = (images + offset).clamp(0, 1)
        self.previous = self.current
        self.step_size = torch.full((len(images), 1, 1, 1), 2 * epsilon, device=images.device)
        self.last_loss = torch.zeros(len(images), device=images.device)
        self.n_increases = torch.zeros(len(images), device=images.device)
        self.was_reduced = torch.ones(len(images), dtype=torch.bool, device=images.device)

    def begin(self, loss: Tensor, gradient: Tensor) -> None:
        self.gradient, self.best_gradient, self.best = gradient, gradient, self.current
        self.best_loss, self.best_at_check = loss, loss

    def record(self, loss: Tensor, gradient: Tensor) -> None:
        self.n_increases = self.n_increases + (loss > self.last_loss)
        self.last_loss, self.gradient = loss, gradient
        is_better = loss > self.best_loss
        where = is_better.view(-1, 1, 1, 1)
        self.best, self.best_gradient = (
            torch.where(where, self.current, self.best),
            torch.where(where, gradient, self.best_gradient),
        )
        self.best_loss = torch.where(is_better, loss, self.best_loss)

    def check(self, n_steps: int) -> None:
        """Halves the step, and returns to the best point, where the loss rose too rarely or the last check brought nothing."""
        is_stuck = ~self.was_reduced & (self.best_at_check >= self.best_loss)
        is_reduced = (self.n_increases <= _RHO * n_steps) | is_stuck
        where = is_reduced.view(-1, 1, 1, 1)
        self.step_size = torch.where(where, self.step_size / 2, self.step_size)
        self.current, self.gradient = (
            torch.where(where, self.best, self.current),
            torch.where(where, self.best_gradient, self.gradient),
        )
        self.was_reduced, self.best_at_check = is_reduced, self.best_loss
        self.n_increases = torch.zeros_like(self.n_increases)

    def keep(self, is_kept: Tensor) -> None:
        if bool(is_kept.all()):
            return
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[is_kept])

    def move(self, norm: str, momentum: float) -> None:
        direction = self.gradient.sign() if norm == "Linf" else _unit(self.gradient)
        target = self._into(self.current + self.step_size * direction, norm)
        moved = self.current + momentum * (target - self.current) + (1 - momentum) * (self.current - self.previous)
        self.previous, self.current = self.current, self._into(moved, norm)

    def _into(self, points: Tensor, norm: str) -> Tensor:
        """The points, moved into ball and box."""
        offset = points - self.images
        if norm == "Linf":
            offset = offset.clamp(-self.epsilon, self.epsilon)
        else:
            offset = _unit(offset) * _l2(offset).clamp(max=self.epsilon)
        return (self.images + offset).clamp(0, 1)


def _l2(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _unit(x: Tensor) -> Tensor:
    return x / (_l2(x) + 1e-12)


def _verified_norms(predict: Predictor, victims: Victims, adversarial: Tensor, threat: ThreatModel) -> np.ndarray:
    """Sizes (n,) in float64 from the stored images, of perturbations that do fool, in ball and box.

    Raises:
        AttackError: for one that does not.
    """
    if len(adversarial) == 0:
        return np.zeros(0)
    with torch.no_grad():
        networks = torch.from_numpy(victims.networks).to(adversarial.device)
        outputs = checked_logits(predict, adversarial, networks).argmax(dim=1).cpu().numpy()
    points = adversarial.cpu().numpy().astype(np.float64)
    norms = norm_of(points - victims.images / 255, threat.norm)
    faults = {
        "fools its network no more when predicted again; the model is not deterministic": outputs == victims.targets,
        f"is larger than {threat.norm} {threat.epsilon:.9g}": norms > threat.epsilon * (1 + TOLERANCE),
        "leaves the box [0, 1]": (points.min(axis=(1, 2, 3)) < 0) | (points.max(axis=(1, 2, 3)) > 1),
    }
    for fault, is_bad in faults.items():
        if is_bad.any():
            worst = int(np.flatnonzero(is_bad)[norms[is_bad].argmax()])
            raise AttackError(
                f"{METHOD}, {threat.norm}: the perturbation of image {victims.ids[worst]} (norm {norms[worst]:.9g}) {fault}"
            )
    return norms

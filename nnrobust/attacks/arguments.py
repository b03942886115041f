"""What `attack` is given, checked before the model is asked for anything."""

from collections.abc import Iterable
from dataclasses import fields, replace

import numpy as np
import torch

from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.errors import AttackError
from nnrobust.threat import ThreatModel, diameter

NORMS = ("Linf", "L2")
"""The norms that every attack knows."""
LEAST = 1e-6
"""The least epsilon: float32 pixels resolve no smaller ball (`networks.ball.inner_radius`)."""


def checked_inputs(inputs: AttackInputs) -> AttackInputs:
    """The same images, with numbers in int64.

    Raises:
        AttackError: when images are neither uint8 nor finite floats in [0, 1], of shape (n, c, h, w) with n >= 1, or numbers not
            n whole numbers from 0 on.
    """
    images = np.asarray(inputs.images)
    if (images.dtype != np.uint8 and images.dtype.kind != "f") or images.ndim != 4:
        raise AttackError(
            f"images: expected uint8 (n, c, h, w) as stored, 0 to 255, or floats in [0, 1], got {images.dtype} {images.shape}"
        )
    if 0 in images.shape:
        raise AttackError(f"images: expected at least one image of at least one pixel, got the shape {images.shape}")
    if images.dtype != np.uint8 and not (images.min() >= 0 and images.max() <= 1):
        raise AttackError(
            f"images: expected floats in [0, 1], got {images.dtype} from {images.min():g} to {images.max():g}; of pixels of 0 to "
            "255, divide by 255 or give uint8"
        )
    numbers = {}
    for field in fields(AttackInputs)[1:]:
        values = np.asarray(getattr(inputs, field.name))
        if values.dtype.kind not in "iu" or values.shape != (len(images),):
            raise AttackError(
                f"{field.name}: expected {len(images)} whole numbers, one for each image, got {values.dtype} {values.shape}"
            )
        if values.min() < 0 or values.max() > np.iinfo(np.int64).max:
            raise AttackError(f"{field.name}: expected numbers from 0 on, got {values.min()} to {values.max()}")
        numbers[field.name] = values.astype(np.int64)
    return replace(inputs, images=images, **numbers)


def check_targets(targets: np.ndarray, n_classes: int) -> None:
    """Checks that each target is an output of the model.

    Raises:
        AttackError: when a target is no output of the model.
    """
    if targets.max() >= n_classes:
        row = int(targets.argmax())
        raise AttackError(
            f"targets: expected outputs 0 to {n_classes - 1} of the model, got {targets[row]} for the image in row {row}; number "
            "the classes as the model does"
        )


def check_threats(threat_models: list[ThreatModel], n_dimensions: int) -> None:
    """Checks threat models against images of so many pixel values.

    Raises:
        AttackError: when there is none, a norm is unknown or there twice, or an epsilon is not in pixel units of [0, 1].
    """
    _check_each_once("threat models", "norm", [threat.norm for threat in threat_models])
    for threat in threat_models:
        if threat.norm not in NORMS:
            raise AttackError(
                f"threat models: expected the norms {' and '.join(NORMS)}, got {threat.norm!r}; spell them so, as no attack here "
                "knows others"
            )
        largest = diameter(threat.norm, n_dimensions) * (1 + 1e-12)
        if not _is_number(threat.epsilon) or not LEAST <= threat.epsilon <= largest:
            raise AttackError(
                f"{threat.norm}: expected an epsilon from {LEAST:g} to {largest:.6g}, as pixels are in [0, 1] and no two images "
                f"are further apart, got {threat.epsilon!r}; of 0 to 255, divide by 255"
            )


def check_specs(attacks: list[AttackSpec], known: Iterable[str]) -> None:
    """Checks attacks against the names that are known.

    Raises:
        AttackError: when there is none, one is unknown or there twice, or its steps, restarts or seed are no counts.
    """
    _check_each_once("attacks", "name", [spec.name for spec in attacks])
    for spec in attacks:
        if spec.name not in known:
            raise AttackError(f"attacks: expected one of {', '.join(known)}, got {spec.name!r}")
        for key, least in (("steps", 1), ("restarts", 1), ("seed", 0)):
            value = getattr(spec, key)
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value < 2**32:
                raise AttackError(f"{spec.name}: {key}: expected a whole number from {least} on, got {value!r}")


def check_victim(victim: Victim, device: torch.device) -> None:
    """Checks that the victim is one, and that the device is here.

    Raises:
        AttackError: when it is no `Victim`, or there is no such device.
    """
    if not isinstance(victim, Victim):
        raise AttackError(
            f"victim: expected a Victim, got {type(victim).__name__}; wrap a network by victim.of_network"
        )
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise AttackError(
            f"device: expected one that is here, got {device} and no CUDA device; give torch.device('cpu')"
        )


def _check_each_once(what: str, key: str, values: list[str]) -> None:
    if not values or len(set(values)) < len(values):
        raise AttackError(f"{what}: expected at least one, and each {key} once, as verdicts go by it, got {values}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)

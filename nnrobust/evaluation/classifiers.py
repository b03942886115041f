"""How each kind of classifier is judged: networks by attacks, functions by queries, classifiers with a radius by proof."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.verdicts import AttackInputs, Verdicts
from nnrobust.attacks.victim import AttackSpec, Victim, checked_logits, of_network
from nnrobust.bounds.layers import layers_of
from nnrobust.bounds.margins import BEYOND, margins
from nnrobust.errors import AttackError, AttackMemoryError, DataError
from nnrobust.evaluation.data import Data
from nnrobust.linear.radius import linear_radius
from nnrobust.nearest.proof import RobustRadius
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel, norm_of

_AT_ONCE = 256
"""Images whose proofs are held at once."""
OK = "ok"
UNDECIDED = "undecided: the bounds of the radius lie on both sides of epsilon"
COLUMNS = [
    "classifier", "index", "label", "prediction", "norm", "epsilon", "kind", "method", "attacks", "is_correct", "is_robust",
    "radius_lower", "radius_upper", "perturbation_norm", "note", "status",
]  # fmt: skip
"""Of the records: one row for each image and threat model, all of perturbed images within [0, 1]. `index` counts the images;
`kind` is exact, certified or attacked; the radius, in units of pixels in [0, 1], lies in [radius_lower, radius_upper], and
`perturbation_norm` is that of the nearest image found that fools, NaN where none was; `note` says what an attack met."""


class Shaped(nn.Module):
    """A network on points of another shape than images have, from images (n, 1, 1, d)."""

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.shape = network, shape
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.reshape(len(x), *self.shape))


class BlackBox(nn.Module):
    """A function from float32 arrays (n, ...) in [0, 1] to scores (n, classes) as a network; its gradient is zero."""

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.function(x.detach().cpu().numpy())
        values = torch.as_tensor(scores.detach() if isinstance(scores, Tensor) else np.asarray(scores))
        if values.ndim != 2 or len(values) != len(x):
            raise AttackError(
                f"expected scores of shape ({len(x)}, classes) from the function, got {tuple(values.shape)}; give scores or "
                "probabilities, not labels"
            )
        return values.to(x.device, torch.float32) + 0 * x.flatten(1).sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class _Given:
    """A network as it was given, as a source of victims."""

    keeps_failures: ClassVar[bool] = False
    network: nn.Module

    def victim(self, members: np.ndarray, device: torch.device) -> Victim:
        return of_network(self.network)


def as_network(model: nn.Module | Callable[[np.ndarray], Any], shape: tuple[int, ...]) -> nn.Module:
    """A network, or a function, on images: as it is, where an image has `shape` (c, h, w)."""
    network = model if isinstance(model, nn.Module) else BlackBox(model)
    return network if len(shape) == 3 else Shaped(network, shape)


def as_images(data: Data) -> AttackInputs:
    """The images (n, c, h, w) for attacks; points of another shape as (n, 1, 1, d)."""
    n, shape = len(data.images), data.images.shape[1:]
    images = data.images if len(shape) == 3 else data.images.reshape(n, 1, 1, math.prod(shape))
    return AttackInputs(images, data.labels, np.zeros(n, dtype=np.int64), np.arange(n))


@contextmanager
def lent(network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The network on a device, without gradients of its weights; afterwards it is as it was."""
    before = [(weight.requires_grad, weight.device) for weight in (*network.parameters(), *network.buffers())]
    try:
        yield network.to(device)
    finally:
        if before:
            network.to(before[0][1])
        for weight, (requires_grad, _) in zip((*network.parameters(), *network.buffers()), before, strict=True):
            weight.requires_grad_(requires_grad)


@torch.no_grad()
def logits_of(network: nn.Module, inputs: AttackInputs, machine: Machine) -> np.ndarray:
    """Logits (n, classes) of all images, batch by batch.

    Raises:
        AttackError: when the network raises, or its logits are malformed.
    """
    parts = []
    for start in range(0, len(inputs.ids), machine.batch_size):
        rows = np.arange(start, min(start + machine.batch_size, len(inputs.ids)))
        pixels = torch.from_numpy(inputs.take(rows).pixels()).float().to(machine.device)
        try:
            logits = checked_logits(lambda images, _: network(images), pixels, torch.zeros(0))
        except AttackError as error:
            cause = error.__cause__
            if not isinstance(cause, RuntimeError) or isinstance(error, AttackMemoryError):
                raise
            shape = tuple(pixels.shape)
            raise AttackError(
                f"expected logits of float32 images {shape} in [0, 1], got {type(cause).__name__}: {str(cause).splitlines()[0]}; "
                "give X in the shape that the network takes, channels first or last"
            ) from cause
        parts.append(logits.float().cpu().numpy())
    return np.concatenate(parts)


def attacked(
    name: str, network: nn.Module, data: Data, threats: list[ThreatModel], attacks: list[AttackSpec], machine: Machine
) -> pd.DataFrame:  # fmt: skip
    """The records of a network under attacks.

    Raises:
        AttackError: as `attack`.
    """
    inputs = as_images(data)
    verdicts = attack_in_blocks(_Given(network), inputs, threats, attacks, machine)
    return pd.concat([_attack_records(name, data, verdicts[one.norm], one) for one in threats], ignore_index=True)


def _attack_records(name: str, data: Data, verdicts: Verdicts, threat: ThreatModel) -> pd.DataFrame:
    found = {
        "prediction": verdicts.predictions,
        "kind": "attacked",
        "method": verdicts.method,
        "attacks": verdicts.attacks,
        "is_robust": ~verdicts.is_fooled,
        "radius_lower": 0.0,
        "radius_upper": np.nan_to_num(verdicts.perturbation_norm, nan=np.inf),
        "perturbation_norm": verdicts.perturbation_norm,
        "note": verdicts.note,
        "status": verdicts.status,
    }
    return _frame(name, data, threat, found)


def with_bounds(found: pd.DataFrame, network: nn.Module, data: Data) -> pd.DataFrame:
    """The records of an attacked network with what linear bounds prove of the images left standing as `radius_lower`.

    Raises:
        DataError: when there are no linear bounds for the network.
    """
    layers, proven = layers_of(network, data.images.shape[1:]), found["radius_lower"].to_numpy(copy=True)
    for (norm, epsilon), part in found[found["is_robust"]].groupby(["norm", "epsilon"], sort=False):
        beyond, rows = ThreatModel(str(norm), float(epsilon) * BEYOND), part["index"].to_numpy()
        least = margins(layers, data.images[rows], data.labels[rows], beyond).min(axis=1)
        proven[part.index] = np.where(least > 0, beyond.epsilon, 0.0)
    return found.assign(radius_lower=proven)


def has_radius(model: Any) -> bool:
    """Whether it is an estimator with `robust_radius`, or a linear classifier of scikit-learn's."""
    return hasattr(model, "robust_radius") or hasattr(model, "coef_") or hasattr(model, "centroids_")


def proven(name: str, model: Any, data: Data, threats: list[ThreatModel]) -> pd.DataFrame:
    """The records of an estimator that was fitted on points in the units of the images, by its exact radius within the box.

    Raises:
        DataError: as its `robust_radius`; when its references are in other units than the images.
    """
    predictions = np.asarray(model.predict(rows_of(data)))
    frames = []
    for threat in threats:
        parts = [
            _proof(
                name, model, Data(data.images[start : start + _AT_ONCE], data.labels[start : start + _AT_ONCE]), threat
            )
            for start in range(0, len(data.labels), _AT_ONCE)
        ]
        joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        about = {"prediction": predictions, "method": "exact in box", "attacks": "", "note": ""}
        frames.append(_frame(name, data, threat, {**about, **joined}))
    return pd.concat(frames, ignore_index=True)


def _proof(name: str, model: Any, data: Data, threat: ThreatModel) -> dict[str, np.ndarray]:
    """What the radii of these images prove, by column (n,)."""
    points, epsilon = rows_of(data), threat.epsilon * data.unit
    options: dict[str, Any] = {"norm": threat.norm, "box": (0.0, data.unit), "epsilon": epsilon}
    if hasattr(model, "robust_radius"):
        radius: RobustRadius = model.robust_radius(points, data.labels, **options)
    else:
        radius = linear_radius(model, points, data.labels, **options)
    _check_units(name, radius, data)
    is_robust = radius.lower > epsilon
    is_decided = is_robust | (radius.upper <= epsilon)
    return {
        "kind": np.where(is_decided, "exact", "certified"),
        "is_robust": is_robust,
        "radius_lower": radius.lower / data.unit,
        "radius_upper": radius.upper / data.unit,
        "perturbation_norm": norm_of((radius.x_adv - points) / data.unit, threat.norm),
        "status": np.where(is_decided, OK, UNDECIDED),
    }


def _check_units(name: str, radius: RobustRadius, data: Data) -> None:
    proof = radius.certificate[0]
    references = getattr(proof, "references", None)
    if (
        references is None or getattr(proof, "metric", None) is not None
    ):  # a metric's references are in units of its own
        return
    if (references.max() > 1) != (data.unit > 1):
        raise DataError(
            f"{name}: expected it fitted on images in the units of X, 0 to {data.unit:g}, got references of up to "
            f"{references.max():g}; give X as what it was fitted on"
        )


def rows_of(data: Data) -> np.ndarray:
    """The points (n, d), as estimators want them."""
    return data.images.reshape(len(data.images), -1)


def _frame(name: str, data: Data, threat: ThreatModel, found: dict[str, object]) -> pd.DataFrame:
    about = {
        "classifier": name,
        "index": np.arange(len(data.labels)),
        "label": data.labels,
        "norm": threat.norm,
        "epsilon": threat.epsilon,
        "is_correct": np.asarray(found["prediction"]) == data.labels,
    }
    return pd.DataFrame({**about, **found})[COLUMNS]

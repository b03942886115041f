"""Any classifiers to one table: `evaluate`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from nnrobust import __version__
from nnrobust.attacks.victim import AttackSpec
from nnrobust.bounds.layers import layers_of
from nnrobust.errors import DataError, NnrobustError
from nnrobust.evaluation.arguments import DEFAULT, attack_specs, query_specs, threat_models
from nnrobust.evaluation.classifiers import (
    as_images,
    as_network,
    attacked,
    has_radius,
    lent,
    logits_of,
    proven,
    rows_of,
    with_bounds,
)
from nnrobust.evaluation.data import Data
from nnrobust.evaluation.result import Evaluation
from nnrobust.models.guard import ALLOWANCE, check_clean
from nnrobust.models.load import Pretrained
from nnrobust.runtime.machine import Machine, describe, machine
from nnrobust.runtime.progress import shown, silent
from nnrobust.threat import ThreatModel

BY_QUERIES = "black box: by queries alone"
"""The note of a function's records."""


def evaluate(  # noqa: PLR0913 - one place for all that a table depends on
    models: Mapping[str, Any],
    X: Any,  # noqa: N803
    y: Any,
    threats: Mapping[str, object] | Sequence[ThreatModel],
    *,
    attacks: str | Sequence[AttackSpec] = DEFAULT,
    stated: Mapping[str, float] | None = None,
    allowance: float = ALLOWANCE,
    bounds: Sequence[str] = (),
    device: str = "auto",
    seed: int = 0,
    batch_size: int = 200,
    progress: bool = False,
) -> Evaluation:
    """Clean and robust accuracy of classifiers on the same images, under the same threat models, each with its kind and interval.

    A network is attacked, which bounds its robust accuracy from above; `bounds` does from below. An estimator with
    `robust_radius`, such as `OneNearestNeighbor` and `RobustLinearClassifier`, and a linear classifier of scikit-learn's are
    exact. Any other function is attacked by queries alone. Perturbed images are held to [0, 1] for all of them.

    Args:
        models: by name, a `torch.nn.Module` in eval mode, images (n, c, h, w) in [0, 1] to logits or probabilities; an estimator,
            fitted on points in the units of X; or a function from float32 arrays shaped as X, in [0, 1], to scores (n, classes).
        X: images or points (n, ...): uint8 is 0 to 255, floats are in [0, 1] and used as they are.
        y: class ids (n,), of networks the positions of their outputs.
        threats: epsilon by norm, in units of pixels in [0, 1]: `{"Linf": "8/255", "L2": 1.74}`; L1 for exact ones alone.
        attacks: on networks: `default`, the workflow's; `autoattack`, the standard four; or a list of AttackSpec. On functions:
            `square`.
        stated: clean accuracies in [0, 1] that are said of models; those of the roster bring theirs.
        allowance: how far below that a model may be, see `nnrobust.models.guard.check_clean`.
        bounds: names of networks that also get a certified lower bound of their robust accuracy, by linear bounds: chains of
            convolutions, linear layers and ReLU. It is on the CPU, some tenths of a second an image of 32x32.
        device: `auto` (the GPU where there is one), `cpu` or `cuda`, for networks; they are given back where they were.
        seed: of the attacks' starting points.
        batch_size: images in an attack at once; fewer where memory does not suffice.
        progress: whether models are counted on standard error.

    Raises:
        DataError: when an argument is not what it should be.
        AttackError: when a model cannot be attacked, or is less accurate than stated, before any is attacked.
        RecordError: when records contradict each other.
    """
    if not models:
        raise DataError("models: expected one or more by name, got none")
    _check_names(bounds, models)
    setting = _Setting(Data.of(X, y), threat_models(threats), attacks, seed, machine(device, 1, batch_size))
    known = _stated(models, stated or {})
    specs = {}
    for name, model in models.items():
        with _named(name):
            specs[name] = setting.specs_for(model)
            if name in bounds:
                layers_of(model, setting.data.images.shape[1:])  # refused before anything is attacked
            if name in known:
                check_clean(name, known[name], setting.is_correct(model), allowance)
    frames = []
    for name in (shown if progress else silent)(list(models), "models"):
        with _named(name):
            mine = setting.records(name, models[name], specs[name])
            frames.append(with_bounds(mine, models[name], setting.data) if name in bounds else mine)
    found = Evaluation(
        pd.concat(frames, ignore_index=True), known, setting.described(specs, batch_size) | {"bounds": list(bounds)}
    )
    found.check(setting.data.images[0].size)
    return found


def _check_names(bounds: Sequence[str], models: Mapping[str, Any]) -> None:
    wrong = bounds if isinstance(bounds, str) else [one for one in bounds if not isinstance(models.get(one), nn.Module)]
    if wrong:
        raise DataError(f"bounds: expected a list of names of networks in models, got {wrong!r}")


@dataclass(frozen=True)
class _Setting:
    """What all models are judged on, and by."""

    data: Data
    threats: list[ThreatModel]
    attacks: str | Sequence[AttackSpec]
    seed: int
    machine: Machine

    def specs_for(self, model: Any) -> list[AttackSpec]:
        """The attacks on a model; none on one with a radius.

        Raises:
            DataError: when it is nothing that can be judged, or the labels or threat models are not for it.
        """
        if _is_proven(model):
            return []
        if not callable(model):
            raise DataError(
                f"expected a torch.nn.Module, an estimator with robust_radius, or a function from images to scores, got "
                f"{type(model).__name__}; of an estimator, give lambda x: model.predict_proba(x.reshape(len(x), -1)); of a text, "
                "nnrobust.load_model(text)"
            )
        unknown = [one.norm for one in self.threats if one.norm == "L1"]
        if unknown:
            raise DataError(
                "threats: expected Linf and L2 where models are attacked, got L1, which exact ones alone know"
            )
        n_classes = self._logits(model, slice(1)).shape[1]
        if self.data.labels.max() >= n_classes:
            raise DataError(
                f"y: expected class ids of its {n_classes} outputs, 0 to {n_classes - 1}, got {self.data.labels.max()}"
            )
        is_network = isinstance(model, nn.Module)
        chosen = attack_specs(self.attacks, self.seed, n_classes)
        return chosen if is_network else query_specs(self.attacks, self.seed)

    def is_correct(self, model: Any) -> np.ndarray:
        """Which images (n,) the model is right on."""
        if _is_proven(model):
            return np.asarray(model.predict(rows_of(self.data))) == self.data.labels
        return self._logits(model, slice(None)).argmax(axis=1) == self.data.labels

    def records(self, name: str, model: Any, specs: list[AttackSpec]) -> pd.DataFrame:
        if _is_proven(model):
            return proven(name, model, self.data, self.threats)
        with lent(as_network(model, self.data.images.shape[1:]), self.machine.device) as network:
            found = attacked(name, network, self.data, self.threats, specs, self.machine)
        return found if isinstance(model, nn.Module) else found.assign(note=BY_QUERIES)

    def described(self, specs: dict[str, list[AttackSpec]], batch_size: int) -> dict[str, object]:
        """What was run, in plain values."""
        return {
            "attacks": {name: [asdict(spec) for spec in chosen] for name, chosen in specs.items() if chosen},
            "batch_size": batch_size,
            "box": [0, 1],
            "device": describe(self.machine.device),
            "dtype": str(self.data.images.dtype),
            "n": len(self.data.labels),
            "seed": self.seed,
            "shape": list(self.data.images.shape[1:]),
            "threat_models": [asdict(threat) for threat in self.threats],
            "version": __version__,
        }

    def _logits(self, model: Any, rows: slice) -> np.ndarray:
        inputs = as_images(self.data)
        part = inputs.take(inputs.ids[rows])
        with lent(as_network(model, self.data.images.shape[1:]), self.machine.device) as network:
            return logits_of(network, part, self.machine)


def _stated(models: Mapping[str, Any], said: Mapping[str, float]) -> dict[str, float]:
    """The clean accuracies of models: as said, else as a network of the roster has it."""
    known = {
        name: model.about.clean_accuracy
        for name, model in models.items()
        if isinstance(model, Pretrained) and model.about.clean_accuracy is not None
    }
    known |= said
    if not (set(known) <= set(models) and all(0 <= value <= 1 for value in known.values())):
        raise DataError(f"stated: expected fractions in [0, 1] for models of {', '.join(models)}, got {known}")
    return known


def _is_proven(model: Any) -> bool:
    return has_radius(model) and not isinstance(model, nn.Module)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors inside the block name the model."""
    try:
        yield
    except NnrobustError as error:
        text = str(error)
        raise type(error)(text if text.startswith(f"{name}: ") else f"{name}: {text}") from error

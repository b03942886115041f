"""The choice of a variant's hyperparameters on a held-out part of the training images, pair by pair."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nnrobust.attacks import Strength
from nnrobust.datasets import Pair
from nnrobust.errors import TrainingError
from nnrobust.pair_networks import PairNetworks
from nnrobust.params import Setting, Variant
from nnrobust.progress import Progress, silent
from nnrobust.threat import ThreatModel
from nnrobust.training import AS_IN_PARAMS, Task, train_all


def hold_out(pair: Pair, labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a pair's training images to train on, and to validate on: `fraction` of each class, at least one.

    Raises:
        TrainingError: when a class has a single image.
    """
    kept, held = [], []
    for class_id in (pair.first, pair.second):
        members = np.flatnonzero(labels == class_id)
        if len(members) < 2:
            raise TrainingError(f"pair {pair}: expected two training images of class {class_id} to hold one out, got 1")
        order = np.random.default_rng([seed, class_id]).permutation(members)
        n_held = max(1, round(fraction * len(members)))
        held.append(order[:n_held])
        kept.append(order[n_held:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held))


@dataclass(frozen=True)
class Validation:
    """What a setting is judged by: the held-out images of each pair, under an attack of that strength and threat model."""

    indices: list[np.ndarray]
    threat: ThreatModel
    strength: Strength


def search(
    tasks_of: Callable[[Setting], list[Task]],
    settings: list[Setting],
    validation: Validation,
    networks: PairNetworks,
    progress: Progress = silent,
) -> pd.DataFrame:
    """One row for each setting and pair: the setting, and how its network did on the pair's held-out images.

    Columns: trial, pair, the fields of `Setting`, n_validation, clean_accuracy, robust_accuracy.
    """
    rows = []
    for trial, setting in progress(list(enumerate(settings)), "search"):
        tasks = tasks_of(setting)
        trained = train_all(tasks, networks.images, networks.labels, networks.build, networks.machine)
        stack = networks.stack([result.state for result in trained])
        pairs = [task.pair for task in tasks]
        inputs = networks.inputs(pairs, validation.indices)
        verdicts = networks.attack(stack, inputs, [validation.threat], validation.strength)[validation.threat.norm]
        for position, pair in enumerate(pairs):
            mine = inputs.networks == position
            rows.append(
                {
                    "trial": trial,
                    "pair": str(pair),
                    **setting.model_dump(),
                    "n_validation": int(mine.sum()),
                    "clean_accuracy": float((verdicts.predictions[mine] == inputs.targets[mine]).mean()),
                    "robust_accuracy": float((~verdicts.is_fooled[mine]).mean()),
                }
            )
    return pd.DataFrame(rows)


def shortened(variant: Variant, epochs: int) -> Variant:
    """The variant trained for `epochs` epochs, its milestones at the same fractions of the whole."""
    milestones = [max(1, round(m * epochs / variant.epochs)) for m in variant.milestones]
    return variant.model_copy(update={"epochs": epochs, "milestones": milestones})


def choose(trials: pd.DataFrame) -> dict[str, Setting]:
    """The best setting of each pair: highest robust accuracy, then highest clean accuracy, then the first tried."""
    order = trials.sort_values(
        ["robust_accuracy", "clean_accuracy", "trial"], ascending=[False, False, True], kind="stable"
    )
    best = order.drop_duplicates("pair").set_index("pair")
    return {
        str(pair): Setting.model_validate({name: best.at[pair, name].item() for name in Setting.model_fields})
        for pair in trials["pair"].unique()
    }


def outcome(variants: list[str], searched: str, chosen: dict[str, Setting]) -> dict[str, object]:
    """What `search` hands to `train`: the settings chosen, and for each variant a fingerprint that says when to train anew."""
    settings = {pair: setting.model_dump() for pair, setting in chosen.items()}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {
        "fingerprints": {name: digest if name == searched else AS_IN_PARAMS for name in variants},
        "settings": settings,
    }

"""Inputs and verdicts of attacks, and the records made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from nnrobust.records import to_frame
from nnrobust.threat import ThreatModel

NO_OUTPUT = -1
"""In `Verdicts.predictions`: the model gave no answer."""
NO_PREDICTION = -1
"""In the column `prediction`: there is no network, or it gave no answer."""


@dataclass(frozen=True)
class AttackInputs:
    """Images (n, c, h, w), uint8 as stored or floats in [0, 1], and of each (n,): the right output, its network, its id."""

    images: np.ndarray
    targets: np.ndarray
    networks: np.ndarray
    ids: np.ndarray

    def take(self, rows: np.ndarray) -> "AttackInputs":
        return AttackInputs(*(getattr(self, field.name)[rows] for field in fields(self)))

    def pixels(self) -> np.ndarray:
        """The images in float64, in [0, 1]."""
        return self.images / 255 if self.images.dtype == np.uint8 else self.images.astype(np.float64)


@dataclass(frozen=True)
class Verdicts:
    """Outcome under one threat model, each (n,): the output for the stored image, whether it was fooled, by what, how far.

    `is_fooled` includes images that are wrong unperturbed. `perturbation_norm` is that of the nearest image found that fools,
    0 where none is needed and nan where none was found; a minimum-norm attack finds some beyond epsilon. `method` is the attack
    that fooled first; `attacks`, all that were to be withstood, joined by ` + `. `status` is `ok`, or why there is no verdict.
    """

    predictions: np.ndarray
    is_fooled: np.ndarray
    perturbation_norm: np.ndarray
    method: np.ndarray
    attacks: np.ndarray
    note: np.ndarray
    status: np.ndarray

    def take(self, rows: np.ndarray) -> "Verdicts":
        return Verdicts(*(getattr(self, field.name)[rows] for field in fields(self)))


def attack_records(
    about: Mapping[str, object], inputs: AttackInputs, class_ids: np.ndarray, verdicts: Verdicts, threat: ThreatModel
) -> pd.DataFrame:
    """One record for each image; `about` gives dataset, split, classifier, pair; `class_ids` (outputs,) the class of each."""
    is_known = verdicts.predictions != NO_OUTPUT
    nearest = np.nan_to_num(verdicts.perturbation_norm, nan=np.inf)
    return _records(
        about,
        inputs,
        class_ids,
        threat,
        {
            "prediction": np.where(is_known, class_ids[verdicts.predictions], NO_PREDICTION).astype(np.int16),
            "method": verdicts.method,
            "attacks": verdicts.attacks,
            "is_correct": verdicts.predictions == inputs.targets,
            "is_robust": ~verdicts.is_fooled,
            "radius_upper": np.where(is_known, nearest, 0.0),
            "perturbation_norm": verdicts.perturbation_norm,
            "note": verdicts.note,
            "status": verdicts.status,
        },
    )


def untrained_records(
    about: Mapping[str, object], inputs: AttackInputs, class_ids: np.ndarray, threat: ThreatModel
) -> pd.DataFrame:
    """One record for each image of a pair whose training failed: its status says so, and it counts in no accuracy."""
    nothing = {
        "prediction": np.full(len(inputs.ids), NO_PREDICTION, dtype=np.int16),
        "method": "none",
        "attacks": "none",
        "is_correct": False,
        "is_robust": False,
        "radius_upper": 0.0,
        "perturbation_norm": np.nan,
        "note": "",
        "status": "training failed",
    }
    return _records(about, inputs, class_ids, threat, nothing)


def _records(
    about: Mapping[str, object],
    inputs: AttackInputs,
    class_ids: np.ndarray,
    threat: ThreatModel,
    found: Mapping[str, object],
) -> pd.DataFrame:
    proofs = ("radius_half_gap", "radius_bisector", "box_radius_lower", "box_radius_upper")
    return to_frame(
        {
            **about,
            "index": inputs.ids.astype(np.int32),
            "label": class_ids[inputs.targets].astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": "attacked",
            "radius_lower": 0.0,
            **dict.fromkeys(proofs, np.nan),
            **found,
        }
    )

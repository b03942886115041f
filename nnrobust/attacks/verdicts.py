"""Records out of what the attacks and certificates found."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnrobust.attacks.attack import AttackInputs, Verdicts
from nnrobust.attacks.batches import NO_OUTPUT
from nnrobust.records import to_frame
from nnrobust.threat import ThreatModel

NO_PREDICTION = -1
"""What the column `prediction` holds where there is no network to ask."""


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
    """One record for each image of a pair whose training failed: it says so, and counts in no accuracy."""
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

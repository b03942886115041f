"""Records out of what the attacks and certificates found."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnrobust.attacks import AttackInputs, Verdicts
from nnrobust.records import to_frame
from nnrobust.threat import ThreatModel


def attack_records(
    about: Mapping[str, object], inputs: AttackInputs, class_ids: np.ndarray, verdicts: Verdicts, threat: ThreatModel
) -> pd.DataFrame:
    """One record for each image; `about` gives dataset, split, classifier, pair; `class_ids` (outputs,) the class of each."""
    correct = verdicts.predictions == inputs.targets
    return to_frame(
        {
            **about,
            "index": inputs.ids.astype(np.int32),
            "label": class_ids[inputs.targets].astype(np.int16),
            "prediction": class_ids[verdicts.predictions].astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": "attacked",
            "method": verdicts.method,
            "is_correct": correct,
            "is_robust": ~verdicts.is_fooled,
            "radius_lower": 0.0,
            "radius_upper": np.where(verdicts.is_fooled, verdicts.perturbation_norm, np.inf),
            "radius_half_gap": np.nan,
            "radius_bisector": np.nan,
            "box_radius_lower": np.nan,
            "box_radius_upper": np.nan,
            "perturbation_norm": verdicts.perturbation_norm,
            "status": "ok",
        }
    )

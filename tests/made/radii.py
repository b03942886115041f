"""Records with given radii."""

import numpy as np

from nnrobust.records import to_frame


def records(pair, radii, norm="L2", split="test"):
    radii = np.array(radii)
    correct = radii > 0
    return to_frame({
        "dataset": "made", "split": split, "classifier": "1NN", "pair": pair, "index": np.arange(len(radii)), "label": 0,
        "prediction": np.where(correct, 0, 1), "norm": norm, "epsilon": 1.0, "kind": "exact", "method": "bisector",
        "is_correct": correct, "is_robust": radii > 1, "radius_lower": radii, "radius_upper": radii * 1.1,
        "radius_half_gap": radii / 2, "radius_bisector": radii * 0.9, "box_radius_lower": radii * 1.1,
        "box_radius_upper": radii * 1.1, "perturbation_norm": np.nan, "attacks": "", "note": "", "status": "ok",
    })  # fmt: skip


def attacked(name, pair, radii, norm="L2"):
    """A network's images: 0 wrong as it is, infinity where no attack found anything."""
    radii = np.array(radii, dtype=float)
    return records(pair, radii, norm).assign(
        classifier=name, kind="attacked", attacks="apgd-ce + fmn", radius_lower=0.0, radius_upper=radii,
        radius_half_gap=np.nan, radius_bisector=np.nan, box_radius_lower=np.nan, box_radius_upper=np.nan,
    )  # fmt: skip

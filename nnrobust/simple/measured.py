"""The radii of a fitted classifier on images, each with its certificate checked, and the records of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nnrobust.errors import SolverError
from nnrobust.records import to_frame
from nnrobust.runtime.progress import Progress, silent
from nnrobust.simple.fitted import ExactClassifier
from nnrobust.threat import ThreatModel

BOX = (0.0, 1.0)
"""Of perturbed images, in pixel units."""
COLUMNS = ("prediction", "radius_lower", "radius_upper", "box_radius_lower", "box_radius_upper")
_AT_ONCE = 256
"""Images whose radii and certificates are held at once."""


def as_points(images: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Images (n, ...) in uint8 as points (n, d) in [0, 1]."""
    points: np.ndarray = np.asarray(images).reshape(len(images), -1).astype(dtype)
    points /= 255
    return points


def radii(
    classifier: ExactClassifier,
    images: np.ndarray,
    labels: np.ndarray,
    threat: ThreatModel,
    is_verdict_enough: bool,
    progress: Progress = silent,
) -> dict[str, np.ndarray]:
    """`COLUMNS` of the records of images (n, ...) in uint8 with class ids as labels (n,), each array (n,), in the threat's norm.

    Where verdicts at its epsilon are enough, bounds of a radius may both be on one side of it, which saves work.

    Raises:
        SolverError: when a bound does not hold, by its certificate.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
    starts = range(0, len(images), _AT_ONCE)
    for start in progress(starts, f"radii in {threat.norm}"):
        points, own = as_points(images[start : start + _AT_ONCE]), labels[start : start + _AT_ONCE]
        predicted = classifier.predict(points)
        bounds = {}
        for box in (None, BOX):
            epsilon = threat.epsilon if is_verdict_enough else None
            found = classifier.robust_radius(points, own, norm=threat.norm, box=box, epsilon=epsilon)
            _require_verified(found.verify(), threat.norm, box)
            bounds[box] = found.lower, found.upper
        (lower, upper), (box_lower, box_upper) = bounds[None], bounds[BOX]
        # A point within the box is one without it, and where two classes are equally near the order of sums may decide.
        upper, box_lower = np.minimum(upper, box_upper), np.maximum(lower, box_lower)
        predicted = np.where(upper > 0, own, predicted)
        for name, values in zip(COLUMNS, (predicted, lower, upper, box_lower, box_upper), strict=True):
            parts[name].append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _require_verified(is_verified: np.ndarray, norm: str, box: object) -> None:
    wrong = np.flatnonzero(~is_verified)
    if len(wrong):
        raise SolverError(
            f"{norm}, box {box}: expected certificates that verify, got {len(wrong)} of {len(is_verified)} that do not, the "
            f"first at image {wrong[0]} of its block; please report it with the params and the data"
        )


def simple_records(
    about: Mapping[str, object],
    indices: np.ndarray,
    labels: np.ndarray,
    columns: Mapping[str, np.ndarray],
    threat: ThreatModel,
    method: str,
) -> pd.DataFrame:
    """One record for each image at `indices` of its split, with labels (n,) and the `columns` that `radii` gives.

    `about` gives dataset, split, classifier and pair. The closed ball is certified where the radius exceeds epsilon; a record is
    exact where its verdict is proven from one side or the other. The two certificates of 1NN are null.
    """
    lower, upper = columns["radius_lower"], columns["radius_upper"]
    is_correct = columns["prediction"] == labels
    is_exact = (lower > threat.epsilon) | (upper <= threat.epsilon)
    return to_frame(
        {
            **about,
            "index": indices.astype(np.int32),
            "label": labels.astype(np.int16),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
            "kind": np.where(is_exact, "exact", "certified"),
            "method": np.where(is_correct, method, "prediction"),
            "is_correct": is_correct,
            "is_robust": is_correct & (lower > threat.epsilon),
            **{name: columns[name] for name in COLUMNS[1:]},
            "prediction": columns["prediction"].astype(np.int16),
            **dict.fromkeys(("radius_half_gap", "radius_bisector", "perturbation_norm"), np.nan),
            **dict.fromkeys(("attacks", "note"), ""),
            "status": "ok",
        }
    )

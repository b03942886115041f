"""Records of 1NN and of attacked networks."""

import numpy as np

from nnrobust.records import to_frame


def columns(n=3, **changes):
    values = {
        "dataset": "made", "split": "test", "classifier": "S", "pair": "0-1", "index": np.arange(n, dtype=np.int32),
        "label": np.zeros(n, dtype=np.int16), "prediction": np.zeros(n, dtype=np.int16), "norm": "L2", "epsilon": 0.5,
        "kind": "attacked", "method": "apgd-ce", "is_correct": np.ones(n, dtype=bool), "is_robust": np.ones(n, dtype=bool),
        "radius_lower": 0.0, "radius_upper": np.full(n, np.inf), "radius_half_gap": np.nan, "radius_bisector": np.nan,
        "box_radius_lower": np.nan, "box_radius_upper": np.nan,
        "perturbation_norm": np.full(n, np.nan), "attacks": "apgd-ce", "note": "", "status": "ok",
    }  # fmt: skip
    return values | changes


def certified(pair="0-1", norm="L2", split="test"):
    """Four images: wrong; half gap above 0.5; only the bisector above 0.5; neither."""
    correct = np.array([False, True, True, True])
    bisector = np.array([0.0, 0.9, 0.7, 0.4])
    return to_frame(columns(
        4, classifier="1NN", kind="certified", method="bisector", pair=pair, norm=norm, split=split, is_correct=correct,
        prediction=np.where(correct, 0, 1).astype(np.int16), is_robust=correct & (bisector > 0.5), radius_lower=bisector,
        radius_upper=np.where(correct, np.inf, 0.0), radius_half_gap=np.array([0.0, 0.6, 0.3, 0.2]), radius_bisector=bisector,
    ))  # fmt: skip


def exact(pair="0-1", norm="L2", split="test"):
    """The images of `certified`, with the last one robust by its exact radius."""
    records = certified(pair, norm, split)
    return records.assign(
        kind="exact",
        is_robust=[False, True, True, True],
        radius_lower=[0.0, 0.9, 0.7, 0.6],
        radius_upper=[0.0, 1.0, 0.7, 0.6],
        box_radius_lower=[0.0, 0.9, 0.8, 0.6],
        box_radius_upper=[0.0, 1.0, 0.8, 0.7],
    )


def attacked(
    norm="L2",
    pair="0-1",
    robust=(True, False, False, True),
    split="test",
    method="apgd-ce",
    epsilon=0.5,
    attacks="apgd-ce",
):
    robust = np.array(robust)
    return to_frame(columns(
        4, norm=norm, pair=pair, split=split, is_robust=robust, radius_upper=np.where(robust, np.inf, 0.4), epsilon=epsilon,
        perturbation_norm=np.where(robust, np.nan, 0.4), method=method, attacks=attacks,
    ))  # fmt: skip

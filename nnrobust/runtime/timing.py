"""How long training takes, and a classifier for an image: one at a time, and many at once."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZES = {1: 64, 512: 512}
"""Images at once, and images timed at that size."""


def clock(device: str) -> Callable[[], float]:
    """What tells seconds of work: of the processor on `cpu`, which other work beside does not change; by the clock on a GPU."""
    return time.process_time if device == "cpu" else time.perf_counter


def inference_seconds(classify: Callable[[np.ndarray], object], images: np.ndarray) -> dict[str, float]:
    """Seconds for an image by batch size, `1` and `512`; with fewer images, all of them are the largest batch.

    `classify` takes images (n, ...) from this machine's memory and gives answers back to it, so transfers are included. Each
    size runs twice; the second run counts.
    """
    return {str(size): _seconds(classify, images[:n], size) for size, n in BATCH_SIZES.items()}


def _seconds(classify: Callable[[np.ndarray], object], images: np.ndarray, batch_size: int) -> float:
    start = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for first in range(0, len(images), batch_size):
            classify(images[first : first + batch_size])
    return (time.perf_counter() - start) / len(images)


def read_timings(folder: Path, classifiers: list[str]) -> dict[str, dict[str, Any]]:
    """What `index` and `train` measured of each classifier: seconds of training and inference, and on which device."""
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in classifiers}

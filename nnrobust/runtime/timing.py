"""Seconds of work, and of pieces of work that are compared."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)

TRAINING, ALONE, MANY = "training of a pair", "an image alone", "an image of 512"
"""The quantities of table 1, as its columns are named."""
BATCH = 512
ROUNDS = 9
"""Of nine measurements the second smallest and the second largest hold the median with 96 %."""


def clock(device: str) -> Callable[[], float]:
    """What tells seconds of work: of the processor on `cpu`, which other work beside does not change; by the clock on a GPU."""
    return time.process_time if device == "cpu" else time.perf_counter


def interleaved(work: Mapping[Key, Callable[[], object]], n_rounds: int = ROUNDS) -> dict[Key, np.ndarray]:
    """Seconds by the clock of each piece of work, (n_rounds,): one after the other in each round, so that what slows the machine
    for a while slows all of them. A round before the first warms up and does not count."""
    found: dict[Key, list[float]] = {name: [] for name in work}
    for _ in range(n_rounds + 1):
        for name, one in work.items():
            start = time.perf_counter()
            one()
            found[name].append(time.perf_counter() - start)
    return {name: np.array(seconds[1:]) for name, seconds in found.items()}

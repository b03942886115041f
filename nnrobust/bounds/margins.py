"""By how much the label of an image wins over each other class at least, wherever in the ball an adversary goes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from nnrobust.bounds.backward import Ball, Chain
from nnrobust.bounds.layers import Dense, Layer
from nnrobust.threat import ThreatModel

BEYOND = 1 + 1e-9
"""Of epsilon: how far a proof is taken, as the radius of an image that is robust in a closed ball is more than that."""
_MOST, _VALUES = 64, 2**22
"""Images at once, and the coefficients that they may have: more are no faster, and leave the 32 MiB that stay with a process."""


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Products here are small: beside other processes two threads take ten times as long as one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_on_one_thread()
@torch.no_grad()
def margins(layers: Sequence[Layer], images: np.ndarray, labels: np.ndarray, threat: ThreatModel) -> np.ndarray:
    """Lower bounds (n, classes) on the difference of the label's logit and each other one, over the ball of `threat`.

    They hold for every image in [0, 1] within the closed ball, whatever the rounding of float64; infinity for the label itself.

    Args:
        layers: of `layers_of`.
        images: (n, channels, height, width) or (n, d), uint8 as stored, or floats in [0, 1].
        labels: (n,), positions of logits.
    """
    pixels = images / 255 if images.dtype == np.uint8 else images.astype(np.float64)
    (n_classes,) = layers[-1].after
    unit = torch.eye(n_classes, dtype=torch.float64)
    found = np.empty((len(images), n_classes))
    size = _at_once(layers)
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        chain = Chain(list(layers), Ball.around(torch.from_numpy(pixels[rows]), threat)).bound_relus()
        wanted = unit[torch.from_numpy(labels[rows]).long()][:, None] - unit
        found[rows] = chain.least(len(layers), wanted).numpy()
    found[np.arange(len(images)), labels] = np.inf
    return found


def _at_once(layers: Sequence[Layer]) -> int:
    """How many images are bounded together: each has coefficients, for each output of a linear layer, of the widest layer."""
    n_rows = max([len(layers[-1].after), *(layer.after[0] for layer in layers if isinstance(layer, Dense))])
    n_values = max(math.prod(layer.before) for layer in layers)
    return max(1, min(_MOST, _VALUES // (2 * n_rows * n_values)))

"""By how much the label of an image wins over each other class at least, wherever in the ball an adversary goes."""

from collections.abc import Sequence

import numpy as np
import torch

from nnrobust.bounds.backward import Ball, Chain
from nnrobust.bounds.layers import Layer
from nnrobust.threat import ThreatModel

BLOCK = 8
"""Images at once: more are no faster, and take more memory."""


@torch.no_grad()
def margins(layers: Sequence[Layer], images: np.ndarray, labels: np.ndarray, threat: ThreatModel) -> np.ndarray:
    """Lower bounds (n, classes) on the difference of the label's logit and each other one, over the ball of `threat`.

    They hold for every image in [0, 1] within the closed ball, whatever the rounding of float64; infinity for the label itself.

    Args:
        layers: of `layers_of`.
        images: (n, channels, height, width), uint8 as stored, or floats in [0, 1].
        labels: (n,), positions of logits.
    """
    pixels = images / 255 if images.dtype == np.uint8 else images.astype(np.float64)
    (n_classes,) = layers[-1].after
    unit = torch.eye(n_classes, dtype=torch.float64)
    found = np.empty((len(images), n_classes))
    for start in range(0, len(images), BLOCK):
        rows = slice(start, start + BLOCK)
        chain = Chain(list(layers), Ball.around(torch.from_numpy(pixels[rows]), threat)).bound_relus()
        wanted = unit[torch.from_numpy(labels[rows]).long()][:, None] - unit
        found[rows] = chain.least(len(layers), wanted).numpy()
    found[np.arange(len(images)), labels] = np.inf
    return found

"""Classifiers whose true minimum perturbation is known, as torch modules, on which any attack can be measured."""

from typing import Any

import torch
from torch import Tensor, nn

from nnrobust.linear.form import LinearForm


class LinearModule(nn.Module):
    """Scores (n, classes), one a class, of inputs (n, ...); computed in float64, given in the inputs' type, with gradients."""

    weights: Tensor
    biases: Tensor

    def __init__(self, form: LinearForm, scale: float) -> None:
        """Inputs times `scale` are in the units that the classifier was fitted in."""
        super().__init__()
        self.register_buffer("weights", torch.from_numpy(form.weights.copy()) * scale)
        self.register_buffer("biases", torch.from_numpy(form.biases.copy()))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1).double() @ self.weights.T + self.biases).to(x.dtype)


def as_module(model: Any, scale: float = 1.0) -> nn.Module:
    """A classifier with a known exact radius as a module of images (n, ...) in [0, 1]: one logit a class, of its `classes_`.

    Args:
        model: an estimator with `as_module`, such as `OneNearestNeighbor`, or a linear classifier of scikit-learn's.
        scale: what inputs are multiplied by to be in the units that it was fitted in: 255 where those are 0 to 255.

    Raises:
        DataError: when it is neither.
    """
    if hasattr(model, "as_module"):
        return model.as_module(scale=scale)
    return LinearModule(LinearForm.of(model), scale)

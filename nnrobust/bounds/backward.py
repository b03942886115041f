"""Lower bounds on linear functions of a layer's outputs over a ball, by linear functions of the layers before, down to pixels.

Each ReLU lies between two lines over what its input can be; a coefficient takes the lower line where it is positive and the upper
one where it is negative. What is left at the pixels is linear, and its least value over the ball is known.
Source: Zhang et al., arXiv 1811.00866 (CROWN); Weng et al., arXiv 1804.09699.

All is computed in float64, and what rounding may have added is taken off: an error E in coefficients of values z with |z| <= m
changes their sum by |E| m at most, and a sum of n products errs by n u of the sum of their sizes.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nnrobust.bounds.layers import ROUNDING, Affine, Flatten, Layer, Relu, Window
from nnrobust.threat import DUAL, ORDER, ThreatModel

_FEW = 32
"""Operations beside the products of a sum whose errors count with it."""


@dataclass(frozen=True)
class Ball:
    """All images in [0, 1] that are at most epsilon from one of the images (m, channels, height, width) or (m, d), float64."""

    images: Tensor
    threat: ThreatModel
    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, images: Tensor, threat: ThreatModel) -> "Ball":
        # In every norm no pixel changes by more than epsilon. A unit of rounding more on each side.
        reach = threat.epsilon * (1 + ROUNDING) + ROUNDING
        return cls(images, threat, (images - reach).clamp(0, 1), (images + reach).clamp(0, 1))

    def least(self, a: Tensor, window: Window | None) -> Tensor:
        """Lower bounds (m, r) of a.x over the ball, of coefficients (m or 1, r, ...) of the pixels in a window."""
        low, high, images = (_cut(values, window).flatten(1) for values in (self.low, self.high, self.images))
        a = a.flatten(2)
        middle, half = (low + high) / 2, (high - low) / 2
        found = _products(a, middle) - _products(a.abs(), half + ROUNDING)
        if ORDER[self.threat.norm] < np.inf:
            length = torch.linalg.vector_norm(a, ord=DUAL[self.threat.norm], dim=2)
            slack = (a.shape[2] + _FEW) * ROUNDING
            reach = self.threat.epsilon * length * (1 + slack)
            found = torch.maximum(found, _products(a, images) - reach)
        return found


@dataclass
class Chain:
    """A network's layers, and over a ball what is known of them: `lines` of each ReLU, `sizes` of each layer's outputs."""

    layers: list[Layer]
    ball: Ball
    lines: dict[int, "Lines"] = field(default_factory=dict)
    _spreads: dict[int, Tensor] = field(default_factory=dict)

    def least(self, n: int, a: Tensor, window: Window | None = None) -> Tensor:
        """Lower bounds (m, r) of a.z over the ball, z the outputs of the first n layers, whose ReLUs have lines.

        Args:
            a: coefficients (m or 1, r, channels, height, width) of the outputs in a window, or (m or 1, r, outputs).
        """
        constant = a.new_zeros((len(self.ball.images), a.shape[1]))
        for number in range(n - 1, -1, -1):
            layer = self.layers[number]
            # Offsets are added up over all outputs.
            slack = (max(layer.n_terms, math.prod(layer.after)) + _FEW) * ROUNDING
            constant -= slack * _weighed(a.abs(), _cut(self._spread(number), window))
            if isinstance(layer, Affine):
                offsets = layer.offsets(a)
                a, window = layer.backward(a, window)
            else:
                a, offsets = self.lines[number].backward(a, window)
            constant = constant + offsets
        slack = (a.flatten(2).shape[2] + _FEW) * ROUNDING
        ones = torch.ones_like(_cut(self.ball.high, window))
        return self.ball.least(a, window) + constant - slack * _weighed(a.abs(), ones)

    def _spread(self, number: int) -> Tensor:
        """|W| m + |b| (m, ...) of a layer whose inputs are at most m; of a ReLU its inputs and outputs."""
        if number not in self._spreads:
            layer = self.layers[number]
            if isinstance(layer, Affine):
                self._spreads[number] = layer.spread(self._size(number - 1)) * (1 + 2.0**-20)
            else:
                self._spreads[number] = 2 * self.lines[number].size
        return self._spreads[number]

    def _size(self, number: int) -> Tensor:
        """Bounds on the sizes of a layer's outputs; of pixels where the number is -1."""
        if number < 0:
            return self.ball.high
        return self.lines[number].size if number in self.lines else self._spread(number)

    def bound_relus(self) -> "Chain":
        """Itself, with lines for every ReLU, the first one first."""
        for number, layer in enumerate(self.layers):
            if isinstance(layer, Relu):
                low, high = self._ranges(number)
                self.lines[number] = Lines.between(low, high)
        return self

    def _ranges(self, number: int) -> tuple[Tensor, Tensor]:
        """What the inputs (m, ...) of a ReLU can be."""
        if number == 0:
            return self.ball.low, self.ball.high
        n = number - 1 if isinstance(self.layers[number - 1], Flatten) else number
        shape = self.layers[n - 1].after
        unit = torch.eye(shape[0], dtype=torch.float64)
        both = torch.cat([unit, -unit])[None]
        if len(shape) == 1:
            found = self.least(n, both)[..., None]
        else:
            _, height, width = shape
            places = [Window(top, left, 1, 1) for top in range(height) for left in range(width)]
            found = torch.stack([self.least(n, both[..., None, None], place) for place in places], dim=2)
        low, high = found[:, : shape[0]], -found[:, shape[0] :]
        before = self.layers[number].before
        return low.reshape(-1, *before), high.reshape(-1, *before)


@dataclass(frozen=True)
class Lines:
    """Lines below and above ReLUs whose inputs lie between `low` and `high`: slopes, and the offset of the upper one.

    The lower one goes through 0, by the slope that has the smaller area between the lines. `size`: of inputs, at most.
    """

    below: Tensor
    above: Tensor
    offset: Tensor
    size: Tensor

    @classmethod
    def between(cls, low: Tensor, high: Tensor) -> "Lines":
        is_open = (low < 0) & (high > 0)
        # Rounded up, so that the line is not below the ReLU at `high`.
        above = torch.where(is_open, high / (high - low) * (1 + 4 * ROUNDING), (high > 0).double())
        below = torch.where(is_open, (high > -low).double(), (low >= 0).double())
        offset = torch.where(is_open, -above * low, torch.zeros_like(low))
        return cls(below, above, offset, torch.maximum(low.abs(), high.abs()))

    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Tensor]:
        """The coefficients (m, r, ...) of inputs from those of outputs in a window, and what is added to their sum (m, r)."""
        below, above, offset = (_cut(values, window) for values in (self.below, self.above, self.offset))
        negative = a.clamp(max=0)
        return a.clamp(min=0) * below[:, None] + negative * above[:, None], _weighed(negative, offset)


def _cut(values: Tensor, window: Window | None) -> Tensor:
    """The values (m, ...) in a window."""
    if window is None:
        return values
    top, left, height, width = window
    return values[..., top : top + height, left : left + width]


def _weighed(a: Tensor, values: Tensor) -> Tensor:
    """Sums (m, r) of coefficients (m or 1, r, ...) times values (m, ...)."""
    return _products(a.flatten(2), values.flatten(1))


def _products(a: Tensor, values: Tensor) -> Tensor:
    """Inner products (m, r) of coefficients (m or 1, r, n) and values (m or 1, n)."""
    if len(a) == 1:
        return values @ a[0].T
    return (a @ values[:, :, None])[..., 0]

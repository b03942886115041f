"""A network as a chain of layers in float64, through which linear bounds are taken backward, window by window.

A *window* is a rectangle of a layer's places, all channels: (top, left, height, width). What lies outside an image's edge is
padding, which is 0 and has no bounds to go on to.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnrobust.errors import DataError
from nnrobust.models.load import Pretrained
from nnrobust.networks.architectures import Normalize, Widen
from nnrobust.networks.restriction import Restricted

ROUNDING = 2.0**-52
"""Twice the largest relative error of an operation in float64: room for the products of such errors."""
_SMALL, _SPARSE = 2**22, 8
"""Values that the matrix of a convolution on a window may have, and how many of them for each that is not 0: others are
convolved, as a product with the matrix is faster for each value but takes the zeros too."""


class Window(NamedTuple):
    """A rectangle of places."""

    top: int
    left: int
    height: int
    width: int


@dataclass
class Layer(ABC):
    """From inputs of the shape `before` to outputs of the shape `after`, both (channels, height, width) or (n,)."""

    before: tuple[int, ...] = field(init=False, default=())
    after: tuple[int, ...] = field(init=False, default=())

    @property
    def n_terms(self) -> int:
        """Products that are added up for a value, at most, forward or backward."""
        return 1

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, *after) of inputs (n, *before)."""


class Affine(Layer):
    """x -> W x + b."""

    @abstractmethod
    def spread(self, x: Tensor) -> Tensor:
        """|W| x + |b|, of inputs x >= 0."""

    @abstractmethod
    def offsets(self, a: Tensor) -> Tensor:
        """a.b (m, r), of coefficients (m, r, channels, height, width) or (m, r, n) of outputs."""

    @abstractmethod
    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Window | None]:
        """The coefficients of inputs that those of outputs in a window have, and the window of these inputs."""


@dataclass
class Scale(Affine):
    """One factor and one shift for each channel."""

    factor: Tensor
    shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift

    def spread(self, x: Tensor) -> Tensor:
        return x * self.factor.abs() + self.shift.abs()

    def offsets(self, a: Tensor) -> Tensor:
        return (a * self.shift).flatten(2).sum(2)

    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Window | None]:
        return a * self.factor, window


@dataclass
class Dense(Affine):
    """A matrix (n_out, n_in) and a vector (n_out,)."""

    weight: Tensor
    bias: Tensor

    @property
    def n_terms(self) -> int:
        return max(self.weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def spread(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.abs(), self.bias.abs())

    def offsets(self, a: Tensor) -> Tensor:
        return a @ self.bias

    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Window | None]:
        return a @ self.weight, None


@dataclass
class Flatten(Affine):
    """(channels, height, width) as one axis."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    spread = forward

    def offsets(self, a: Tensor) -> Tensor:
        return a.new_zeros(a.shape[:2])

    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Window | None]:
        return a.unflatten(2, self.before), Window(0, 0, *self.before[1:])


@dataclass
class Convolution(Affine):
    """Kernels (n_out, n_in, k, l), a vector (n_out,), a stride and a padding with zeros, each (vertical, horizontal)."""

    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    _matrices: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    @property
    def n_terms(self) -> int:
        n_out, n_in, height, width = self.weight.shape
        return max(n_out, n_in) * height * width

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def spread(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.abs(), self.bias.abs(), self.stride, self.padding)

    def offsets(self, a: Tensor) -> Tensor:
        return a.sum((3, 4)) @ self.bias

    def backward(self, a: Tensor, window: Window | None) -> tuple[Tensor, Window | None]:
        assert window is not None
        (n_out, n_in, *kernel), (_, *sides) = self.weight.shape, self.before
        m, r = a.shape[:2]
        height, width = ((n - 1) * step + size for n, step, size in zip(window[2:], self.stride, kernel, strict=True))
        n_values = n_out * window.height * window.width * n_in * height * width
        if n_values <= _SMALL and height * width <= _SPARSE * kernel[0] * kernel[1]:
            found = a.flatten(2) @ self._matrix(window.height, window.width)
        else:
            found = F.conv_transpose2d(a.flatten(0, 1), self.weight, stride=self.stride)
        found = found.view(m, r, n_in, height, width)
        starts = [at * step - pad for at, step, pad in zip(window[:2], self.stride, self.padding, strict=True)]
        # What lies beyond the edges is padding; pixels that no kernel reaches have no coefficients.
        (top, bottom), (left, right) = (
            (max(start, 0), min(start + size, side))
            for start, size, side in zip(starts, (height, width), sides, strict=True)
        )
        cut = found[..., top - starts[0] : bottom - starts[0], left - starts[1] : right - starts[1]]
        return cut, Window(top, left, bottom - top, right - left)

    def _matrix(self, height: int, width: int) -> Tensor:
        """The weights between the inputs and the outputs of a window, (outputs, inputs)."""
        if (height, width) not in self._matrices:
            n = self.weight.shape[0] * height * width
            unit = torch.eye(n, dtype=self.weight.dtype).view(n, -1, height, width)
            self._matrices[height, width] = F.conv_transpose2d(unit, self.weight, stride=self.stride).flatten(1)
        return self._matrices[height, width]


@dataclass
class Relu(Layer):
    """max(x, 0), which is no linear layer: `Chain.lines` has the lines that it lies between."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


def layers_of(network: nn.Module, shape: tuple[int, ...]) -> list[Layer]:
    """The layers of a network in eval mode that takes images or points (n, *shape), in their order.

    Normalisation, convolutions, linear layers, ReLU and batch normalisation, one after the other.

    Raises:
        DataError: naming the first layer of another kind, or that is not one after the other; for a network of images of another
            shape, or without logits.
    """
    layers = list(_walk(network))
    x = torch.zeros((1, *shape), dtype=torch.float64)
    try:
        for layer in layers:
            layer.before = tuple(x.shape[1:])
            x = layer.forward(x)
            layer.after = tuple(x.shape[1:])
    except RuntimeError as error:
        raise DataError(f"network: expected one of images {shape}, got {str(error).splitlines()[0]}") from error
    if x.ndim != 2:
        raise DataError(f"network: expected logits (n, classes), got outputs (n, {', '.join(map(str, x.shape[1:]))})")
    return layers


def _walk(module: nn.Module) -> Iterator[Layer]:
    if isinstance(module, nn.Sequential):
        for part in module:
            yield from _walk(part)
    elif isinstance(module, Restricted):
        yield from _restricted(module)
    elif isinstance(module, Pretrained) and module.about.layout == "NCHW":
        yield from _walk(module.normalize)
        yield from _walk(module.network)
    elif isinstance(module, Normalize):
        std = module.std.double()
        yield Scale(1 / std, -module.mean.double() / std)
    elif isinstance(module, nn.Conv2d):
        yield _convolution(module)
    elif isinstance(module, nn.BatchNorm2d) and module.running_var is not None and not module.training:
        yield _batch_norm(module)
    elif isinstance(module, nn.Linear):
        yield Dense(module.weight.detach().double(), _bias(module.bias, module.out_features))
    elif isinstance(module, nn.ReLU):
        yield Relu()
    elif isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        yield Flatten()
    elif not isinstance(module, (nn.Identity, nn.Dropout, Widen)):
        got = (
            f"{type(module).__name__} in the layout {module.about.layout}"
            if isinstance(module, Pretrained)
            else type(module).__name__
        )
        raise DataError(f"network: expected convolutions, linear layers, ReLU, Flatten, batch normalisation and Normalize, one "
                        f"after the other, got {got}; no linear bounds are known here for it")  # fmt: skip


def _restricted(module: Restricted) -> Iterator[Layer]:
    *rest, last = _walk(module.network)
    if not isinstance(last, Dense):
        raise DataError(f"network: expected logits out of a linear layer, got them out of {type(last).__name__}")
    yield from rest
    yield Dense(last.weight[module.class_ids], last.bias[module.class_ids])


def _convolution(module: nn.Conv2d) -> Convolution:
    if (
        module.groups != 1
        or tuple(module.dilation) != (1, 1)
        or module.padding_mode != "zeros"
        or isinstance(module.padding, str)
    ):
        raise DataError(f"network: expected convolutions without groups or dilation, padded with zeros, got {module}")
    stride, padding = ((int(a), int(b)) for a, b in (module.stride, module.padding))
    return Convolution(module.weight.detach().double(), _bias(module.bias, module.out_channels), stride, padding)


def _batch_norm(module: nn.BatchNorm2d) -> Scale:
    assert module.running_mean is not None
    assert module.running_var is not None
    factor = (module.running_var.double() + module.eps).rsqrt()
    if module.affine:
        factor = factor * module.weight.detach().double()
    shift = _bias(module.bias, module.num_features) - module.running_mean.double() * factor
    return Scale(factor.view(-1, 1, 1), shift.view(-1, 1, 1))


def _bias(bias: Tensor | None, n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.float64) if bias is None else bias.detach().double()

"""The network architectures, each with its input normalisation as the first layer, so that all take pixels in [0, 1]."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import Prepared
from nnrobust.errors import TrainingError
from nnrobust.networks.convolution import StridedConv2d


class Normalize(nn.Module):
    """(x - mean) / std by channel; both are buffers, so they travel with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def widened(x: Tensor) -> Tensor:
    """Features in bfloat16 as float32, others as they are."""
    return x.float() if x.dtype == torch.bfloat16 else x


class Widen(nn.Module):
    """`widened` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return widened(x)


class Head(nn.Linear):
    """The last layer, in the precision of its weights also under autocast.

    Rounded to bfloat16, the logits of an image and of its perturbed start were equal for up to 70 % of images (digits), and
    the inner attack, which follows their difference, did not move half of those.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(widened(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


Shape = tuple[int, int, int]
"""Channels, height and width of the images that a network takes."""


def resnet18(shape: Shape, mean: Sequence[float], std: Sequence[float], n_classes: int, width: int = 64) -> nn.Module:
    """ResNet-18 in its CIFAR form: a 3x3 stem of `width` channels, no pooling before the last layer.

    Source: arXiv 1512.03385; the CIFAR form is that of arXiv 2010.00467's code, width 64, 11.17 M parameters for ten classes.
    Width 16 has a sixteenth of its work.
    """
    stages: list[nn.Module] = []
    n_in = width
    for n_out, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
        stages += [BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out, 1)]
        n_in = n_out
    stem = [nn.Conv2d(shape[0], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    head = [Widen(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(n_in, n_classes)]
    return nn.Sequential(Normalize(mean, std), *stem, *stages, *head)


def cnn_a(shape: Shape, mean: Sequence[float], std: Sequence[float], n_classes: int) -> nn.Module:
    """Two 4x4 convolutions of stride 2 and two linear layers: 1.9 MFLOP a CIFAR-10 image, a 600th of ResNet-18's.

    The network that verification is measured on. Source: "wide" in arXiv 1805.12514; `cnn_a` in arXiv 2010.11645.
    """
    return nn.Sequential(
        Normalize(mean, std),
        StridedConv2d(shape[0], 16, 4, 2, 1),
        nn.ReLU(),
        StridedConv2d(16, 32, 4, 2, 1),
        nn.Flatten(),  # first, as its gradient has another order in memory than a convolution
        nn.ReLU(),
        nn.Linear(32 * (shape[1] // 4) * (shape[2] // 4), 100),
        nn.ReLU(),
        Head(100, n_classes),
    )


def mnist_cnn(shape: Shape, mean: Sequence[float], std: Sequence[float], n_classes: int) -> nn.Module:
    """Four 3x3 convolutions, two poolings and three linear layers, for 28x28: TRADES's network for MNIST, 20 MFLOP an image.

    It differs from arXiv 1901.08573's code in having no dropout, which would draw from torch's global generator.
    """
    layers: list[nn.Module] = [Normalize(mean, std)]
    n_in = shape[0]
    for n_out in (32, 64):
        layers += [nn.Conv2d(n_in, n_out, 3), nn.ReLU(), nn.Conv2d(n_out, n_out, 3), nn.ReLU(), nn.MaxPool2d(2)]
        n_in = n_out
    linear = [nn.Linear(64 * 4 * 4, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), Head(200, n_classes)]
    return nn.Sequential(*layers, nn.Flatten(), *linear)


def small_cnn(shape: Shape, mean: Sequence[float], std: Sequence[float], n_classes: int) -> nn.Module:
    """Two 3x3 convolutions and a linear layer, for images of 8x8; 5.8 k parameters for two classes.

    Ours. It has no batch normalisation, which would take more time than its convolutions do on a CPU (146 ms against 66 ms a
    pass for 45 networks of 128 images), so its training is the same inside and outside the attack.
    """
    return nn.Sequential(
        Normalize(mean, std),
        nn.Conv2d(shape[0], 16, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        Head(32 * 4 * 4, n_classes),
    )


ARCHITECTURES: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "resnet18": (resnet18, (32,)),
    "cnn_a": (cnn_a, (28, 32)),
    "mnist_cnn": (mnist_cnn, (28,)),
    "small_cnn": (small_cnn, (8,)),
}
"""Builder of each architecture, and the heights of the square images that it takes."""


def build_network(
    architecture: str,
    image_shape: Shape,
    mean: Sequence[float],
    std: Sequence[float],
    n_classes: int,
    width: int | None = None,
) -> nn.Module:
    """A network of freshly drawn weights (from the current torch generator) that maps (n, c, h, w) to logits (n, n_classes).

    `width` is the number of channels of the first layer where the architecture leaves it open (resnet18; None: 64), else None.

    Raises:
        TrainingError: when the architecture is not made for images of that size.
    """
    build, sizes = ARCHITECTURES[architecture]
    if image_shape[1] != image_shape[2] or image_shape[1] not in sizes:
        wanted = " or ".join(f"{size}x{size}" for size in sizes)
        raise TrainingError(
            f"{architecture} takes images of {wanted}, the dataset has {image_shape[1]}x{image_shape[2]}; "
            f"choose another architecture in params.yaml (variants.*.architecture): {', '.join(ARCHITECTURES)}"
        )
    free = () if width is None else (width,)
    return build(image_shape, mean, std, n_classes, *free)


def builder(prepared: Prepared, recipe: Recipe, n_classes: int = 2) -> Callable[[], nn.Module]:
    """A function that makes an untrained network for the dataset's images, normalised as its training images are."""
    shape, mean, std = prepared.dataset.image_shape, prepared.channel_mean, prepared.channel_std
    return partial(build_network, recipe.architecture, shape, mean, std, n_classes, recipe.width)

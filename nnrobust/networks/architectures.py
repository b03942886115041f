"""The network architectures, each with its input normalisation as the first layer, so that all take pixels in [0, 1]."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnrobust.data.datasets import Prepared
from nnrobust.errors import TrainingError


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


def resnet18(mean: Sequence[float], std: Sequence[float], n_classes: int) -> nn.Module:
    """ResNet-18 in its CIFAR form: a 3x3 stem, no pooling before the last layer.

    Source: arXiv 1512.03385; the CIFAR form is that of arXiv 2010.00467's code, 11.17 M parameters for ten classes.
    """
    stages: list[nn.Module] = []
    n_in = 64
    for n_out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out, 1)]
        n_in = n_out
    stem = [nn.Conv2d(len(mean), 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    head = [Widen(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(512, n_classes)]
    return nn.Sequential(Normalize(mean, std), *stem, *stages, *head)


def small_cnn(mean: Sequence[float], std: Sequence[float], n_classes: int) -> nn.Module:
    """Two 3x3 convolutions and a linear layer, for images of 8x8; 5.8 k parameters for two classes.

    Ours. It has no batch normalisation, which would take more time than its convolutions do on a CPU (146 ms against 66 ms a
    pass for 45 networks of 128 images), so its training is the same inside and outside the attack.
    """
    return nn.Sequential(
        Normalize(mean, std),
        nn.Conv2d(len(mean), 16, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        Head(32 * 4 * 4, n_classes),
    )


ARCHITECTURES = {"resnet18": (resnet18, (32, 32)), "small_cnn": (small_cnn, (8, 8))}
"""Builder and image size of each architecture."""


def build_network(
    architecture: str, image_shape: tuple[int, int, int], mean: Sequence[float], std: Sequence[float], n_classes: int
) -> nn.Module:
    """A network of freshly drawn weights (from the current torch generator) that maps (n, c, h, w) to logits (n, n_classes).

    Raises:
        TrainingError: when the architecture is not made for images of that size.
    """
    builder, size = ARCHITECTURES[architecture]
    if image_shape[1:] != size:
        raise TrainingError(
            f"{architecture} takes images of {size[0]}x{size[1]}, the dataset has {image_shape[1]}x{image_shape[2]}; "
            f"choose another architecture in params.yaml (variants.*.architecture): {', '.join(ARCHITECTURES)}"
        )
    return builder(mean, std, n_classes)


def builder(prepared: Prepared, architecture: str, n_classes: int = 2) -> Callable[[], nn.Module]:
    """A function that makes an untrained network for the dataset's images, normalised as its training images are."""
    shape, mean, std = prepared.dataset.image_shape, prepared.channel_mean, prepared.channel_std
    return partial(build_network, architecture, shape, mean, std, n_classes)

"""Residual networks of the roster: the small ones of verification, and the deep ones of the first paper on CIFAR-10."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut; `has_norm`: batch normalisation after each, in place of its bias.

    Source: arXiv 1512.03385, section 3.2.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, shortcut: nn.Module, has_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=not has_norm)
        self.bn1 = nn.BatchNorm2d(n_out) if has_norm else nn.Identity()
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=not has_norm)
        self.bn2 = nn.BatchNorm2d(n_out) if has_norm else nn.Identity()
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


class Padded(nn.Module):
    """Every second pixel, with `n_more` channels of zeros, half of them before and half after the others (option A)."""

    def __init__(self, n_more: int) -> None:
        super().__init__()
        self.n_more = n_more

    def forward(self, x: Tensor) -> Tensor:
        before = self.n_more // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.n_more - before))


class VerificationResNet(nn.Module):
    """A 3x3 stem of stride 2, `n_stages` stages of two blocks at 2 * width, each of which halves the image, two linear layers.

    For 32x32 images, without batch normalisation; shortcuts are 1x1 convolutions where the shape changes.
    Source: the networks resnet2b (one stage of width 8) and resnet4b (two of width 16) of alpha,beta-CROWN.
    """

    def __init__(self, channels: int, n_classes: int, width: int, n_stages: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 2, 1)
        self.n_stages, n_in, n_out, side = n_stages, width, 2 * width, 16
        for number in range(1, n_stages + 1):
            first = Block(n_in, n_out, 2, nn.Sequential(nn.Conv2d(n_in, n_out, 1, 2)), has_norm=False)
            second = Block(n_out, n_out, 1, nn.Identity(), has_norm=False)
            self.add_module(f"layer{number}", nn.Sequential(first, second))
            n_in, side = n_out, side // 2
        self.linear1 = nn.Linear(n_in * side**2, 100)
        self.linear2 = nn.Linear(100, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        for number in range(1, self.n_stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.linear2(F.relu(self.linear1(torch.flatten(x, 1))))


class DeepResNet(nn.Module):
    """ResNet-(6 n + 2) for CIFAR-10, n = `n_blocks` blocks in each of three stages, with shortcuts of option A.

    Source: arXiv 1512.03385, section 4.2.
    """

    def __init__(self, channels: int, n_classes: int, n_blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (n_in, n_out) in enumerate(pairwise((16, 16, 32, 64)), start=1):
            stride, shortcut = (1, nn.Identity()) if n_in == n_out else (2, Padded(n_out - n_in))
            blocks = [Block(n_in, n_out, stride, shortcut, has_norm=True)]
            blocks += [Block(n_out, n_out, 1, nn.Identity(), has_norm=True) for _ in range(n_blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            x = self.get_submodule(f"layer{number}")(x)
        return self.linear(x.mean(dim=(2, 3)))


def verification_resnet(shape: tuple[int, int, int], n_classes: int, width: int, n_stages: int) -> nn.Module:
    """An untrained VerificationResNet for images of 32x32."""
    return VerificationResNet(shape[0], n_classes, width, n_stages)


def deep_resnet(shape: tuple[int, int, int], n_classes: int, n_blocks: int) -> nn.Module:
    """An untrained DeepResNet for images of any size."""
    return DeepResNet(shape[0], n_classes, n_blocks)

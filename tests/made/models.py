"""Small networks, and a linear classifier whose margin is known."""

import torch
from torch import nn


def tiny(seed: int) -> nn.Module:
    """A convolution, batch normalisation and a linear layer, for images of 3x3."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double()


class Linear(nn.Module):
    """Two classes with logits (0, w.x + b): the distance to the boundary is |w.x + b| / ||w||_q."""

    def __init__(self, weight: torch.Tensor, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x.flatten(1) @ self.weight + self.bias
        return torch.stack([torch.zeros_like(score), score], dim=1)

"""Small networks under attack."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import Victim


def of_one(network):
    def predict(x, _):
        return network(x)

    return Victim(predict, predict)


class Small(nn.Module):
    """A small convolutional network; with `scale` its logits are large and its gradients vanish in places."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)
        )

    def forward(self, x):
        return self.body(x)


def network_problem(seed):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (60, 3, 7, 7), dtype=np.uint8)
    network = Small(seed).eval()
    with torch.no_grad():
        for layer in network.body:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.mul_(2)
        logits = network(torch.from_numpy(images).float() / 255)
        network.body[-1].bias.sub_((logits - logits.mean(dim=1, keepdim=True)).median(dim=0).values)
        targets = network(torch.from_numpy(images).float() / 255).argmax(1).numpy()
    return AttackInputs(images, targets, np.zeros(60, dtype=np.int64), np.arange(60)), network


@dataclass
class Always:
    one: Victim
    keeps_failures: bool = False

    def victim(self, members, device):
        return self.one

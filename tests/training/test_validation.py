"""Accuracies on held-out images, where the answer is known: linear networks."""

import pytest
import torch
from torch import nn

from nnrobust.networks.stack import Stack
from nnrobust.training.validation import GroupImages, Validation, accuracies

EPSILON = {"Linf": 0.05, "L2": 0.15}


def linear(weight):
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.stack([torch.zeros(9), weight]))
        network[1].bias.copy_(torch.tensor([0.0, -weight.sum().item() / 2]))
    return network


@pytest.mark.parametrize("norms", [("Linf",), ("L2",), ("Linf", "L2")])
@pytest.mark.parametrize("batch_size", [7, 100])
def test_the_robust_accuracy_of_linear_networks_is_that_of_their_margins(norms, batch_size):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(9, generator=generator) for _ in range(2)]
    pixels = torch.randint(50, 200, (30, 1, 3, 3), dtype=torch.uint8, generator=generator)
    positions = torch.stack([torch.arange(30), torch.arange(30).flip(0)])
    targets = torch.randint(0, 2, (2, 30), generator=generator)
    images = GroupImages(pixels, positions, targets)
    stack = Stack.of([linear(weight) for weight in weights])
    clean, robust = accuracies(stack, images, norms, Validation(EPSILON, 20, 1, 0), batch_size)
    for g, weight in enumerate(weights):
        score = pixels[positions[g]].flatten(1) / 255 @ weight - weight.sum() / 2
        signed = torch.where(targets[g] == 1, score, -score)
        reach = {"Linf": EPSILON["Linf"] * weight.abs().sum(), "L2": EPSILON["L2"] * weight.norm()}
        assert clean[g] == pytest.approx((signed > 0).double().mean().item())
        assert robust[g] == pytest.approx((signed > max(reach[norm] for norm in norms)).double().mean().item())
    assert 0 < robust[0] < clean[0] < 1


def test_validation_is_due_every_so_many_epochs_and_after_the_last():
    assert [e for e in range(10) if Validation(EPSILON, 1, 4, 0).is_due(e, 10)] == [3, 7, 9]


def test_one_answer_for_all_reaches_the_share_of_the_largest_class():
    targets = torch.tensor([[0, 0, 0, 1], [1, 1, 0, 0]])
    assert GroupImages(torch.zeros(4, 1, 1, 1), torch.zeros(2, 4), targets).majority_share() == 0.75

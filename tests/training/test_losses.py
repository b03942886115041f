"""TRADES against an independent computation on a tiny network, in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnrobust.networks.stack import Stack
from nnrobust.training.losses import standard_loss, trades_loss


def test_the_standard_loss_is_the_mean_cross_entropy_of_each_network(problem):
    networks, stack, images, targets = problem
    expected = torch.stack(
        [F.cross_entropy(n.train()(x), y) for n, x, y in zip(networks, images, targets, strict=True)]
    )
    torch.testing.assert_close(standard_loss(stack, images, targets), expected)


@pytest.mark.parametrize(("combine", "n"), [("sum", 1), ("sum", 2), ("average", 2), ("max", 2)])
def test_the_trades_loss_is_written_out_by_hand(problem, combine, n):
    networks, stack, images, targets = problem
    others = [(images + 0.1 * torch.randn_like(images)).clamp(0, 1) for _ in range(n)]
    beta = torch.tensor([6.0, 1.0], dtype=torch.float64)
    got = trades_loss(stack, images, targets, others, beta, combine)
    for g, network in enumerate(networks):
        network.train()
        p = network(images[g]).softmax(dim=1)
        terms = torch.stack([(p * (p.log() - network(other[g]).softmax(dim=1).log())).sum(dim=1) for other in others])
        robust = {"sum": terms.sum(0), "average": terms.mean(0), "max": terms.max(0).values}[combine].mean()
        natural = -p[torch.arange(5), targets[g]].log().mean()
        torch.testing.assert_close(got[g], natural + beta[g] * robust, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_the_trades_loss_is_that_of_finite_differences(problem):
    networks, _, images, targets = problem
    others = [(images + 0.1 * torch.randn_like(images)).clamp(0, 1)]
    beta = torch.tensor([6.0, 1.0], dtype=torch.float64)
    stack = Stack.of(networks)

    def loss():
        fresh = Stack(stack.skeleton, stack.parameters, {name: value.clone() for name, value in stack.buffers.items()})
        return trades_loss(fresh, images, targets, others, beta, "sum").sum()

    gradient = torch.autograd.grad(loss(), stack.parameters["0.weight"])[0]
    with torch.no_grad():
        weight, step = stack.parameters["0.weight"], 1e-6
        for place in [(0, 0, 0, 0, 0), (1, 2, 0, 1, 1)]:
            original = weight[place].item()
            values = []
            for sign in (1, -1):
                weight[place] = original + sign * step
                values.append(loss().item())
            weight[place] = original
            assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient[place].item(), rel=1e-5, abs=1e-8)


def test_a_network_that_is_sure_beyond_float32_has_finite_gradients():
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[300.0] * 9, [-300.0] * 9]))
    stack = Stack.of([network])
    images = torch.full((1, 2, 1, 3, 3), 0.5)
    loss = trades_loss(stack, images, torch.zeros(1, 2, dtype=torch.long), [images - 0.1], torch.tensor([6.0]), "sum")
    gradients = torch.autograd.grad(loss.sum(), list(stack.parameters.values()))
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)

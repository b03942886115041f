"""The inner attacks on tiny networks, in float64 and against what is known of linear ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnrobust.networks.stack import Stack
from nnrobust.training.inner import InnerAttack, maximise_divergence, pgd


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_inner_attack_stays_in_ball_and_box_and_raises_the_divergence(problem, norm):
    _, stack, images, _ = problem
    epsilon = torch.tensor([0.1, 0.3], dtype=torch.float64)
    noise = 0.001 * torch.randn_like(images)
    moved = maximise_divergence(stack.folded(), images, noise, InnerAttack(norm, 10, epsilon, epsilon / 4))
    assert moved.min() >= 0
    assert moved.max() <= 1
    offset = (moved - images).flatten(2)
    sizes = offset.abs().amax(2) if norm == "Linf" else offset.norm(dim=2)
    assert (sizes <= epsilon[:, None] * (1 + 1e-9)).all()
    assert sizes[1].max() > 0.2
    with torch.no_grad():
        clean, noisy, adversarial = (stack.logits(x, False) for x in (images, (images + noise).clamp(0, 1), moved))
        before, after = (F.kl_div(x.log_softmax(-1), clean.softmax(-1), reduction="sum") for x in (noisy, adversarial))
    assert after > 10 * before


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_each_inner_step_is_that_of_the_gradient_of_the_divergence(problem, norm):
    """Three steps against the published algorithm, written for one network, with f(x) computed anew at every step."""
    networks, stack, images, _ = problem
    noise = 0.001 * torch.randn_like(images)
    epsilon = torch.tensor([0.1, 0.2], dtype=torch.float64)
    moved = maximise_divergence(stack.folded(), images, noise, InnerAttack(norm, 3, epsilon, epsilon / 2))
    for g, network in enumerate(networks):
        network.eval()
        x, eps = images[g] + noise[g], epsilon[g]
        for _ in range(3):
            x = x.detach().requires_grad_()
            p = network(images[g]).softmax(1)
            (gradient,) = torch.autograd.grad((p * (p.log() - network(x).log_softmax(1))).sum(), x)
            if norm == "Linf":
                x = torch.min(torch.max(x + eps / 2 * gradient.sign(), images[g] - eps), images[g] + eps)
            else:
                x = x + eps / 2 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                offset = x - images[g]
                length = offset.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                x = images[g] + offset * (eps / length).clamp(max=1)
            x = x.clamp(0, 1)
        torch.testing.assert_close(moved[g], x.detach(), rtol=1e-5, atol=1e-9)


def test_the_inner_attack_leaves_batch_statistics_alone(problem):
    _, stack, images, _ = problem
    before = {name: value.clone() for name, value in stack.buffers.items()}
    epsilon = torch.full((2,), 0.1, dtype=torch.float64)
    for inner in (stack, stack.folded()):
        maximise_divergence(inner, images, torch.zeros_like(images), InnerAttack("Linf", 3, epsilon, epsilon / 4))
    assert all(torch.equal(stack.buffers[name], value) for name, value in before.items())


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_pgd_reaches_the_exact_margin_of_a_linear_network(norm):
    """The worst perturbation in the ball is known: epsilon times the sign, or the direction, of the weights' difference."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)).double()
    stack, images = Stack.of([network]), torch.rand(1, 4, 1, 3, 3, dtype=torch.float64) / 2 + 0.25
    targets, epsilon = torch.tensor([[0, 1, 0, 1]]), torch.tensor([0.2], dtype=torch.float64)
    moved = pgd(stack.frozen(), images, targets, images, InnerAttack(norm, 20, epsilon, epsilon / 4))
    weight = (network[1].weight[1] - network[1].weight[0]).detach()
    worst = weight.sign() if norm == "Linf" else weight / weight.norm()
    direction = torch.where(targets[0] == 0, 1.0, -1.0)[:, None] * worst
    torch.testing.assert_close((moved - images).flatten(2)[0], 0.2 * direction, rtol=1e-6, atol=1e-9)

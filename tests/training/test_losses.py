"""TRADES and its inner attack against independent computations on tiny networks, in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnrobust.networks.stack import Stack
from nnrobust.training.losses import InnerAttack, maximise_divergence, pgd, standard_loss, trades_loss


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

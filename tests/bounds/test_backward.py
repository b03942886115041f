"""Linear bounds: never above what an adversary reaches, nor above an exact optimum; equal to it where nothing is relaxed."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from nnrobust.bounds.backward import Ball, Chain
from nnrobust.bounds.layers import Relu, layers_of
from nnrobust.bounds.margins import margins
from nnrobust.threat import DUAL, ThreatModel, norm_of

SHAPE = (2, 6, 6)
NORMS = ("Linf", "L2", "L1")
EPSILON = {"Linf": 0.05, "L2": 0.3, "L1": 0.8}


def network(seed, n_classes=3):
    """Two convolutions, one of them flattened before its ReLU, and two linear layers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Conv2d(3, 4, 2, 1, 0), nn.Flatten(), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(),
        nn.Linear(8, n_classes),
    ).double().eval()  # fmt: skip


def data(seed, n=4, n_classes=3):
    generator = np.random.default_rng(seed)
    images = generator.uniform(size=(n, *SHAPE))
    images[0, 0] = 0.0  # at the edge of the box
    return images, generator.integers(n_classes, size=n)


def perturbed(images, threat, generator):
    """Images in the ball, most at its edge."""
    ways = generator.standard_normal(images.shape) * (
        generator.uniform(size=images.shape) < generator.choice([0.05, 0.5, 1])
    )
    if threat.norm == "Linf":
        ways = np.sign(ways)
    sizes = np.maximum(norm_of(ways, threat.norm), 1e-12)[:, None, None, None]
    return np.clip(images + threat.epsilon * ways / sizes, 0, 1)


def worst(module, images, labels, threat, seed):
    """The least margins (n, classes) that random points and signed steps from them reach in the ball."""
    generator, least = np.random.default_rng(seed), np.inf
    for number in range(40):
        points = perturbed(images, threat, generator)
        for other in range(module[-1].out_features) if number < 10 else ():
            x = torch.tensor(points, requires_grad=True)
            logits = module(x)
            (logits[range(len(x)), labels] - logits[:, other]).sum().backward()
            step = -x.grad.numpy()
            if threat.norm == "Linf":
                step = np.sign(step)
            if threat.norm == "L1":
                step[np.abs(step) < np.abs(step).max(axis=(1, 2, 3), keepdims=True)] = 0
            step *= threat.epsilon / np.maximum(norm_of(step, threat.norm), 1e-12)[:, None, None, None]
            least = np.minimum(least, _margins(module, np.clip(images + step, 0, 1), labels))
        least = np.minimum(least, _margins(module, points, labels))
    return least


def _margins(module, images, labels):
    with torch.no_grad():
        logits = module(torch.from_numpy(images)).numpy()
    found = logits[range(len(logits)), labels][:, None] - logits
    found[range(len(logits)), labels] = np.inf
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(6))
def test_no_point_of_the_ball_has_a_smaller_margin(seed, norm):
    module, (images, labels), threat = network(seed), data(seed), ThreatModel(norm, EPSILON[norm])
    bounds = margins(layers_of(module, SHAPE), images, labels, threat)
    reached = worst(module, images, labels, threat, seed)
    assert (bounds <= reached).all()
    # And they are no trivial ones: an adversary takes a good part of what they give away.
    clean = _margins(module, images, labels)
    clean, bounds, reached = (values[np.isfinite(clean)] for values in (clean, bounds, reached))
    lost, taken = clean - bounds, clean - reached
    assert np.median(taken / lost) > 0.15


def test_a_network_without_a_linear_layer_and_one_of_points_have_bounds_too():
    torch.manual_seed(0)
    images, labels, threat = (
        np.random.default_rng(0).uniform(size=(5, *SHAPE)),
        np.array([0, 1, 1, 0, 1]),
        ThreatModel("Linf", 0.01),
    )
    convolutions = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 4), nn.Flatten()).double()
    of_points = nn.Sequential(nn.ReLU(), nn.Linear(72, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    for module, points in ((convolutions, images), (of_points, images.reshape(5, -1))):
        found = margins(layers_of(module, points.shape[1:]), points, labels, threat)
        clean = _margins(module, points, labels)
        is_other = np.isfinite(clean)
        assert (found < clean)[is_other].all()
        np.testing.assert_allclose(found[is_other], clean[is_other], atol=0.2)


@pytest.mark.parametrize("norm", NORMS)
def test_every_relu_stays_in_its_range(norm):
    module, (images, _), threat = network(3), data(3), ThreatModel(norm, EPSILON[norm])
    layers = layers_of(module, SHAPE)
    with torch.no_grad():
        chain = Chain(layers, Ball.around(torch.from_numpy(images), threat)).bound_relus()
        generator = np.random.default_rng(0)
        for _ in range(200):
            z = torch.from_numpy(perturbed(images, threat, generator))
            for number, layer in enumerate(layers):
                if isinstance(layer, Relu):
                    lines = chain.lines[number]
                    out = z.relu()
                    assert (z.abs() <= lines.size).all()
                    assert (out >= lines.below * z - 1e-12).all()
                    assert (out <= lines.above * z + lines.offset + 1e-12).all()
                z = layer.forward(z)


@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_network_has_the_exact_margin(norm):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.Flatten(), nn.Linear(27, 2)).double()
    images = np.random.default_rng(0).uniform(0.4, 0.6, size=(5, *SHAPE))  # so that the box does not matter
    labels, threat = np.zeros(5, dtype=int), ThreatModel(norm, 0.1)
    x = torch.from_numpy(images).requires_grad_()
    logits = module(x)
    (logits[:, 0] - logits[:, 1]).sum().backward()
    dual = np.linalg.norm(x.grad.numpy().reshape(5, -1), ord=DUAL[norm], axis=1)
    exact = (logits[:, 0] - logits[:, 1]).detach().numpy() - 0.1 * dual
    found = margins(layers_of(module, SHAPE), images, labels, threat)[:, 1]
    assert (found <= exact).all()
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)


def test_in_linf_the_box_counts():
    module = nn.Sequential(nn.Flatten(), nn.Linear(72, 2, bias=False)).double()
    with torch.no_grad():
        module[1].weight[0], module[1].weight[1] = 1.0, 0.0
    black = np.zeros((1, *SHAPE))
    found = margins(layers_of(module, SHAPE), black, np.zeros(1, dtype=int), ThreatModel("Linf", 0.5))
    assert found[0, 1] == pytest.approx(0.0, abs=1e-9)  # nothing is darker than black


@pytest.mark.parametrize("norm", NORMS)
def test_a_ball_of_next_to_nothing_leaves_the_margin(norm):
    module, (images, labels) = network(1), data(1)
    found = margins(layers_of(module, SHAPE), images, labels, ThreatModel(norm, 1e-12))
    clean = _margins(module, images, labels)
    assert (found <= clean).all()
    np.testing.assert_allclose(found[np.isfinite(clean)], clean[np.isfinite(clean)], rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_one_hidden_layer_is_at_most_the_linear_program_of_the_triangles(seed):
    """The best that lines around each ReLU allow: the optimum of the linear program with all three sides of each triangle."""
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    image, epsilon = generator.uniform(0.3, 0.7, size=(1, 1, 2, 3)), 0.2
    first, last = (module[i].weight.detach().numpy() for i in (1, 3))
    b, c = (module[i].bias.detach().numpy() for i in (1, 3))
    x = image.reshape(-1)
    low, high = first @ x + b - epsilon * np.abs(first).sum(1), first @ x + b + epsilon * np.abs(first).sum(1)
    a_ub, b_ub = [], []
    for j in range(5):  # variables: 6 pixels, then 5 outputs of ReLUs
        out = np.eye(5)[j]
        a_ub.append(np.r_[first[j], -out])
        b_ub.append(-b[j])
        if low[j] < 0 < high[j]:
            slope = high[j] / (high[j] - low[j])
            a_ub.append(np.r_[-slope * first[j], out])
            b_ub.append(slope * (b[j] - low[j]))
        elif high[j] <= 0:
            a_ub.append(np.r_[np.zeros(6), out])
            b_ub.append(0.0)
        else:
            a_ub.append(np.r_[-first[j], out])
            b_ub.append(b[j])
    bounds = [(v - epsilon, v + epsilon) for v in x] + [(0, None)] * 5
    best = linprog(np.r_[np.zeros(6), last[0] - last[1]], A_ub=a_ub, b_ub=b_ub, bounds=bounds).fun + c[0] - c[1]
    found = margins(layers_of(module, (1, 2, 3)), image, np.zeros(1, dtype=int), ThreatModel("Linf", epsilon))[0, 1]
    assert found <= best + 1e-9
    if not ((low < 0) & (high > 0)).any():
        assert found == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_windows_and_blocks_change_nothing(norm, monkeypatch):
    module, (images, labels), threat = network(2), data(2, n=11), ThreatModel(norm, EPSILON[norm])
    found = margins(layers_of(module, SHAPE), images, labels, threat)
    monkeypatch.setattr("nnrobust.bounds.layers._SMALL", 0)
    monkeypatch.setattr("nnrobust.bounds.margins._MOST", 3)
    np.testing.assert_allclose(margins(layers_of(module, SHAPE), images, labels, threat), found, rtol=1e-9)


def test_a_larger_ball_has_smaller_margins_and_so_has_one_that_contains_it():
    module, (images, labels) = network(4), data(4)
    layers, n = layers_of(module, SHAPE), int(np.prod(SHAPE))
    of = {
        (norm, epsilon): margins(layers, images, labels, ThreatModel(norm, epsilon))
        for norm, epsilon in (("Linf", 0.01), ("Linf", 0.02), ("L2", 0.01 * n**0.5))
    }
    is_other = np.isfinite(of["Linf", 0.01])
    assert (of["Linf", 0.02] < of["Linf", 0.01])[is_other].all()
    assert (of["L2", 0.01 * n**0.5] < of["Linf", 0.01])[is_other].all()


@pytest.mark.parametrize("seed", range(20))
def test_a_bound_is_below_the_exact_value_where_rounding_cancels_nearly_all(seed):
    """In whole fractions: weights of 1e8 and of opposite sign leave margins of the size of float64's error."""
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        half = torch.from_numpy(generator.uniform(1e7, 1e8, size=(8, 4)))
        module[1].weight.copy_(torch.cat([half, -half * (1 + 1e-15)], dim=1))
        module[1].bias.fill_(1e9)  # every ReLU is open: the network is linear in the ball
    image = np.repeat(generator.uniform(0.2, 0.8, size=(1, 1, 1, 4)), 2, axis=3).reshape(1, 1, 2, 4)
    image[0, 0, 1] = image[0, 0, 0]
    threat = ThreatModel("Linf", 1e-9)
    found = margins(layers_of(module, (1, 2, 4)), image, np.zeros(1, dtype=int), threat)[0, 1]
    weights = [[[Fraction(v) for v in row] for row in module[i].weight.tolist()] for i in (1, 3)]
    biases = [[Fraction(v) for v in module[i].bias.tolist()] for i in (1, 3)]
    outer = [first - second for first, second in zip(*weights[1], strict=True)]
    of_pixels = [sum(o * row[k] for o, row in zip(outer, weights[0], strict=True)) for k in range(8)]
    x, epsilon = [Fraction(v) for v in image.reshape(-1).tolist()], Fraction(threat.epsilon)
    exact = sum(w * v for w, v in zip(of_pixels, x, strict=True)) - epsilon * sum(abs(w) for w in of_pixels)
    exact += sum(o * b for o, b in zip(outer, biases[0], strict=True)) + biases[1][0] - biases[1][1]
    assert Fraction(float(found)) <= exact
    assert float(exact) - found < 1e-3

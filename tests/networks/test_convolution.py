"""The convolution whose gradients are a convolution of ours: those of the library, alone and many networks side by side."""

import pytest
import torch
from torch import nn

from nnrobust.networks.architectures import build_network
from nnrobust.networks.convolution import StridedConv2d
from nnrobust.networks.stack import Stack


def images(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def convolutions(*settings, bias=True):
    """Ours and the library's with the same weights, in float64."""
    torch.manual_seed(0)
    ours, theirs = (kind(*settings, bias=bias).double() for kind in (StridedConv2d, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ((3, 5, 4, 2, 1), (2, 3, 8, 12)),
        ((2, 3, 2, 2, 0), (2, 2, 6, 4)),
        ((2, 3, 6, 3, 0), (2, 2, 9, 12)),
        ((1, 2, 4, 4, 0), (2, 1, 8, 8)),
        ((2, 2, 6, 2, 2), (2, 2, 8, 8)),
        ((3, 5, 4, 2, 1), (2, 3, 9, 8)),
    ],
)
def test_outputs_and_gradients_are_those_of_the_library(settings, shape, bias):
    found = []
    for layer in convolutions(*settings, bias=bias):
        x = images(*shape).requires_grad_()
        y = layer(x)
        found.append([y, *torch.autograd.grad((y**3).sum(), [x, *layer.parameters()])])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_order_of_memory_makes_no_difference(layout):
    ours, theirs = convolutions(3, 4, 4, 2, 1)
    x = images(2, 3, 8, 8).to(memory_format=layout).requires_grad_()
    gradients = [torch.autograd.grad((layer(x) ** 2).sum(), x)[0] for layer in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_only_the_gradients_asked_for_are_computed():
    ours, _ = convolutions(3, 4, 4, 2, 1)
    x = images(2, 3, 8, 8)
    (weight,) = torch.autograd.grad(ours(x).sum(), ours.weight)
    assert weight.shape == ours.weight.shape
    frozen = ours.requires_grad_(False)
    assert not frozen(x).requires_grad
    assert frozen(x.requires_grad_()).requires_grad


def test_networks_side_by_side_have_the_gradients_that_each_has_alone():
    torch.manual_seed(0)
    networks = [build_network("cnn_a", (3, 32, 32), [0.5] * 3, [0.25] * 3, 2) for _ in range(3)]
    x, together = images(3, 4, 3, 32, 32, dtype=torch.float32).abs().requires_grad_(), Stack.of(networks)
    weights = list(together.parameters.values())
    of_all = torch.autograd.grad((together.logits(x, True) ** 2).sum(), [x, *weights])
    for g, network in enumerate(networks):
        alone = Stack.of([network])
        one = torch.autograd.grad((alone.logits(x[g : g + 1], True) ** 2).sum(), [x, *alone.parameters.values()])
        torch.testing.assert_close(of_all[0][g], one[0][g], rtol=1e-4, atol=1e-6)
        for mine, expected in zip(of_all[1:], one[1:], strict=True):
            torch.testing.assert_close(mine[g], expected[0], rtol=1e-4, atol=1e-5)


def test_under_autocast_it_is_the_library():
    torch.manual_seed(0)
    ours, theirs = StridedConv2d(3, 4, 4, 2, 1), nn.Conv2d(3, 4, 4, 2, 1)
    theirs.load_state_dict(ours.state_dict())
    x = images(2, 3, 8, 8, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [layer(x) for layer in (ours, theirs)]
    assert outputs[0].dtype == torch.bfloat16
    gradients = [torch.autograd.grad(output.float().sum(), x)[0] for output in outputs]
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_weights_of_the_architecture_have_the_names_that_they_had_with_the_library():
    names = list(build_network("cnn_a", (3, 32, 32), [0.5] * 3, [0.25] * 3, 2).state_dict())
    assert names == ["0.mean", "0.std", *(f"{layer}.{part}" for layer in (1, 3, 6, 8) for part in ("weight", "bias"))]

"""A network as a chain of layers: the same function, its weights as sizes and norms, and refusals."""

import pytest
import torch
from torch import nn

from made.pretrained import block
from nnrobust.bounds.layers import Convolution, Window, layers_of
from nnrobust.errors import DataError
from nnrobust.models.architectures import ARCHITECTURES as PUBLISHED
from nnrobust.models.load import Pretrained
from nnrobust.networks.architectures import build_network
from nnrobust.networks.restriction import Restricted

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def with_batch_norm():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    batch_norm = network[1]
    for values in (batch_norm.running_mean, batch_norm.running_var, batch_norm.weight.data, batch_norm.bias.data):
        values.uniform_(0.5, 1.5)
    return network


NETWORKS = {
    "cnn_a": (lambda: build_network("cnn_a", (3, 32, 32), MEAN, STD, 10), (3, 32, 32)),
    "small_cnn": (lambda: build_network("small_cnn", (3, 8, 8), MEAN, STD, 2), (3, 8, 8)),
    "deep": (lambda: PUBLISHED["deep"]((1, 28, 28), 10), (1, 28, 28)),
    "wide-p0": (lambda: PUBLISHED["wide-p0"]((3, 32, 32), 10), (3, 32, 32)),
    "batch normalisation": (with_batch_norm, (3, 8, 8)),
    "two classes of ten": (lambda: Restricted(PUBLISHED["base"]((3, 32, 32), 10).eval(), [7, 2]), (3, 32, 32)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layers_are_the_network(name):
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    network = build().eval()
    x = torch.rand((3, *shape), dtype=torch.float64)
    z = x
    for layer in layers_of(network, shape):
        assert layer.before == tuple(z.shape[1:])
        z = layer.forward(z)
        assert layer.after == tuple(z.shape[1:])
    torch.testing.assert_close(z, network.double()(x), rtol=1e-10, atol=1e-10)


def test_two_logits_are_those_of_their_classes_in_their_order():
    network = PUBLISHED["base"]((3, 32, 32), 10).eval()
    x = torch.rand((2, 3, 32, 32), dtype=torch.float64)
    z = x
    for layer in layers_of(Restricted(network, [7, 2]), (3, 32, 32)):
        z = layer.forward(z)
    torch.testing.assert_close(z, network.double()(x)[:, [7, 2]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("window", [Window(0, 0, 3, 3), Window(1, 2, 1, 1), Window(0, 1, 2, 2), Window(2, 2, 1, 1)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (3, 1, 1), (3, 2, 0), (2, 3, 0), (5, 2, 2)])
@pytest.mark.parametrize("is_small", [True, False])
def test_coefficients_go_back_through_a_window_as_the_gradient_does(
    window, kernel, stride, padding, is_small, monkeypatch
):
    if not is_small:
        monkeypatch.setattr("nnrobust.bounds.layers._SMALL", 0)
    torch.manual_seed(1)
    sides = [(size - 1) * stride + kernel - 2 * padding + extra for size, extra in ((3, 0), (3, min(1, stride - 1)))]
    network = nn.Sequential(nn.Conv2d(2, 4, kernel, stride, padding), nn.Flatten())
    layer, _ = layers_of(network, (2, *sides))
    assert isinstance(layer, Convolution)
    assert layer.after == (4, 3, 3)
    a = torch.randn((2, 5, 4, window.height, window.width), dtype=torch.float64)
    found, reached = layer.backward(a, window)
    for image in range(2):
        for row in range(5):
            x = torch.zeros((1, 2, *sides), dtype=torch.float64, requires_grad=True)
            z = layer.forward(x)[
                0, :, window.top : window.top + window.height, window.left : window.left + window.width
            ]
            (z * a[image, row]).sum().backward()
            whole = torch.zeros((2, *sides), dtype=torch.float64)
            top, left, height, width = reached
            whole[:, top : top + height, left : left + width] = found[image, row]
            torch.testing.assert_close(whole, x.grad[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("network", "got"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(144, 2)), "Sigmoid"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 2)), "MaxPool2d"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, groups=3)), "groups"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding="same")), "padding=same"),
        (PUBLISHED["resnet2b"]((3, 32, 32), 10), "one after the other, got "),
        (nn.Sequential(nn.BatchNorm2d(3)), "BatchNorm2d"),
        (nn.Sequential(nn.Flatten(), nn.Linear(100, 2)), r"one of images \(3, 8, 8\), got "),
        (nn.Conv2d(3, 4, 3), r"logits \(n, classes\), got outputs \(n, 4, 6, 6\)"),
        (Pretrained(block(layout="NHWC"), nn.Linear(3, 2)), "Pretrained in the layout NHWC"),
    ],
)
def test_what_has_no_linear_bounds_here_is_refused_by_name(network, got):
    with pytest.raises(DataError, match=got):
        layers_of(network, (3, 8, 8))

"""The architectures of the networks in the roster `verification`; their parameters are named as in the published files."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from nnrobust.models.residual import deep_resnet, verification_resnet

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""
Builder = Callable[[Shape, int], nn.Module]
"""An untrained network, from the shape of its images and the number of its classes."""
Convolution = tuple[int, int, int, int]
"""Channels out, side of the kernel, stride, padding."""


def plain_cnn(
    shape: Shape, n_classes: int, convolutions: list[Convolution], hidden: list[int], activation: type[nn.Module] = nn.ReLU
) -> nn.Module:  # fmt: skip
    """Convolutions, then linear layers of the widths `hidden` and the last one; the activation between all of them."""
    layers: list[nn.Module] = []
    channels, height, width = shape
    for n_out, side, stride, padding in convolutions:
        layers += [nn.Conv2d(channels, n_out, side, stride, padding), activation()]
        height, width = ((size + 2 * padding - side) // stride + 1 for size in (height, width))
        channels = n_out
    layers.append(nn.Flatten())
    n_in = channels * height * width
    for n_out in hidden:
        layers += [nn.Linear(n_in, n_out), activation()]
        n_in = n_out
    return nn.Sequential(*layers, nn.Linear(n_in, n_classes))


def trades_cnn(shape: Shape, n_classes: int) -> nn.Module:
    """The small network of TRADES' MNIST experiments: four 3x3 convolutions, a pooling after each two, three linear layers.

    For 28x28 images. Source: arXiv 1901.08573, appendix. Its dropout does nothing in eval mode and is left out.
    """
    features = OrderedDict(
        conv1=nn.Conv2d(shape[0], 32, 3), relu1=nn.ReLU(), conv2=nn.Conv2d(32, 32, 3), relu2=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv3=nn.Conv2d(32, 64, 3), relu3=nn.ReLU(), conv4=nn.Conv2d(64, 64, 3), relu4=nn.ReLU(), pool2=nn.MaxPool2d(2),
    )  # fmt: skip
    classifier = OrderedDict(
        fc1=nn.Linear(64 * 4 * 4, 200), relu1=nn.ReLU(), fc2=nn.Linear(200, 200), relu2=nn.ReLU(), fc3=nn.Linear(200, n_classes),
    )  # fmt: skip
    return nn.Sequential(
        OrderedDict(
            feature_extractor=nn.Sequential(features), flatten=nn.Flatten(), classifier=nn.Sequential(classifier)
        )
    )


def _halving(n_out: int, padding: int = 1) -> Convolution:
    return n_out, 4, 2, padding


ARCHITECTURES: dict[str, Builder] = {
    "wide": partial(plain_cnn, convolutions=[_halving(16), _halving(32)], hidden=[100]),
    "wide-p0": partial(plain_cnn, convolutions=[_halving(16, 0), _halving(32, 0)], hidden=[100]),
    "wide-p0-sigmoid": partial(
        plain_cnn, convolutions=[_halving(16, 0), _halving(32, 0)], hidden=[100], activation=nn.Sigmoid
    ),
    "base": partial(plain_cnn, convolutions=[_halving(8), _halving(16)], hidden=[100]),
    "deep": partial(
        plain_cnn, convolutions=[_halving(8), (8, 3, 1, 1), (8, 3, 1, 1), _halving(8)], hidden=[100]
    ),
    "marabou-8": partial(plain_cnn, convolutions=[_halving(8, 0), _halving(16, 0)], hidden=[128, 64]),
    "marabou-32": partial(plain_cnn, convolutions=[_halving(32, 0), _halving(64, 0)], hidden=[128, 64]),
    "madry-tiny": partial(plain_cnn, convolutions=[(4, 5, 2, 2), (8, 5, 2, 2)], hidden=[128]),
    "trades-small": trades_cnn,
    "resnet2b": partial(verification_resnet, width=8, n_stages=1),
    "resnet4b": partial(verification_resnet, width=16, n_stages=2),
    "resnet20": partial(deep_resnet, n_blocks=3),
    "resnet56": partial(deep_resnet, n_blocks=9),
}  # fmt: skip
"""Builder of each architecture that a block may name."""

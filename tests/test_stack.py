from copy import deepcopy

import pytest
import torch
from torch import nn

from nnrobust.errors import TrainingError
from nnrobust.networks import ARCHITECTURES, build_network
from nnrobust.stack import Stack, predictor


def networks(n, architecture="small_cnn", channels=1):
    size = ARCHITECTURES[architecture][1]
    torch.manual_seed(0)
    mean, std = [0.4] * channels, [0.3] * channels
    return [build_network(architecture, (channels, *size), mean, std, 2) for _ in range(n)]


@pytest.mark.parametrize(
    ("architecture", "channels", "size"), [("small_cnn", 1, 8), ("small_cnn", 3, 8), ("resnet18", 3, 32)]
)
def test_an_architecture_maps_images_to_logits(architecture, channels, size):
    (network,) = networks(1, architecture, channels)
    assert network(torch.rand(2, channels, size, size)).shape == (2, 2)


def test_resnet18_has_the_published_number_of_parameters():
    network = build_network("resnet18", (3, 32, 32), [0.5] * 3, [0.2] * 3, 10)
    assert sum(p.numel() for p in network.parameters()) == 11_173_962


def test_normalisation_is_the_first_layer():
    network = build_network("resnet18", (3, 32, 32), [0.1, 0.2, 0.3], [0.5, 1.0, 2.0], 2)
    x = torch.rand(1, 3, 32, 32)
    expected = (x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    torch.testing.assert_close(network[0](x), expected)


def test_an_architecture_for_another_size_is_refused():
    with pytest.raises(TrainingError, match="resnet18 takes images of 32x32, the dataset has 8x8; choose another"):
        build_network("resnet18", (1, 8, 8), [0.5], [0.5], 2)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("architecture", "channels"), [("small_cnn", 1), ("resnet18", 3)])
def test_a_stack_computes_what_its_networks_do_one_by_one(n, training, architecture, channels):
    separate = networks(n, architecture, channels)
    stack = Stack.of(separate)
    x = torch.rand(n, 4, channels, *ARCHITECTURES[architecture][1])
    expected = torch.stack(
        [deepcopy(network).train(training)(images) for network, images in zip(separate, x, strict=True)]
    )
    torch.testing.assert_close(stack.logits(x, training), expected, rtol=1e-4, atol=1e-5)


def test_batch_statistics_are_updated_in_training_and_only_then():
    separate = networks(2, "resnet18", 3)
    stack = Stack.of(separate)
    before = {name: value.clone() for name, value in stack.buffers.items()}
    x = torch.rand(2, 4, 3, 32, 32)
    stack.logits(x, training=False)
    assert all(torch.equal(stack.buffers[name], value) for name, value in before.items())
    stack.logits(x, training=True)
    for network, images in zip(separate, x, strict=True):
        network.train()(images)
    for state, network in zip(stack.state_dicts(), separate, strict=True):
        torch.testing.assert_close(state["2.running_mean"], network.state_dict()["2.running_mean"])


def test_building_a_stack_leaves_the_networks_as_they_were():
    (network,) = networks(1)
    stack = Stack.of([network])
    with torch.no_grad():
        for value in stack.parameters.values():
            value.add_(1)
    assert network(torch.zeros(1, 1, 8, 8)).device.type == "cpu"
    assert not torch.equal(stack.parameters["1.weight"][0], network[1].weight)


def test_a_state_dict_fits_the_plain_network():
    separate = networks(2)
    stack = Stack.of(separate)
    other = networks(1)[0]
    other.load_state_dict(stack.state_dicts()[1])
    x = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(other(x), separate[1](x))


@pytest.mark.parametrize("owners", [[0, 0, 1, 2, 1], [2, 2, 2], [1], [0, 2, 0, 2, 2, 2]])
def test_a_predictor_sends_each_image_to_its_network_and_gradients_back(owners):
    separate = networks(3)
    predict = predictor(Stack.of(separate))
    x = torch.rand(len(owners), 1, 8, 8, requires_grad=True)
    logits = predict(x, torch.tensor(owners))
    expected = torch.cat([separate[owner](x[i : i + 1]) for i, owner in enumerate(owners)])
    torch.testing.assert_close(logits, expected)
    (got,) = torch.autograd.grad(logits.square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(got, wanted)


def test_a_predictor_takes_no_gradient_with_respect_to_weights():
    stack = Stack.of(networks(2))
    logits = predictor(stack)(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))
    assert not logits.requires_grad
    assert isinstance(stack.skeleton, nn.Module)

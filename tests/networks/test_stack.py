from copy import deepcopy

import pytest
import torch
from torch import nn

from nnrobust.errors import TrainingError
from nnrobust.networks.architectures import ARCHITECTURES, build_network
from nnrobust.networks.stack import Stack, predictor


def networks(n, architecture="small_cnn", channels=1, width=None):
    (size, *_) = ARCHITECTURES[architecture][1]
    torch.manual_seed(0)
    mean, std = [0.4] * channels, [0.3] * channels
    return [build_network(architecture, (channels, size, size), mean, std, 2, width) for _ in range(n)]


def images(n, architecture, channels):
    (size, *_) = ARCHITECTURES[architecture][1]
    return torch.rand(n, 4, channels, size, size)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("architecture", "size"), [(name, size) for name, (_, sizes) in ARCHITECTURES.items() for size in sizes]
)
def test_an_architecture_maps_images_of_its_sizes_to_logits(architecture, channels, size):
    network = build_network(architecture, (channels, size, size), [0.4] * channels, [0.3] * channels, 10)
    assert network(torch.rand(2, channels, size, size)).shape == (2, 10)


def n_parameters(architecture, shape, n_classes, width=None):
    network = build_network(architecture, shape, [0.5] * shape[0], [0.2] * shape[0], n_classes, width)
    return sum(p.numel() for p in network.parameters())


def test_cnn_a_has_the_layers_that_verification_is_measured_on():
    convolutions = 16 * (3 * 16 + 1) + 32 * (16 * 16 + 1)
    assert n_parameters("cnn_a", (3, 32, 32), 10) == convolutions + 100 * (2048 + 1) + 10 * 101
    assert n_parameters("cnn_a", (1, 28, 28), 2) == convolutions - 16 * 2 * 16 + 100 * (1568 + 1) + 2 * 101


def test_mnist_cnn_has_as_many_parameters_as_the_network_of_trades():
    assert n_parameters("mnist_cnn", (1, 28, 28), 10) == 312_202


def test_a_narrow_resnet18_has_a_sixteenth_of_the_convolutions():
    wide, narrow = n_parameters("resnet18", (3, 32, 32), 10, 64), n_parameters("resnet18", (3, 32, 32), 10, 16)
    assert n_parameters("resnet18", (3, 32, 32), 10) == wide
    assert 0.95 < 16 * narrow / wide < 1.05


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


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("architecture", "channels", "width"),
    [("small_cnn", 1, None), ("cnn_a", 3, None), ("mnist_cnn", 1, None), ("resnet18", 3, 64), ("resnet18", 3, 16)],
)
def test_a_stack_computes_what_its_networks_do_one_by_one(n, training, architecture, channels, width):
    separate = networks(n, architecture, channels, width)
    stack = Stack.of(separate)
    x = images(n, architecture, channels)
    expected = torch.stack([deepcopy(network).train(training)(part) for network, part in zip(separate, x, strict=True)])
    torch.testing.assert_close(stack.logits(x, training), expected, rtol=1e-4, atol=1e-5)


def test_batch_statistics_are_updated_in_training_and_only_then():
    separate = networks(2, "resnet18", 3)
    stack = Stack.of(separate)
    before = {name: value.clone() for name, value in stack.buffers.items()}
    x = torch.rand(2, 4, 3, 32, 32)
    stack.logits(x, training=False)
    assert all(torch.equal(stack.buffers[name], value) for name, value in before.items())
    stack.logits(x, training=True)
    for network, part in zip(separate, x, strict=True):
        network.train()(part)
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


def worn(network):
    """The network with batch statistics and scales that are not those of a new one."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.weight.data, module.bias.data):
                value.copy_(torch.randn_like(value))
            module.running_var.copy_(torch.rand_like(module.running_var) + 0.1)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(("architecture", "channels"), [("small_cnn", 1), ("resnet18", 3)])
def test_a_folded_stack_gives_the_same_logits_and_input_gradients_and_has_no_normalisation_left(
    n, architecture, channels
):
    separate = [worn(network.double()) for network in networks(n, architecture, channels)]
    stack = Stack.of(separate)
    folded = stack.folded()
    x = images(n, architecture, channels).double().requires_grad_()
    got, expected = folded.logits(x, False), stack.logits(x, False)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    gradients = [torch.autograd.grad(one.square().sum(), x)[0] for one in (got, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-9)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.skeleton.modules())
    assert not got.requires_grad or not any(value.requires_grad for value in folded.parameters.values())
    assert any(isinstance(module, nn.BatchNorm2d) for module in stack.skeleton.modules()) == (
        architecture == "resnet18"
    )


@pytest.mark.slow
def test_in_bfloat16_weights_statistics_and_logits_stay_float32_and_logits_stay_near():
    separate = networks(1, "resnet18", 3)
    exact, fast = Stack.of(separate), Stack.of(separate, precision=torch.bfloat16)
    x = torch.rand(1, 8, 3, 32, 32)
    for training in (True, False):
        expected, got = exact.logits(x, training), fast.logits(x, training)
        assert got.dtype == torch.float32
        assert 0 < (got - expected).abs().max() < 0.05
    torch.testing.assert_close(fast.buffers["2.running_mean"], exact.buffers["2.running_mean"], rtol=0.05, atol=0.01)
    gradients = torch.autograd.grad(fast.logits(x, True).square().sum(), list(fast.parameters.values()))
    assert {one.dtype for one in [*gradients, *fast.parameters.values()]} == {torch.float32}
    assert {value.dtype for name, value in fast.buffers.items() if "running" in name} == {torch.float32}


def test_several_networks_run_in_float32_whatever_the_precision():
    separate = networks(2, "resnet18", 3)
    exact, same = Stack.of(separate), Stack.of(separate, precision=torch.bfloat16)
    x = torch.rand(2, 4, 3, 32, 32)
    torch.testing.assert_close(same.logits(x, False), exact.logits(x, False), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "channels"), [("small_cnn", 1), ("resnet18", 3)])
def test_in_bfloat16_a_small_perturbation_changes_the_logits(architecture, channels):
    """Rounded logits would be equal, and the inner attack of TRADES would stand still where it starts."""
    stack = Stack.of(networks(1, architecture, channels), precision=torch.bfloat16).folded()
    x = images(1, architecture, channels).repeat(1, 8, 1, 1, 1)
    before, after = stack.logits(x, False), stack.logits(x + 0.001 * torch.randn_like(x), False)
    assert (before != after).any(dim=-1).all()


def test_one_network_keeps_its_convolutions_channels_last_and_its_state_dict_plain():
    stack = Stack.of(networks(1, "resnet18", 3))
    assert stack.parameters["4.conv1.weight"][0].is_contiguous(memory_format=torch.channels_last)
    assert stack.state_dicts()[0]["4.conv1.weight"].is_contiguous()

"""A network restricted to some of its classes."""

import pytest
import torch
from torch import nn

from nnrobust.errors import DataError
from nnrobust.networks.restriction import Restricted


def ten_logits():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 10)).eval()


@pytest.mark.parametrize("class_ids", [[3, 5], [5, 3], [0, 9], [7, 1, 4]])
def test_a_restriction_gives_the_logits_of_its_classes_in_their_order(class_ids):
    network, x = ten_logits(), torch.rand(4, 3, 2, 2)
    assert torch.equal(Restricted(network, class_ids)(x), network(x)[:, class_ids])


def test_a_restriction_has_the_gradients_of_the_logits_it_keeps():
    network, x = ten_logits(), torch.rand(4, 3, 2, 2, requires_grad=True)
    (found,) = torch.autograd.grad(Restricted(network, [3, 5])(x)[:, 1].sum(), x)
    (expected,) = torch.autograd.grad(network(x)[:, 5].sum(), x)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_a_restriction_is_in_the_mode_of_its_network(training):
    restricted = Restricted(ten_logits().train(training), [0, 1])
    assert all(module.training == training for module in restricted.modules())


def test_a_restriction_keeps_the_names_of_the_weights():
    network = ten_logits()
    assert Restricted(network, [0, 1]).network.state_dict().keys() == network.state_dict().keys()
    assert "class_ids" not in Restricted(network, [0, 1]).state_dict()


@pytest.mark.parametrize("class_ids", [[], [3], [3, 3], [-1, 3]])
def test_fewer_than_two_different_classes_are_refused(class_ids):
    with pytest.raises(DataError, match="class_ids: expected two or more different class ids, counted from 0, got"):
        Restricted(ten_logits(), class_ids)


def test_a_class_that_the_network_does_not_have_is_refused():
    with pytest.raises(
        DataError, match=r"expected logits of shape \(n, 11 or more\) for the class ids \[3, 10\], got \(2, 10\)"
    ):
        Restricted(ten_logits(), [3, 10])(torch.rand(2, 3, 2, 2))

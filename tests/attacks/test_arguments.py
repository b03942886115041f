"""What `attack` refuses before it asks the model for anything, and what of a model it refuses."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from made.victims import network_problem, of_one
from nnrobust.attacks.attack import attack
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, of_network
from nnrobust.errors import AttackError, AttackMemoryError
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
LINF = ThreatModel("Linf", 0.02)
CE = AttackSpec("apgd-ce", 5, 1, 0)


def outcome(model=None, threats=(LINF,), specs=(CE,), device=CPU, **change):
    """The verdicts under Linf of a small network's problem, changed."""
    inputs, network = network_problem(0)
    victim = of_one(network) if model is None else model
    return attack(victim, replace(inputs, **change), list(threats), list(specs), device)["Linf"]


INPUTS = network_problem(0)[0]
N = len(INPUTS.ids)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"images": INPUTS.images.astype(np.float32)}, r"images: expected floats in \[0, 1\], got float32 from 0 to 255; of pixels of 0 to 255, divide by 255"),
        ({"images": INPUTS.images / 127.5 - 1}, r"images: expected floats in \[0, 1\], got float64 from -1 to 1"),
        ({"images": np.where(INPUTS.images == 7, np.nan, INPUTS.images / 255)}, r"images: expected floats in \[0, 1\], got float64 from nan to nan"),
        ({"images": INPUTS.images.astype(np.int16)}, r"got int16"),
        ({"images": INPUTS.images.astype(bool)}, r"got bool"),
        ({"images": INPUTS.images[:, 0]}, r"expected uint8 \(n, c, h, w\).*\(60, 7, 7\)"),
        ({"images": INPUTS.images[:0], "targets": INPUTS.targets[:0]}, r"images: expected at least one image of at least one pixel, got the shape \(0, 3, 7, 7\)"),
        ({"targets": INPUTS.targets[:-1]}, r"targets: expected 60 whole numbers, one for each image, got int64 \(59,\)"),
        ({"targets": INPUTS.targets.astype(float)}, r"targets: expected 60 whole numbers.*got float64"),
        ({"targets": INPUTS.targets.astype(bool)}, r"got bool"),
        ({"targets": np.eye(2, dtype=int)[INPUTS.targets]}, r"targets: expected 60 whole numbers, one for each image, got int64 \(60, 2\)"),
        ({"targets": np.r_[2, INPUTS.targets[1:]]}, r"targets: expected outputs 0 to 1 of the model, got 2 for the image in row 0"),
        ({"targets": np.r_[-1, INPUTS.targets[1:]]}, r"targets: expected numbers from 0 on, got -1 to 1"),
        ({"networks": INPUTS.networks - 1}, r"networks: expected numbers from 0 on, got -1"),
        ({"ids": INPUTS.ids - 1}, r"ids: expected numbers from 0 on, got -1"),
        ({"ids": INPUTS.ids.astype(str)}, r"ids: expected 60 whole numbers"),
        ({"threats": []}, r"threat models: expected at least one, and each norm once"),
        ({"threats": [LINF, ThreatModel("Linf", 0.1)]}, r"threat models: expected at least one, and each norm once, as verdicts go by it, got \['Linf', 'Linf'\]"),
        ({"threats": [ThreatModel("L1", 5.0)]}, r"threat models: expected the norms Linf and L2, got 'L1'"),
        ({"threats": [ThreatModel("linf", 0.1)]}, r"expected the norms Linf and L2, got 'linf'; spell them so"),
        ({"threats": [ThreatModel("Linf", 8)]}, r"Linf: expected an epsilon from 1e-06 to 1, .*got 8; of 0 to 255, divide by 255"),
        ({"threats": [ThreatModel("L2", 13)]}, r"L2: expected an epsilon from 1e-06 to 12\.1244"),
        ({"threats": [ThreatModel("Linf", float("nan"))]}, r"Linf: expected an epsilon from .*got nan"),
        ({"threats": [ThreatModel("Linf", 0.0)]}, r"Linf: expected an epsilon from .*got 0\.0"),
        ({"threats": [ThreatModel("Linf", "8/255")]}, r"Linf: expected an epsilon from .*got '8/255'"),
        ({"specs": []}, r"attacks: expected at least one, and each name once"),
        ({"specs": [CE, CE]}, r"attacks: expected at least one, and each name once"),
        ({"specs": [AttackSpec("apgd", 5, 1, 0)]}, r"attacks: expected one of apgd-ce, .*got 'apgd'"),
        ({"specs": [AttackSpec("apgd-ce", 0, 1, 0)]}, r"apgd-ce: steps: expected a whole number from 1 on, got 0"),
        ({"specs": [AttackSpec("apgd-ce", 5, 1.5, 0)]}, r"apgd-ce: restarts: expected a whole number from 1 on, got 1\.5"),
        ({"specs": [AttackSpec("apgd-ce", 5, 1, -1)]}, r"apgd-ce: seed: expected a whole number from 0 on, got -1"),
        ({"model": network_problem(0)[1]}, r"victim: expected a Victim, got Small; wrap a network by victim\.of_network"),
    ],
)  # fmt: skip
def test_a_malformed_argument_is_one_sentence(change, expected):
    with pytest.raises(AttackError, match=expected) as caught:
        outcome(**change)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_is_named():
    with pytest.raises(AttackError, match="device: expected one that is here, got cuda and no CUDA device"):
        outcome(device=torch.device("cuda"))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_images_in_floats_get_the_verdicts_of_the_stored_ones(kind):
    plain, other = outcome(), outcome(images=(INPUTS.images / 255).astype(kind))
    assert np.array_equal(plain.predictions, other.predictions)
    assert np.array_equal(plain.is_fooled, other.is_fooled)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint8, np.uint64])
def test_whole_numbers_of_every_kind_give_the_same_verdicts(kind):
    plain = outcome()
    other = outcome(targets=INPUTS.targets.astype(kind), ids=INPUTS.ids.astype(kind))
    assert np.array_equal(plain.is_fooled, other.is_fooled)
    assert np.array_equal(plain.perturbation_norm, other.perturbation_norm, equal_nan=True)


class Changed(nn.Module):
    """A small network whose answers are changed by a function of network, images and logits."""

    def __init__(self, change):
        super().__init__()
        self.network, self.change, self.n_calls = network_problem(0)[1], change, 0

    def forward(self, x):
        self.n_calls += 1
        return self.change(self, x, self.network(x))


def raises(error, at=1):
    def change(model, x, z):
        if model.n_calls >= at:
            raise error
        return z

    return change


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no backward here")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support", "ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m, x, z: (z, x), r"expected a tensor of logits \(n, classes\), got a tuple of \(Tensor, Tensor\); wrap the model"),
        (lambda m, x, z: [z], r"got a list of \(Tensor\)"),
        (lambda m, x, z: {"logits": z}, r"got a dict with the keys \['logits'\]"),
        (lambda m, x, z: OrderedDict(logits=z), r"got a OrderedDict with the keys"),
        (lambda m, x, z: None, r"got None"),
        (lambda m, x, z: z.detach().numpy(), r"got a ndarray"),
        (lambda m, x, z: (100 * z).long(), r"expected logits in floating point of 16 bits or more, got torch\.int64"),
        (lambda m, x, z: z > 0, r"expected logits in floating point of 16 bits or more, got torch\.bool"),
        (lambda m, x, z: z.to(torch.float8_e4m3fn), r"expected logits in floating point of 16 bits or more, got torch\.float8"),
        (lambda m, x, z: z.to_sparse(), r"expected a dense tensor of logits, got a sparse or nested one"),
        (lambda m, x, z: z.to_sparse_csr(), r"expected a dense tensor of logits, got a sparse or nested one"),
        (lambda m, x, z: torch.nested.nested_tensor(list(z)), r"expected a dense tensor of logits, got a sparse or nested one"),
        (lambda m, x, z: z.to(torch.complex64), r"expected logits in floating point of 16 bits or more, got torch\.complex64"),
        (lambda m, x, z: z.double() * 1e300, r"expected finite logits"),
        (lambda m, x, z: z.detach(), r"expected logits with a gradient to the images, got some without.*square alone"),
        (lambda m, x, z: z.detach() + nn.Parameter(torch.zeros(2)), r"expected logits with a gradient to the images"),
        (lambda m, x, z: z + (x - x).abs().sqrt().sum(), r"expected a finite gradient, got nan or infinity"),
        (lambda m, x, z: Reversed.apply(z), r"expected a gradient of the logits, got RuntimeError from the model: no backward here"),
        (lambda m, x, z: z if m.n_calls != 2 else torch.cat([z, z], 1), r"expected as many classes in every pass, got 2 and 4"),
        (raises(ValueError("sorry\nindeed")), r"expected logits of float32 images \(16, 3, 7, 7\) in \[0, 1\], got ValueError from the model: sorry indeed; mend"),
        (raises(ValueError("late"), 12), r"got ValueError from the model: late"),
        (raises(SystemExit(0)), r"got SystemExit from the model: 0"),
        (raises(AttributeError("x")), r"got AttributeError from the model"),
        (raises(RuntimeError("CUDA out of memory")), r"expected memory for logits of float32 images \(16, 3, 7, 7\) in \[0, 1\], got CUDA out of memory; attack fewer"),
        (raises(MemoryError()), r"expected memory for logits"),
        (lambda m, x, z: m.network.double()(x), r"got RuntimeError from the model"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_attacked_is_one_sentence(change, expected):
    with pytest.raises(AttackError, match=expected) as caught:
        outcome(of_network(Changed(change).eval()))
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_runs_out_of_memory_is_told_from_one_that_fails():
    with pytest.raises(AttackMemoryError):
        outcome(of_network(Changed(raises(RuntimeError("CUDA out of memory"))).eval()))


def test_an_interrupt_is_no_fault_of_the_model():
    with pytest.raises(KeyboardInterrupt):
        outcome(of_network(Changed(raises(KeyboardInterrupt())).eval()))


@pytest.mark.parametrize(
    "change",
    [
        lambda m, x, z: m.network(x.mul_(1.0)),
        lambda m, x, z: [z, x.data.zero_()][0],
        lambda m, x, z: z.double(),
    ],
)
def test_a_model_that_writes_into_its_images_or_answers_in_float64_gets_the_verdicts_of_one_that_does_not(change):
    plain, other = outcome(), outcome(of_network(Changed(change).eval()))
    assert 0 < plain.is_fooled.sum() < N
    assert np.array_equal(plain.is_fooled, other.is_fooled)
    assert np.array_equal(plain.perturbation_norm, other.perturbation_norm, equal_nan=True)


def test_a_model_without_gradient_is_attacked_by_square_alone():
    square = [AttackSpec("square", 200, 1, 0)]
    threats = [ThreatModel("Linf", 0.1)]
    plain = outcome(threats=threats, specs=square)
    hidden = outcome(of_network(Changed(lambda m, x, z: z.detach()).eval()), threats=threats, specs=square)
    assert hidden.is_fooled.sum() > 10
    assert np.array_equal(plain.is_fooled, hidden.is_fooled)
    assert set(hidden.note) == {""}


def test_what_is_no_network_is_refused():
    with pytest.raises(AttackError, match=r"expected a torch\.nn\.Module, got function"):
        of_network(lambda x: x)


def test_the_inputs_given_are_left_as_they_are():
    before = AttackInputs(*(getattr(INPUTS, name).copy() for name in ("images", "targets", "networks", "ids")))
    outcome()
    assert all(np.array_equal(getattr(INPUTS, name), getattr(before, name)) for name in ("images", "targets", "ids"))

"""Weights from files, and what is refused in their place."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from made.pretrained import network
from made.zoo import parallel, write_malicious
from nnrobust.errors import FetchError
from nnrobust.models.weights import read_weights


def wrapped(kind):
    weights, other = network(0).state_dict(), network(1).state_dict()
    return {
        "bare": (weights, ""),
        "state_dict": ({"state_dict": weights, "epoch": 3}, ""),
        "a list of one": ({"state_dict": [weights], "err": torch.tensor(0.5)}, ""),
        "one of two": ({"state_dict": [other, weights]}, "state_dict[1]"),
        "under another name": ({"net": weights, "accuracy": 0.5}, ""),
        "one of two names": ({"net": other, "ema": weights}, "ema"),
        "parallel": ({"state_dict": parallel(network(0))}, ""),
        "compiled": ({f"_orig_mod.{name}": value for name, value in weights.items()}, ""),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["bare", "state_dict", "a list of one", "one of two", "under another name", "one of two names", "parallel", "compiled"],
)  # fmt: skip
@pytest.mark.parametrize("is_legacy", [False, True])
def test_weights_are_found_however_they_are_wrapped(tmp_path, kind, is_legacy):
    content, entry = wrapped(kind)
    torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=not is_legacy)
    found, expected = read_weights(tmp_path / "file.pt", entry), network(0).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_safetensors_are_read(tmp_path):
    save_file(network(0).state_dict(), tmp_path / "file.safetensors")
    assert read_weights(tmp_path / "file.safetensors", "").keys() == network(0).state_dict().keys()


@pytest.mark.parametrize(
    ("content", "entry", "expected"),
    [
        ({"state_dict": [{"a": torch.zeros(2, 2)}] * 3}, "", "found a list of 3; say in entry where they lie, as state_dict.0."),
        ({"net": {"a": torch.zeros(2, 2)}, "ema": {"a": torch.zeros(2, 2)}}, "", "found a dict of net, ema; say in entry"),
        ({"state_dict": [{"a": torch.zeros(2, 2)}]}, "state_dict[1]", "expected weights at entry 'state_dict.1.', found a list of 1"),
        ({"state_dict": {}}, "model", "expected weights at entry 'model', found a dict of state_dict"),
        ([1, 2], "", "expected weights by name, found a list of 2"),
    ],
)  # fmt: skip
def test_where_weights_are_not_found_it_is_said_what_is_there(tmp_path, content, entry, expected):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(FetchError, match=f"file.pt: .*{expected}"):
        read_weights(tmp_path / "file.pt", entry)


def test_a_whole_module_is_refused_with_the_reason(tmp_path):
    torch.save(network(), tmp_path / "file.pt")
    expected = "file.pt: expected weights alone, got a whole module, whose unpickling runs code of the file's maker; save network"
    with pytest.raises(FetchError, match=expected):
        read_weights(tmp_path / "file.pt", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_refused_with_the_reason(tmp_path):
    torch.jit.trace(network(), torch.rand(1, 3, 8, 8)).save(tmp_path / "file.pt")
    with pytest.raises(FetchError, match="file.pt: expected weights alone, got TorchScript, a program whose gradients"):
        read_weights(tmp_path / "file.pt", "")


@pytest.mark.parametrize("is_legacy", [False, True])
def test_nothing_of_a_file_is_run(tmp_path, is_legacy):
    write_malicious(tmp_path / "file.pt", tmp_path / "made", is_legacy)
    with pytest.raises(FetchError, match="got a pickle that wants .*exec, which may run code; nothing of it was run"):
        read_weights(tmp_path / "file.pt", "")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"nothing", b"<html>quota", pickle.dumps(nn.ReLU)])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(FetchError, match="file.pt: expected weights alone, got"):
        read_weights(tmp_path / "file.pt", "")

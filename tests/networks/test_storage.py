"""Networks come back from their file as they were, and the file says which pairs it has."""

import pytest
import torch

from nnrobust.data.datasets import Pair
from nnrobust.errors import DataError
from nnrobust.networks.storage import load_networks, save_networks, stored_pairs


def states():
    return {name: {"weight": torch.rand(2, 3), "bias": torch.rand(2)} for name in ("best", "last")}


def test_networks_come_back_by_pair_and_checkpoint(tmp_path):
    networks = {"0-1": states(), "3-5": states()}
    save_networks(networks, tmp_path / "S.safetensors")
    assert stored_pairs(tmp_path / "S.safetensors") == {"0-1", "3-5"}
    for checkpoint in ("best", "last"):
        first, second = load_networks(tmp_path / "S.safetensors", [Pair(3, 5), Pair(0, 1)], checkpoint)
        assert torch.equal(first["weight"], networks["3-5"][checkpoint]["weight"])
        assert torch.equal(second["bias"], networks["0-1"][checkpoint]["bias"])


def test_a_variant_without_any_network_has_a_file_without_pairs(tmp_path):
    save_networks({}, tmp_path / "S.safetensors")
    assert stored_pairs(tmp_path / "S.safetensors") == set()


def test_a_missing_pair_and_a_damaged_file_are_errors_that_say_what_to_do(tmp_path):
    path = tmp_path / "S.safetensors"
    save_networks({"0-1": states()}, path)
    with pytest.raises(DataError, match="no network for pair 3-5; run `dvc repro train`"):
        load_networks(path, [Pair(3, 5)], "best")
    path.write_bytes(path.read_bytes()[:-8])
    for read in (stored_pairs, lambda one: load_networks(one, [Pair(0, 1)], "best")):
        with pytest.raises(DataError, match="expected trained networks: .*; run `dvc repro train`"):
            read(path)

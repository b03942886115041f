"""Networks come back from their file as they were, and the file says which pairs it has."""

import pytest
import torch
from safetensors.torch import save_file

from nnrobust.data.datasets import AllClasses, Pair
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
    for read in READERS:
        with pytest.raises(DataError, match="expected trained networks: .*; run `dvc repro train`"):
            read(path)


READERS = (stored_pairs, lambda path: load_networks(path, [Pair(0, 1)], "best"))


def test_a_flipped_bit_of_a_weight_or_a_name_is_an_error_also_for_who_asks_for_names_alone(tmp_path):
    path = tmp_path / "S.safetensors"
    save_networks({"0-1": states()}, path)
    whole = path.read_bytes()
    for position in (len(whole) - 3, whole.index(b"0-1/best")):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        for read in READERS:
            with pytest.raises(
                DataError, match="expected networks with the sha256 .*: the file was changed or damaged"
            ):
                read(path)


def test_networks_that_were_saved_without_their_hash_are_refused(tmp_path):
    nan = {name: torch.full((3,), float("nan")) for name in ("0-1/best/weight", "weight", "0-1/best")}
    save_file(nan, tmp_path / "S.safetensors")
    for read in READERS:
        with pytest.raises(DataError, match="expected networks with the sha256 that is written with them"):
            read(tmp_path / "S.safetensors")


def test_networks_of_whole_numbers_single_values_and_half_precision_come_back_too(tmp_path):
    state = {
        "n": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "half": torch.ones(2, 3, dtype=torch.bfloat16),
    }
    save_networks({"all": {"last": state}}, tmp_path / "S.safetensors")
    (found,) = load_networks(tmp_path / "S.safetensors", [AllClasses(3)], "last")
    assert all(torch.equal(found[name], value) for name, value in state.items())

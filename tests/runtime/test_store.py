"""Saved work comes back as it was, under a fingerprint of what determines it."""

import pytest
import torch

from nnrobust.errors import DataError, DataWarning
from nnrobust.runtime.store import WorkStore, fingerprint


def test_work_comes_back_to_the_bit_and_other_keys_or_code_find_none(tmp_path):
    store, content = WorkStore(tmp_path, "code"), {"weights": {"a": torch.rand(3)}, "losses": [0.1, 0.2]}
    assert store.load("key") is None
    store.save("key", content)
    found = store.load("key")
    assert torch.equal(found["weights"]["a"], content["weights"]["a"])
    assert found["losses"] == content["losses"]
    assert store.load("another") is None
    assert WorkStore(tmp_path, "changed code").load("key") is None
    store.drop("key")
    assert store.load("key") is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path):
    store = WorkStore(tmp_path, "code")
    store.save("key", {"losses": [0.1]})
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="expected saved work, got .*; delete the file to do that work again"):
        store.load("key")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"hello world",
        lambda content: b"\n" * 5000,
        lambda content: content[content.index(b"\n") + 1 :],
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content[:1000] + bytes([content[1000] ^ 64]) + content[1001:],
        lambda content: content + b"x",
    ],
)
def test_changed_bytes_are_found_wherever_they_are(tmp_path, spoil):
    store = WorkStore(tmp_path, "code")
    store.save("key", {"w": torch.arange(1000.0)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=f"{path}: expected saved work, got .*; delete the file"):
        store.load("key")


def test_damaged_work_is_named_and_deleted_so_that_it_is_done_again(tmp_path):
    store = WorkStore(tmp_path, "code")
    assert store.found("key") is None
    store.save("key", {"losses": [0.1]})
    assert store.found("key") == {"losses": [0.1]}
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(DataWarning, match=f"{path}: was damaged .*, and is deleted; its work is done again"):
        assert store.found("key") is None
    assert list(tmp_path.iterdir()) == []
    path.mkdir()
    with pytest.raises(DataError, match="expected saved work"):  # what it did not make is not deleted
        store.found("key")


def test_work_under_the_name_of_other_work_is_refused(tmp_path):
    store = WorkStore(tmp_path, "code")
    store.save("a", {"w": torch.zeros(3)})
    (path,) = tmp_path.iterdir()
    store.save("b", {"w": torch.ones(3)})
    (other,) = set(tmp_path.iterdir()) - {path}
    other.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="another file than was saved under this name"):
        store.load("b")


def test_fingerprints_tell_parts_apart_and_ignore_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint(b"ab", "c"), fingerprint(["ab", "c"])}) == 4

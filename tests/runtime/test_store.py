"""Saved work comes back as it was, under a fingerprint of what determines it."""

import pytest
import torch

from nnrobust.errors import DataError
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


def test_fingerprints_tell_parts_apart_and_ignore_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint(b"ab", "c"), fingerprint(["ab", "c"])}) == 4

"""What is made carries its sha256, and is compared with it when it is read."""

import random
from pathlib import Path

import numpy as np
import pytest

from nnrobust.errors import DataError
from nnrobust.runtime.seals import SEALS, digest_of, load_arrays, save_arrays, seal, unbroken

REMEDY = "run `dvc repro prepare`"


def sealed(folder: Path) -> Path:
    (folder / "a.npy").write_bytes(bytes(range(200)))
    (folder / "b.txt").write_text("cat\ndog\n")
    seal(folder)
    return folder


def test_a_sealed_folder_is_unbroken_and_gives_the_hash_of_each_file(tmp_path):
    hashes = unbroken(sealed(tmp_path), REMEDY)
    assert sorted(hashes) == ["a.npy", "b.txt"]
    assert hashes["b.txt"] == "f641fdcd8af73b2f6334ab63c13d2eb857cd16f2aa4ea0ba20ba0eb9627918b5"


def test_sealing_again_takes_in_what_has_come(tmp_path):
    sealed(tmp_path)
    (tmp_path / "c.csv").write_text("x\n1\n")
    seal(tmp_path)
    assert sorted(unbroken(tmp_path, REMEDY)) == ["a.npy", "b.txt", "c.csv"]


@pytest.mark.parametrize("name", ["a.npy", "b.txt", SEALS])
def test_a_flipped_bit_in_any_file_is_an_error_that_names_what_to_run(tmp_path, name):
    generator = random.Random(0)
    whole = (sealed(tmp_path) / name).read_bytes()
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        (tmp_path / name).write_bytes(bytes(damaged))
        with pytest.raises(DataError, match=REMEDY):
            unbroken(tmp_path, REMEDY)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[1]", b"null", b"{", b"[" * 100_000, b'{"a.npy": 1}', b'{"\xff": ""}']
)
def test_a_list_of_hashes_that_is_none_is_refused(tmp_path, content):
    (sealed(tmp_path) / SEALS).write_bytes(content)
    with pytest.raises(DataError, match=REMEDY):
        unbroken(tmp_path, REMEDY)


def test_a_missing_file_and_a_folder_that_was_never_sealed_are_refused(tmp_path):
    with pytest.raises(DataError, match=f"{SEALS}.*{REMEDY}"):
        unbroken(tmp_path, REMEDY)
    (sealed(tmp_path) / "a.npy").unlink()
    with pytest.raises(DataError, match=rf"a\.npy.*{REMEDY}"):
        unbroken(tmp_path, REMEDY)


ARRAYS = {"x": np.arange(50.0).reshape(5, 10), "names": np.array(["cat", "dog"]), "n": np.array(3)}


def test_arrays_come_back_as_they_were(tmp_path):
    save_arrays(tmp_path / "a.npz", ARRAYS)
    found = load_arrays(tmp_path / "a.npz", REMEDY)
    assert digest_of(found) == digest_of(ARRAYS)
    assert all(
        np.array_equal(found[name], value) and found[name].dtype == value.dtype for name, value in ARRAYS.items()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"x": ARRAYS["x"].T.copy()},
        {"x": ARRAYS["x"].astype(np.float32)},
        {"x": np.nextafter(ARRAYS["x"], 9)},
        {"names": np.array(["cat", "dot"])},
        {"more": np.zeros(1)},
    ],
    ids=["shape", "type", "last bit", "text", "another array"],
)
def test_the_digest_tells_other_arrays(change):
    assert digest_of(ARRAYS | change) != digest_of(ARRAYS)


def test_arrays_with_a_flipped_bit_are_read_as_they_were_or_refused(tmp_path):
    path, generator = tmp_path / "a.npz", random.Random(1)
    save_arrays(path, ARRAYS)
    whole, n_refused = path.read_bytes(), 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            assert digest_of(load_arrays(path, REMEDY)) == digest_of(ARRAYS)
        except DataError:
            n_refused += 1
    assert n_refused > 50


def test_arrays_that_were_saved_without_their_hash_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with pytest.raises(DataError, match=f"a.npz: expected arrays as they were written.*{REMEDY}"):
        load_arrays(tmp_path / "a.npz", REMEDY)

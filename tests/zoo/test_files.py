"""What a file has to look like, and the lock file."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from made.project import ROOT
from made.zoo import QUOTA_PAGE, SMALL, write_tiny
from nnrobust.errors import FetchError
from nnrobust.zoo.files import Fingerprint, check_hash, check_look, fingerprint, record, recorded
from nnrobust.zoo.models import find, newer, roster

FILE = f"{SMALL}.pt"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (QUOTA_PAGE, "expected a checkpoint, got an HTML page"),
        (b"\n\n<HTML>Virus scan warning" + b" " * 2_000_000, "got an HTML page"),
        (b"", "expected a checkpoint of at least 1,000,000 bytes, got 0: an empty"),
        (b"PK\x03\x04" + b"\0" * 1000, "at least 1,000,000 bytes, got 1,004"),
        (b"GIF89a" + b"\0" * 2_000_000, "expected a PyTorch file .zip or legacy., got one that starts with b'GIF89a"),
        (b"\x80\x02}q\x00." + b"\0" * 2_000_000, "expected a PyTorch file .zip or legacy."),
        (b"PK\x03\x04" + b"\0" * 2_000_000, "expected a whole zip file, got one that is cut off"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_refused_before_it_is_unpickled(tmp_path, content, expected):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(FetchError, match=f"{SMALL}: {FILE}: .*{expected}.*; get it elsewhere, place it as {FILE}"):
        check_look(find(SMALL), FILE, tmp_path / FILE)


@pytest.mark.parametrize("is_legacy", [False, True])
def test_both_formats_of_pytorch_files_look_right(tmp_path, is_legacy):
    write_tiny(tmp_path / FILE, is_legacy=is_legacy)
    check_look(find(SMALL), FILE, tmp_path / FILE)


def test_a_zip_that_is_damaged_inside_is_refused_without_any_hash(tmp_path):
    content = bytearray(write_tiny(tmp_path / FILE))
    content[1_000_000:1_004_096] = bytes(4096)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(
        FetchError, match="expected a whole zip file, got one whose part .* is damaged .its CRC-32 differs."
    ):
        check_look(find(SMALL), FILE, tmp_path / FILE)


def repacked(path, compression):
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def with_flag(path):
    """The zip with the flag of encryption on its first part."""
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))


def one_part(path):
    """A zip of one part of random bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", np.random.default_rng(0).bytes(1_500_000))


def test_a_compressed_or_encrypted_zip_is_refused_and_not_unpacked(tmp_path):
    write_tiny(tmp_path / FILE)
    repacked(tmp_path / FILE, zipfile.ZIP_DEFLATED)
    with pytest.raises(
        FetchError, match="expected a zip of parts stored as they are, as PyTorch writes it, got '.*' compressed"
    ):
        check_look(find(SMALL), FILE, tmp_path / FILE)
    one_part(tmp_path / FILE)
    with_flag(tmp_path / FILE)
    with pytest.raises(FetchError, match="expected a whole zip file, got one that cannot be read .*encrypted"):
        check_look(find(SMALL), FILE, tmp_path / FILE)


def test_a_fingerprint_is_sha256_and_size(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert fingerprint(tmp_path / "file") == Fingerprint(digest, 3)


def test_a_recorded_hash_is_compared_ever_after(tmp_path):
    path, lock = tmp_path / FILE, tmp_path / "zoo.lock.json"
    write_tiny(path, seed=0)
    seen = check_hash(find(SMALL), FILE, path, lock)
    assert not lock.exists()
    record(find(SMALL), FILE, seen, lock)
    assert recorded(lock) == {FILE: seen}
    assert check_hash(find(SMALL), FILE, path, lock) == seen
    write_tiny(path, seed=1)
    got = fingerprint(path)
    expected = (
        f"{SMALL}: {FILE}: expected sha256 {seen.sha256}, .* bytes, as {lock} recorded .*, got sha256 {got.sha256}, .* bytes; "
        f"get it elsewhere, .*; if it was changed on purpose, delete its entry from {lock}"
    )
    with pytest.raises(FetchError, match=expected):
        check_hash(find(SMALL), FILE, path, lock)
    with pytest.raises(FetchError, match=expected):
        record(find(SMALL), FILE, got, lock)
    assert recorded(lock) == {FILE: seen}


@pytest.mark.parametrize(
    "text",
    [
        *("<<<<<<< HEAD", "[]", '{"a.pt": {"sha256": "0"}}', '{"a.pt": "0"}', "null", "5", "\0", "[" * 100_000),
        *('{"a.pt": {"sha256": null, "bytes": null}}', '{"a.pt": {"sha256": "0", "bytes": "1"}}'),
        *('{"a.pt": {"sha256": 5, "bytes": 1}}', '{"a.pt": {"sha256": "0", "bytes": true}}'),
    ],
)
def test_a_malformed_lock_file_is_an_error_that_says_what_to_do(tmp_path, text):
    lock = tmp_path / "zoo.lock.json"
    lock.write_text(text)
    with pytest.raises(
        FetchError, match=f"{lock}: expected JSON of .*; restore it from git, or mend the merge conflict"
    ):
        recorded(lock)


def test_a_folder_in_the_place_of_the_lock_file_is_an_error_that_says_so(tmp_path):
    with pytest.raises(FetchError, match="expected JSON of .*Is a directory"):
        recorded(tmp_path)


@pytest.mark.slow
def test_processes_that_record_at_the_same_time_lose_no_entry(tmp_path):
    code = (
        "import sys; from pathlib import Path; from nnrobust.zoo.models import find; from nnrobust.zoo.files import Fingerprint, record\n"
        f"for i in range(40): record(find({SMALL!r}), f'{{sys.argv[2]}}_{{i}}.pt', Fingerprint('0', i), Path(sys.argv[1]))"
    )
    lock = tmp_path / "zoo.lock.json"
    running = [subprocess.Popen([sys.executable, "-c", code, lock, name], cwd=ROOT) for name in ("a", "b", "c")]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert sorted(recorded(lock)) == sorted(f"{name}_{i}.pt" for name in ("a", "b", "c") for i in range(40))
    assert [path.name for path in tmp_path.iterdir()] == ["zoo.lock.json"]


def test_the_committed_lock_file_has_files_of_the_zoo_as_they_were_seen():
    text = (ROOT / "models" / "zoo.lock.json").read_text()
    entries = recorded(ROOT / "models" / "zoo.lock.json")
    assert set(entries) <= {name for model in (roster() | newer()).values() for name in model.file_names}
    assert entries["Ding2020MMA.pt"] == Fingerprint(
        "44b6d6786057b9eb2c84be8d300856514380990e9fcd7c76ba22fba4f7c74850", 23_449_149
    )
    assert len(entries) >= 5
    assert all(len(entry.sha256) == 64 for entry in entries.values())
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    ignored = subprocess.run(["git", "check-ignore", "-q", "models/zoo.lock.json"], cwd=ROOT, check=False)
    assert ignored.returncode != 0

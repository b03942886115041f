"""Whether a file may be taken for a checkpoint: its look before anything is unpickled, and its hash against a lock file."""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nnrobust.errors import FetchError
from nnrobust.runtime.outputs import sha256_of, write_json
from nnrobust.zoo.models import ZooModel

SMALLEST = 1_000_000
"""Bytes below which no file can be a checkpoint: the smallest real one has 23 MB, Google Drive's error pages have 2.4 kB."""
ZIP = b"PK\x03\x04"
LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
"""The number 0x1950a86a20f9469cfc6c as pickle writes it, with which a PyTorch file of before version 1.6 begins."""
HEAD = 512
BLOCK = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """What is known of a file's content: hex digest and size."""

    sha256: str
    bytes: int

    def __str__(self) -> str:
        return f"sha256 {self.sha256}, {self.bytes:,} bytes"


def remedy(file_name: str) -> str:
    """What to do about a file that cannot be had or used."""
    return f"get it elsewhere, place it as {file_name} in a folder, and name that folder in zoo.local_dir"


def check_look(model: ZooModel, file_name: str, path: Path) -> None:
    """Looks at the size and the first bytes of `path`, and at the structure of a zip; unpickles nothing.

    Raises:
        FetchError: when it is an HTML page, too small, no PyTorch file, or a zip that is cut off, damaged, encrypted or
            compressed, as PyTorch's are not: a small one could take any memory.
    """

    def refuse(expected: str, got: str) -> FetchError:
        return FetchError(f"{model.name}: {file_name}: expected {expected}, got {got}; {remedy(file_name)}")

    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if b"<html" in head.lower() or b"<!doctype" in head.lower():
        raise refuse("a checkpoint", "an HTML page (Google Drive's quota or permission page?)")
    if size < SMALLEST:
        raise refuse(f"a checkpoint of at least {SMALLEST:,} bytes", f"{size:,}: an empty, cut off or foreign file")
    if head.startswith(ZIP):
        try:
            with zipfile.ZipFile(path) as archive:
                packed = [part.filename for part in archive.infolist() if part.compress_type != zipfile.ZIP_STORED]
                if packed:
                    raise refuse("a zip of parts stored as they are, as PyTorch writes it", f"{packed[0]!a} compressed")
                damaged = archive.testzip()
        except zipfile.BadZipFile as error:
            raise refuse("a whole zip file", f"one that is cut off ({error})") from error
        except (RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
            raise refuse("a whole zip file", f"one that cannot be read ({error})") from error
        if damaged is not None:
            raise refuse("a whole zip file", f"one whose part {damaged} is damaged (its CRC-32 differs)")
    elif LEGACY not in head[:32]:
        raise refuse("a PyTorch file (zip or legacy)", f"one that starts with {head[:8]!r}")


def fingerprint(path: Path) -> Fingerprint:
    """Hash and size of the file at `path`."""
    return Fingerprint(sha256_of(path), path.stat().st_size)


def recorded(lock: Path) -> dict[str, Fingerprint]:
    """The fingerprints in the lock file, by file name; none when there is no lock file yet.

    Raises:
        FetchError: when the lock file is malformed.
    """
    if not lock.exists():
        return {}
    try:
        entries = {name: Fingerprint(**entry) for name, entry in json.loads(lock.read_text(encoding="utf-8")).items()}
        for name, entry in entries.items():
            if type(entry.sha256) is not str or type(entry.bytes) is not int:
                raise TypeError(f"{name}: sha256 {entry.sha256!r}, bytes {entry.bytes!r}")
        return entries
    except (ValueError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise FetchError(
            f"{lock}: expected JSON of {{file name: {{sha256, bytes}}}}, got something else ({error}); "
            "restore it from git, or mend the merge conflict in it"
        ) from error


def check_hash(model: ZooModel, file_name: str, path: Path, lock: Path) -> Fingerprint:
    """The fingerprint of `path`, which is that in the lock file, where that has one of this name.

    Raises:
        FetchError: when they differ, or the lock file is malformed.
    """
    got, expected = fingerprint(path), recorded(lock).get(file_name)
    if expected is not None and got != expected:
        raise _differs(model, file_name, expected, got, lock)
    return got


def record(model: ZooModel, file_name: str, seen: Fingerprint, lock: Path) -> None:
    """Adds a file that has passed every check to the lock file; other processes may add theirs at the same time.

    Raises:
        FetchError: when the lock file has another content under that name, or is malformed.
    """
    with _held(lock.parent):
        entries = recorded(lock)
        known = entries.setdefault(file_name, seen)
        if known != seen:
            raise _differs(model, file_name, known, seen, lock)
        write_json(lock, {name: asdict(entry) for name, entry in entries.items()})


def _differs(model: ZooModel, file_name: str, expected: Fingerprint, got: Fingerprint, lock: Path) -> FetchError:
    return FetchError(
        f"{model.name}: {file_name}: expected {expected}, as {lock} recorded when it was first seen, got {got}; "
        f"{remedy(file_name)}; if it was changed on purpose, delete its entry from {lock}"
    )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keeps other processes that ask for the same out while the block runs; the system lets go when a process dies."""
    import fcntl  # here: Windows has none, and reads files without it

    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

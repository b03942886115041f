"""Outputs that appear whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from nnrobust.errors import DiskError, NnrobustError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SAYS_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|os error 28|requested and \d+ written"
)
"""What libraries say that pass the number of the error on in words alone; the last is NumPy's."""


@contextmanager
def finished_file(path: Path | str) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes the place of `path` only when the block ends without an error.

    One process at a time makes a file: what a killed one left unfinished is removed first.

    Raises:
        DiskError: when there is no room.
    """
    path = Path(path)
    with room(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path, path.suffix)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def finished_folder(path: Path | str) -> Iterator[Path]:
    """Gives a temporary folder beside `path`, which takes the place of `path` only when the block ends without an error.

    Raises:
        DiskError: when there is no room.
    """
    path = Path(path)
    with room(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path, "")
        name = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            yield Path(name)
            os.chmod(name, 0o755)
            if path.is_symlink() or path.is_file():
                path.unlink()  # a link goes, and what is behind it stays
            elif path.exists():
                shutil.rmtree(path)
            os.replace(name, path)
        finally:
            shutil.rmtree(name, ignore_errors=True)


def _sweep(path: Path, suffix: str) -> None:
    """Removes what a killed process left unfinished of `path`, by the names that `tempfile` gives."""
    mine = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}{re.escape(suffix)}")
    for stray in path.parent.iterdir():
        if not mine.fullmatch(stray.name):
            continue
        if stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray, ignore_errors=True)
        else:
            stray.unlink(missing_ok=True)


@contextmanager
def room(task: str) -> Iterator[None]:
    """Turns the errors of a full disk, of whatever library, into one; `task` is what there was no room for.

    Raises:
        DiskError: where the block ends with one.
    """
    try:
        yield
    except NnrobustError:
        raise
    except Exception as error:
        if not _is_full(error):
            raise
        cause = " ".join(str(error).split())[:200]
        raise DiskError(
            f"expected room on the disk to {task}, got {cause}; make room and run it again: it goes on where it was"
        ) from error


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is no room for a file: no space, a quota, a limit."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL or _SAYS_FULL.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def sha256_of(path: Path | str) -> str:
    """The hex digest of a file's content, read block by block."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path | str, value: object) -> None:
    """Writes `value` as sorted, indented JSON, whole or not at all."""
    with finished_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path | str, table: pd.DataFrame) -> None:
    """Writes a table without its index, whole or not at all."""
    with finished_file(path) as temporary:
        table.to_csv(temporary, index=False)

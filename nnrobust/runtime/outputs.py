"""Outputs that appear whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


@contextmanager
def finished_file(path: Path | str) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes the place of `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
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
    """Gives a temporary folder beside `path`, which takes the place of `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
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

"""The sha256 of what is made, beside it in a folder or inside a file of arrays, and compared when it is read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.runtime.outputs import finished_file, sha256_of, write_json

SEALS = "sha256.json"
"""The file of a folder that has the hashes of the others."""
_DIGEST = "sha256"
"""The name, among the arrays of a file, of their digest."""


def seal(folder: Path) -> None:
    """Writes the sha256 of each file in `folder` to `SEALS` there."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SEALS)
    write_json(folder / SEALS, {path.name: sha256_of(path) for path in files})


def unbroken(folder: Path, remedy: str) -> dict[str, str]:
    """The sha256 of each file that was in `folder` when it was sealed, all of which are there as they were then.

    Raises:
        DataError: naming the file that is missing or has other bytes, and the remedy.
    """
    try:
        hashes: dict[str, str] = dict(json.loads((folder / SEALS).read_text(encoding="utf-8")).items())
        found = {name: sha256_of(folder / name) for name in hashes}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder}: expected files with their sha256 in {SEALS}, got {error}; {remedy}") from error
    for name, expected in hashes.items():
        if found[name] != expected:
            raise DataError(
                f"{folder / name}: expected the sha256 {expected} that was written with it, got {found[name]}: the file was "
                f"changed or damaged; delete {folder} and {remedy}"
            )
    return hashes


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256 over names, types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays and their digest as one .npz file, whole or not at all."""
    content: dict[str, Any] = {**arrays, _DIGEST: np.array(digest_of(arrays))}
    with finished_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def load_arrays(path: Path | str, remedy: str) -> dict[str, np.ndarray]:
    """What `save_arrays` wrote.

    Raises:
        DataError: when the file is missing or damaged, holds objects, or has other arrays than were written.
    """
    try:
        # Opened here, as NumPy leaves a file open that is no archive.
        with Path(path).open("rb") as file, np.load(file) as stored:
            arrays = dict(stored)
        expected, got = str(arrays.pop(_DIGEST, "")), digest_of(arrays)
        if got != expected:
            raise ValueError(f"the sha256 {got} where {expected or 'one'} was written with them")
    except Exception as error:  # of many kinds, for bytes that are no archive of arrays any more
        cause = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: expected arrays as they were written, got {cause[:200]}; {remedy}") from error
    return arrays

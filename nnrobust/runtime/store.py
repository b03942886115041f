"""Work that is done, and work that is under way, kept outside DVC's outputs: a killed stage goes on where it was."""

import hashlib
import io
import json
import pickle
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnrobust.errors import DataError, DataWarning
from nnrobust.runtime.outputs import finished_file


@dataclass(frozen=True)
class WorkStore:
    """Files in `folder`, each under the fingerprint of all that determines what it holds.

    `code` is the fingerprint of the code that makes them. What is no longer asked for stays until the folder is deleted.
    """

    folder: Path
    code: str

    @classmethod
    def of_loaded_code(cls, folder: Path | str) -> "WorkStore":
        """A store for what the library files loaded by now make; `nnrobust.config` makes nothing but values."""
        files = sorted(
            module.__file__
            for name, module in sys.modules.items()
            if name.startswith("nnrobust.") and not name.startswith("nnrobust.config") and module.__file__
        )
        digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
        return cls(Path(folder), fingerprint(torch.__version__, *digests))

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def load(self, key: str) -> dict[str, Any] | None:
        """What was saved under this fingerprint; None when nothing was.

        Raises:
            DataError: when the file cannot be read, or is not what was saved under it, to the bit.
        """
        path = self._path(key)
        return _read(path) if path.exists() else None

    def contents(self) -> Iterator[dict[str, Any]]:
        """All that was saved in the folder, whatever code made it.

        Raises:
            DataError: when a file cannot be read, or is not what was saved under its name, to the bit.
        """
        for path in sorted(self.folder.glob("*.pt")):
            yield _read(path)

    def found(self, key: str) -> dict[str, Any] | None:
        """What `load` gives; a damaged file is deleted, and its work is to be done again, as if it had not been there.

        Warns:
            DataWarning: naming that file.
        """
        try:
            return self.load(key)
        except DataError as error:
            path = self._path(key)
            if not path.is_file():
                raise
            path.unlink()
            warnings.warn(
                f"{path}: was damaged ({error.__cause__}), and is deleted; its work is done again",
                DataWarning, stacklevel=2,
            )  # fmt: skip
            return None

    def save(self, key: str, content: dict[str, Any]) -> None:
        """Keeps tensors, numbers and texts in dictionaries and lists, whole or not at all."""
        stream = io.BytesIO()
        torch.save(content, stream)
        path, body = self._path(key), stream.getvalue()
        with finished_file(path) as temporary:
            temporary.write_bytes(_head(path, body) + b"\n" + body)

    def drop(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{fingerprint(self.code, key)}.pt"


def _read(path: Path) -> dict[str, Any]:
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        if head != _head(path, body):
            raise ValueError("another file than was saved under this name, or one with changed bytes")
        content: dict[str, Any] = torch.load(io.BytesIO(body), weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: expected saved work, got {error}; delete the file to do that work again") from error
    return content


def _head(path: Path, body: bytes) -> bytes:
    """The first line of a file: its name and the sha256 of the rest."""
    return f"{path.stem} {hashlib.sha256(body).hexdigest()}".encode()


class NoStore:
    """A store that keeps nothing."""

    code = ""

    def has(self, key: str) -> bool:
        return False

    def found(self, key: str) -> None:
        return None

    def save(self, key: str, content: dict[str, Any]) -> None:
        return None

    def drop(self, key: str) -> None:
        return None


def fingerprint(*parts: object) -> str:
    """A short hash of parts that JSON can write; bytes are hashed as they are."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]

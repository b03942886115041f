"""The journal of a search on disk, each line with its hash."""

import hashlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

_SHA256 = "sha256"


class HashedJournal(JournalFileBackend):
    """Optuna's file of one JSON object a line, each with the sha256 of what else is in it.

    A last line that a kill or a full disk cut off is removed: what is added would else be no line of its own.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Alone(str(path)))
        content = path.read_bytes()
        *whole, last = content.splitlines(keepends=True) or [b""]
        try:
            is_cut = last != b"" and not (last.endswith(b"\n") and json.loads(last))
        except ValueError:
            is_cut = True
        if is_cut:
            os.truncate(path, sum(map(len, whole)))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds lines."""
        super().append_logs([{**log, _SHA256: _sha256(log)} for log in logs])

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The lines from a number on.

        Raises:
            ValueError: when a line is another than was added.
        """
        for log in super().read_logs(log_number_from):
            written = log.pop(_SHA256, None) if isinstance(log, dict) else None
            if written is None or written != _sha256(log):
                raise ValueError("a line is another than was written")
            yield log


class _Alone(JournalFileOpenLock):
    """No lock: one process searches at a time, and one that is killed leaves none to wait for."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def _sha256(log: dict[str, Any]) -> str:
    content = json.loads(json.dumps(log))  # keys that are numbers become texts
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

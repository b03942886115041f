"""Processes of this machine, as /proc has them."""

import time
from pathlib import Path


def state_of(pid: int) -> tuple[str, int]:
    """The state of a process, Z where it has ended, and its parent's id."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return "Z", 0
    return state, int(parent)


def children_of(parent: int) -> list[int]:
    """The processes that a process started."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if state_of(pid)[1] == parent]


def end_of(*pids: int) -> bool:
    """Whether all of these processes are gone soon."""
    deadline = time.monotonic() + 10
    while any(state_of(pid)[0] != "Z" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

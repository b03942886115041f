"""How a stage's process starts and ends: `python -m nnrobust.process SCRIPT ...` runs a script that dies with its parent."""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable

from nnrobust.errors import NnrobustError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ends this process when the one that started it ends, so that a killed `dvc repro` leaves no writer behind.

    Linux sends SIGKILL (prctl PR_SET_PDEATHSIG); elsewhere a thread looks for a new parent twice a second.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            os._exit(1)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_stage(main: Callable[[], None]) -> None:
    """Runs a stage's `main`; an error of ours is one message and exit status 1."""
    try:
        main()
    except NnrobustError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    # Before the script's own imports, which take seconds in which dvc may be killed.
    die_with_parent()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")

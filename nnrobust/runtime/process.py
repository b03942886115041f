"""How a stage's process starts and ends."""

import atexit
import ctypes
import os
import resource
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from nnrobust.errors import NnrobustError, ParamError

COSTS = Path(".work/stages")
"""Where the cost of each stage's last run is kept, below the folder of the workflow."""
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ends this process when process `parent`, which started it, has ended, so that a killed `dvc repro` leaves no writer behind.

    Linux sends SIGKILL (prctl PR_SET_PDEATHSIG); elsewhere a thread looks for a new parent twice a second.
    """

    def leave_if_orphaned() -> None:
        if os.getppid() != parent:
            os._exit(1)

    def watch() -> None:
        while True:
            leave_if_orphaned()
            time.sleep(0.5)

    if sys.platform == "linux":
        # A shell whose dvc was killed while it started has init as its parent; only in a container may that be dvc itself.
        if parent == 1 and b"python" not in Path("/proc/1/cmdline").read_bytes():
            os._exit(1)
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        leave_if_orphaned()
    else:
        threading.Thread(target=watch, daemon=True).start()


def run_stage(main: Callable[[], Mapping[str, object] | None]) -> None:
    """Runs a stage's `main`; an error of ours, a full disk or Ctrl-C is one message, and exit status 1 or 130.

    Under `dvc repro`, which names the stage in DVC_STAGE, its seconds, its peak memory and what `main` returns go to
    `.work/stages/`, for the report: what differs from run to run is no output of a stage.
    """
    from nnrobust.runtime.outputs import room, write_json  # here: pandas behind it would delay die_with_parent

    start = time.perf_counter()
    with one_sentence(), room("go on"):
        more = main() or {}
        if "DVC_STAGE" in os.environ:
            name = os.environ["DVC_STAGE"].rpartition(":")[2]  # from a folder below, dvc says ../dvc.yaml:train@S
            path = Path(os.environ["DVC_ROOT"]) / COSTS / f"{name.replace('@', ' ')}.json"
            seconds = round(time.perf_counter() - start, 1)
            write_json(path, {"seconds": seconds, "peak_memory_gb": _peak_memory_gb(), **more})


@contextmanager
def one_sentence() -> Iterator[None]:
    """Ends the process with one message after an error of ours, or Ctrl-C."""
    try:
        yield
    except NnrobustError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted: no output is half written; run it again, and it goes on where it was", file=sys.stderr)
        sys.exit(130)


def stage_item() -> str:
    """What this process's stage is of: `T_R` in `train@T_R`, as DVC says in DVC_STAGE; by hand, the script's one argument.

    So no name from params is part of a command, where a shell would read it.

    Raises:
        ParamError: when neither names one.
    """
    if len(sys.argv) == 2:
        return sys.argv[1]
    _, at, item = os.environ.get("DVC_STAGE", "").partition("@")
    if not at:
        raise ParamError(f"expected `dvc repro STAGE@NAME`, or `python {sys.argv[0]} NAME`, got no name; give one")
    return item


def _peak_memory_gb() -> float:
    """Of this process so far; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)


def run_script(arguments: list[str]) -> None:
    """Runs a script with its arguments as the main one; an error of ours or Ctrl-C is one message, and exit status 1 or 130."""
    sys.argv = arguments
    with one_sentence():
        runpy.run_path(arguments[0], run_name="__main__")


def run_and_leave(arguments: list[str]) -> NoReturn:
    """Runs a script and ends this process with what ends an interpreter, threads joined and exit functions called, but without
    taking every object apart: with libraries loaded that alone takes a second."""
    status: Any = 0
    try:
        run_script(arguments)
    except SystemExit as end:
        status = end.code
    except BaseException:  # as the interpreter would: this is the last frame
        sys.excepthook(*sys.exc_info())
        status = 1
    if not isinstance(status, int | None):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)

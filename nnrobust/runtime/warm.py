"""A process with the libraries loaded, from which stages are forked: `python -m nnrobust.runtime.warm DVC SOCKET`.

Most of a short stage's seconds are those of its imports. The first stage of a `dvc repro` starts that process; it ends with dvc.
It holds libraries alone: each stage reads the project's own code anew. It is one thread, has one stage at a time, as dvc has, and
serves its own user only.
"""

import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nnrobust.errors import NnrobustError
from nnrobust.runtime.process import die_with_parent, run_and_leave

LIBRARIES = (
    "dvclive.live", "faiss", "pandas", "pyarrow.parquet", "pyautoattack", "pydantic", "ruamel.yaml", "safetensors.torch",
    "scipy.optimize", "sklearn.base", "torch", "yaml",
)  # fmt: skip
"""What the starts of stages are spent on; one that is not installed is left to the stage that needs it."""
_NUMBER = struct.Struct("!Q")
_PEER = struct.Struct("3i")


def is_possible() -> bool:
    """Whether this is a stage of dvc's, on a Linux that tells one process when another ends."""
    if "DVC_STAGE" not in os.environ or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getppid()))
    except OSError:
        return False
    return True


def exit_status(dvc: int, arguments: Sequence[str]) -> int:
    """Runs a script in a fork, with this process's folder, environment and streams, and waits. Ctrl-C reaches the fork by itself.

    Args:
        dvc: process id of the `dvc repro` whose stage this is.
        arguments: the script and what follows it.

    Returns:
        The script's exit status; 128 and the number of the signal that ended it.

    Raises:
        NnrobustError: when the process with the libraries was killed.
    """
    is_interruptible = signal.signal(signal.SIGINT, signal.SIG_IGN) is not signal.SIG_IGN
    asked = {
        "arguments": [*arguments],
        "folder": os.getcwd(),
        "environment": {**os.environ},
        "interrupt": is_interruptible,
    }
    request = json.dumps(asked).encode()
    with _connected(dvc) as server:
        socket.send_fds(server, [_NUMBER.pack(len(request))], [0, 1, 2])
        server.sendall(request)
        status = _received(server, _NUMBER.size)
    if not status:
        raise NnrobustError("expected the process that stages are forked from to go on, got one that was killed, as for want of "
                            "memory; run `dvc repro` again")  # fmt: skip
    return int(_NUMBER.unpack(status)[0])


def _connected(dvc: int) -> socket.socket:
    """A connection to dvc's process with the libraries, which is started where there is none yet."""
    address = f"\0nnrobust {os.stat('/proc/self/ns/pid').st_ino} {os.getuid()} {dvc}"
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(address)
    except ConnectionRefusedError:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listening.listen()
            command = [sys.executable, "-m", "nnrobust.runtime.warm", str(dvc), str(listening.fileno())]
            none = subprocess.DEVNULL
            subprocess.Popen(command, pass_fds=[listening.fileno()], stdin=none, stdout=none, stderr=none)
        server.connect(address)
    user = _user_of(server)
    if user != os.getuid():
        raise NnrobustError(
            f"expected a process of user {os.getuid()} at the other end, got one of user {user}; run `dvc repro` again"
        )
    return server


def _user_of(connection: socket.socket) -> int:
    """The user of the process at the other end."""
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(user)


def _received(connection: socket.socket, n_bytes: int) -> bytes:
    """So many bytes; none when the other end has gone."""
    with connection.makefile("rb", buffering=0) as stream:
        content = b""
        while len(content) < n_bytes:
            part = stream.read(n_bytes - len(content))
            if not part:
                return b""
            content += part
    return content


def serve(dvc: int, listening: socket.socket) -> list[str]:
    """Loads the libraries, and forks a stage for each caller, until dvc has ended. Returns in the forks, their arguments."""
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    server, ended = os.getpid(), os.pidfd_open(dvc)
    while ended not in _ready(listening, ended):
        with listening.accept()[0] as caller:
            if _user_of(caller) != os.getuid():
                continue
            head, streams, _, _ = socket.recv_fds(caller, _NUMBER.size, 3)
            request = _received(caller, *_NUMBER.unpack(head)) if head else b""
            if request:
                stage = os.fork()
                if not stage:
                    die_with_parent(server)
                    os.close(ended)
                    listening.close()
                    return _begun(json.loads(request), streams)
                status = _waited(stage, caller, ended)
                with suppress(BrokenPipeError):
                    caller.sendall(_NUMBER.pack(status))
            for stream in streams:
                os.close(stream)
    sys.exit()


def _ready(*sources: socket.socket | int) -> list[socket.socket | int]:
    """Those that have something to say, once one has."""
    found: list[socket.socket | int] = select.select(list[Any](sources), [], [])[0]
    return found


def _begun(asked: dict[str, Any], streams: list[int]) -> list[str]:
    """The arguments, after this fork has become what its caller asked for."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler if asked["interrupt"] else signal.SIG_IGN)
    for name in [name for name in sys.modules if name.partition(".")[0] == "nnrobust"]:
        del sys.modules[name]
    return list(asked["arguments"])


def _waited(stage: int, caller: socket.socket, ended: int) -> int:
    """The exit status of a stage, which is killed when its caller or dvc has gone."""
    done = os.pidfd_open(stage)
    if done not in _ready(done, caller, ended):
        os.kill(stage, signal.SIGKILL)
    os.close(done)
    code = os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    run_and_leave(serve(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))

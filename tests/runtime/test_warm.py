"""Stages forked from a process that has the libraries, under a stand-in for dvc."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nnrobust
from made.processes import children_of, end_of
from nnrobust.runtime.kernels import PINNED
from nnrobust.runtime.warm import is_possible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system does not tell one process when another ends"),
]
DVC = """
import os, subprocess, sys
for line in sys.stdin:
    script, *rest = line.split()
    command = [sys.executable, "-m", "nnrobust.runtime", str(os.getpid()), script]
    environment = os.environ | {"DVC_STAGE": "dvc.yaml:stage@" + "".join(rest)}
    print("exit", subprocess.run(command, env=environment).returncode, flush=True)
"""
"""Runs the script that each line names, as dvc runs a stage."""


class Dvc:
    """A process that runs stages in a folder with a copy of the library's code."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(
            Path(nnrobust.__file__).parent, folder / "nnrobust", ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / "params.yaml").write_text("compute: {reproducible: true}")
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", *PINNED}}
        command = [sys.executable, "-c", DVC]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, start_new_session=True, **pipes
        )
        self.folder = folder

    def start(self, script: str) -> None:
        (self.folder / "stage.py").write_text(script)
        self.process.stdin.write("stage.py T_R\n")
        self.process.stdin.flush()

    def line(self) -> str:
        return self.process.stdout.readline().strip()

    def run(self, script: str) -> list[str]:
        """What a stage prints, and its exit status."""
        self.start(script)
        lines = [self.line()]
        while not lines[-1].startswith("exit"):
            lines.append(self.line())
        return lines

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def dvc(tmp_path):
    running = Dvc(tmp_path)
    yield running
    running.kill()


ABOUT = """
import json, os, sys
loaded = [name for name in ("torch", "nnrobust.errors", "nnrobust.runtime.warm") if name in sys.modules]
from nnrobust.runtime.process import stage_item
import nnrobust.errors
print(json.dumps({"loaded": loaded, "item": stage_item(), "folder": os.getcwd(), "kernels": os.environ["ATEN_CPU_CAPABILITY"],
    "main": __name__, "arguments": sys.argv, "is_ours": nnrobust.errors.__file__.startswith(os.getcwd()), "parent": os.getppid()}))
"""


def test_a_stage_is_run_as_by_itself_and_has_its_libraries_already(dvc):
    about, status = dvc.run(ABOUT)
    found = json.loads(about)
    server = found.pop("parent")
    assert status == "exit 0"
    assert found == {"loaded": ["torch"], "item": "T_R", "folder": str(dvc.folder), "kernels": "avx2", "main": "__main__",
                     "arguments": ["stage.py"], "is_ours": True}  # fmt: skip

    # Another one comes from the same process, with code that has changed since; how it ends is how its caller ends.
    with open(dvc.folder / "nnrobust" / "errors.py", "a") as stream:
        stream.write("NEW = 'new code'\n")
    script = "import os, sys\nfrom nnrobust.errors import NEW\nprint(NEW, os.getppid(), flush=True)\n"
    assert dvc.run(script + "sys.exit(3)") == [f"new code {server}", "exit 3"]
    assert dvc.run(script + "raise ValueError") == [f"new code {server}", "exit 1"]
    assert dvc.run(script + "sys.exit('words')") == [f"new code {server}", "exit 1"]
    assert dvc.run(script + "sys.exit()") == [f"new code {server}", "exit 0"]
    assert dvc.run(script + "os.kill(os.getpid(), 9)") == [f"new code {server}", "exit 137"]
    ours = "from nnrobust.errors import DataError\nfrom nnrobust.runtime.process import run_stage\n"
    assert dvc.run(f"{ours}def main(): raise DataError('cat.png: expected a whole image')\nrun_stage(main)") == [
        "exit 1"
    ]

    # All of it ends with dvc.
    dvc.kill()
    assert end_of(server)


def test_a_stage_ends_with_what_ends_an_interpreter(dvc):
    """Its threads are waited for, then what was registered is called, the last first, and what was printed is not lost."""
    script = """
import atexit, threading, time, weakref
class Kept: pass
kept = atexit.kept = Kept()  # it lives as long as the process
weakref.finalize(kept, print, "finalized")
atexit.register(print, "second")
threading.Thread(target=lambda: (time.sleep(0.2), print("first"))).start()
print("main", end=" ")
"""
    assert dvc.run(script) == ["main first", "second", "finalized", "exit 0"]
    assert dvc.run("import sys; sys.stderr.write('a'); sys.exit('words')") == ["exit 1"]
    dvc.kill()


WAIT = "import os, time\nprint(os.getpid(), os.getppid(), flush=True)\ntime.sleep(60)\n"


def test_a_stage_ends_with_its_caller_with_dvc_and_by_an_interrupt(dvc):
    dvc.start(WAIT)
    stage, server = (int(number) for number in dvc.line().split())
    (caller,) = children_of(dvc.process.pid)
    os.kill(caller, signal.SIGKILL)
    assert dvc.line() == "exit -9"
    assert end_of(stage)

    # Ctrl-C reaches all processes of the group; the fork answers it, and the process that it comes from does not.
    dvc.start(WAIT)
    stage, again = (int(number) for number in dvc.line().split())
    for pid in (stage, server):
        os.kill(pid, signal.SIGINT)
    assert dvc.line() == "exit 130"
    assert again == server

    dvc.start(WAIT)
    stage, _ = (int(number) for number in dvc.line().split())
    dvc.process.kill()
    assert end_of(stage, server)
    *_, said, nothing = dvc.process.stderr.read().split("\n")
    assert said == "Interrupted: no output is half written; run it again, and it goes on where it was"
    assert nothing == ""


def test_a_stage_whose_libraries_are_killed_says_so(dvc):
    dvc.start(WAIT)
    stage, server = (int(number) for number in dvc.line().split())
    os.kill(server, signal.SIGKILL)
    assert dvc.line() == "exit 1"
    assert end_of(stage)
    assert dvc.run("print('again')") == ["again", "exit 0"]
    dvc.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_another_user_asks_for_is_passed_over(dvc):
    assert dvc.run("print('first')") == ["first", "exit 0"]
    address = f"nnrobust {os.stat('/proc/self/ns/pid').st_ino} 0 {dvc.process.pid}"
    ask = f"import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + {address!r}); print(s.recv(1))"
    asked = subprocess.run([sys.executable, "-I", "-c", ask], capture_output=True, text=True, check=False)
    assert (asked.stdout, asked.stderr) == ("b''\n", "")
    assert dvc.run("print('second')") == ["second", "exit 0"]


def test_only_dvc_has_such_a_process(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert not is_possible()
    monkeypatch.setenv("DVC_STAGE", "dvc.yaml:train@S")
    assert is_possible()

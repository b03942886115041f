import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from made.processes import end_of, state_of
from nnrobust.errors import DiskError
from nnrobust.runtime.outputs import finished_file, finished_folder, sha256_of, write_json
from nnrobust.runtime.progress import shown, silent


def test_a_file_appears_when_it_is_finished(tmp_path):
    with finished_file(tmp_path / "deep" / "a.csv") as temporary:
        temporary.write_text("half")
        assert not (tmp_path / "deep" / "a.csv").exists()
        temporary.write_text("whole")
    assert (tmp_path / "deep" / "a.csv").read_text() == "whole"
    assert os.listdir(tmp_path / "deep") == ["a.csv"]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(KeyError), finished_file(tmp_path / "a.csv") as temporary:
        temporary.write_text("half")
        raise KeyError
    assert (tmp_path / "a.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_finished(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("")
    with pytest.raises(KeyError), finished_folder(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
        raise KeyError
    assert os.listdir(tmp_path / "out") == ["stale"]
    with finished_folder(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
    assert os.listdir(tmp_path / "out") == ["new"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_in_the_place_of_a_folder_goes_and_what_is_behind_it_stays(tmp_path):
    (tmp_path / "behind").mkdir()
    (tmp_path / "behind" / "file").write_text("mine")
    for target in ("behind", "nowhere"):
        (tmp_path / "link").symlink_to(tmp_path / target)
        with finished_folder(tmp_path / "link") as folder:
            (folder / "new").write_text("x")
        assert [path.name for path in (tmp_path / "link").iterdir()] == ["new"]
        assert (tmp_path / "behind" / "file").read_text() == "mine"
        (tmp_path / "link" / "new").unlink()
        (tmp_path / "link").rmdir()


KILLED = """
import os, sys
from pathlib import Path
from nnrobust.runtime.outputs import finished_file, finished_folder
with finished_folder("out") as folder, finished_file("out.csv") as file, finished_file("out.json") as other:
    (folder / "half").write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_unfinished_is_removed_by_the_next_one_and_nothing_else(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False).returncode == 9
    assert len(os.listdir(tmp_path)) == 3
    kept = [".out.csv", ".out", ".out.backup", ".out.csv.12345678", "out.csv.12345678.csv"]
    for name in kept:
        (tmp_path / name).write_text("mine")
    with finished_folder(tmp_path / "out"), finished_file(tmp_path / "out.csv"):
        assert len(os.listdir(tmp_path)) == 2 + 1 + len(kept)
    assert (
        len([name for name in os.listdir(tmp_path) if name.startswith(".out.json.")]) == 1
    )  # nobody writes that again
    with finished_file(tmp_path / "out.json"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "out", "out.csv", "out.json"])


WRITERS = """
import resource, signal
from pathlib import Path
import faiss, numpy as np, pandas as pd, torch
from made.records import columns
from nnrobust.errors import DiskError
from nnrobust.networks.storage import save_networks
from nnrobust.records import to_frame, write_records
from nnrobust.runtime.outputs import finished_folder, room, write_csv, write_json
from nnrobust.runtime.seals import save_arrays
from nnrobust.runtime.store import WorkStore

def array():
    with finished_folder("array") as folder:
        np.save(folder / "x.npy", np.zeros(9000))

def index():
    made = faiss.IndexFlatL2(90)
    made.add(np.zeros((99, 90), np.float32))
    with finished_folder("index") as folder:
        faiss.write_index(made, str(folder / "0.faiss"))

def journal():
    with room("go on"), open("search.journal", "w") as stream:
        stream.write("x" * 9000)

noise = np.random.default_rng(0).random(9000)
writers = {
    "json": lambda: write_json("out", "x" * 9000),
    "csv": lambda: write_csv("out", pd.DataFrame({"x": range(9000)})),
    "arrays": lambda: save_arrays("out", {"x": noise}),
    "networks": lambda: save_networks({"0-1": {"best": {"w": torch.zeros(9000)}}}, "out"),
    "work": lambda: WorkStore(Path("work"), "").save("k", {"w": torch.zeros(9000)}),
    "records": lambda: write_records([to_frame(columns(900, radius_upper=1 + noise[:900]))], "out"),
    "array": array, "index": index, "journal": journal,
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for name, write in writers.items():
    try:
        write()
        print(name, "written")
    except Exception as error:
        print(name, type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_is_one_sentence_whichever_library_writes_and_no_file_is_left(tmp_path):
    """In a process in which no file may have more than 4 KiB, which libraries meet as they meet a full disk."""
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", WRITERS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 9, done.stdout + done.stderr
    assert [line for line in lines if " DiskError expected room on the disk to " not in line] == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != "search.journal"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="writes to /dev/full")
def test_a_full_disk_is_one_error_that_names_the_output(tmp_path):
    refused = pytest.raises(DiskError, match="expected room on the disk to write .*a.csv, got .*No space left")
    with refused, finished_file(tmp_path / "a.csv"), open("/dev/full", "wb", buffering=0) as stream:
        stream.write(b"x")
    assert os.listdir(tmp_path) == []


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_sorted_and_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text())["b"] == 1


def test_progress_says_what_how_many_and_the_time_left(capsys):
    assert list(silent([1, 2], "train")) == list(shown([1, 2], "train")) == [1, 2]
    assert "train: 2/2, 0 s, 0 s left" in capsys.readouterr().err


PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "nnrobust.runtime", str(os.getpid()), sys.argv[1]], stdout=sys.stdout)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_stage_dies_with_the_process_that_started_it(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text("import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", PARENT, script], stdout=subprocess.PIPE, text=True) as parent:
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        (child,) = (int(line) for line in lines - {"started"})
        assert state_of(child)[0] != "Z"
        parent.send_signal(signal.SIGKILL)
        assert end_of(child)


def test_an_error_of_ours_is_one_message_and_exit_status_1():
    script = "from nnrobust.runtime.process import run_stage\nfrom nnrobust.errors import DataError\n"
    script += "def main(): raise DataError('cat.png: expected a whole image')\nrun_stage(main)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "DataError: cat.png: expected a whole image\n"


@pytest.mark.parametrize("where", ["main", "import"])
def test_an_interrupt_is_one_sentence_wherever_it_comes(tmp_path, where):
    wait = "print('started', flush=True)\ntime.sleep(60)"
    script = f"import time\n{wait}\n" if where == "import" else (
        "import time\nfrom nnrobust.runtime.process import run_stage\n"
        f"def main():\n    {wait.replace(chr(10), chr(10) + '    ')}\nrun_stage(main)\n"
    )  # fmt: skip
    (tmp_path / "stage.py").write_text(script)
    command = [sys.executable, "-m", "nnrobust.runtime", str(os.getpid()), str(tmp_path / "stage.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stage:
        assert stage.stdout.readline() == "started\n"
        stage.send_signal(signal.SIGINT)
        assert stage.wait(10) == 130
        assert (
            stage.stderr.read() == "Interrupted: no output is half written; run it again, and it goes on where it was\n"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stage_whose_shell_was_left_to_init_before_it_began_ends(tmp_path):
    if b"python" in Path("/proc/1/cmdline").read_bytes():
        pytest.skip("the first process is Python's: it may be dvc")
    (tmp_path / "stage.py").write_text("open('made', 'w').close()\n")
    command = f"(sleep 0.1; exec {sys.executable} -m nnrobust.runtime 1 stage.py) &"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    time.sleep(1.5)
    assert not (tmp_path / "made").exists()

import json
import os
import signal
import subprocess
import sys
import time

import pytest

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
child = subprocess.Popen([sys.executable, "-m", "nnrobust.runtime.process", str(os.getpid()), sys.argv[1]], stdout=sys.stdout)
print(child.pid, flush=True)
time.sleep(60)
"""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_stage_dies_with_the_process_that_started_it(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text("import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", PARENT, script], stdout=subprocess.PIPE, text=True) as parent:
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        (child,) = (int(line) for line in lines - {"started"})
        assert is_running(child)
        parent.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_running(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(child)


def test_an_error_of_ours_is_one_message_and_exit_status_1():
    script = "from nnrobust.runtime.process import run_stage\nfrom nnrobust.errors import DataError\n"
    script += "def main(): raise DataError('cat.png: expected a whole image')\nrun_stage(main)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "DataError: cat.png: expected a whole image\n"

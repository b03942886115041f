"""Results that others can have: pushed to and pulled from a folder, a web server and an S3 server, on this machine."""

import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from made.project import ROOT, environment

pytestmark = pytest.mark.slow

RUNNER = """
import json, sys
from dvc.cli import main
for arguments in json.loads(sys.argv[1]):
    if status := main(arguments):
        sys.exit(f"dvc {' '.join(arguments)}: exit status {status}")
"""
OUTPUTS = {
    "models/trained/T_R.safetensors": b"weights",
    "data/records/1NN.parquet": b"records",
    "plots/pictures.json": b"[]",
}
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
MAKE = """
from pathlib import Path
for name, text in {outputs}.items():
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text)
"""


def dvc_in_turn(folder, *lines):
    """Runs dvc commands in one process, which takes a fraction of the time of one each."""
    arguments = json.dumps([line.split() if isinstance(line, str) else line for line in lines])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, arguments], cwd=folder, env=environment() | KEYS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def target(name, remote):
    """The dvc commands of a target of the Makefile."""
    command = ["make", "--dry-run", "--assume-old=.venv/.ready-cpu", name, f"REMOTE={remote}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line.replace('"', "") for line in done.stdout.splitlines() if line.startswith("dvc ")]


def commands(name, remote):
    return [line.removeprefix("dvc ") for line in target(name, remote)]


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    """A repository with this project's artifacts, whose outputs are made and in its cache."""
    folder = tmp_path_factory.mktemp("author")
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    stage = {"cmd": f"{sys.executable} make.py", "deps": ["make.py"], "outs": list(OUTPUTS)}
    (folder / "make.py").write_text(MAKE.format(outputs=OUTPUTS))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}, "artifacts": artifacts}))
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git(folder, "init", "-q")
    dvc_in_turn(folder, "repro")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "made")
    return folder


@pytest.fixture(scope="module")
def pushed(author, tmp_path_factory):
    """A folder that everything was pushed to."""
    remote = tmp_path_factory.mktemp("remote")
    dvc_in_turn(author, *commands("push", remote))
    return remote


def clone_of(author, folder):
    git(folder.parent, "clone", "-q", str(author), str(folder))
    assert not any((folder / name).exists() for name in OUTPUTS)
    return folder


def outputs_of(folder):
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def test_a_fresh_clone_pulls_all_outputs_from_a_folder_and_has_nothing_to_run(author, pushed, tmp_path):
    clone = clone_of(author, tmp_path / "clone")
    dvc_in_turn(clone, *commands("pull", pushed), "repro --dry")
    assert outputs_of(clone) == OUTPUTS
    assert str(pushed) not in (clone / ".dvc" / "config").read_text(), "the setting is the reader's own"


def test_a_pull_from_a_remote_that_lacks_a_file_fails(author, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AssertionError, match="exit status"):
        dvc_in_turn(clone_of(author, tmp_path / "clone"), *commands("pull", tmp_path / "empty"))


def test_the_same_folder_behind_a_web_server_is_a_remote_to_read(author, pushed, tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pushed))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        clone = clone_of(author, tmp_path / "clone")
        dvc_in_turn(clone, *commands("pull", f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
    assert outputs_of(clone) == OUTPUTS


def test_everything_is_pushed_to_and_pulled_from_an_s3_server(author, tmp_path):
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        address = f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="bucket")
        there = f"remote modify --local results endpointurl {address}"
        for folder, name in (
            (clone_with_cache(author, tmp_path / "own"), "push"),
            (clone_of(author, tmp_path / "clone"), "pull"),
        ):
            first, *others = commands(name, "s3://bucket/nnrobust")
            dvc_in_turn(folder, first, there, *others)
    finally:
        server.stop()
    assert outputs_of(tmp_path / "clone") == OUTPUTS


def clone_with_cache(author, folder):
    """A clone that shares the author's cache."""
    clone = clone_of(author, folder)
    (clone / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {author / '.dvc' / 'cache'}\n")
    return clone


def test_networks_and_records_come_by_name_from_a_repository_that_names_its_remote(author, pushed, tmp_path):
    clone = clone_of(author, tmp_path / "clone")
    dvc_in_turn(clone, ["remote", "add", "--default", "results", os.fspath(pushed)])
    git(clone, "commit", "-qam", "a remote for everybody")
    for name in yaml.safe_load((clone / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]:
        git(clone, "tag", "-a", f"{name}@v0.2.0", "-m", "released")
    git(tmp_path, "clone", "-q", "--bare", str(clone), "published.git")
    (tmp_path / "reader").mkdir()
    dvc_in_turn(
        tmp_path / "reader",
        "get ../published.git models/trained/T_R.safetensors",
        "artifacts get ../published.git networks",
        "artifacts get ../published.git records",
    )
    assert (tmp_path / "reader" / "T_R.safetensors").read_bytes() == b"weights"
    found = {
        path.relative_to(tmp_path / "reader").as_posix(): path.read_bytes()
        for path in (tmp_path / "reader").rglob("*/*")
        if path.name != ".gitignore"
    }
    assert found == {
        "trained/T_R.safetensors": b"weights",
        "records/1NN.parquet": b"records",
    }

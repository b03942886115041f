"""What a kill or a failing disk leaves is found, named, and left to DVC to make again."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest
import yaml

from made.project import ROOT, dvc, environment

PIPELINE = """
stages:
  first:
    cmd: mkdir -p out/deep && cp seed.txt out/a.csv && cp seed.txt out/deep/b.csv && cp seed.txt one.json && echo run >> runs.log
    deps: [seed.txt]
    params: [n, block]
    outs: [out, one.json]
  second:
    cmd: cat out/a.csv one.json > last.csv && echo run >> runs.log
    deps: [out, one.json]
    outs:
      - last.csv:
          cache: false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small pipeline that has run, in a git repository whose commit has its lock."""
    folder = tmp_path_factory.mktemp("mend") / "project"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "mend.py", folder / "scripts")
    for name, text in {
        "dvc.yaml": PIPELINE,
        "seed.txt": "x,y\n1,2\n",
        "params.yaml": "n: 3\nblock: {a: {b: null}}\n",
    }.items():
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    return folder


@pytest.fixture
def project(made, tmp_path):
    """A copy of it, with its times."""
    return shutil.copytree(made, tmp_path / "project", symlinks=True)


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def mend(folder, *arguments):
    command = [sys.executable, "scripts/mend.py", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def module():
    spec = spec_from_file_location("mend", ROOT / "scripts" / "mend.py")
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def rotten(path):
    """One flipped bit, and the times as they were."""
    times = os.stat(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(bytes(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_nothing_is_said_or_changed_where_nothing_is_wrong(project):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    for arguments in ((), ("--all",)):
        done = mend(project, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()} == before


def test_whatever_is_taken_for_whole_of_a_lock_that_a_kill_cut_off_is_a_lock_to_dvc_too(made):
    """At every byte: DVC writes the file from its beginning to its end."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    whole, check = (made / "dvc.lock").read_text(), module().whole_stages
    assert sorted(check(whole)) == ["first", "second"]
    n_taken = 0
    for length in range(len(whole)):
        if check(whole[:length]) is not None:
            n_taken += 1
            COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(whole[:length]))
    assert 0 < n_taken < whole.count("\n") / 2


def test_a_lock_of_the_project_itself_is_whole():
    assert len(module().whole_stages((ROOT / "dvc.lock").read_text())) > 20


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 0.6])
def test_a_lock_that_a_kill_cut_off_is_restored_from_git_and_dvc_goes_on(project, share):
    lock = project / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: int(share * len(whole))])
    done = mend(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == "dvc.lock: was cut off, as by a kill, and is restored from git; what ran since comes from DVC's cache\n"
    )
    assert lock.read_text() == whole
    assert "up to date" in dvc(project, "status")


def test_a_cut_lock_that_git_does_not_have_is_deleted(project):
    git(project, "rm", "-q", "--cached", "dvc.lock")
    git(project, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "none")
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  first:\n    cm")
    assert "was cut off, as by a kill, and git has none, so it is deleted" in mend(project).stdout
    assert not (project / "dvc.lock").exists()


def test_a_merge_conflict_in_the_lock_is_left_to_its_owner(project):
    lock = project / "dvc.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text() + "=======\n>>>>>>> other\n")
    before, done = lock.read_text(), mend(project)
    assert done.returncode == 1
    assert "expected the lock of a run, got a merge conflict" in done.stderr
    assert lock.read_text() == before


def test_a_lock_that_is_being_written_is_left_alone(project, monkeypatch):
    script, lock = module(), project / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[:300])
    monkeypatch.chdir(project)
    monkeypatch.setattr(script.time, "sleep", lambda _: lock.write_text(whole))
    with pytest.raises(SystemExit, match="got a `dvc repro` at work; wait for it"):
        script.mend_lock()
    assert lock.read_text() == whole


@pytest.mark.parametrize("content", ["", '{"read": {', "\0\0"])
def test_a_note_of_readers_that_a_kill_cut_off_is_deleted(project, content):
    (project / ".dvc" / "tmp" / "rwlock").write_text(content)
    assert "rwlock: was cut off, as by a kill, and is deleted" in mend(project).stdout
    assert not (project / ".dvc" / "tmp" / "rwlock").exists()


@pytest.mark.slow
def test_outputs_that_rotted_are_named_and_made_again(made):
    names = ("out/deep/b.csv", "one.json", "last.csv")
    expected = {name: (made / name).read_bytes() for name in names}
    for name in names:
        rotten(made / name)
    assert "up to date" in dvc(made, "status")  # DVC goes by the times
    told = ": is other than dvc.lock says, though older; damaged, so that DVC makes it again"
    assert mend(made).stdout.splitlines() == [name + told for name in ("last.csv", "one.json", "out")]
    dvc(made, "repro")
    assert {name: (made / name).read_bytes() for name in names} == expected
    assert mend(made).stdout == ""


def test_an_output_that_was_changed_since_is_not_called_damaged(project):
    (project / "one.json").write_text("mine")
    done = mend(project)
    assert (done.returncode, done.stdout) == (0, "")
    assert (project / "one.json").read_text() == "mine"


@pytest.mark.slow
def test_a_damaged_file_of_the_cache_is_deleted_and_what_it_held_is_made_again(project):
    path = project / "one.json"
    expected = path.read_bytes()
    digest = hashlib.md5(expected).hexdigest()
    kept = project / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    rotten(kept)
    rotten(path)
    assert mend(project).stdout.startswith("one.json: is other")  # without --all the cache is not read
    done = mend(project, "--all")
    assert f"{kept.relative_to(project)}: was damaged, and is deleted from DVC's cache" in done.stdout
    (project / "one.json").unlink()
    dvc(project, "repro")
    assert path.read_bytes() == expected
    assert kept.read_bytes() == expected


def test_outputs_with_their_hash_inside_are_read_by_all_alone(tmp_path, monkeypatch):
    script = module()
    monkeypatch.chdir(tmp_path)
    for name in ("a.npz", "b.csv", "sealed/c.npy", "sealed/sha256.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("other")
    outs = [{"path": name, "md5": "0" * 32} for name in ("a.npz", "b.csv", "sealed", "missing")]
    stages = {"made": {"outs": outs}}
    assert [str(path) for path in script.damaged_outputs(stages, False)] == ["b.csv"]
    assert [str(path) for path in script.damaged_outputs(stages, True)] == ["a.npz", "b.csv", "sealed"]

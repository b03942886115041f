"""Where a run comes from: its commit, the versions, and what each stage cost."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from nnrobust.errors import DataError
from nnrobust.runtime.process import COSTS, run_stage
from nnrobust.runtime.provenance import commit, provenance, versions

DATASET = {
    "name": "made", "n_train": 60, "n_test": 30, "image_shape": [1, 8, 8], "classes": ["a"], "sha256": {"train_images.npy": "ab"},
}  # fmt: skip


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with code, parameters and a page of text, all committed."""
    monkeypatch.delenv("GIT_DIR", raising=False)
    folder = tmp_path / "repository"
    (folder / "nnrobust").mkdir(parents=True)
    for name in ("nnrobust/one.py", "params.yaml", "README.md"):
        (folder / name).write_text("first\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def test_the_commit_is_the_one_that_git_names(repository):
    assert commit(repository) == git(repository, "rev-parse", "HEAD")
    assert len(commit(repository)) == 40


@pytest.mark.parametrize("name", ["nnrobust/one.py", "nnrobust/new.py"])
def test_changed_and_new_code_is_changes_since(repository, name):
    (repository / name).write_text("second\n")
    assert commit(repository) == git(repository, "rev-parse", "HEAD") + " and changes since"


def test_what_is_no_code_may_change(repository):
    (repository / "README.md").write_text("second\n")
    (repository / "params.yaml").write_text("second\n")  # the provenance has them whole
    (repository / "metrics.csv").write_text("1\n")
    assert " " not in commit(repository)


def test_outside_of_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) == "unknown"
    git(tmp_path, "init", "-q")
    assert commit(tmp_path) == "unknown"  # no commit yet
    assert commit(tmp_path / "none") == "unknown"


def test_without_git_itself_the_commit_is_unknown(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert commit(repository) == "unknown"


def test_versions_are_those_installed_and_of_these_alone():
    found = versions()
    assert found["numpy"] == version("numpy")
    assert found["torch"] == version("torch")
    assert "pytest" not in found


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr("nnrobust.runtime.provenance.PACKAGES", ("numpy", "no-such-package-of-ours"))
    assert list(versions()) == ["numpy"]


def test_the_provenance_has_the_cost_of_each_stage_and_the_highest_memory(repository, tmp_path):
    costs = tmp_path / "costs"
    costs.mkdir()
    for name, seconds, memory in (
        ("train S", 12.5, 0.75),
        ("prepare", 1.0, 2.5),
        ("train T_R", 3.0, 0.5),
        ("train removed", 9.0, 9.0),
    ):
        device = {} if name == "prepare" else {"device": "A GPU" if name == "train T_R" else "CPU, 2 threads"}
        (costs / f"{name}.json").write_text(json.dumps({"seconds": seconds, "peak_memory_gb": memory, **device}))
    found = provenance(repository, costs, DATASET, {"S", "T_R"})
    assert found["commit"] == commit(repository)
    assert found["seconds"] == {"prepare": 1.0, "train@S": 12.5, "train@T_R": 3.0}
    assert found["peak_memory_gb"] == 2.5
    assert found["device"]["trained on"] == "CPU, 2 threads; A GPU"
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["data"] == {"name": "made", "n_train": 60, "n_test": 30, "image_shape": [1, 8, 8]}
    assert found["sha256"] == {"train_images.npy": "ab"}


def test_without_costs_none_are_claimed(repository, tmp_path):
    found = provenance(repository, tmp_path / "none", DATASET, set())
    assert (found["seconds"], found["peak_memory_gb"]) == ({}, None)


# What `run_stage` leaves for it


@pytest.fixture
def under_dvc(tmp_path, monkeypatch):
    """As `dvc repro` calls a stage; gives the names of the cost files."""

    def call(stage, main=lambda: None):
        monkeypatch.setenv("DVC_STAGE", stage)
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        run_stage(main)
        return sorted(path.name for path in (tmp_path / COSTS).glob("*"))

    return call


def test_under_dvc_a_stage_leaves_its_seconds_and_peak_memory(under_dvc, tmp_path, repository):
    assert under_dvc("prepare") == ["prepare.json"]
    assert under_dvc("train@T_R") == ["prepare.json", "train T_R.json"]
    cost = json.loads((tmp_path / COSTS / "train T_R.json").read_text())
    assert set(cost) == {"seconds", "peak_memory_gb"}
    assert 0 <= cost["seconds"] < 5
    assert 0.01 < cost["peak_memory_gb"] < 100
    assert set(provenance(repository, tmp_path / COSTS, DATASET, {"T_R"})["seconds"]) == {"prepare", "train@T_R"}


def test_the_seconds_are_those_of_the_stages_main(under_dvc, tmp_path, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("nnrobust.runtime.process.time.perf_counter", lambda: now[0])
    under_dvc("prepare", lambda: now.append(now.pop() + 2.54))
    assert json.loads((tmp_path / COSTS / "prepare.json").read_text())["seconds"] == 2.5


def test_what_a_stage_returns_goes_there_too(under_dvc, tmp_path):
    under_dvc("train@T_R", lambda: {"training_seconds": [1.5, 2.5], "device": "A GPU"})
    cost = json.loads((tmp_path / COSTS / "train T_R.json").read_text())
    assert (cost["training_seconds"], cost["device"]) == ([1.5, 2.5], "A GPU")
    assert set(cost) == {"training_seconds", "device", "seconds", "peak_memory_gb"}


def test_called_from_a_folder_below_dvc_names_the_file_too_and_the_stage_counts(under_dvc):
    assert under_dvc("../dvc.yaml:train@T_R") == ["train T_R.json"]


def test_a_stage_that_fails_leaves_no_cost_and_ends_with_status_1(under_dvc, tmp_path, capsys):
    def main():
        raise DataError("cat.png: expected a whole image")

    with pytest.raises(SystemExit) as raised:
        under_dvc("prepare", main)
    assert raised.value.code == 1
    assert capsys.readouterr().err == "DataError: cat.png: expected a whole image\n"
    assert not (tmp_path / COSTS).exists()


def test_without_dvc_a_stage_leaves_no_cost(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    called = []
    run_stage(lambda: called.append(True))
    assert called == [True]
    assert list(tmp_path.iterdir()) == []

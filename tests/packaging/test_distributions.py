"""The wheel and the source distribution: what is in them, and that they do what they are for where nothing else is."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from made.project import ROOT

HEAVY = {"torch", "pandas", "dvc", "pydantic", "faiss-cpu", "robustbench", "matplotlib", "pyarrow"}
USE = """
import sys
import numpy as np
from nnrobust import OneNearestNeighbor, __version__
model = OneNearestNeighbor().fit(np.array([[0.0, 0.0], [3.0, 4.0]]), ["near", "far"])
for norm, radius in (("L2", 2.5), ("Linf", 25 / 14), ("L1", 25 / 8)):
    result = model.robust_radius(np.zeros((1, 2)), ["near"], norm=norm)
    assert result.status.tolist() == ["exact"] and result.verify().all()
    assert abs(result.upper[0] - radius) < 1e-6 * radius, (norm, result.upper)
print(__version__, sorted({"torch", "pandas", "dvc", "faiss"} & set(sys.modules)))
"""
ELSEWHERE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("resource", "fcntl", "torch"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""
"""As on Windows, and without PyTorch."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of both distributions, built from the files that git knows."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"no git repository to build from: {listed.stderr}")
    for name in listed.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


@pytest.mark.slow
def test_the_wheel_has_the_library_alone_with_its_tables_template_and_types(built):
    names = zipfile.ZipFile(only(built, "*.whl")).namelist()
    assert {name.split("/")[0] for name in names if not re.match(r"nnrobust-[^/]*\.dist-info/", name)} == {"nnrobust"}
    for name in ("py.typed", "nearest/estimator.py", "report/report.html.j2", "models/verification.csv",
                 "zoo/robustbench_cifar10_linf69.csv"):  # fmt: skip
        assert f"nnrobust/{name}" in names


@pytest.mark.slow
def test_the_core_alone_finds_and_verifies_radii_in_an_empty_environment(built, tmp_path):
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(only(built, "*.whl"))]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if re.search(r"No matching distribution|Connection|resolve", done.stderr) and done.returncode:
        pytest.skip(f"no package index in reach: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = {line.split("==")[0].lower() for line in listed.stdout.splitlines()} - {"nnrobust", "pip", "setuptools"}
    assert {"numpy", "scipy", "scikit-learn"} <= names
    assert not names & HEAVY
    assert len(names) <= 10
    done = subprocess.run([str(python), "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" []\n")


@pytest.mark.slow
def test_the_library_runs_where_there_is_neither_pytorch_nor_a_unix_module():
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE + USE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_tests_run_in_the_unpacked_source_distribution(built, tmp_path):
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "tests/config", "tests/data",
               "tests/nearest/proofs/test_halfspace.py", "tests/test_threat.py", "tests/report/test_published.py"]  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "[100%]" in done.stdout


@pytest.mark.slow
def test_every_file_that_tests_and_workflow_need_is_in_the_source_distribution(built):
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        inside = {Path(name).relative_to(Path(name).parts[0]).as_posix() for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    needed = [
        name
        for name in listed
        if name.startswith(("nnrobust/", "stages/", "tests/", "profiles/", "scripts/", ".dvc/plots/"))
    ]
    assert [name for name in needed if name not in inside] == []

"""The project's folder, and copies of it to run `dvc` in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from nnrobust.config.params import Params, parse_params
from nnrobust.config.profiles import compose, read_profile

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """The environment in which `dvc` and `python` are those that run the tests."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}


def dvc(folder: Path, *arguments: str) -> str:
    """What a dvc command prints; it must succeed."""
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_project(folder: Path) -> None:
    """Puts what the workflow needs into `folder`, and makes it a git repository."""
    for name in ("stages", "nnrobust", "scripts", ".dvc/plots"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data" / "raw").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "data" / "raw" / "README.md", folder / "data" / "raw" / "README.md")
    for name in ("dvc.yaml", ".gitignore", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, folder / name)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)


def write_report(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make report` does in a folder of `copy_project`."""
    return subprocess.run(
        [sys.executable, "scripts/report.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def profile(name: str) -> dict[str, Any]:
    """The values of a profile."""
    return read_profile(ROOT / "profiles" / f"{name}.yaml")


def params_of(name: str) -> Params:
    """The parameters of a profile, as its composed file has them."""
    return parse_params(compose(ROOT / "profiles" / f"{name}.yaml"), name)


def write_profile(name: str, folder: Path) -> None:
    """Puts a profile into `folder` as its params.yaml."""
    (folder / "params.yaml").write_text(compose(ROOT / "profiles" / f"{name}.yaml"))

"""Where a run comes from: its commit, versions, device, data, and what each stage cost."""

import json
import os
import platform
import subprocess
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnrobust.runtime.kernels import kernels

PACKAGES = (
    "dvc",
    "faiss-cpu",
    "faiss-gpu",
    "numpy",
    "optuna",
    "pandas",
    "robustbench",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)


def provenance(folder: Path, costs: Path, dataset: dict[str, object], items: Collection[str]) -> dict[str, object]:
    """Commit, versions, device, data hashes, and seconds and peak memory of each stage as it last ran here.

    Args:
        folder: the workflow's, a git repository or not.
        costs: where `run_stage` leaves what stages cost; those that only ever came from DVC's cache have no entry.
        dataset: the content of `dataset.json`, and `sha256`, the hash of each prepared file.
        items: what stages may be of: classifiers, variants and models of the params. Costs of others are left from older runs.
    """
    stages = stage_costs(costs, items)
    return {
        "commit": commit(folder),
        "device": {
            "trained on": "; ".join(dict.fromkeys(str(cost["device"]) for cost in stages.values() if "device" in cost)),
            "this machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "kernels": kernels(),
        },
        "versions": {"python": platform.python_version()} | versions(),
        "data": {key: dataset[key] for key in ("name", "n_train", "n_test", "image_shape")},
        "sha256": dataset["sha256"],
        "seconds": {name: cost["seconds"] for name, cost in stages.items()},
        "peak_memory_gb": max((cost["peak_memory_gb"] for cost in stages.values()), default=None),
    }


def stage_costs(folder: Path, items: Collection[str]) -> dict[str, dict[str, Any]]:
    """What `run_stage` left of each stage (`train@S`), of those that are of `items` or of none."""
    found = {path.stem: path for path in sorted(folder.glob("*.json"))}
    return {
        name.replace(" ", "@"): json.loads(path.read_text(encoding="utf-8"))
        for name, path in found.items()
        if " " not in name or name.split(" ", 1)[1] in items
    }


def commit(folder: Path) -> str:
    """The commit of the code, and whether the code was changed since; `unknown` outside of git."""
    code = ("--", "nnrobust", "stages", "dvc.yaml", "pyproject.toml")
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", *code], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + (" and changes since" if changed.stdout.strip() else "")


def versions() -> dict[str, str]:
    """The installed version of each package that decides numbers."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

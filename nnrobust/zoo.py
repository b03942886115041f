"""RobustBench's pretrained CIFAR-10 models: the roster, their files, and loading them."""

import importlib
import importlib.util
import os
import shutil
import sys
import types
from csv import DictReader
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from torch import nn

from nnrobust.errors import FetchError
from nnrobust.outputs import finished_file

SMALLEST = 1_000_000
"""Bytes below which no file can be a checkpoint: the smallest real one has 23 MB, Google Drive's error pages have 2.4 kB."""
N_CLASSES = 10
IMAGE_SHAPE = (3, 32, 32)
LAYOUT = Path("cifar10") / "Linf"


@dataclass(frozen=True)
class ZooModel:
    """One line of the roster: RobustBench's CIFAR-10 Linf zoo as it stood from 2023-09-04 to 2024-03-16.

    `clean_accuracy` and `autoattack_accuracy` are RobustBench's published percentages; `epsilon` is what it was trained for.
    """

    name: str
    identifiers: list[str]
    clean_accuracy: float
    autoattack_accuracy: float
    epsilon: str

    @property
    def is_timm(self) -> bool:
        return self.identifiers[0].startswith("timm:")

    @property
    def file_names(self) -> list[str]:
        """The names under which `robustbench.load_model` looks for the weights; an ensemble has one for each member."""
        if len(self.identifiers) == 1:
            return [f"{self.name}.pt"]
        return [f"{self.name}.pt_m{i}.pt" for i in range(len(self.identifiers))]


def roster() -> dict[str, ZooModel]:
    """The 69 models by name, in the zoo's order. One of them, `Standard`, is not adversarially trained."""
    with (files("nnrobust") / "robustbench_cifar10_linf69.csv").open(encoding="utf-8") as stream:
        rows = list(DictReader(stream))
    return {
        row["name"]: ZooModel(
            row["name"],
            row["gdrive_or_timm"].split("|"),
            float(row["clean_acc"]),
            float(row["autoattack_acc"]),
            row["eps"],
        )
        for row in rows
    }


def find(name: str) -> ZooModel:
    """The roster's model of that name.

    Raises:
        FetchError: when there is none.
    """
    models = roster()
    if name not in models:
        raise FetchError(
            f"{name}: not in the roster of {len(models)} models (zoo.models); see nnrobust/robustbench_cifar10_linf69.csv"
        )
    return models[name]


def fetch(model: ZooModel, folder: Path, local_dir: Path | None) -> None:
    """Puts the model's files under `folder`, in the layout that `robustbench.load_model` reads, whole or not at all.

    Files come from `local_dir` when it is given, else from the addresses that robustbench and timm know.

    Raises:
        FetchError: naming the model, the cause and the remedy.
    """
    for identifier, file_name in zip(model.identifiers, model.file_names, strict=True):
        with finished_file(folder / LAYOUT / file_name) as temporary:
            if local_dir is not None:
                _copy(model, local_dir, file_name, temporary)
            else:
                _download(model, identifier, file_name, temporary)
            check_file(model, temporary)


def _copy(model: ZooModel, local_dir: Path, file_name: str, target: Path) -> None:
    for candidate in (local_dir / file_name, local_dir / LAYOUT / file_name):
        if candidate.is_file():
            shutil.copyfile(candidate, target)
            return
    raise FetchError(
        f"{model.name}: expected {local_dir / file_name} (zoo.local_dir), found none; place the file there by hand"
    )


def _download(model: ZooModel, identifier: str, file_name: str, target: Path) -> None:
    import gdown
    import requests

    remedy = f"place the file as {file_name} in a folder and name it in zoo.local_dir"
    target.unlink()
    try:
        if model.is_timm:
            address = _import("robustbench.model_zoo.architectures.xcit").default_cfgs[
                identifier.removeprefix("timm:")
            ]["url"]
            torch.hub.download_url_to_file(address, str(target), progress=sys.stderr.isatty())
        elif gdown.download(id=identifier, output=str(target), quiet=not sys.stderr.isatty()) is None:
            raise FetchError(f"{model.name}: Google Drive gave no file (quota or permission); {remedy}")
    except (requests.RequestException, OSError, gdown.exceptions.FileURLRetrievalError) as error:
        raise FetchError(f"{model.name}: the download failed: {error}; {remedy}") from error


def check_file(model: ZooModel, path: Path) -> None:
    """Looks at a checkpoint before anything is unpickled.

    Raises:
        FetchError: when it is too small, is an HTML page, or has no header of a PyTorch file.
    """
    size = path.stat().st_size if path.exists() else 0
    with path.open("rb") if size else open(os.devnull, "rb") as stream:
        head = stream.read(512)
    remedy = "delete it and fetch it again, or place the right one by hand (zoo.local_dir)"
    if b"<html" in head.lower() or b"<!doctype" in head.lower():
        raise FetchError(
            f"{model.name}: expected a checkpoint, got an HTML page (Google Drive's quota page?); {remedy}"
        )
    if size < SMALLEST:
        raise FetchError(f"{model.name}: expected a checkpoint of at least {SMALLEST:,} bytes, got {size:,}; {remedy}")
    if not head.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise FetchError(
            f"{model.name}: expected a PyTorch file (zip or legacy), got one that starts with {head[:4]!r}; {remedy}"
        )


def load(model: ZooModel, folder: Path) -> nn.Module:
    """The pretrained network, in eval mode on the CPU, taking images (n, 3, 32, 32) in [0, 1] to logits or probabilities.

    Nothing but tensors, containers and numpy scalars is unpickled.

    Raises:
        FetchError: when files are missing or damaged, do not fit the architecture, or want more than that.
    """
    import numpy as np

    paths = [folder / LAYOUT / name for name in model.file_names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FetchError(f"{model.name}: expected {missing[0]}, found none; run `dvc repro fetch@{model.name}`")
    scalar = importlib.import_module("numpy._core.multiarray").scalar
    scalars = [scalar, np.dtype, *(type(np.dtype(name)) for name in ("float64", "float32", "int64"))]
    try:
        with torch.serialization.safe_globals(scalars):
            return _load(model, folder, paths)
    except FetchError:
        raise
    except Exception as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FetchError(
            f"{model.name}: {paths[0]} cannot be loaded safely: {cause}; it is damaged or not that model's: fetch it again"
        ) from error


def _load(model: ZooModel, folder: Path, paths: list[Path]) -> nn.Module:
    utils = _import("robustbench.utils")
    if model.is_timm:
        timm_name = model.identifiers[0].removeprefix("timm:")
        network = _import("timm").create_model(
            timm_name, num_classes=10, pretrained=False, checkpoint_path=str(paths[0])
        )
        return network.eval()
    return utils.load_model(model.name, model_dir=str(folder), dataset="cifar10", threat_model="Linf").eval()


def _import(name: str) -> types.ModuleType:
    """A module of robustbench, without running the package's `__init__`.

    That imports an `autoattack` which no registry has and a `pkg_resources` that setuptools dropped; the zoo needs neither.
    """
    if "robustbench" not in sys.modules:
        spec = importlib.util.find_spec("robustbench")
        if spec is None or spec.submodule_search_locations is None:
            raise FetchError("robustbench is not installed; run `make repro`, which sets up the environment")
        package = types.ModuleType("robustbench")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["robustbench"] = package
    return importlib.import_module(name)

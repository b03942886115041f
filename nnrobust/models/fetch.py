"""The file of a model: where it lies in a folder, and how it comes there from its public repository, whole or not at all."""

import shutil
import time
from pathlib import Path

from nnrobust.errors import FetchError
from nnrobust.models.blocks import Model
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.progress import Progress, silent
from nnrobust.zoo.fetch import Sleep, Wanted, download
from nnrobust.zoo.files import fingerprint

RAW = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
"""Where a public repository gives one file of one commit."""


def located(model: Model, folder: Path) -> Path:
    """The model's file below `folder`, whose sha256 is the one stated: there, in a folder named as its repository, or at `path`.

    Raises:
        FetchError: when it is at none of them, or another file is.
    """
    candidates = [folder / model.file_name, folder / Path(model.repository).name / model.file_name, folder / model.path]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise FetchError(
            f"{model.name}: expected its file at {candidates[0]} or {candidates[1]}, found neither; {_remedy(model)}"
        )
    check_sha256(model, found)
    return found


def check_sha256(model: Model, path: Path) -> None:
    """Compares the file with the sha256 that its block states, where that states one.

    Raises:
        FetchError: when they differ.
    """
    got = fingerprint(path).sha256
    if model.sha256 not in (None, got):
        raise FetchError(f"{model.name}: {path}: expected sha256 {model.sha256}, got {got}; {_remedy(model)}")


def fetch_model(
    model: Model, folder: Path, local_dir: Path | None = None, progress: Progress = silent, sleep: Sleep = time.sleep
) -> Path:  # fmt: skip
    """Puts the model's file into `folder`, unless it is there, and says where: from `local_dir`, else from its repository.

    It takes its name when its sha256 is the one stated.

    Raises:
        FetchError: naming the model, the cause and the remedy.
    """
    target = folder / model.file_name
    if target.is_file() and fingerprint(target).sha256 == model.sha256:
        return target
    with finished_file(target) as temporary:
        if local_dir is not None or model.is_local:
            shutil.copyfile(located(model, local_dir or Path()), temporary)
        else:
            address = RAW.format(repository=model.repository, commit=model.commit, path=model.path)
            download(Wanted(f"{model.name}: {model.file_name}", address, _remedy(model)), temporary, progress, sleep)
        check_sha256(model, temporary)
    return target


def _remedy(model: Model) -> str:
    if model.is_local:
        return "place it there, or state its path in the block"
    return (
        f"get {model.path} of {model.source} at commit {model.commit}, and name the folder it lies in: zoo.local_dir in "
        "params.yaml, or --folder of `nnrobust evaluate`"
    )

"""Brings the files of a pretrained model here: from a local folder, from Google Drive, or from GitHub; whole or not at all."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from nnrobust.errors import FetchError
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.progress import Progress, silent
from nnrobust.zoo.files import BLOCK, check_hash, check_look, fingerprint, record, recorded, remedy
from nnrobust.zoo.load import read_checkpoint, zoo_module
from nnrobust.zoo.models import LAYOUT, ZooModel

DRIVE = "https://drive.google.com/uc?id={}"
PAUSES = (1.0, 4.0, 16.0)
"""Seconds before a download is tried again: four attempts in all."""
TIMEOUT = (10.0, 60.0)
"""Seconds without an answer after which an attempt ends: to connect, and between two blocks."""
Sleep = Callable[[float], None]


def fetch(
    model: ZooModel, folder: Path, lock: Path, local_dir: Path | None, progress: Progress = silent, sleep: Sleep = time.sleep
) -> None:  # fmt: skip
    """Puts the model's files under `folder`, in the layout that `robustbench.load_model` reads, and their hashes into `lock`.

    Files come from `local_dir` when it is given, else from the addresses that robustbench and timm know. A file that is there
    already, as the lock file recorded it, is kept; whatever a killed fetch left behind is removed. A file takes its name when it
    has passed all checks: its look, its hash, and that it unpickles without running anything.

    Raises:
        FetchError: naming the model, the cause and the remedy.
    """
    target = folder / LAYOUT
    for stray in target.glob("*"):
        if stray.name not in model.file_names:
            stray.unlink()
    for identifier, file_name in zip(model.identifiers, model.file_names, strict=True):
        if _is_there(file_name, target / file_name, lock):
            continue
        with finished_file(target / file_name) as temporary:
            if local_dir is not None:
                _copy(model, file_name, local_dir, temporary)
            else:
                download(f"{model.name}: {file_name}", identifier, temporary, remedy(file_name), progress, sleep)
            check_look(model, file_name, temporary)
            seen = check_hash(model, file_name, temporary, lock)
            read_checkpoint(model, file_name, temporary)
            record(model, file_name, seen, lock)


def _is_there(file_name: str, path: Path, lock: Path) -> bool:
    expected = recorded(lock).get(file_name)
    return expected is not None and path.is_file() and fingerprint(path) == expected


def _copy(model: ZooModel, file_name: str, local_dir: Path, target: Path) -> None:
    candidates = [local_dir / file_name, local_dir / LAYOUT / file_name]
    found = [path for path in candidates if path.is_file()]
    if not found:
        raise FetchError(
            f"{model.name}: expected {candidates[0]} or {candidates[1]} (zoo.local_dir), found neither; place the file there, "
            "or set zoo.local_dir to null to download it"
        )
    try:
        shutil.copyfile(found[0], target)
    except OSError as error:
        raise FetchError(
            f"{model.name}: expected to copy {found[0]}, got {error}; look at its permissions and the disk"
        ) from error


def download(
    what: str, identifier: str, target: Path, instead: str, progress: Progress = silent, sleep: Sleep = time.sleep
) -> None:  # fmt: skip
    """Writes the file to `target`, trying again after each trouble that may pass.

    `identifier`: an id of Google Drive's, a `timm:` name, or an address. An error says `what` could
    not be had, `NAME: FILE`, and what to do `instead`.

    Raises:
        FetchError: when it cannot be had.
    """
    for pause in (*PAUSES, None):
        try:
            with _response(identifier) as response:
                _write(response, target, progress, what.rpartition(": ")[2])
            return
        except (OSError, _no_file_error()) as error:
            if pause is None or not _may_pass(error):
                raise FetchError(f"{what}: {_cause(error)}; {instead}") from error
            sleep(pause)


def _no_file_error() -> type[Exception]:
    """What gdown raises when Google Drive answers with a page that leads to no file: its quota, its permissions."""
    return zoo_module("gdown.exceptions").FileURLRetrievalError


@contextmanager
def _response(identifier: str) -> Iterator[Any]:
    """The server's answer that has the file itself as its body, after Google Drive's page that asks for a confirmation.

    gdown reads that page; its `download` is not used, as it waits for ever on a silent server and takes any status for good.
    """
    import requests

    with requests.Session() as session:
        if identifier.startswith("timm:"):
            entries = zoo_module("robustbench.model_zoo.architectures.xcit").default_cfgs
            address = entries[identifier.removeprefix("timm:")]["url"]
        elif "://" in identifier:
            address = identifier
        else:
            address = DRIVE.format(identifier)
            # As gdown does: Google Drive has other pages for programs.
            session.headers["User-Agent"] = "Mozilla/5.0"
        response = session.get(address, stream=True, timeout=TIMEOUT)
        if _is_page(response):
            confirmed = zoo_module("gdown.download").get_url_from_gdrive_confirmation(response.text)
            response = session.get(confirmed, stream=True, timeout=TIMEOUT)
            if _is_page(response):
                raise _no_file_error()("after the confirmation comes another page")
        response.raise_for_status()
        yield response


def _is_page(response: Any) -> bool:
    """Whether it is a page about the file, and not that of a missing address or a failing server, which the status shows."""
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    return is_html and response.status_code < 500 and response.status_code != 404


def _write(response: Any, target: Path, progress: Progress, file_name: str) -> None:
    blocks = response.iter_content(BLOCK)
    announced = range(ceil(int(response.headers.get("Content-Length", 0)) / BLOCK))
    with target.open("wb") as stream:
        for _, block in zip(progress(announced, f"{file_name}, MiB"), blocks, strict=False):
            stream.write(block)
        for block in blocks:
            stream.write(block)


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may help: after a broken connection, a timeout, or trouble of the server's own."""
    import requests

    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError)


def _cause(error: Exception) -> str:
    import requests

    attempts = f"{len(PAUSES) + 1} attempts"
    if isinstance(error, _no_file_error()):
        return (
            "expected a file, got a page of Google Drive's in its place (quota used up, or no permission; tomorrow it may work): "
            + " ".join(str(error).split())
        )
    if isinstance(error, requests.HTTPError) and not _may_pass(error):
        return f"expected a file, got status {error.response.status_code}: the server does not know its identifier, or keeps it"
    if isinstance(error, requests.HTTPError):
        return f"expected a file, got status {error.response.status_code} in {attempts}: trouble of the server's own"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"expected a whole file, got one that was cut off in {attempts} ({error})"
    if isinstance(error, requests.Timeout):
        return f"expected an answer in time, got none in {attempts}: the network is slow, or the server is out of reach ({error})"
    if isinstance(error, requests.ConnectionError):
        return f"expected a connection, got none in {attempts}: no network, or the server is out of reach ({error})"
    return f"expected to download it, got {type(error).__name__}: {error}"

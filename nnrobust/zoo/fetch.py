"""Brings the files of a pretrained model here: from a local folder, from Google Drive, or from GitHub; whole or not at all."""

import glob
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from nnrobust.errors import FetchError
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.progress import Progress, silent
from nnrobust.zoo.files import BLOCK, check_hash, check_look, fingerprint, record, recorded, remedy
from nnrobust.zoo.load import network_of, read_checkpoint, zoo_module
from nnrobust.zoo.models import LAYOUT, ZooModel

DRIVE = "https://drive.google.com/uc?id={}"
PAUSES = (1.0, 4.0, 16.0)
"""Seconds before a download is tried again: four attempts in all."""
TIMEOUT = (10.0, 60.0)
"""Seconds without an answer after which an attempt ends: to connect, and between two blocks."""
HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com", "github.com")
DOMAINS = (".googleusercontent.com", ".githubusercontent.com")
"""Where Google Drive and GitHub send on to."""
MOST_REDIRECTIONS, MOST_PAGE, MOST_BYTES = 10, 1 << 20, 8 << 30
"""The largest file of the zoo has some 3 GB; Google Drive's pages have 100 kB at most."""
Sleep = Callable[[float], None]


def fetch(
    model: ZooModel, folder: Path, lock: Path, local_dir: Path | None, progress: Progress = silent, sleep: Sleep = time.sleep
) -> None:  # fmt: skip
    """Puts the model's files under `folder`, in the layout that `robustbench.load_model` reads, and their hashes into `lock`.

    Files come from `local_dir` when it is given, else from the addresses that robustbench and timm know. A file that is there
    already, as the lock file recorded it, is kept, as are members of an ensemble that was not complete; of what else is in the
    folder, only what a killed fetch left behind is removed. A file takes its name when it has passed its own checks: its look,
    its hash, and that it unpickles without running anything; it is recorded when the network has been built and loaded from it.

    Raises:
        FetchError: naming the model, the cause and the remedy.
    """
    target = folder / LAYOUT
    for file_name in model.file_names:
        for stray in target.glob(f".{glob.escape(file_name)}.*"):  # as `finished_file` names what is not finished
            stray.unlink()

    def bring(names: list[str]) -> None:
        for identifier, file_name in zip(model.identifiers, model.file_names, strict=True):
            if file_name not in names:
                continue
            with finished_file(target / file_name) as temporary:
                if local_dir is not None:
                    _copy(model, file_name, local_dir, temporary)
                else:
                    n_bytes = getattr(recorded(lock).get(file_name), "bytes", None)
                    wanted = Wanted(f"{model.name}: {file_name}", identifier, remedy(file_name), n_bytes)
                    download(wanted, temporary, progress, sleep)
                check_look(model, file_name, temporary)
                check_hash(model, file_name, temporary, lock)
                read_checkpoint(model, file_name, temporary)

    unrecorded = [name for name in model.file_names if not _is_there(name, target / name, lock)]
    if not unrecorded:
        return
    kept = [name for name in unrecorded if len(model.file_names) > 1 and _is_whole(model, target / name, lock)]
    bring([name for name in unrecorded if name not in kept])
    if kept and not _fits(model, folder):
        bring(kept)
    try:
        network_of(model, folder)
    except FetchError:
        for name in unrecorded:
            (target / name).unlink()
        raise
    for name in unrecorded:
        record(model, name, fingerprint(target / name), lock)


def _is_there(file_name: str, path: Path, lock: Path) -> bool:
    expected = recorded(lock).get(file_name)
    return expected is not None and path.is_file() and fingerprint(path) == expected


def _is_whole(model: ZooModel, path: Path, lock: Path) -> bool:
    """Whether a file passes the checks that it has alone."""
    try:
        check_look(model, path.name, path)
        check_hash(model, path.name, path, lock)
        read_checkpoint(model, path.name, path)
    except (FetchError, OSError):
        return False
    return True


def _fits(model: ZooModel, folder: Path) -> bool:
    try:
        network_of(model, folder)
    except FetchError:
        return False
    return True


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


@dataclass(frozen=True)
class Wanted:
    """A file to download: `what` it is called in errors, `NAME: FILE`, and what to do `instead` where it cannot be had.

    `identifier` is an id of Google Drive's, a `timm:` name, or an address. `n_bytes` is its size, where that is known.
    """

    what: str
    identifier: str
    instead: str
    n_bytes: int | None = None


class _RefusedError(OSError):
    """An answer that no further attempt would change, in the words of the message."""


def download(wanted: Wanted, target: Path, progress: Progress = silent, sleep: Sleep = time.sleep) -> None:
    """Writes the file to `target`, trying again after each trouble that may pass.

    Raises:
        FetchError: when it cannot be had, is larger than it should be, or comes from another host.
    """
    for pause in (*PAUSES, None):
        try:
            with _response(wanted.identifier) as response:
                _write(response, target, progress, wanted)
            return
        except (OSError, _no_file_error()) as error:
            if pause is None or not _may_pass(error):
                raise FetchError(f"{wanted.what}: {_cause(error)}; {wanted.instead}") from error
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
        session.headers["Accept-Encoding"] = "identity"
        if identifier.startswith("timm:"):
            entries = zoo_module("robustbench.model_zoo.architectures.xcit").default_cfgs
            address = entries[identifier.removeprefix("timm:")]["url"]
        elif "://" in identifier:
            address = identifier
        else:
            address = DRIVE.format(identifier)
            # As gdown does: Google Drive has other pages for programs.
            session.headers["User-Agent"] = "Mozilla/5.0"
        response = _answer(session, address, address)
        if _is_page(response):
            page = zoo_module("gdown.download").get_url_from_gdrive_confirmation(_text(response))
            response = _answer(session, page, address)
            if _is_page(response):
                raise _no_file_error()("after the confirmation comes another page")
        response.raise_for_status()
        yield response


def _answer(session: Any, address: str, start: str) -> Any:
    """The answer at an address, after redirections among the hosts that have the zoo's files, and the one of `start`."""
    for _ in range(MOST_REDIRECTIONS):
        parts, first = urlsplit(address), urlsplit(start)
        host = parts.hostname or ""
        is_known = parts.scheme == "https" and (host in HOSTS or host.endswith(DOMAINS))
        if not is_known and (parts.scheme, parts.netloc) != (first.scheme, first.netloc):
            raise _RefusedError(
                f"expected an answer from {first.netloc} or another host of Google's or GitHub's by https, got sent to "
                f"{parts.scheme}://{parts.netloc}"
            )
        response = session.get(address, stream=True, timeout=TIMEOUT, allow_redirects=False)
        if not response.is_redirect:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _RefusedError("expected the file as it is, got it compressed, although that was not asked for")
            return response
        address = urljoin(address, response.headers["Location"])
        response.close()
    raise _RefusedError(f"expected a file, got more than {MOST_REDIRECTIONS} redirections")


def _text(response: Any) -> str:
    """The text of a page, as far as a page may be long."""
    content = b""
    for block in response.iter_content(1 << 16):
        content += block
        if len(content) > MOST_PAGE:
            raise _RefusedError(f"expected a page of at most {MOST_PAGE:,} bytes, got more")
    return content.decode(response.encoding or "utf-8", errors="replace")


def _is_page(response: Any) -> bool:
    """Whether it is a page about the file, and not that of a missing address or a failing server, which the status shows."""
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    return is_html and response.status_code < 500 and response.status_code != 404


def _write(response: Any, target: Path, progress: Progress, wanted: Wanted) -> None:
    """Writes the body to `target`, and stops at the recorded size."""
    blocks = response.iter_content(BLOCK)
    length = response.headers.get("Content-Length", "")
    announced = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
    most, said = (MOST_BYTES, "at most") if wanted.n_bytes is None else (wanted.n_bytes, "as recorded")
    n_written = announced
    with target.open("wb") as stream:
        shown = iter(progress(range(ceil(min(announced, most) / BLOCK)), f"{wanted.what.rpartition(': ')[2]}, MiB"))
        while n_written <= most:
            next(shown, None)
            block = next(blocks, None)
            if block is None:
                return
            stream.write(block)
            n_written = stream.tell()
    raise _RefusedError(f"expected {said} {most:,} bytes, got more: another file, or another version of it")


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may help: after a broken connection, a timeout, or trouble of the server's own."""
    import requests

    if isinstance(error, requests.HTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError)


def _cause(error: Exception) -> str:
    import requests

    attempts = f"{len(PAUSES) + 1} attempts"
    if isinstance(error, _RefusedError):
        return str(error)
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

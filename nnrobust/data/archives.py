"""The files of a folder, a tar or a zip, one by one, each named and bounded; nothing is unpacked onto the disk."""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from nnrobust.errors import DataError

LARGEST_FILE = 32 << 20
"""Bytes that a file may have, and that are read at once: a photograph of a megapixel has some 3 MB."""
MOST_FILES = 10_000_000
MOST_TRAILING = 1 << 30
"""Bytes beyond a tar's end that are read for the sake of the checksum behind them."""
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that no name may have: control characters, bytes that are no UTF-8, separators of lines and paragraphs."""
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError, OSError, ValueError),
    *(OverflowError, NotImplementedError, RuntimeError, MemoryError, IndexError),
)
"""What Python's readers raise on archives that are cut off, damaged or made up."""


@dataclass(frozen=True)
class Entry:
    """A file or a folder (`read` is None): how errors call it, its name as it is and its path inside, and its content.

    `fault` says why it is no regular file; empty for one that is.
    """

    where: str
    name: str
    inside: PurePosixPath
    read: Callable[[], bytes] | None
    fault: str = ""


def entries(path: Path) -> Iterator[Entry]:
    """The files and folders at `path`, in a fixed order for a folder, in that of the archive for a tar or a zip.

    Raises:
        DataError: naming the file: nothing at `path`, an archive that is damaged or cut off, a name that is no text of one
            line or leaves the folder, two folders whose names differ in Unicode's form alone, a file that is too large.
    """
    kind = _of_folder if path.is_dir() else _of_zip if _is_zip(path) else _of_tar
    folders: dict[PurePosixPath, PurePosixPath] = {}
    for number, entry in enumerate(kind(path)):
        if number == MOST_FILES:
            raise DataError(f"{path}: expected at most {MOST_FILES:,} files, got more; split it")
        folder = PurePosixPath(entry.name).parent
        if folders.setdefault(entry.inside.parent, folder) != folder:
            raise DataError(
                f"{entry.where}: expected folders of different names, got two that differ in Unicode's form alone, "
                f"{str(folder)!a} and {str(folders[entry.inside.parent])!a}; rename one"
            )
        yield entry


def checked_name(path: Path, name: str) -> PurePosixPath:
    """The path inside the folder or archive at `path`, in Unicode's composed form (NFC), as Linux and Windows write it.

    Raises:
        DataError: when it has bytes that are no UTF-8, control characters or line separators, or leads out of the folder.
    """
    is_plain = name.isascii() and name.isprintable()
    if not is_plain and any(unicodedata.category(character) in _UNSEEN for character in name):
        raise DataError(f"{path}: expected file names in UTF-8 without control characters, got {name!a}; rename it")
    inside = PurePosixPath(unicodedata.normalize("NFC", name))
    if inside.is_absolute() or ".." in inside.parts:
        raise DataError(f"{path}: member {name} would escape the folder; refused")
    return inside


def _of_folder(path: Path) -> Iterator[Entry]:
    yield from _below(path, path, ())


def _below(root: Path, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    """The entries below a folder, links to folders followed, in order of their names."""
    try:
        about = folder.stat()
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read, got {error}; mend its permissions") from error
    here = (about.st_dev, about.st_ino)
    if here in above:
        raise DataError(f"{folder}: expected images, got a link that comes back to a folder above it; delete the link")
    for name in names:
        file = folder / name
        inner = file.relative_to(root).as_posix()
        inside = checked_name(root, inner)
        fault = _fault(file)
        if not fault and file.is_dir():
            yield Entry(str(file), inner, inside, None)
            yield from _below(root, file, (*above, here))
        else:
            yield Entry(str(file), inner, inside, partial(_content, file), fault)


def _fault(file: Path) -> str:
    """Why a path is no regular file or folder; empty where it is one."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        if file.is_symlink():
            return "a link whose target is not here; fetch it, as by `dvc pull` or `git annex get`"
        return f"a file that cannot be read ({error})"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "no regular file, but a device or pipe; delete it"


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return _bounded(str(file), stream.read(LARGEST_FILE + 1))
    except OSError as error:
        raise DataError(f"{file}: expected a file that can be read, got {error}; mend its permissions") from error


def _bounded(where: str, content: bytes) -> bytes:
    if len(content) > LARGEST_FILE:
        raise DataError(f"{where}: expected a file of at most {LARGEST_FILE:,} bytes, got more; make it smaller")
    return content


class _Stream:
    """A stream of a tar, of which no more is read at once than a file may have, whatever the tar's headers say.

    `last` is what was read last: where the tar ends as it should, a block of zeros.
    """

    def __init__(self, stream: Any) -> None:
        self.stream, self.seek, self.tell, self.last = stream, stream.seek, stream.tell, b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_FILE + tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"a part of {size:,} bytes, where {LARGEST_FILE:,} are the most")
        self.last = self.stream.read(size)
        return self.last


def _of_tar(path: Path) -> Iterator[Entry]:
    try:
        with (
            _decompressed(path) as opened,
            tarfile.open(fileobj=cast(Any, stream := _Stream(opened)), mode="r:") as archive,
        ):
            for member in archive:
                where, inside = f"{path}: {member.name}", checked_name(path, member.name)
                vars(archive)["members"] = []  # else each is kept, whatever their number
                if member.isdir():
                    yield Entry(where, member.name, inside, None)
                    continue
                fault = "" if member.isreg() and not member.issparse() else "no regular file; refused"
                yield Entry(where, member.name, inside, partial(_of_member, path, archive, member), fault)
            # Python takes a damaged header, and the end of a file that was cut off at one, for the end of the tar.
            if stream.last != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(
                    f"no block of zeros, which ends a tar, but a broken header at byte {archive.offset:,}"
                )
            for _ in range(MOST_TRAILING >> 20):  # the checksum of a compressed stream is at its end
                if not opened.read(1 << 20):
                    break
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(
            f"{path}: expected a whole tar (.tar, .tar.gz, .tar.xz) or zip, got a damaged one: {error}; fetch it again"
        ) from error


def _of_member(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST_FILE:
        raise DataError(
            f"{path}: {member.name}: expected a file of at most {LARGEST_FILE:,} bytes, got {member.size:,}"
        )
    try:
        stream = archive.extractfile(member)
        return stream.read() if stream else b""
    except _DAMAGED as error:
        raise DataError(
            f"{path}: {member.name}: expected a whole file, got a damaged one: {error}; fetch it again"
        ) from error


def _decompressed(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed where its first bytes say that it is compressed."""
    with path.open("rb") as stream:
        head = stream.read(6)
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\0", lzma.open), (b"BZh", bz2.open)):
        if head.startswith(magic):
            return cast(IO[bytes], opened(path, "rb"))
    return path.open("rb")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _of_zip(path: Path) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                where, inside = f"{path}: {info.filename}", checked_name(path, info.filename)
                if info.is_dir():
                    yield Entry(where, info.filename, inside, None)
                    continue
                mode = info.external_attr >> 16
                is_regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
                if not info.flag_bits & 1:
                    archive.open(info).close()  # a name that is not the one beside the content raises, skipped or not
                fault = "encrypted; refused" if info.flag_bits & 1 else "" if is_regular else "no regular file; refused"
                yield Entry(where, info.filename, inside, partial(_of_part, path, archive, info), fault)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{path}: expected a whole zip, got a damaged one: {error}; fetch it again") from error


def _of_part(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    where = f"{path}: {info.filename}"
    try:
        with archive.open(info) as stream:
            return _bounded(where, stream.read(LARGEST_FILE + 1))
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{where}: expected a whole file, got a damaged one: {error}; fetch it again") from error

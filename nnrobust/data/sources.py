"""Where datasets come from: scikit-learn's digits, CIFAR-10 through torchvision, or a tree of image files."""

import hashlib
import io
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.error import URLError

import numpy as np
from PIL import Image, UnidentifiedImageError

from nnrobust.data.datasets import SPLITS, Dataset, Split
from nnrobust.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")


def read_digits(name: str, test_fraction: float, seed: int) -> Dataset:
    """The 1,797 handwritten digits that scikit-learn ships (8x8, grey), in a seeded stratified split.

    Their 17 grey levels v become uint8 as round(v * 255 / 16).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = np.round(bunch.images[:, None] * 255 / 16).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=test_fraction, random_state=seed, stratify=labels)
    names = [f"{i:04d}" for i in range(len(labels))]
    whole = Split(images, labels, names)
    return Dataset(name, [str(c) for c in bunch.target_names], whole.take(np.sort(train)), whole.take(np.sort(test)))


def read_cifar10(name: str, folder: Path | str) -> Dataset:
    """CIFAR-10 from `cifar-10-python.tar.gz` in `folder`, which is downloaded there when it is missing.

    The archive is checked against torchvision's md5 and unpacked into a temporary folder.

    Raises:
        DataError: when the archive cannot be downloaded or its md5 differs.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, download_url

    folder = Path(folder)
    archive = folder / CIFAR10.filename
    if not archive.exists():
        try:
            download_url(CIFAR10.url, str(folder), CIFAR10.filename, CIFAR10.tgz_md5)
        except (URLError, OSError, RuntimeError) as error:
            archive.unlink(missing_ok=True)
            raise DataError(f"{archive}: not there, and the download from {CIFAR10.url} failed: {error}; "
                            "place the file there by hand") from error  # fmt: skip
    if not check_integrity(str(archive), CIFAR10.tgz_md5):
        raise DataError(f"{archive}: expected md5 {CIFAR10.tgz_md5}, got another; delete the file and fetch it again")
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / CIFAR10.filename).symlink_to(archive.resolve())
        parts = {split: CIFAR10(temporary, train=split == "train", download=True) for split in SPLITS}
    splits = {
        split: Split(
            np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)),
            np.asarray(part.targets, dtype=np.int64),
            [f"{split}/{i:05d}" for i in range(len(part.targets))],
        )
        for split, part in parts.items()
    }
    return Dataset(name, list(parts["train"].classes), splits["train"], splits["test"])


def read_image_folder(name: str, path: Path | str, sha256: str | None) -> Dataset:
    """Every `{train,test}/<class>/*.{png,jpg}` of a folder, or of a tar of one (plain, gz, xz), at any depth.

    Images keep their size and become grey or RGB uint8; within a split they are sorted by class name, then by file name.

    Raises:
        DataError: naming the file and the fault: nothing at `path`, a damaged archive or image, another hash than `sha256`,
            a tar member outside the archive's own tree, images of different sizes or modes, a class of train that test
            lacks or the other way round, or no image at all.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            f"{path}: expected a folder or tar of {{train,test}}/<class>/ images, found nothing (data.path)"
        )
    if path.is_dir() and sha256 is not None:
        raise DataError(f"{path}: data.sha256 is for an archive, and this is a folder; set it to null")
    if path.is_file() and sha256 is not None:
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got != sha256:
            raise DataError(f"{path}: expected sha256 {sha256} (data.sha256), got {got}; fetch the archive again")
    images: dict[tuple[str, str, str], np.ndarray] = {}
    first: tuple[str, tuple[int, ...]] | None = None
    for where, key, content in _files_of_folder(path) if path.is_dir() else _files_of_tar(path):
        image = _decode(where, content)
        first = first or (where, image.shape)
        if image.shape != first[1]:
            raise DataError(
                f"{where}: expected an image of {_size(first[1])} as {first[0]} is, got {_size(image.shape)}"
            )
        if key in images:
            raise DataError(f"{where}: a second image under the name {'/'.join(key)}")
        images[key] = image
    if not images:
        raise DataError(f"{path}: expected {{train,test}}/<class>/*.{{png,jpg}}, found no such file")
    return _assemble(name, path, images)


def _assemble(name: str, path: Path, images: dict[tuple[str, str, str], np.ndarray]) -> Dataset:
    found = {split: sorted({key[1] for key in images if key[0] == split}) for split in SPLITS}
    for here, there in (("train", "test"), ("test", "train")):
        lacking = sorted(set(found[here]) - set(found[there]))
        if lacking:
            raise DataError(f"{path}: class {lacking[0]} has images in {here} but none in {there}")
    splits = {}
    for split in SPLITS:
        keys = sorted(key for key in images if key[0] == split)
        stack = np.stack([images[key] for key in keys])
        labels = np.array([found["train"].index(key[1]) for key in keys], dtype=np.int64)
        splits[split] = Split(stack, labels, ["/".join(key) for key in keys])
    return Dataset(name, found["train"], splits["train"], splits["test"])


def _files_of_folder(path: Path) -> Iterator[tuple[str, tuple[str, str, str], bytes]]:
    for file in sorted(path.rglob("*")):
        key = _key(PurePosixPath(file.relative_to(path).as_posix()))
        if key is not None and file.is_file():
            yield str(file), key, file.read_bytes()


def _files_of_tar(path: Path) -> Iterator[tuple[str, tuple[str, str, str], bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = PurePosixPath(member.name)
                if inside.is_absolute() or ".." in inside.parts:
                    raise DataError(f"{path}: member {member.name} would escape the folder; refused")
                key = _key(inside)
                if member.isdir() or key is None:
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise DataError(f"{path}: member {member.name} is no regular file; refused")
                yield f"{path}: {member.name}", key, stream.read()
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise DataError(f"{path}: expected a whole tar (.tar, .tar.gz, .tar.xz), got a damaged one: {error}") from error


def _key(inside: PurePosixPath) -> tuple[str, str, str] | None:
    """Split, class and file name; None for a path that is no image of a split."""
    parts = inside.parts
    if len(parts) < 3 or parts[-3] not in SPLITS or inside.suffix.lower() not in SUFFIXES or parts[-1][0] == ".":
        return None
    return parts[-3], parts[-2], parts[-1]


def _decode(where: str, content: bytes) -> np.ndarray:
    """The image as uint8 (channels, height, width), grey or RGB."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{where}: expected a whole PNG or JPEG image: {error}") from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[2]} pixels, {'grey' if shape[0] == 1 else 'RGB'}"

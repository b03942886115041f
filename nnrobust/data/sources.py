"""Where datasets come from: scikit-learn's digits, CIFAR-10 through torchvision, or a tree of image files."""

import tempfile
import warnings
from collections import Counter
from pathlib import Path, PurePosixPath
from urllib.error import URLError

import numpy as np

from nnrobust.data.archives import entries
from nnrobust.data.datasets import SPLITS, Dataset, Split
from nnrobust.data.pixels import decode
from nnrobust.errors import DataError, DataWarning
from nnrobust.runtime.outputs import sha256_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
OTHER_IMAGES = (
    *(
        ".gif",
        ".tif",
        ".tiff",
        ".apng",
        ".jfif",
        ".jpe",
        ".jp2",
        ".j2k",
        ".jxl",
        ".avif",
        ".heic",
        ".heif",
        ".ppm",
        ".pgm",
    ),
    *(
        ".pbm",
        ".pnm",
        ".tga",
        ".ico",
        ".eps",
        ".svg",
        ".psd",
        ".exr",
        ".hdr",
        ".dds",
        ".npy",
        ".npz",
        ".raw",
        ".dng",
        ".dcm",
    ),
)
"""Suffixes of images that are not read; in a class folder they are refused."""
MOST_BYTES = 64 << 30
"""Bytes of all pixels together."""
_OWN = ("__MACOSX", "@eaDir", "lost+found", "__pycache__")
"""Folders, beside those that begin with a point, that systems put among the data."""
HIDDEN, OTHER, OUTSIDE = "hidden", "of other kinds", "outside train and test"
"""Why a file is skipped."""
Key = tuple[str, str, str]
"""Split, class and file name."""


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
    """Every `{train,test}/<class>/*.{png,jpg,bmp,webp}` of a folder, of a tar of one (plain, gz, xz, bz2) or a zip, at any depth.

    Images keep their size and become grey or RGB uint8 (`pixels`); within a split they are sorted by class name, then by file
    name. Links to folders and files are followed in a folder, and refused in an archive.

    Warns:
        DataWarning: with the number of images read, where files were skipped, images were scaled or have an orientation, or an
            archive comes without its sha256.

    Raises:
        DataError: naming the file and the fault: nothing at `path`, a damaged archive or image, another hash than `sha256`,
            a tar member outside the archive's own tree, images of different sizes or modes, a class of train that test
            lacks or the other way round, a class folder without images, an image that is in no class folder, or no image at all.
    """
    path = Path(path)
    _check_archive(path, sha256)
    told: Counter[str] = Counter()
    images, folders = _read(path, told)
    if not images:
        raise DataError(f"{path}: expected {{train,test}}/<class>/*.{{png,jpg}}, found no such file")
    dataset = _assemble(name, path, images)
    empty = sorted(folders - {key[:2] for key in images})
    if empty:
        raise DataError(
            f"{path}: {'/'.join(empty[0])}: expected images in every class folder, got none; delete or fill it"
        )
    facts = [f"{fact}: {count:,}" for fact, count in sorted((+told).items())]
    if path.is_file() and sha256 is None:
        facts.append("without data.sha256, an archive with images left out looks whole")
    if facts:
        warnings.warn(f"{path}: read {len(images):,} images; {'; '.join(facts)}", DataWarning, stacklevel=2)
    return dataset


def _check_archive(path: Path, sha256: str | None) -> None:
    if not path.exists():
        raise DataError(
            f"{path}: expected a folder or tar or zip of {{train,test}}/<class>/ images, found nothing (data.path)"
        )
    if path.is_dir() and sha256 is not None:
        raise DataError(f"{path}: data.sha256 is for an archive, and this is a folder; set it to null")
    if not path.is_dir() and not path.is_file():
        raise DataError(f"{path}: expected a folder, tar or zip, got a device or pipe (data.path)")
    if sha256 is not None and (got := sha256_of(path)) != sha256:
        raise DataError(f"{path}: expected sha256 {sha256} (data.sha256), got {got}; fetch the archive again")


def _read(path: Path, told: Counter[str]) -> tuple[dict[Key, np.ndarray], set[tuple[str, str]]]:
    """The images, and the class folders (split, class) that there are; what is skipped is counted in `told`."""
    images: dict[Key, np.ndarray] = {}
    folders: set[tuple[str, str]] = set()
    first: tuple[str, tuple[int, ...], tuple[str, ...]] | None = None
    for entry in entries(path):
        inside = entry.inside
        if entry.read is None:
            if len(inside.parts) > 1 and inside.parts[-2] in SPLITS and not _is_hidden(inside):
                folders.add((inside.parts[-2], inside.parts[-1]))
            continue
        is_folder_like = {inside.name, inside.parent.name} & set(SPLITS) and not _is_hidden(inside)
        key = None if entry.fault and is_folder_like else _key(entry.where, inside, told)
        if entry.fault and (key or is_folder_like):
            raise DataError(f"{entry.where}: expected an image or a folder, got {entry.fault}")
        if key is None:
            continue
        image, root = _decode(entry.where, entry.read(), told), inside.parts[:-3]
        first = first or (entry.where, image.shape, root)
        if image.shape != first[1]:
            raise DataError(
                f"{entry.where}: expected an image of {_size(first[1])} as {first[0]} is, got {_size(image.shape)}"
            )
        if key in images:
            raise DataError(f"{entry.where}: a second image under the name {'/'.join(key)}; rename or delete one")
        if root != first[2]:
            raise DataError(
                f"{entry.where}: expected one tree of train and test, got a second one beside that of {first[0]}"
            )
        images[key] = image
        if len(images) * image.nbytes > MOST_BYTES:
            raise DataError(f"{path}: expected at most {MOST_BYTES >> 30} GiB of pixels, got more; take fewer images")
    return images, folders


def _assemble(name: str, path: Path, images: dict[Key, np.ndarray]) -> Dataset:
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


def _key(where: str, inside: PurePosixPath, told: Counter[str]) -> Key | None:
    """Split, class and file name; None for a file that is skipped, which is counted.

    Raises:
        DataError: for an image of a split that is in no class folder, or of a format that is not read.
    """
    parts, suffix = inside.parts, inside.suffix.lower()
    if _is_hidden(inside):
        told[f"files skipped as {HIDDEN}"] += 1
        return None
    if not set(SPLITS) & set(parts[:-1]):
        told[f"files skipped as {OUTSIDE}"] += 1
        return None
    if suffix not in (*SUFFIXES, *OTHER_IMAGES):
        told[f"files skipped as {OTHER}"] += 1
        return None
    n_splits = sum(part in SPLITS for part in parts[:-2])
    if len(parts) < 3 or parts[-3] not in SPLITS or n_splits > 1:
        raise DataError(
            f"{where}: expected images as {{train,test}}/<class>/<file>, got one elsewhere; move it, or delete it"
        )
    if suffix in OTHER_IMAGES:
        raise DataError(f"{where}: expected {', '.join(SUFFIXES)}, got an image of another format; convert it to PNG")
    return parts[-3], parts[-2], parts[-1]


def _is_hidden(inside: PurePosixPath) -> bool:
    return any(part.startswith(".") or part in _OWN for part in inside.parts)


def _decode(where: str, content: bytes, told: Counter[str] | None = None) -> np.ndarray:
    """The image as uint8 (channels, height, width), grey or RGB."""
    return decode(where, content, Counter() if told is None else told)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[2]} pixels, {'grey' if shape[0] == 1 else 'RGB'}"

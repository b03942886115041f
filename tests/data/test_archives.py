"""Folders, tars and zips that nobody meant: what is read is counted, what is skipped is told, what is ambiguous refused."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from made.images import spoilt
from made.tries import tries
from nnrobust.data.archives import LARGEST_FILE
from nnrobust.data.sources import read_image_folder
from nnrobust.errors import DataError, DataWarning
from nnrobust.runtime.outputs import sha256_of


def png(seed=0, size=(4, 5)):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


FILES = {f"{split}/{c}/{i}.png": png(i) for split in ("train", "test") for c in ("cat", "dog") for i in range(3)}


def tree(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tarred(path, files, extra=()):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read(path):
    return read_image_folder("made", path, None)


def read_hashed(path):
    return read_image_folder("made", path, sha256_of(path))


def test_a_zip_is_read_as_its_folder_is(tmp_path):
    folder, archive = tree(tmp_path / "tree", FILES), zipped(tmp_path / "made.zip", FILES)
    one, other = read(folder), read_hashed(archive)
    assert np.array_equal(one.train.images, other.train.images)
    assert (one.classes, one.test.names) == (other.classes, other.test.names)


def test_classes_and_images_behind_links_are_read(tmp_path):
    folder = tree(tmp_path / "tree", FILES)
    away = tmp_path / "away"
    (folder / "train" / "dog").rename(away)
    (folder / "train" / "dog").symlink_to(away)
    (folder / "test" / "cat" / "0.png").rename(tmp_path / "0.png")
    (folder / "test" / "cat" / "0.png").symlink_to(tmp_path / "0.png")
    made = read(folder)
    assert made.classes == ["cat", "dog"]
    assert (len(made.train.labels), len(made.test.labels)) == (6, 6)


def test_bmp_and_webp_are_read(tmp_path):
    folder = tree(tmp_path / "tree", FILES)
    for name, kind in (("cat", "bmp"), ("dog", "webp")):
        file = folder / "train" / name / "0.png"
        Image.open(file).save(file.with_suffix(f".{kind}"), **({"lossless": True} if kind == "webp" else {}))
        file.unlink()
    made = read(folder)
    assert len(made.train.labels) == 6
    assert np.array_equal(made.train.images[0], read(tree(tmp_path / "plain", FILES)).train.images[0])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda t: (t / "train/cat/x.png").symlink_to("/nowhere"), r"train/cat/x\.png: expected an image or a folder, got a link whose target is not here; fetch it, as by `dvc pull`"),
        (lambda t: (t / "train/cow").symlink_to("/nowhere"), r"train/cow: expected an image or a folder, got a link whose target is not here"),
        (lambda t: (t / "train/cat/loop").symlink_to(".."), r"a link that comes back to a folder above it"),
        (lambda t: os.mkfifo(t / "train/cat/x.png"), r"got no regular file, but a device or pipe"),
        (lambda t: (t / "train/cat/x.png").symlink_to("/dev/zero"), r"got no regular file, but a device or pipe"),
        (lambda t: tree(t, {"train/cat/sub/7.png": png()}), r"train/cat/sub/7\.png: expected images as \{train,test\}/<class>/<file>, got one elsewhere"),
        (lambda t: tree(t, {"train/7.png": png()}), r"train/7\.png: expected images as"),
        (lambda t: tree(t, {"test/x/train/cat/7.png": png()}), r"expected images as"),
        (lambda t: tree(t, {"more/train/cat/7.png": png(), "more/test/cat/7.png": png()}), r"expected one tree of train and test, got a second one"),
        (lambda t: tree(t, {"train/cat/7.gif": b"GIF89a"}), r"7\.gif: expected \.png, .*, got an image of another format; convert it to PNG"),
        (lambda t: tree(t, {"train/cat/7.TIFF": b""}), r"7\.TIFF: expected \.png"),
        (lambda t: (t / "train/cow").mkdir(), r"train/cow: expected images in every class folder, got none"),
        (lambda t: tree(t, {"train/cow/notes.txt": b""}), r"train/cow: expected images in every class folder, got none"),
        (lambda t: tree(t, {"train/e\u0301/1.png": png(), "train/\u00e9/2.png": png(), "test/\u00e9/3.png": png()}), r"two that differ in Unicode's form alone, 'train/.*' and 'train/"),
        (lambda t: tree(t, {"train/cat/x\u2028y.png": png()}), r"expected file names in UTF-8 without control characters, got 'train/cat/x\\u2028y\.png'"),
        (lambda t: tree(t, {"train/cat/x\x85y.png": png()}), r"got 'train/cat/x\\x85y\.png'"),
        (lambda t: tree(t, {"train/cat/x\ry.png": png()}), r"got 'train/cat/x\\ry\.png'"),
        (lambda t: os.rename(os.fsencode(t) + b"/train/cat/0.png", os.fsencode(t) + b"/train/cat/\xe9.png"), r"got 'train/cat/\\udce9\.png'"),
        (lambda t: tree(t, {"train/cat/7.png": bytes(LARGEST_FILE + 1)}), r"7\.png: expected a file of at most 33,554,432 bytes, got more"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_in_a_folder_is_refused_and_named(tmp_path, spoil, expected):
    folder = tree(tmp_path / "tree", FILES)
    spoil(folder)
    with pytest.raises(DataError, match=expected):
        read(folder)


def test_names_in_composed_and_decomposed_form_are_one_class(tmp_path):
    files = {
        f"{split}/{c}/{i}.png": png(i) for split, c in (("train", "e\u0301"), ("test", "\u00e9")) for i in range(2)
    }
    made = read(tree(tmp_path / "tree", FILES | files))
    assert made.classes == ["cat", "dog", "\u00e9"]
    assert made.train.names[-1] == "train/\u00e9/1.png"


def test_what_is_skipped_is_counted_and_told(tmp_path):
    extra = {
        **{f"{split}/.ipynb_checkpoints/0.png": png() for split in ("train", "test")},
        "train/cat/.DS_Store": b"",
        "train/cat/._0.png": b"",
        "__MACOSX/train/cat/0.png": b"",
        "train/@eaDir/cat/0.png": b"",
        "README.txt": b"",
        "val/cat/0.png": png(),
        "train/cat/Thumbs.db": b"",
        "train/labels.csv": b"",
    }
    expected = (
        r"read 12 images; files skipped as hidden: 6; files skipped as of other kinds: 2; "
        r"files skipped as outside train and test: 2$"
    )
    with pytest.warns(DataWarning, match=expected):
        made = read(tree(tmp_path / "tree", FILES | extra))
    assert (made.classes, len(made.train.labels)) == (["cat", "dog"], 6)


def test_an_archive_without_hash_is_read_with_the_count_of_its_images(tmp_path):
    expected = r"made\.tar: read 12 images; without data\.sha256, an archive with images left out looks whole"
    with pytest.warns(DataWarning, match=expected):
        read(tarred(tmp_path / "made.tar", FILES))


def link(name, kind=tarfile.SYMTYPE, target="/etc/passwd"):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def sized(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    return member


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (
            link("train/cat/7.png", tarfile.LNKTYPE),
            "train/cat/7.png: expected an image or a folder, got no regular file",
        ),
        (link("train/cow"), "train/cow: expected an image or a folder, got no regular file"),
        (link("train"), "train: expected an image or a folder, got no regular file"),
        (link("train/cat/7.png", tarfile.FIFOTYPE), "got no regular file"),
        (link("train/cat/7.png", tarfile.CHRTYPE), "got no regular file"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, extra, expected):
    with pytest.raises(DataError, match=expected):
        read_hashed(tarred(tmp_path / "made.tar", FILES, [extra]))


@pytest.mark.parametrize("size", [1 << 40, LARGEST_FILE + 1, 5000])
def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path, size):
    path = tarred(tmp_path / "made.tar", FILES)
    with path.open("r+b") as stream:
        stream.seek(-tarfile.RECORDSIZE, 2)
        stream.truncate()
        stream.seek(0, 2)
        stream.write(sized("train/cat/7.png", size).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(DataError, match=r"expected a file of at most|expected a whole file|expected a whole tar"):
        read_hashed(path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_gigabyte_is_not_read_into_memory(tmp_path, kind):
    member = sized("x", 1 << 30)
    member.type = kind
    path = tmp_path / "made.tar.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    with pytest.raises(DataError, match="a part of 1,073,741,824 bytes, where 33,554,432 are the most"):
        read_hashed(path)


@pytest.mark.parametrize("n_lost", range(1, 8))
def test_a_tar_that_is_cut_off_at_a_member_is_refused(tmp_path, n_lost):
    path = tarred(tmp_path / "made.tar", FILES)
    content, end = path.read_bytes(), 1024 * len(FILES)
    assert not any(content[end:])
    for cut in (end - 1024 * n_lost, end - 1024 * n_lost + 200, end - 1024 * n_lost + 512):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match="damaged one"):
            read_hashed(path)


@pytest.mark.parametrize("opened", [gzip.open, bz2.open, lzma.open])
def test_a_compressed_tar_without_its_last_bytes_is_refused(tmp_path, opened):
    content = tarred(tmp_path / "made.tar", FILES).read_bytes()
    path = tmp_path / "made.tar.z"
    with opened(path, "wb") as stream:
        stream.write(content)
    assert len(read_hashed(path).train.labels) == 6
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="damaged one"):
        read_hashed(path)


def spoil_zip(path, place, value):
    """Sets a byte of the last file's entries, both beside its content and in the directory at the end."""
    content = bytearray(path.read_bytes())
    local, central = content.rfind(b"PK\x03\x04"), content.rfind(b"PK\x01\x02")
    content[local + place], content[central + place + 2] = value, value
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: spoil_zip(p, 6, 1), r"test/dog/2\.png: expected an image or a folder, got encrypted; refused"),
        (
            lambda p: spoil_zip(p, 8, 99),
            r"expected a whole zip, got a damaged one: That compression method is not supported",
        ),
        (lambda p: p.write_bytes(p.read_bytes()[:-30]), r"expected a whole zip, got a damaged one"),
        (lambda p: zipped(p, {"../x.png": b""}), r"would escape the folder"),
        (lambda p: zipped(p, {"/train/cat/x.png": b""}), r"would escape the folder"),
        (lambda p: zipped(p, {"train/cat/x.png": bytes(LARGEST_FILE + 1)}), r"x\.png: expected a file of at most"),
        (lambda p: zipped(p, {"train/a\nb/x.png": b""}), r"without control characters"),
    ],
)
def test_a_zip_that_is_no_whole_one_is_refused(tmp_path, spoil, expected):
    path = zipped(tmp_path / "made.zip", FILES)
    spoil(path)
    with pytest.raises(DataError, match=expected):
        read_hashed(path)


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "made.zip", FILES)
    about = zipfile.ZipInfo("train/cat/7.png")
    about.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(about, "/etc/passwd")
    with pytest.raises(DataError, match="got no regular file"):
        read_hashed(path)


def test_a_device_at_the_path_is_refused():
    with pytest.raises(DataError, match="got a device or pipe"):
        read(Path("/dev/null"))


def outcome(path):
    """The images of an archive, or None where it is refused."""
    try:
        made = read_hashed(path)
    except DataError as error:
        assert str(error).startswith(str(path))
        return None
    return {
        name: image.tobytes()
        for part in (made.train, made.test)
        for name, image in zip(part.names, part.images, strict=True)
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::nnrobust.errors.DataWarning")
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_spoilt_archives_are_refused_by_name_or_have_the_same_images(tmp_path, kind):
    plain = tarred(tmp_path / "made.tar", FILES).read_bytes()
    content = {
        "tar": lambda: plain,
        "tar.gz": lambda: gzip.compress(plain),
        "tar.xz": lambda: lzma.compress(plain),
        "zip": lambda: zipped(tmp_path / "made.zip", FILES).read_bytes(),
    }[kind]()
    path = tmp_path / f"spoilt.{kind}"
    path.write_bytes(content)
    expected = outcome(path)

    @tries(200)
    @given(spoilt(content))
    def check(changed):
        path.write_bytes(changed)
        assert outcome(path) in (None, expected)

    check()

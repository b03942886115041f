import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnrobust.data.sources import read_cifar10, read_digits, read_image_folder
from nnrobust.errors import DataError


def tarred(folder: Path, target: Path, mode: str) -> Path:
    with tarfile.open(target, mode) as archive:
        archive.add(folder, arcname="images")
    return target


def test_the_digits_split_is_stratified_and_seeded():
    digits = read_digits("digits", 0.4, 0)
    assert digits.image_shape == (1, 8, 8)
    assert len(digits.train.labels) + len(digits.test.labels) == 1797
    assert not set(digits.train.names) & set(digits.test.names)
    counts = np.bincount(digits.test.labels)
    assert counts.min() >= 69
    assert counts.max() <= 74
    assert read_digits("digits", 0.4, 0).train.names == digits.train.names
    assert read_digits("digits", 0.4, 1).train.names != digits.train.names
    assert sorted(set(digits.train.images.ravel().tolist())) == [round(v * 255 / 16) for v in range(17)]


def test_a_folder_is_read_in_order_of_class_and_file_name(image_tree):
    made = read_image_folder("made", image_tree, None)
    assert made.classes == ["cat", "dog"]
    assert made.image_shape == (3, 5, 4)
    assert made.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert made.test.names == ["test/cat/0.png", "test/cat/1.png", "test/dog/0.png", "test/dog/1.png"]
    original = np.asarray(Image.open(image_tree / "train" / "dog" / "1.png"))
    assert np.array_equal(made.train.images[4], original.transpose(2, 0, 1))


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz")])
def test_a_tar_is_read_as_its_folder_is(image_tree, tmp_path, suffix, mode):
    archive = tarred(image_tree, tmp_path / f"made{suffix}", mode)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    one, other = read_image_folder("made", image_tree, None), read_image_folder("made", archive, sha256)
    assert np.array_equal(one.train.images, other.train.images)
    assert one.test.names == other.test.names


def test_grey_images_have_one_channel(image_tree):
    for file in image_tree.rglob("*.png"):
        Image.open(file).convert("L").save(file)
    assert read_image_folder("made", image_tree, None).image_shape == (1, 5, 4)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda t: truncate(t / "train" / "cat" / "1.png"), r"train/cat/1\.png: expected a whole PNG or JPEG image"),
        (lambda t: (t / "test" / "dog" / "0.png").write_text("no image"), r"test/dog/0\.png: expected a whole PNG"),
        (
            lambda t: Image.new("RGB", (4, 6)).save(t / "test" / "dog" / "0.png"),
            r"test/dog/0\.png: expected an image of 5x4 pixels, RGB as .*, got 6x4 pixels, RGB",
        ),
        (
            lambda t: Image.new("L", (4, 5)).save(t / "train" / "dog" / "0.png"),
            r"train/dog/0\.png: expected .*, got 5x4 pixels, grey",
        ),
        (lambda t: (t / "test" / "dog").rename(t / "test" / "cow"), "class dog has images in train but none in test"),
        (
            lambda t: [p.unlink() for p in (t / "train" / "dog").iterdir()],
            "class dog has images in test but none in train",
        ),
        (lambda t: [p.unlink() for p in t.rglob("*.png")], "found no such file"),
    ],
)
def test_a_spoilt_folder_is_refused_with_the_file_and_the_fault(image_tree, spoil, expected):
    spoil(image_tree)
    with pytest.raises(DataError, match=expected):
        read_image_folder("made", image_tree, None)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a folder or tar"):
        read_image_folder("made", tmp_path / "nowhere", None)


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz")])
def test_a_truncated_archive_is_refused(image_tree, tmp_path, suffix, mode):
    archive = tarred(image_tree, tmp_path / f"made{suffix}", mode)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DataError, match="damaged|expected a whole"):
        read_image_folder("made", archive, None)


def test_an_archive_with_another_hash_is_refused(image_tree, tmp_path):
    archive = tarred(image_tree, tmp_path / "made.tar", "w")
    with pytest.raises(DataError, match=r"expected sha256 0{64} \(data.sha256\), got [0-9a-f]{64}"):
        read_image_folder("made", archive, "0" * 64)


@pytest.mark.parametrize("name", ["../train/cat/0.png", "/train/cat/0.png", "images/train/../../../cat/0.png"])
def test_a_tar_member_that_would_escape_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    with pytest.raises(DataError, match="would escape the folder"):
        read_image_folder("made", tmp_path / "made.tar", None)


def test_a_tar_member_that_is_a_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        link = tarfile.TarInfo("train/cat/0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="no regular file"):
        read_image_folder("made", tmp_path / "made.tar", None)


@pytest.fixture
def cifar_archive(tmp_path, monkeypatch):
    """An archive in CIFAR-10's layout with two images a batch; torchvision is told its hashes."""
    from torchvision.datasets import CIFAR10

    generator, md5 = np.random.default_rng(0), {}
    folder = tmp_path / "raw"
    folder.mkdir()

    def add(archive, name, value):
        content = pickle.dumps(value)
        md5[name] = hashlib.md5(content).hexdigest()
        member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))

    with tarfile.open(folder / CIFAR10.filename, "w:gz") as archive:
        for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
            pixels = generator.integers(0, 256, (2, 3072), dtype=np.uint8)
            add(archive, name, {"data": pixels, "labels": [0, 1]})
        add(archive, "batches.meta", {"label_names": ["airplane", "automobile"]})
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", md5[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5((folder / CIFAR10.filename).read_bytes()).hexdigest())
    return folder / CIFAR10.filename


def test_cifar10_is_read_from_an_archive_placed_by_hand(cifar_archive):
    read = read_cifar10("cifar10", cifar_archive.parent)
    assert read.classes == ["airplane", "automobile"]
    assert read.train.images.shape == (10, 3, 32, 32)
    assert read.test.labels.tolist() == [0, 1]
    assert os.listdir(cifar_archive.parent) == [cifar_archive.name]


def test_a_cifar10_archive_with_another_md5_is_refused(cifar_archive):
    cifar_archive.write_bytes(cifar_archive.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: expected md5 [0-9a-f]{32}, got another"):
        read_cifar10("cifar10", cifar_archive.parent)


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    with pytest.raises(DataError, match="the download from .* failed: .*; place the file there by hand"):
        read_cifar10("cifar10", tmp_path)
    assert list(tmp_path.iterdir()) == []

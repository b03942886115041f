"""MNIST and Fashion-MNIST, from tiny files of their format."""

import struct

import numpy as np
import pytest

from nnrobust.data.read import Request
from nnrobust.errors import DataError

FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


def write_idx(path, values):
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def placed(folder, source):
    """The four files, twenty training and ten test images in an order of its own; and the images."""
    raw, generator, images = folder / FOLDERS[source] / "raw", np.random.default_rng(0), {}
    raw.mkdir(parents=True)
    for split, stem, n in (("train", "train", 20), ("test", "t10k", 10)):
        images[split] = generator.integers(0, 256, (n, 28, 28))
        write_idx(raw / f"{stem}-images-idx3-ubyte", images[split])
        write_idx(raw / f"{stem}-labels-idx1-ubyte", (3 * np.arange(n) + 1) % 10)
    return raw, images


def request(folder, source, **changes):
    block = {
        "name": "made", "source": source, "path": str(folder), "sha256": None, "n_train_per_class": None,
        "n_test_per_class": None, "test_fraction": 0.4, "seed": 0,
    }  # fmt: skip
    return Request.of(block | changes)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **more):
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("source", FOLDERS)
def test_files_placed_by_hand_are_read_as_they_are(tmp_path, source):
    _, images = placed(tmp_path, source)
    dataset = request(tmp_path, source).read()
    assert dataset.image_shape == (1, 28, 28)
    for split, part in (("train", dataset.train), ("test", dataset.test)):
        assert np.array_equal(part.images[:, 0], images[split])
        assert part.labels.tolist() == ((3 * np.arange(len(part.labels)) + 1) % 10).tolist()
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64


@pytest.mark.usefixtures("offline")
def test_classes_go_by_digits_and_by_garments(tmp_path):
    for source in FOLDERS:
        placed(tmp_path, source)
    assert request(tmp_path, "mnist").read().classes == [str(digit) for digit in range(10)]
    assert request(tmp_path, "fashion_mnist").read().classes[:3] == ["T-shirt/top", "Trouser", "Pullover"]


@pytest.mark.usefixtures("offline")
def test_as_many_images_of_each_class_are_taken_as_are_asked_for(tmp_path):
    placed(tmp_path, "mnist")
    dataset = request(tmp_path, "mnist", n_train_per_class=1).read()
    assert np.bincount(dataset.train.labels).tolist() == [1] * 10
    assert len(dataset.test.labels) == 10


@pytest.mark.usefixtures("offline")
def test_without_files_and_without_a_network_the_error_says_where_they_belong(tmp_path):
    expected = (
        r"FashionMNIST/raw: expected the files train-images-idx3-ubyte, .*: .*no network; place them there by hand"
    )
    with pytest.raises(DataError, match=expected):
        request(tmp_path, "fashion_mnist").read()


@pytest.mark.usefixtures("offline")
def test_a_damaged_file_is_refused(tmp_path):
    raw, _ = placed(tmp_path, "mnist")
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"MNIST/raw: expected whole idx files: .*fetch them again"):
        request(tmp_path, "mnist").read()

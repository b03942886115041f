from dataclasses import replace

import numpy as np
import pytest

from nnrobust.data.datasets import (
    Dataset,
    Pair,
    Split,
    cap_per_class,
    channel_statistics,
    first_per_class,
    load_dataset,
    save_dataset,
    select_pairs,
)
from nnrobust.errors import DataError
from nnrobust.runtime.seals import seal


def test_ten_classes_make_45_pairs():
    pairs = select_pairs([str(i) for i in range(10)], "all")
    assert len(pairs) == len(set(pairs)) == 45
    assert str(pairs[0]) == "0-1"
    assert all(pair.first < pair.second for pair in pairs)


def test_named_pairs_are_those_of_the_class_names_in_either_order():
    assert select_pairs(["cat", "dog", "owl"], [("owl", "cat")]) == [Pair(0, 2)]


@pytest.mark.parametrize("wanted", [[("cat", "cow")], [("cat", "cat")], [("cat", "dog"), ("dog", "cat")], []])
def test_pairs_that_make_no_sense_are_refused(wanted):
    with pytest.raises(DataError, match=r"data\.pairs"):
        select_pairs(["cat", "dog"], wanted)


def test_a_cap_keeps_as_many_of_each_class_in_order_and_by_seed(dataset):
    capped = cap_per_class(dataset, 5, 3, seed=1)
    assert np.bincount(capped.train.labels).tolist() == [5, 5, 5]
    assert np.bincount(capped.test.labels).tolist() == [3, 3, 3]
    positions = [int(name) for name in capped.train.names]
    assert positions == sorted(positions)
    assert np.array_equal(capped.train.images, dataset.train.images[positions])
    assert cap_per_class(dataset, 5, 3, seed=1).train.names == capped.train.names
    assert cap_per_class(dataset, 5, 3, seed=2).train.names != capped.train.names


def test_fewer_images_than_asked_are_an_error(dataset):
    with pytest.raises(
        DataError, match=r"made, test, class a: expected at least 11 images \(data.n_test_per_class\), got 10"
    ):
        cap_per_class(dataset, 5, 11, seed=0)


def test_one_class_is_no_problem_to_solve(dataset):
    with pytest.raises(DataError, match="at least two classes"):
        Dataset("made", ["a"], dataset.train, dataset.test)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: replace(s, images=s.images.astype(float)), "expected uint8 images"),
        (lambda s: replace(s, images=s.images[:, :, :4]), r"expected images of shape \(1, 8, 8\) as in train"),
        (lambda s: replace(s, labels=s.labels[:-1]), "30 images, 29 labels and 30 names"),
        (lambda s: replace(s, labels=s.labels.clip(max=1)), "test: no image of class c"),
    ],
)
def test_splits_that_do_not_fit_together_are_refused(dataset, change, expected):
    with pytest.raises(DataError, match=expected):
        Dataset("made", ["a", "b", "c"], dataset.train, change(dataset.test))


def test_a_saved_dataset_is_loaded_as_it_was(dataset, tmp_path):
    pairs = select_pairs(dataset.classes, [("a", "c")])
    save_dataset(dataset, pairs, tmp_path)
    loaded = load_dataset(tmp_path)
    for split in ("train", "test"):
        assert np.array_equal(getattr(loaded.dataset, split).images, getattr(dataset, split).images)
        assert np.array_equal(getattr(loaded.dataset, split).labels, getattr(dataset, split).labels)
        assert getattr(loaded.dataset, split).names == getattr(dataset, split).names
    assert loaded.dataset.classes == dataset.classes
    assert loaded.pairs == pairs


def test_a_damaged_dataset_on_disk_is_an_error(dataset, tmp_path):
    save_dataset(dataset, select_pairs(dataset.classes, "all"), tmp_path)
    (tmp_path / "train_images.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"run `dvc repro prepare`"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["test_labels.npy", "train_images.npy", "train_names.txt", "dataset.json"])
def test_a_flipped_bit_of_a_label_an_image_a_name_or_a_class_is_an_error_that_names_the_file(dataset, tmp_path, name):
    save_dataset(dataset, select_pairs(dataset.classes, "all"), tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[-8] ^= 1
    (tmp_path / name).write_bytes(bytes(content))
    with pytest.raises(DataError, match=f"{name}: expected the sha256 .*run `dvc repro prepare`"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("about", ["[]", "{}", '{"name": "x", "classes": ["a", "b", "c"], "pairs": [[1]]}'])
def test_a_description_of_another_form_is_an_error(dataset, tmp_path, about):
    save_dataset(dataset, select_pairs(dataset.classes, "all"), tmp_path)
    (tmp_path / "dataset.json").write_text(about)
    seal(tmp_path)
    with pytest.raises(DataError, match=r"run `dvc repro prepare`"):
        load_dataset(tmp_path)


def test_channel_statistics_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)), abs=1e-6)
    assert std == pytest.approx((images / 255).std(axis=(0, 2, 3)), abs=1e-6)


def test_the_images_of_a_pair_are_numbered_0_and_1():
    labels = np.array([2, 0, 1, 2, 0])
    pair = Pair(0, 2)
    assert pair.indices(labels).tolist() == [0, 1, 3, 4]
    assert pair.targets(labels[pair.indices(labels)]).tolist() == [1, 0, 1, 0]


def test_the_first_of_each_class_are_taken():
    assert first_per_class(np.array([1, 0, 1, 1, 0]), 1).tolist() == [0, 1]
    assert first_per_class(np.array([1, 0, 1]), None).tolist() == [0, 1, 2]


def test_a_split_takes_images_labels_and_names_together():
    split = Split(np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1), np.array([0, 1, 2]), ["x", "y", "z"]).take(
        np.array([2, 0])
    )
    assert (split.images.ravel().tolist(), split.labels.tolist(), split.names) == ([2, 0], [2, 0], ["z", "x"])

"""The nearest training image of each test image, brightness aside, against brute force and with planted near-duplicates."""

import io

import numpy as np
import pytest
from PIL import Image

from nnrobust.data.datasets import Split
from nnrobust.nearest.dataset import duplicates
from nnrobust.nearest.dataset.duplicates import nearest_training_images


def split(images, labels=None):
    images = np.asarray(images, dtype=np.uint8)
    return Split(
        images, np.zeros(len(images), dtype=np.int64) if labels is None else np.array(labels), [""] * len(images)
    )


def scenes(n, seed):
    """Smooth colour images (n, 3, 16, 16) of values 30 to 200."""
    small = np.random.default_rng(seed).integers(30, 200, (n, 4, 4, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((16, 16), Image.Resampling.BICUBIC)) for one in small]
    return np.stack(large).transpose(0, 3, 1, 2).clip(30, 200)


def through_jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file)).transpose(2, 0, 1)


def test_a_planted_duplicate_is_found_through_jpeg_and_a_shift_in_brightness_and_no_other_image_is_one():
    train, test = scenes(40, seed=0), scenes(10, seed=1)
    test[3] = through_jpeg(train[17] + np.uint8(50))
    test[8] = through_jpeg(train[5] - np.uint8(25))
    found = nearest_training_images(split(train, np.arange(40)), split(test, np.arange(10)))
    assert found["index"].tolist() == found["label"].tolist() == list(range(10))
    assert (found["train_index"] == found["train_label"]).all()
    assert found.loc[[3, 8], "train_index"].tolist() == [17, 5]
    is_planted = found["index"].isin([3, 8])
    assert found.loc[is_planted, "relative_difference"].max() < 0.3
    assert found.loc[~is_planted, "relative_difference"].min() > 0.6


@pytest.mark.parametrize("at_once", [(2_000, 500), (7, 3)])
def test_it_is_that_of_brute_force_in_blocks_of_any_size(monkeypatch, at_once):
    monkeypatch.setattr(duplicates, "_N_REFERENCES", at_once[0])
    monkeypatch.setattr(duplicates, "_N_QUERIES", at_once[1])
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 256, (n, 1, 3, 5), dtype=np.uint8) for n in (30, 11))
    train[20] = train[4]  # of equal ones the first counts
    test[6] = train[20]
    found = nearest_training_images(split(train), split(test))
    flat = [images.reshape(len(images), -1) / 255 for images in (train, test)]
    references, queries = (rows - rows.mean(axis=1, keepdims=True) for rows in flat)
    differences = np.sqrt(((queries[:, None] - references[None]) ** 2).mean(axis=2))
    assert found["train_index"].tolist() == differences.argmin(axis=1).tolist()
    assert found["train_index"][6] == 4
    np.testing.assert_allclose(found["difference"], differences.min(axis=1), atol=1e-6)
    np.testing.assert_allclose(found["relative_difference"], differences.min(axis=1) / queries.std(axis=1), atol=1e-6)


def test_of_images_of_one_colour_those_that_differ_in_brightness_alone_are_equal_and_all_others_infinitely_far():
    ramp = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2)
    grey, black = np.full((1, 1, 2, 2), 90), np.zeros((1, 1, 2, 2))
    assert nearest_training_images(split(grey), split(black))["relative_difference"].tolist() == [0]
    assert nearest_training_images(split(ramp), split(black))["relative_difference"].tolist() == [np.inf]
    assert nearest_training_images(split(black), split(ramp))["relative_difference"].tolist() == [1]

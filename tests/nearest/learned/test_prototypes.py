"""Class means, prototypes and moved copies as references: closed forms, choices by exact robust accuracy, bad input."""

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from made.linear import blobs
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError
from nnrobust.linear.radius import linear_radius
from nnrobust.nearest.learned.prototypes import choose_prototypes, class_means, prototypes, with_flips, with_shifts
from nnrobust.nearest.learned.selection import robust_accuracy

NORMS = ("L2", "Linf", "L1")


def islands(n_each=40, seed=0):
    """Two classes of two islands each, in a chequerboard, that class means cannot tell apart: points (4 n_each, 2), labels."""
    centres = np.array([[0.0, 0.0], [4.0, 4.0], [0.0, 4.0], [4.0, 0.0]])
    points = np.repeat(centres, n_each, axis=0)
    return points + 0.3 * np.random.default_rng(seed).standard_normal(points.shape), np.repeat([0, 0, 1, 1], n_each)


@pytest.mark.parametrize("box", [None, (-6.0, 6.0)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_1nn_on_class_means_has_the_radii_of_the_linear_closed_form(n_classes, norm, box):
    points, y = blobs(1, n=60, d=5, n_classes=n_classes)
    labels = np.array(["ape", "bee", "cat", "dog"])[y]
    model = OneNearestNeighbor().fit(*class_means(points, labels))
    linear = NearestCentroid().fit(points, labels)
    assert (model.predict(points) == linear.predict(points)).all()
    found, expected = (
        model.robust_radius(points, norm=norm, box=box),
        linear_radius(linear, points, norm=norm, box=box),
    )
    np.testing.assert_allclose(found.upper, expected.upper, rtol=2e-6)
    assert found.verify().all()


def test_class_means_of_bytes_are_not_rounded():
    means, classes = class_means(np.array([[0, 1], [1, 2], [255, 255]], dtype=np.uint8), [7, 7, 3])
    assert means.tolist() == [[255, 255], [0.5, 1.5]]
    assert classes.tolist() == [3, 7]


def test_prototypes_are_the_means_of_their_clusters_and_the_same_for_a_seed():
    points, y = islands()
    references, labels = prototypes(points, y, k=2, seed=0, n_starts=4)
    assert labels.tolist() == [0, 0, 1, 1]
    expected = np.stack([points[start : start + 40].mean(axis=0) for start in (0, 40, 80, 120)])
    for part in (slice(0, 2), slice(2, 4)):
        order = references[part, 0].argsort()
        np.testing.assert_allclose(references[part][order], expected[part], atol=1e-9)
    again, _ = prototypes(points, y, k=2, seed=0, n_starts=4)
    assert np.array_equal(references, again)


def test_one_prototype_is_the_mean_and_a_class_of_few_points_keeps_them():
    points, y = islands()
    assert np.array_equal(prototypes(points, y, 1, seed=0)[0], class_means(points, y)[0])
    few = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    references, labels = prototypes(few, [0, 0, 0, 1], k=2, seed=0)
    assert references.tolist() == [[0, 0], [1, 0], [5, 5]]
    assert labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("norm", NORMS)
def test_the_number_of_prototypes_is_the_one_of_the_highest_robust_accuracy_on_held_out_points(norm):
    points, y = islands()
    assert choose_prototypes(points, y, (1, 2, 12), norm, 0.8, held_out_fraction=0.25, seed=0) == 2
    accuracies = [
        robust_accuracy(OneNearestNeighbor().fit(*prototypes(points, y, k, 0)), *islands(seed=1), norm, 0.8)
        for k in (1, 2, 12)
    ]
    assert accuracies[0] < accuracies[1]
    assert accuracies[1] >= accuracies[2]


def test_of_numbers_of_prototypes_equally_good_the_smallest_is_chosen():
    points, y = islands()
    assert choose_prototypes(points, y, [3, 2], "L2", 1e-3, held_out_fraction=0.25, seed=0) == 2


def test_mirror_images_are_left_for_right_and_come_after_the_images():
    images = np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3)
    both, labels = with_flips(images, [5, 6])
    assert both.dtype == np.uint8
    assert np.array_equal(both[:2], images)
    assert both[2].tolist() == [[[2, 1, 0], [5, 4, 3]]]
    assert labels.tolist() == [5, 6, 5, 6]


def test_shifts_repeat_the_edge_in_all_four_directions():
    moved, labels = with_shifts(np.arange(9.0).reshape(1, 3, 3), [4], pixels=1)
    assert np.array_equal(moved[1], [[0, 1, 2], [0, 1, 2], [3, 4, 5]])
    assert np.array_equal(moved[2], [[3, 4, 5], [6, 7, 8], [6, 7, 8]])
    assert np.array_equal(moved[3], [[0, 0, 1], [3, 3, 4], [6, 6, 7]])
    assert np.array_equal(moved[4], [[1, 2, 2], [4, 5, 5], [7, 8, 8]])
    assert labels.tolist() == [4] * 5


def test_a_mirror_image_as_reference_makes_its_query_as_robust_as_the_image_itself():
    generator = np.random.default_rng(0)
    images, y = generator.random((20, 1, 4, 4)), np.arange(20) % 2
    model = OneNearestNeighbor().fit(*with_flips(images, y))
    radii, mirrored = (model.robust_radius(queries, y, norm="Linf") for queries in (images, images[..., ::-1]))
    np.testing.assert_allclose(radii.upper, mirrored.upper, rtol=2e-6)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, y: prototypes(x, y, 0, 0), "k: expected a finite number of at least 1, got 0"),
    (lambda x, y: class_means(x, y[:3]), r"y: expected one label for each of 160 points, got shape \(3,\)"),
    (lambda x, y: class_means(np.where(x == x[2, 1], np.nan, x), y), "X: expected finite values, got NaN in row 2"),
    (lambda x, y: choose_prototypes(x, y, (), "L2", 1.0, 0.2, 0), "ks: expected numbers of prototypes to choose from"),
    (lambda x, y: choose_prototypes(x, y, (1,), "L2", 1.0, 1.5, 0), "held_out_fraction: expected a share"),
    (lambda x, y: choose_prototypes(x, y, (1,), "L3", 1.0, 0.2, 0), "norm: expected one of Linf, L2, L1, got 'L3'"),
    (lambda x, y: with_flips(x, y), r"X: expected images of shape \(n, ..., height, width\), got shape \(160, 2\)"),
    (lambda x, y: with_shifts(x[:, None], y, 1), "pixels: expected a shift below the size of the images"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant_are_named(call, message):
    with pytest.raises(DataError, match=message):
        call(*islands())

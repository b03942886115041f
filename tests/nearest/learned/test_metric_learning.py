"""Metrics that are made or learned: principal components, low frequencies, and W for exact robust accuracy."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError
from nnrobust.nearest.learned.metric_learning import Learning, _Task, factor_gradient, learn_metric
from nnrobust.nearest.learned.projections import choose_metric, low_pass, principal_components
from nnrobust.nearest.learned.prototypes import class_means
from nnrobust.nearest.learned.selection import robust_accuracy

NORMS = ("L2", "Linf", "L1")
SHORT = Learning(n_steps=60, batch_size=64, learning_rate=0.05, held_out_fraction=0.25)


def noisy(n=200, seed=0, d_noise=6):
    """Two features tell the classes apart, and more of larger variance tell nothing: points (n, 2 + d_noise), labels."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    signal = 0.3 * generator.standard_normal((n, 2)) + np.where(y, 1.0, -1.0)[:, None]
    return np.c_[signal, 2.0 * generator.standard_normal((n, d_noise))], y


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0])
def test_principal_components_are_those_of_scikit_learn_over_their_deviation_to_a_power(power):
    points = np.random.default_rng(0).standard_normal((60, 8)) * np.arange(1, 9) + 5
    known = PCA(5).fit(points)
    found = principal_components(points, 5, power)
    expected = known.components_ * (known.explained_variance_ * 59 / 60)[:, None] ** (-power / 2)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-12)
    assert (found[np.arange(5), np.abs(found).argmax(axis=1)] > 0).all()
    if power == 1:
        np.testing.assert_allclose(np.cov(found @ points.T, bias=True), np.eye(5), atol=1e-9)


def test_low_frequencies_are_orthonormal_begin_with_the_mean_and_keep_channels_apart():
    w = low_pass((3, 6, 8), 2)
    assert w.shape == (12, 144)
    np.testing.assert_allclose(w @ w.T, np.eye(12), atol=1e-12)
    images = np.random.default_rng(0).random((5, 3, 6, 8))
    along = (images.reshape(5, -1) @ w.T).reshape(5, 3, 4)
    np.testing.assert_allclose(along[:, :, 0], images.mean(axis=(2, 3)) * np.sqrt(48))
    np.testing.assert_allclose(low_pass((8, 8), 8) @ low_pass((8, 8), 8).T, np.eye(64), atol=1e-12)


def test_the_metric_of_the_highest_robust_accuracy_on_held_out_points_is_chosen_by_name():
    points, y = noisy()
    right, wrong = np.eye(8)[:2], np.eye(8)[2:]
    assert choose_metric(points, y, {"pixels": None, "wrong": wrong, "right": right}, "L2", 0.3, 0.25, 0) == "right"
    assert choose_metric(points, y, {"first": right, "second": right}, "L2", 0.3, 0.25, 0) == "first"


@pytest.mark.parametrize("is_self", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_the_gradient_is_that_of_differences(norm, is_self):
    generator = np.random.default_rng(0)
    points, y = noisy(40)
    basis = np.linalg.qr(generator.standard_normal((12, 8)))[0].T
    references, labels = (points, y) if is_self else noisy(10, seed=1)
    task = _Task(points, y, references, labels, is_self, basis, norm, 0.5)
    factor, rows = np.eye(8) + 0.1 * generator.standard_normal((8, 8)), np.arange(20)
    _, slope = factor_gradient(task, factor, rows, Learning())
    for _ in range(5):
        step = 1e-6 * generator.standard_normal((8, 8))
        up, down = (factor_gradient(task, factor + sign * step, rows, Learning())[0] for sign in (1, -1))
        assert up - down == pytest.approx(2 * (slope * step).sum(), rel=1e-3, abs=1e-11)


@pytest.mark.parametrize("norm", NORMS)
def test_a_learned_metric_is_more_robust_on_new_points_where_most_features_tell_nothing(norm):
    points, y = noisy()
    epsilon = {"L2": 0.5, "Linf": 0.25, "L1": 0.6}[norm]
    metric = learn_metric(points, y, norm, epsilon, 8, learning=SHORT)
    fresh, labels = noisy(100, seed=1)
    before, after = (
        robust_accuracy(OneNearestNeighbor(metric=w).fit(points, y), fresh, labels, norm, epsilon)
        for w in (None, metric)
    )
    assert after > before + 0.2
    assert OneNearestNeighbor(metric=metric).fit(points, y).robust_radius(fresh[:20], norm=norm).verify().all()


def test_the_same_seed_learns_the_same_metric_and_no_steps_leave_the_principal_components():
    points, y = noisy(80)
    first, second, other = (learn_metric(points, y, "L2", 0.5, 6, seed=seed, learning=SHORT) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert first.shape == (6, 8)
    assert not np.array_equal(first, other)
    still = learn_metric(points, y, "L2", 0.5, 3, learning=Learning(n_steps=0, n_snapshots=0, held_out_fraction=0.25))
    np.testing.assert_allclose(still @ still.T, np.eye(3), atol=1e-9)


def test_a_metric_is_learned_for_references_that_are_given():
    points, y = noisy()
    means = class_means(points, y)
    metric = learn_metric(points, y, "L2", 0.5, 8, references=means, learning=SHORT)
    fresh, labels = noisy(100, seed=1)
    before, after = (
        robust_accuracy(OneNearestNeighbor(metric=w).fit(*means), fresh, labels, "L2", 0.5) for w in (None, metric)
    )
    assert after >= before - 0.05


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, y: principal_components(x, 9), "n_components: expected at most 8, the directions in which the points vary, got 9"),
    (lambda x, y: principal_components(np.c_[x, x], 9), "n_components: expected at most 8"),
    (lambda x, y: principal_components(np.full_like(x, np.nan), 2), "X: expected finite values, got NaN"),
    (lambda x, y: low_pass((8,), 2), r"shape: expected \(height, width\) or"),
    (lambda x, y: low_pass((3, 8, 6), 7), "n_frequencies: expected at most 6, as many as pixels, got 7"),
    (lambda x, y: choose_metric(x, y, {}, "L2", 1.0, 0.2, 0), "metrics: expected metrics to choose from, got none"),
    (lambda x, y: learn_metric(x, y, "L3", 1.0, 2), "norm: expected one of Linf, L2, L1, got 'L3'"),
    (lambda x, y: learn_metric(x, y, "L2", 0.0, 2), "epsilon: expected a finite number above 0, got 0.0"),
    (lambda x, y: learn_metric(x, y[:5], "L2", 1.0, 2), r"y: expected one label for each of 200 points, got shape \(5,\)"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant_are_named(call, message):
    with pytest.raises(DataError, match=message):
        call(*noisy())

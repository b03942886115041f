"""Values of any size: labels and radii are those of brute force, or the values are refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from made.tries import n_tries
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError
from nnrobust.linear.radius import linear_radius

NORMS = ("L2", "Linf", "L1")


def sample(seed, scale=1.0, n=60, d=5):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) * scale, np.arange(n) % 2, generator.normal(size=(12, d)) * scale


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("power", [-900, -300, -80, -60, -33, 33, 62, 70, 300, 900])
def test_radii_and_labels_scale_with_the_points(norm, power):
    points, y, queries = sample(0)
    scale = 2.0**power
    one, two = OneNearestNeighbor().fit(points, y), OneNearestNeighbor().fit(points * scale, y)
    assert np.array_equal(one.predict(queries), two.predict(queries * scale))
    for box in (None, (-9.0, 9.0)):
        expected = one.robust_radius(queries, norm=norm, box=box)
        found = two.robust_radius(queries * scale, norm=norm, box=None if box is None else (-9 * scale, 9 * scale))
        np.testing.assert_allclose(found.upper / scale, expected.upper, rtol=1e-6)
        assert (found.status == "exact").all()
        assert found.verify().all()
        logits = two.as_module()(torch.from_numpy(queries * scale))
        assert (logits.argmax(dim=1).numpy() == one.predict(queries)).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("fill", [1e10, 1e20, 9.96921e36, -3.4e38, 1e100])
def test_a_fill_value_in_one_row_changes_nothing_of_the_others(norm, fill):
    points, y, queries = sample(1)
    expected = OneNearestNeighbor().fit(np.delete(points, 7, axis=0), np.delete(y, 7)).robust_radius(queries, norm=norm)
    points[7, 3] = fill
    model = OneNearestNeighbor().fit(points, y)
    found = model.robust_radius(queries, norm=norm)
    np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-6)
    assert (found.status == "exact").all()
    assert found.verify().all()


def test_a_query_far_beyond_the_references_has_the_label_of_the_nearest():
    points, y, _ = sample(2)
    for size in (1e10, 1e25, 1e60):
        queries = np.random.default_rng(0).normal(size=(20, 5)) * size
        nearest = np.array([((points - query) ** 2).sum(axis=1).argmin() for query in queries])
        assert (OneNearestNeighbor().fit(points, y).predict(queries) == y[nearest]).all()


@pytest.mark.parametrize("values", ["too large", "too small", "a fill value too large", "a query too large"])
def test_what_no_float64_can_tell_apart_is_refused(values):
    points, y, queries = sample(3)
    if values == "too large":
        points = points * 1e300
    elif values == "too small":
        points = points * 1e-300
    elif values == "a fill value too large":
        points[7, 3] = 1e200
    else:
        queries = queries * 1e200
    with pytest.raises(DataError, match="X: expected"):
        OneNearestNeighbor().fit(points, y).predict(queries)


def test_a_tie_at_the_very_place_of_two_classes_is_one_and_not_refused():
    model = OneNearestNeighbor().fit(np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), [0, 1, 1])
    assert model.predict(np.zeros((1, 2))).tolist() == [0]
    assert model.robust_radius(np.zeros((1, 2))).upper.tolist() == [0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("power", [-500, -70, 70, 500])
def test_weights_of_any_size_have_the_same_radii(norm, power):
    points, y, queries = sample(4)
    model = LogisticRegression().fit(points, y)
    expected = linear_radius(model, queries, norm=norm)
    model.coef_, model.intercept_ = model.coef_ * 2.0**power, model.intercept_ * 2.0**power
    found = linear_radius(model, queries, norm=norm)
    np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-9)
    assert found.verify().all()


@pytest.mark.parametrize("metric", [1e-200, 1e200])
def test_a_metric_of_any_size_has_the_same_radii(metric):
    points, y, queries = sample(5)
    expected = OneNearestNeighbor(metric=np.eye(5)).fit(points, y).robust_radius(queries)
    found = OneNearestNeighbor(metric=np.eye(5) * metric).fit(points, y).robust_radius(queries)
    np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-6)
    assert found.verify().all()


@pytest.mark.parametrize("seed", range(n_tries(40)))
def test_labels_are_those_of_brute_force_for_columns_and_rows_of_unlike_scales(seed):
    generator = np.random.default_rng(seed)
    points, y, queries = sample(seed, scale=10.0 ** generator.integers(-40, 40))
    columns, rows = 10.0 ** generator.integers(-8, 8, 5), 10.0 ** generator.integers(-8, 8, (60, 1))
    points, queries = points * columns * rows, queries * columns * 10.0 ** generator.integers(-8, 8, (12, 1))
    size = np.abs(points).max()
    exact = (((points / size)[:, None] - queries / size) ** 2).sum(axis=2)
    order = np.sort(np.stack([exact[y == 0].min(axis=0), exact[y == 1].min(axis=0)]), axis=0)
    is_clear = order[1] > order[0] * (1 + 1e-12)
    model = OneNearestNeighbor().fit(points, y)
    assert (model.predict(queries) == y[exact.argmin(axis=0)])[is_clear].all()
    result = model.robust_radius(queries, norm=NORMS[seed % 3])
    assert np.isfinite(result.upper).all()
    assert result.verify().all()

"""Distances between references: those asked for are as right as all at once, and cost no more than is asked."""

import numpy as np
import pytest

from nnrobust import OneNearestNeighbor
from nnrobust.nearest.distances import between as module
from nnrobust.nearest.distances.between import Between
from nnrobust.nearest.distances.references import References


def references(seed, n, d):
    return References.of(np.random.default_rng(seed).random((n, d)), np.full(d, 0.5, dtype=np.float32))


def test_rows_and_pairs_are_within_the_error_whether_all_are_computed_or_those_asked_for():
    own, other, generator = references(0, 100, 30), references(1, 120, 30), np.random.default_rng(2)
    exact = ((own.points[:, None] - other.points[None]) ** 2).sum(axis=2)
    rows, chosen, others = (
        generator.integers(0, 40, 21),
        generator.integers(0, 40, (21, 3)),
        generator.integers(0, 60, (21, 5)),
    )
    for n_queries in (1, 10**6):
        found = Between(own, other, n_queries)
        assert found.is_whole == (n_queries > 1)
        assert np.abs(found.rows(rows) - exact[rows]).max() <= found.error
        assert np.abs(found.pairs(chosen, others) - exact[chosen[:, :, None], others[:, None]]).max() <= found.error
        turned = found.exchanged()
        assert np.abs(turned.rows(rows) - exact.T[rows]).max() <= found.error


def test_few_queries_never_compute_all_distances(monkeypatch):
    generator = np.random.default_rng(0)
    points, y = generator.random((1000, 40)), np.arange(1000) % 2
    model, queries = OneNearestNeighbor().fit(points, y), generator.random((100, 40))
    full = model.robust_radius(queries)
    sizes = []
    real = module.cross_distances
    monkeypatch.setattr(module, "cross_distances", lambda own, other: sizes.append(len(own)) or real(own, other))
    few = model.robust_radius(queries[:5])
    assert 0 < sum(sizes) <= 5
    np.testing.assert_allclose(few.upper, full.upper[:5], rtol=1e-9)
    assert few.verify().all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_centre_is_the_mean_and_whole_where_points_are(dtype):
    from nnrobust.nearest.distances.references import centre_of

    points = np.random.default_rng(0).integers(0, 256, (70000, 3)).astype(dtype)
    mean = points.mean(axis=0, dtype=np.float64)
    expected = np.round(mean) if dtype == np.uint8 else mean
    np.testing.assert_array_equal(centre_of(points), expected.astype(np.float32))

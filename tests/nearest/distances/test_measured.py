"""Distances from queries to references: measured once for predictions and for screening, within their error of the true ones."""

import numpy as np
import pytest

from nnrobust import OneNearestNeighbor
from nnrobust.nearest.distances.measured import ToClasses
from nnrobust.nearest.distances.metric import PLAIN
from nnrobust.nearest.distances.references import References

MEBI = 2**20


def problem(n_classes, n=600, d=40, m=50):
    generator = np.random.default_rng(n_classes)
    return generator.random((n, d)), np.arange(n) % n_classes, generator.random((m, d))


@pytest.mark.parametrize(("block_size", "d"), [(7, 40), (50, 40), (50, 1300)])
def test_distances_by_class_are_within_their_error_and_the_nearest_is_exact(block_size, d):
    points, y, queries = problem(3, d=d)
    centre = points.mean(axis=0).astype(np.float32)
    references = [References.of(points[y == code], centre) for code in range(3)]
    found = ToClasses.of(queries, PLAIN, references, block_size, is_kept=True)
    exact = ((queries[:, None] - points[None]) ** 2).sum(axis=2)
    for code in range(3):
        mine = exact[:, y == code]
        np.testing.assert_allclose(found.nearest[:, code], mine.min(axis=1), rtol=1e-13)
        np.testing.assert_array_equal(found.positions[:, code], mine.argmin(axis=1))
        rows = np.array([4, 1, 30])
        distances = found.against_others(code, rows)
        others = np.concatenate([exact[rows][:, y == other] for other in range(3) if other != code], axis=1)
        assert (np.abs(distances.own - mine[rows]) <= distances.error).all()
        assert (np.abs(distances.other - others) <= distances.error).all()
        np.testing.assert_array_equal(distances.anchor, mine[rows].argmin(axis=1))
    assert ToClasses.of(queries, PLAIN, references, block_size).against_others(0, np.arange(3)) is None


@pytest.mark.parametrize("n_classes", [2, 3])
def test_queries_are_measured_once_where_there_is_memory_for_it_and_the_radii_are_those_of_measuring_twice(
    n_classes, monkeypatch
):
    points, y, queries = problem(n_classes)
    n_products = []
    real = References.squared_distances

    def counted(references, places):
        n_products.append(len(places) * len(references))
        return real(references, places)

    monkeypatch.setattr(References, "squared_distances", counted)
    bytes_of_all = 8 * len(points) * len(queries)
    once = OneNearestNeighbor(working_memory=4.1 * bytes_of_all / MEBI).fit(points, y).robust_radius(queries)
    n_once = sum(n_products)
    twice = OneNearestNeighbor(working_memory=3.9 * bytes_of_all / MEBI).fit(points, y).robust_radius(queries)
    n_twice = sum(n_products) - n_once
    assert n_twice - n_once >= 0.9 * len(points) * len(queries)
    np.testing.assert_allclose(once.upper, twice.upper, rtol=1e-9)
    np.testing.assert_allclose(once.lower, twice.lower, rtol=1e-9)
    assert once.verify().all()


def test_processes_are_given_the_distances_and_find_the_same_radii_to_the_bit():
    points, y, queries = problem(3, m=400)
    one, two = (OneNearestNeighbor(n_jobs=n).fit(points, y).robust_radius(queries) for n in (1, 2))
    np.testing.assert_array_equal(one.lower, two.lower)
    np.testing.assert_array_equal(one.upper, two.upper)


@pytest.mark.parametrize("norm", ["L2", "Linf"])
def test_weights_and_metrics_have_the_same_radii_whether_distances_are_kept_or_not(norm):
    points, y, queries = problem(2, n=200, d=6, m=20)
    metric, weights = np.random.default_rng(0).random((6, 6)), np.linspace(0.5, 2, 6)
    for given, options in ((None, {"weights": weights}), (metric, {}), (metric, {"weights": weights})):
        much, little = (
            OneNearestNeighbor(n_screened=8, metric=given, working_memory=memory)
            .fit(points, y)
            .robust_radius(queries, norm=norm, **options)
            for memory in (64, 0.2)
        )
        np.testing.assert_allclose(much.upper, little.upper, rtol=1e-6)
        assert much.verify().all()

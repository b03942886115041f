"""References in little memory: radii, labels and proofs are those of references held whole, and nothing is copied in vain."""

import numpy as np
import pytest

from nnrobust import KNearestNeighbor, OneNearestNeighbor
from nnrobust.nearest.distances.facing import rows_at
from nnrobust.nearest.distances.references import References, centre_of, cross_distances

NORMS = ("L2", "Linf", "L1")


def sample(n=600, d=60, n_classes=4, dtype=np.uint8):
    generator = np.random.default_rng(0)
    points = generator.integers(0, 256, (n, d)).astype(dtype)
    return points, generator.integers(0, n_classes, n), generator.integers(0, 256, (12, d)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_radii_in_parts_are_those_of_references_held_whole(norm, is_sorted, dtype):
    points, y, queries = sample(dtype=dtype)
    if is_sorted:
        order = np.argsort(y, kind="stable")
        points, y = points[order], y[order]
    whole = OneNearestNeighbor().fit(points, y)
    expected = whole.robust_radius(queries, norm=norm)
    for working_memory in (0.1, 0.02):
        model = OneNearestNeighbor(working_memory=working_memory).fit(points, y)
        assert all(references.held is None for references in model._references)
        found = model.robust_radius(queries, norm=norm)
        np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-9)
        assert (found.status == "exact").all()
        assert found.verify().all()
        assert (model.predict(queries) == whole.predict(queries)).all()


def test_votes_in_little_memory_are_those_of_references_held_whole():
    points, y, queries = sample(n=120, d=12, n_classes=2)
    expected = KNearestNeighbor(3).fit(points, y).robust_radius(queries[:5])
    found = KNearestNeighbor(3, working_memory=0.001).fit(points, y).robust_radius(queries[:5])
    np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-9)
    assert found.verify().all()


def test_memory_mapped_references_in_the_order_of_their_labels_stay_on_disk(tmp_path):
    points, y, queries = sample()
    order = np.argsort(y, kind="stable")
    np.save(tmp_path / "points.npy", points[order])
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    model = OneNearestNeighbor(working_memory=0.02).fit(mapped, y[order])
    assert all(np.shares_memory(references.points, mapped) for references in model._references)
    found = model.robust_radius(queries)
    assert np.shares_memory(found[0].certificate[0].references, mapped)
    np.testing.assert_allclose(found.upper, OneNearestNeighbor().fit(points, y).robust_radius(queries).upper, rtol=1e-9)
    assert found.verify().all()


def test_products_block_by_block_are_those_of_all_points(monkeypatch):
    monkeypatch.setattr("nnrobust.nearest.distances.references._ROWS", 37)
    points, _, queries = sample(n=100)
    centre = centre_of(points)
    held, unheld = References.of(points, centre), References.of(points, centre, is_held=False)
    assert [len(rows) for _, rows in unheld.blocks()] == [37, 37, 26]
    assert np.array_equal(held.squared_norms, unheld.squared_norms)
    exact = ((queries[:, None].astype(float) - points) ** 2).sum(axis=2)
    squared, error = unheld.squared_distances(queries.astype(float))
    assert (np.abs(squared - exact) <= error).all()
    between = ((points[:, None].astype(float) - points) ** 2).sum(axis=2)
    for one in (held, unheld):
        np.testing.assert_allclose(cross_distances(one, unheld), between, atol=0.5)
    assert np.array_equal(unheld.all_held().centred(), held.centred())


@pytest.mark.parametrize(
    ("positions", "is_view"), [([3, 4, 5], True), ([0, 2, 1, 3], False), ([2], True), ([1, 3], False), ([], False)]
)
def test_rows_one_after_the_other_are_a_view(positions, is_view):
    points = np.arange(20.0).reshape(10, 2)
    found = rows_at(points, np.array(positions, dtype=int))
    assert np.array_equal(found, points[positions])
    assert np.shares_memory(found, points) == is_view

"""All references of a classifier: what an outline rules out is far, and it changes no radius."""

import numpy as np
import pytest

from nnrobust import KNearestNeighbor
from nnrobust.nearest.distances.references import References, centre_of
from nnrobust.nearest.voting import descent as voting_descent
from nnrobust.nearest.voting import field as fields
from nnrobust.nearest.voting.field import Field, Outline


def images(seed, n=300, d=400):
    """Points that differ in few directions, and a little in all."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 5)) @ generator.normal(size=(5, d)) + 0.1 * generator.normal(size=(n, d))


def field_of(points):
    ids = [np.arange(0, len(points), 2), np.arange(1, len(points), 2)]
    return Field.of([References.of(points[part], centre_of(points)) for part in ids], ids)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_the_bounds_of_an_outline_are_below_the_distances_and_near_them(scale):
    points = images(0) * scale
    field = field_of(points)
    outline, order = field.outline, np.arange(len(points))
    assert isinstance(outline, Outline)
    for point in (points[3], points[:2].mean(axis=0), points[5] * 40, np.zeros(400)):
        least = outline.least(point - field.parts[0].centre, order)
        exact = field.measured(point, order)
        assert (least <= exact).all()
        assert (least >= exact - 1e-3 * exact.max() - scale**2 * 20).all()
        reach = np.partition(exact, 4)[4]
        assert set(np.flatnonzero(exact <= reach)) <= set(field.within(point, order, reach).tolist())
        assert len(field.within(point, order, reach)) <= 256


def test_radii_of_votes_are_the_same_without_an_outline(monkeypatch):
    points, y = images(1), np.arange(300) % 2
    model = KNearestNeighbor(3).fit(points[20:], y[20:])
    found = model.robust_radius(points[:6])
    monkeypatch.setattr(fields, "_MANY_DIMENSIONS", 1000)
    expected = model.robust_radius(points[:6])
    assert found.upper.max() > 0
    np.testing.assert_allclose(found.upper, expected.upper, rtol=1e-9)
    assert found.verify().all()


def test_while_many_references_may_matter_more_than_one_descent_is_begun(monkeypatch):
    begun, descend_from = [], voting_descent._descend_from
    monkeypatch.setattr(
        voting_descent, "_descend_from", lambda known, near: begun.append(near) or descend_from(known, near)
    )
    monkeypatch.setattr(voting_descent, "_EASY", 6)
    generator = np.random.default_rng(0)
    points, queries = generator.random((400, 6)), generator.random((4, 6))
    y, queries[:, 0] = (points[:, 0] > 0.5).astype(int), 0.2
    # Seven references are left for the second, of which the search has looked at five.
    result = KNearestNeighbor(5, max_problems=50).fit(points, y).robust_radius(queries[1:2])
    assert result.upper[0] > 0
    assert len(begun) > 1

"""Small matrices take one thread, and the number from before is there afterwards."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nnrobust import KNearestNeighbor, OneNearestNeighbor
from nnrobust.nearest.distances import measured as distances
from nnrobust.nearest.proofs import voting_checker
from nnrobust.nearest.search import radius
from nnrobust.nearest.voting import search as voting_search
from nnrobust.runtime.threads import in_threads, on_one_thread


def n_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_one_thread_inside_and_the_number_from_before_afterwards_also_after_an_error():
    with threadpool_limits(2, user_api="blas"):
        assert on_one_thread(n_threads)() == {1}
        assert n_threads() == {2}
        with pytest.raises(ZeroDivisionError):
            on_one_thread(lambda: 1 / 0)()
        assert n_threads() == {2}


def test_radii_are_found_on_one_thread(monkeypatch):
    seen, real = [], radius.exact_radii
    monkeypatch.setattr(
        radius, "exact_radii", lambda *args, **kwargs: seen.append(n_threads()) or real(*args, **kwargs)
    )
    points = np.random.default_rng(0).random((40, 12))
    with threadpool_limits(2, user_api="blas"):
        OneNearestNeighbor().fit(points, np.arange(40) % 2).robust_radius(points + 0.01)
        assert n_threads() == {2}
    assert seen == [{1}, {1}]


def test_votes_are_searched_and_checked_on_one_thread(monkeypatch):
    seen, search, check = [], voting_search.bounded_radius, voting_checker.products
    monkeypatch.setattr(voting_search, "bounded_radius", lambda *args: seen.append(n_threads()) or search(*args))
    monkeypatch.setattr(voting_checker, "products", lambda *args: seen.append(n_threads()) or check(*args))
    points = np.random.default_rng(0).random((40, 12))
    with threadpool_limits(2, user_api="blas"):
        model = KNearestNeighbor(3).fit(points, np.arange(40) % 2)
        result = model.robust_radius(points[:6] + 0.01, [0, 1] * 3)
        n_searched = len(seen)
        assert result.verify().all()
        assert n_threads() == {2}
    assert 0 < n_searched < len(seen)
    assert all(one == {1} for one in seen)


def test_predictions_are_shared_by_as_many_threads_as_products_take_each_on_one_and_are_the_same(monkeypatch):
    generator = np.random.default_rng(0)
    points, queries = generator.random((300, 40)), generator.random((200, 40))
    model, seen, real = OneNearestNeighbor().fit(points, np.arange(300) % 3), [], distances.in_threads

    def watched(work, parts):
        real(lambda part: (seen.append((len(part), n_threads())), work(part)), parts)

    monkeypatch.setattr(distances, "in_threads", watched)
    with threadpool_limits(1, user_api="blas"):
        expected = model.predict(queries)
    assert seen == []
    with threadpool_limits(3, user_api="blas"):
        np.testing.assert_array_equal(model.predict(queries), expected)
        assert n_threads() == {3}
    assert sorted(seen) == [(66, {1}), (67, {1}), (67, {1})]


def test_an_error_of_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 // part, [1, 0, 2])

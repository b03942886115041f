"""Blocks of queries on several processes: the same results, the worker's own error, one sentence for a killed one, progress."""

import numpy as np
import pytest

from made.jobs import are_odd, doubled, killed, refused
from nnrobust import KNearestNeighbor, OneNearestNeighbor
from nnrobust.errors import DataError, SolverError
from nnrobust.runtime.jobs import Report, checked_in_parts, spread


def test_without_processes_results_are_in_order_and_errors_as_raised():
    assert spread(doubled, [3, 1, 2], None) == [6, 2, 4]
    with pytest.raises(DataError, match="item: expected another, got 1"):
        spread(refused, [1, 2], 1)
    assert np.array_equal(checked_in_parts(are_odd, list(range(20)), None, 1), np.arange(20) % 2 == 1)


@pytest.mark.slow
def test_processes_give_the_same_and_an_error_of_theirs_is_one_sentence():
    assert spread(doubled, [3, 1, 2], 2) == [6, 2, 4]
    with pytest.raises(DataError, match="item: expected another, got"):
        spread(refused, [1, 2], 2)
    with pytest.raises(SolverError, match="n_jobs: expected 2 processes that go on, got one that was killed"):
        spread(killed, [1, 2], 2)
    assert spread(doubled, [3, 1], 2) == [6, 2]


@pytest.mark.slow
@pytest.mark.parametrize("model", [OneNearestNeighbor(), KNearestNeighbor(3, max_problems=20)])
def test_radii_and_proofs_are_equal_to_the_bit_whatever_the_number_of_processes(model):
    # Large enough for joblib to map it into memory; more queries of a label than one block has.
    generator = np.random.default_rng(0)
    y = np.arange(1200) % 2
    points, queries = generator.random((1200, 120)) + y[:, None] / 2, generator.random((70, 120))
    found = [model.set_params(n_jobs=n_jobs).fit(points, y).robust_radius(queries) for n_jobs in (None, 2)]
    for name in ("lower", "upper", "x_adv", "status"):
        assert np.array_equal(*(getattr(result, name) for result in found), equal_nan=name == "x_adv")
    assert found[1].certificate[0].references is model._points
    for one, other in zip(*(result.certificate for result in found), strict=True):
        assert np.array_equal(one.own, other.own)
        weights = [proof.multipliers if hasattr(proof, "multipliers") else proof.tree for proof in (one, other)]
        assert repr(weights[0]) == repr(weights[1])
    assert found[1].verify(n_jobs=2).all()


@pytest.mark.parametrize("n_jobs", [0, 1.5, "two", True])
def test_a_number_of_processes_that_cannot_be_meant_is_named(n_jobs):
    with pytest.raises(DataError, match="n_jobs: expected None, or a whole number other than 0"):
        OneNearestNeighbor(n_jobs=n_jobs).fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_is_a_line_on_standard_error(monkeypatch, capsys, is_terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    monkeypatch.setattr("nnrobust.runtime.progress._SECONDS_ON_TERMINAL", 0)
    report = Report.of(1, "robust_radius", 2)
    assert spread(doubled, [1, 2], None, report) == [2, 4]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.count("\r") == (2 if is_terminal else 0)
    assert "robust_radius: 2/2, 0 s, 0 s left" in err
    assert Report.of(0, "robust_radius", 2) is None


def test_an_estimator_says_how_far_it_is_when_asked(capsys):
    points = np.random.default_rng(0).random((40, 3))
    for model in (OneNearestNeighbor(verbose=1), KNearestNeighbor(3, verbose=1)):
        result = model.fit(points, np.arange(40) % 2).robust_radius(points[:4] + 0.01)
        result.verify(verbose=1)
        err = capsys.readouterr().err
        assert ": 1/1, " in err
        assert "verify" in err

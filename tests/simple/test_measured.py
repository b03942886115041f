"""The records of a simple classifier: radii by hand, certificates that are checked, and work that is done once."""

from types import SimpleNamespace

import numpy as np
import pytest

from nnrobust.config.classifiers import Linear, Mean
from nnrobust.data.datasets import AllClasses, Pair
from nnrobust.errors import SolverError
from nnrobust.records import check_records
from nnrobust.runtime.store import WorkStore
from nnrobust.simple.fitted import fitted
from nnrobust.simple.measured import as_points, radii, simple_records
from nnrobust.simple.problem import fit_row, measure, measured_once, records
from nnrobust.tables.accuracy import check_certificates, check_threat_models
from nnrobust.threat import ThreatModel

LINEAR = Linear(kind="linear", norm="L2", epsilon=0.2, alpha=1e-3, tolerance=1e-3, max_iterations=500)
THREATS = [ThreatModel("Linf", 0.05), ThreatModel("L2", 0.4)]


@pytest.fixture
def nearest_mean():
    """The nearest of the means (0, 1) and (1, 0): class 3 above the diagonal, class 8 below it."""
    return fitted(Mean(kind="mean"), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([3, 8])).classifier


IMAGES, LABELS = np.array([[0, 102], [51, 51], [204, 0], [0, 204]], np.uint8), np.array([3, 3, 3, 8])
"""(0, 0.4) is right, (0.2, 0.2) on the boundary, (0.8, 0) wrong, and (0, 0.8) wrong."""


def test_radii_are_distances_to_the_boundary_in_pixel_units(nearest_mean):
    found = radii(nearest_mean, IMAGES, LABELS, ThreatModel("L2", 0.1), is_verdict_enough=False)
    # Without the box half of it on each axis; within it too, as neither axis is stopped.
    np.testing.assert_allclose(found["radius_upper"], [0.4 / np.sqrt(2), 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["box_radius_lower"], [0.4 / np.sqrt(2), 0, 0, 0], atol=1e-6)
    assert found["prediction"].tolist() == [3, 3, 8, 3]


def test_records_hold_together_and_a_tie_is_right_but_not_robust(nearest_mean):
    threat = ThreatModel("L2", 0.1)
    found = radii(nearest_mean, IMAGES, LABELS, threat, is_verdict_enough=False)
    about = {"dataset": "made", "split": "test", "classifier": "mean", "pair": "3-8"}
    frame = simple_records(about, np.arange(4), LABELS, found, threat, "quadratic program")
    check_records(frame, "made")
    check_certificates(frame)
    assert frame["kind"].tolist() == ["exact"] * 4
    assert frame["is_correct"].tolist() == [True, True, False, False]
    assert frame["is_robust"].tolist() == [True, False, False, False]
    assert frame["method"].tolist() == ["quadratic program", "quadratic program", "prediction", "prediction"]
    assert frame[["radius_half_gap", "radius_bisector"]].isna().all(axis=None)


@pytest.mark.parametrize("options", [LINEAR, Mean(kind="mean")], ids=["linear", "mean"])
def test_verdicts_alone_are_those_of_whole_radii(dataset, options):
    classifier = fitted(options, as_points(dataset.train.images), dataset.train.labels).classifier
    for threat in THREATS:
        whole, verdict = (
            radii(classifier, dataset.test.images, dataset.test.labels, threat, is_enough)
            for is_enough in (False, True)
        )
        for prefix in ("", "box_"):
            is_robust = [one[f"{prefix}radius_lower"] > threat.epsilon for one in (whole, verdict)]
            np.testing.assert_array_equal(*is_robust)
            falls = [one[f"{prefix}radius_upper"] <= threat.epsilon for one in (whole, verdict)]
            np.testing.assert_array_equal(*falls)
            assert (is_robust[0] ^ falls[0]).all()
        np.testing.assert_array_equal(whole["prediction"], verdict["prediction"])


def test_a_certificate_that_does_not_verify_stops_everything():
    bounds = SimpleNamespace(lower=np.ones(1), upper=np.ones(1), verify=lambda: np.array([False]))
    forged = SimpleNamespace(predict=lambda points: np.zeros(len(points)), robust_radius=lambda *_, **__: bounds)
    with pytest.raises(SolverError, match="L2, box None: expected certificates that verify, got 1 of 1 that do not"):
        radii(forged, IMAGES[:1], LABELS[:1], ThreatModel("L2", 0.1), is_verdict_enough=False)


@pytest.mark.parametrize("problem", [Pair(0, 2), AllClasses(3)], ids=str)
def test_a_problem_has_a_record_for_each_of_its_images_and_threat_models(dataset, problem):
    found = measure(LINEAR, dataset, problem, THREATS)
    frames = list(records("linear", found, dataset, problem, THREATS))
    assert [(frame["split"][0], frame["norm"][0]) for frame in frames] == [
        ("train", "Linf"), ("train", "L2"), ("test", "Linf"), ("test", "L2"),
    ]  # fmt: skip
    for frame in frames:
        part = getattr(dataset, frame["split"][0])
        assert frame["index"].tolist() == problem.indices(part.labels).tolist()
        assert frame["label"].tolist() == part.labels[frame["index"]].tolist()
        assert set(frame["kind"]) == {"exact"}
        check_records(frame, "made")
        check_threat_models(frame, dataset.n_dimensions)
    row = fit_row("linear", problem, found, frames)
    assert (row["pair"], row["n_records"], row["n_open"]) == (str(problem), sum(map(len, frames)), 0)
    assert row["gap"] <= row["tolerance"] == 1e-3


def test_what_was_measured_once_is_taken_from_the_store(dataset, tmp_path, monkeypatch):
    store = WorkStore(tmp_path, "code")
    first = measured_once(LINEAR, dataset, Pair(0, 1), THREATS, store)
    monkeypatch.setattr("nnrobust.simple.problem.measure", None)
    again = measured_once(LINEAR, dataset, Pair(0, 1), THREATS, store)
    assert (again.fit, again.methods, again.seconds) == (first.fit, first.methods, first.seconds)
    for split, norms in first.columns.items():
        for norm, columns in norms.items():
            for name, values in columns.items():
                np.testing.assert_array_equal(again.columns[split][norm][name], values)
    with pytest.raises(TypeError):
        measured_once(LINEAR, dataset, Pair(0, 1), THREATS[:1], store)

"""Certificates against known answers, brute force, and the exact radius from a quadratic or linear program."""

import numpy as np
import pytest

from made.brute_force import exact_radius
from made.references import EVERYTHING, bounds_of, points, random_problem
from nnrobust.data.datasets import Split
from nnrobust.nearest.dataset.certificate import BOX, PROGRAMS, certificate_records
from nnrobust.nearest.distances.screening import Effort
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.records import check_records
from nnrobust.threat import ThreatModel, norm_of

LITTLE = Effort(n_own=2, n_screened=3, block_size=7)


def test_two_references_on_a_line_have_hand_computed_radii():
    train = points([[0, 0], [255, 0]], [0, 1])
    bounds = bounds_of(train, np.array([[[[51, 0]]]], dtype=np.uint8), [0])
    # x = (0.2, 0), own at 0, other at 1: the boundary is at 0.5, in l2 and, since it is upright, in linf.
    assert bounds.own == pytest.approx([0.2])
    assert bounds.other[0] == pytest.approx([np.inf, 0.8])
    assert bounds.half_gap["L2"][0, 1] == pytest.approx(0.3)
    assert bounds.bisector["L2"][0, 1] == pytest.approx(0.3)
    assert bounds.half_gap["Linf"][0, 1] == pytest.approx(0.3 / np.sqrt(2))
    assert bounds.bisector["Linf"][0, 1] == pytest.approx(0.3)


def test_a_diagonal_boundary_is_nearer_in_linf_by_the_dual_norm():
    train = points([[0, 0], [200, 200]], [0, 1])
    bounds = bounds_of(train, np.array([[[[0, 0]]]], dtype=np.uint8), [0])
    assert bounds.bisector["L2"][0, 1] == pytest.approx(100 * np.sqrt(2) / 255)
    assert bounds.bisector["Linf"][0, 1] == pytest.approx(100 / 255)


def test_several_own_references_push_the_bound_beyond_the_half_gap():
    # Own at (0, 0) and (0, 100), other at (100, 50): between the two own references the other one is farther than each alone says.
    train = points([[0, 0], [0, 100], [100, 50]], [0, 0, 1])
    query = np.array([[[[0, 50]]]], dtype=np.uint8)
    bounds = bounds_of(train, query, [0])
    assert bounds.half_gap["L2"][0, 1] == pytest.approx((100 - 50) / 2 / 255)
    assert bounds.bisector["L2"][0, 1] == pytest.approx((100**2 - 50**2) / (2 * np.hypot(100, 50)) / 255)
    assert bounds.bisector["L2"][0, 1] > bounds.half_gap["L2"][0, 1]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("norm", ["L2", "Linf"])
@pytest.mark.parametrize("effort", [EVERYTHING, LITTLE])
def test_half_gap_is_at_most_bisector_is_at_most_exact(seed, norm, effort):
    train, queries, labels = random_problem(seed)
    bounds = bounds_of(train, queries, labels, effort)
    references = train.images.reshape(len(train.images), -1) / 255
    at = np.arange(len(labels)), 1 - labels
    half_gap, bisector = bounds.half_gap[norm][at], bounds.bisector[norm][at]
    is_correct = bounds.own < bounds.other[at]
    assert (half_gap <= bisector).all()
    assert not bisector[~is_correct].any()
    for adversary, box in ((Adversary(norm), None), (Adversary(norm, BOX), (0.0, 1.0))):
        lower, upper = bounds.lower[adversary][at], bounds.upper[adversary][at]
        assert (bisector <= lower).all()
        assert (lower <= upper).all()
        assert not upper[~is_correct].any()
        for i in np.flatnonzero(is_correct):
            is_own = train.labels == labels[i]
            exact = exact_radius(queries[i].ravel() / 255, references[is_own], references[~is_own], norm, box)
            assert lower[i] == pytest.approx(exact, rel=1e-5, abs=1e-7)
            assert upper[i] == pytest.approx(exact, rel=1e-5, abs=1e-7)


def test_less_effort_gives_a_weaker_bound_never_a_stronger_one(monkeypatch):
    monkeypatch.setattr(
        "nnrobust.nearest.search.radius.FEW", 0
    )  # in few dimensions all references are looked at in any case
    train, queries, labels = random_problem(3, n=60, d=3, n_queries=60)
    much, little = (bounds_of(train, queries, labels, effort) for effort in (EVERYTHING, LITTLE))
    for norm in ("L2", "Linf"):
        assert (little.bisector[norm] <= much.bisector[norm] * (1 + 1e-9)).all()
        assert (little.bisector[norm] < much.bisector[norm] * (1 - 1e-9)).any()
        assert np.array_equal(little.half_gap[norm], much.half_gap[norm])


@pytest.mark.parametrize("norm", ["L2", "Linf"])
def test_with_all_references_the_bisector_bound_is_its_definition(norm):
    train, queries, labels = random_problem(5, n=30, d=6, n_queries=20)
    bounds = bounds_of(train, queries, labels)
    references, x = train.images.reshape(30, -1) / 255, queries.reshape(20, -1) / 255
    for q, label in enumerate(labels):
        own, other = references[train.labels == label], references[train.labels != label]
        gap = ((other - x[q]) ** 2).sum(axis=1)[:, None] - ((own - x[q]) ** 2).sum(axis=1)[None]
        dual = np.array([norm_of(own - x_j, {"L2": "L2", "Linf": "L1"}[norm]) for x_j in other])
        expected = max(0.0, (gap / (2 * dual)).max(axis=1).min())
        if bounds.own[q] < bounds.other[q, 1 - label]:
            assert bounds.bisector[norm][q, 1 - label] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("norm", ["L2", "Linf"])
def test_theorem_1_no_perturbation_within_the_certified_radius_changes_the_prediction(norm):
    train, queries, labels = random_problem(1, n=40, d=4, n_queries=30)
    bounds = bounds_of(train, queries, labels)
    references = train.images.reshape(40, -1) / 255
    generator = np.random.default_rng(0)
    for i, label in enumerate(labels):
        radius = bounds.bisector[norm][i, 1 - label]
        directions = generator.standard_normal((500, 4))
        towards = references[train.labels != label] - queries[i].ravel() / 255
        directions = np.concatenate([directions, towards, np.sign(towards)])
        moved = queries[i].ravel() / 255 + radius * directions / norm_of(directions, norm)[:, None]
        distances = np.linalg.norm(moved[:, None] - references, axis=2)
        if radius > 0:
            assert (
                distances[:, train.labels == label].min(1) <= distances[:, train.labels != label].min(1) + 1e-12
            ).all()


def test_theorem_2_training_images_are_certified_up_to_half_the_class_distance():
    train, _, _ = random_problem(2, n=60, d=6)
    bounds = bounds_of(train, train.images, train.labels)
    references = train.images.reshape(60, -1) / 255
    d0 = min(np.linalg.norm(a - b) for a in references[train.labels == 0] for b in references[train.labels == 1])
    assert not bounds.own.any()
    rows = np.arange(60)
    smallest = bounds.half_gap["L2"][rows, 1 - train.labels].min()
    assert smallest == pytest.approx(d0 / 2)


def test_definition_3_3_as_printed_admits_a_misclassified_example_and_ours_does_not():
    # The query is nearer to the other class by 10, so d(x, x1) > d(x, x0) - delta holds for delta = 20, as printed, and the
    # example would count as robust at delta / 2. With d(x, x1) >= d(x, x0) + delta no delta > 0 fits.
    train = points([[0, 0], [110, 0]], [0, 1])
    query = np.array([[[[60, 0]]]], dtype=np.uint8)
    bounds = bounds_of(train, query, [0])
    delta = 20 / 255
    assert bounds.other[0, 1] > bounds.own[0] - delta
    assert not bounds.other[0, 1] >= bounds.own[0] + delta
    assert bounds.half_gap["L2"][0, 1] == bounds.bisector["L2"][0, 1] == 0


def test_a_tie_between_classes_has_radius_zero_and_goes_to_the_lower_class():
    train = points([[0, 0], [100, 0]], [0, 1])
    queries = np.array([[[[50, 0]]], [[[50, 0]]]], dtype=np.uint8)
    bounds = bounds_of(train, queries, [0, 1])
    about = {"dataset": "made", "split": "test", "classifier": "1NN", "pair": "0-1"}
    records = certificate_records(
        about, np.arange(2), np.array([0, 1]), np.array([0, 1]), bounds, ThreatModel("L2", 0.01)
    )
    check_records(records, "here")
    assert records["prediction"].tolist() == [0, 0]
    assert records["is_correct"].tolist() == [True, False]
    assert records["is_robust"].tolist() == [False, False]
    assert records["radius_lower"].tolist() == [0.0, 0.0]


def test_the_same_image_in_both_classes_certifies_nothing_there():
    train = points([[10, 10], [10, 10], [200, 200]], [0, 1, 1])
    bounds = bounds_of(train, train.images, train.labels)
    assert bounds.bisector["L2"][0, 1] == bounds.bisector["Linf"][0, 1] == 0
    assert bounds.bisector["L2"][1, 0] == 0
    assert bounds.bisector["L2"][2, 0] > 0


def test_the_closed_ball_is_not_certified_at_the_radius_itself():
    train = points([[0, 0], [255, 0]], [0, 1])
    bounds = bounds_of(train, train.images[:1], [0])
    about = {"dataset": "made", "split": "train", "classifier": "1NN", "pair": "0-1"}
    for epsilon, expected in ((0.5, False), (0.5 * (1 - 1e-9), True)):
        threat = ThreatModel("L2", epsilon)
        records = certificate_records(about, np.arange(1), np.array([0]), np.array([0, 1]), bounds, threat)
        assert records["is_robust"].tolist() == [expected]


def test_radii_do_not_change_when_references_or_coordinates_change_places():
    train, queries, labels = random_problem(7, n=40, d=6, n_queries=20)
    order, axes = np.random.default_rng(1).permutation(40), np.random.default_rng(2).permutation(6)
    shuffled = Split(train.images[order][..., axes], train.labels[order], train.names)
    one, other = bounds_of(train, queries, labels), bounds_of(shuffled, queries[..., axes], labels)
    for norm in ("L2", "Linf"):
        np.testing.assert_allclose(one.bisector[norm], other.bisector[norm], rtol=1e-9)


def test_radii_scale_with_the_pixels_and_ignore_a_shift():
    train, queries, labels = random_problem(8, n=40, d=6, n_queries=20, high=60)
    changed = Split((train.images * 3 + 17).astype(np.uint8), train.labels, train.names)
    one, other = bounds_of(train, queries, labels), bounds_of(changed, (queries * 3 + 17).astype(np.uint8), labels)
    for norm in ("L2", "Linf"):
        np.testing.assert_allclose(3 * one.bisector[norm], other.bisector[norm], rtol=1e-9)


def test_settled_queries_keep_the_half_gap_and_the_verdicts_stay():
    train, queries, labels = random_problem(9, n=80, d=6, n_queries=60)
    epsilon = {"L2": 0.1, "Linf": 0.1 / np.sqrt(6)}
    full, quick = bounds_of(train, queries, labels), bounds_of(train, queries, labels, settled_at=epsilon)
    rows = np.arange(60), 1 - labels
    settled = (full.half_gap["L2"][rows] > 0.1) & (full.half_gap["Linf"][rows] > epsilon["Linf"])
    assert 0 < settled.sum() < 60
    for norm in ("L2", "Linf"):
        assert np.array_equal(quick.bisector[norm][rows][settled], full.half_gap[norm][rows][settled])
        assert (quick.bisector[norm][rows] <= full.bisector[norm][rows]).all()
        for adversary in (Adversary(norm), Adversary(norm, BOX)):
            is_robust = full.lower[adversary][rows] > epsilon[norm]
            assert np.array_equal(quick.lower[adversary][rows] > epsilon[norm], is_robust)
            assert (quick.upper[adversary][rows][~is_robust] <= epsilon[norm]).all()


def test_with_more_classes_the_nearest_rival_decides():
    train, queries, labels = random_problem(10, n=60, d=5, n_queries=30, n_classes=3)
    bounds = bounds_of(train, queries, labels, n_classes=3)
    about = {"dataset": "made", "split": "test", "classifier": "1NN", "pair": "all"}
    threat = ThreatModel("L2", 0.05)
    records = certificate_records(about, np.arange(30), labels, np.arange(3), bounds, threat)
    check_records(records, "here")
    distances = np.linalg.norm(queries.reshape(30, 1, -1) / 255 - train.images.reshape(60, -1) / 255, axis=2)
    assert records["prediction"].tolist() == train.labels[distances.argmin(axis=1)].tolist()
    alone = [min(bounds.bisector["L2"][i, c] for c in range(3) if c != labels[i]) for i in range(30)]
    np.testing.assert_array_equal(records["radius_bisector"], alone)


@pytest.mark.parametrize("norm", ["L2", "Linf"])
def test_records_are_exact_and_name_the_weakest_proof(norm):
    train, queries, labels = random_problem(12, n=60, d=8, n_queries=60)
    bounds = bounds_of(train, queries, labels)
    about = {"dataset": "made", "split": "test", "classifier": "1NN", "pair": "0-1"}
    radii = bounds.lower[Adversary(norm)][np.arange(60), 1 - labels]
    epsilon = float(np.median(radii[radii > 0]))
    records = certificate_records(about, np.arange(60), labels, np.array([0, 1]), bounds, ThreatModel(norm, epsilon))
    check_records(records, "here")
    assert set(records["kind"]) == {"exact"}
    by_half_gap = records[records["method"] == "half gap"]
    assert (by_half_gap["radius_half_gap"] > epsilon).all()
    by_problem = records[(records["method"] == PROGRAMS[norm]) & ~records["is_robust"]]
    assert min(len(by_half_gap), len(by_problem)) > 0
    assert (by_problem["radius_upper"] <= epsilon).all()
    assert (records["box_radius_upper"] >= records["radius_lower"]).all()
    assert (records["box_radius_upper"] > records["radius_upper"] * 1.01).any()

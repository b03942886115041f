"""The scikit-learn estimator: its conventions, exact radii in every norm, certificates, the paper's theorems, bad input."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from made.brute_force import exact_radius
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError, SolverError

NORMS = ("L2", "Linf", "L1")
ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}


def problem(seed, n=24, d=4, n_classes=2, n_queries=6, dtype=np.float64):
    generator = np.random.default_rng(seed)
    points, queries = generator.random((n, d)), generator.random((n_queries, d))
    if dtype == np.uint8:
        points, queries = points * 255, queries * 255
    return points.astype(dtype), np.arange(n) % n_classes, queries.astype(dtype)


def few(**options):
    """An estimator that starts with few references, so that small problems take all of its ways."""
    return OneNearestNeighbor(n_own=3, n_screened=4, **options)


@pytest.mark.slow
@pytest.mark.parametrize("box", [None, (-2.0, 3.0)])
@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
def test_bounds_verify_however_near_to_the_boundary_a_query_is_to_references_far_from_it(norm, box):
    generator = np.random.default_rng(0)
    middle, apart = generator.random(3072), generator.normal(size=3072)
    apart *= 0.3 / np.linalg.norm(apart)
    side = generator.normal(size=(200, 3072))
    side -= np.outer(side @ apart, apart) / (apart @ apart)  # along the boundary
    along = np.outer(10.0 ** -generator.uniform(1, 9, 200), apart)
    x = middle + 0.2 * side / np.abs(side).max() * np.sqrt(3072) / 10 - along
    model = OneNearestNeighbor().fit(np.stack([middle - apart / 2, middle + apart / 2]), [0, 1])
    result = model.robust_radius(x, np.zeros(200, dtype=int), norm=norm, box=box)
    assert result.verify().all()
    assert (result.lower > 0).any()


@parametrize_with_checks([OneNearestNeighbor()])
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_predictions_are_those_of_brute_force(dtype):
    points, y, queries = problem(0, n=300, d=12, n_classes=3, n_queries=200, dtype=dtype)
    expected = KNeighborsClassifier(1, algorithm="brute").fit(points.astype(float), y).predict(queries.astype(float))
    assert (few().fit(points, y).predict(queries) == expected).all()


@pytest.mark.parametrize("norm", NORMS)
def test_certificates_hold_in_as_many_dimensions_as_an_image_has(norm):
    points, y, queries = problem(16, n=40, d=3072, n_queries=20, dtype=np.uint8)
    result = few().fit(points, y).robust_radius(queries, norm=norm)
    assert (result.status == "exact").all()
    assert result.verify().all()
    if norm == "L1":
        summed = [math.fsum(np.abs(x_adv - query)) for x_adv, query in zip(result.x_adv, queries, strict=True)]
        assert (np.array(summed) <= result.upper).all()


def test_images_keep_their_shape_and_labels_their_type():
    points, _, queries = problem(1, n=8, d=12)
    y = np.array(["cat", "dog"] * 4)
    model = few().fit(points.reshape(8, 3, 2, 2), y)
    result = model.robust_radius(queries.reshape(-1, 3, 2, 2))
    assert model.n_features_in_ == 12
    assert set(model.predict(queries)) <= {"cat", "dog"}
    assert result.x_adv.shape == (6, 3, 2, 2)
    assert (model.predict(result.x_adv) != model.predict(queries)).all()


@pytest.mark.parametrize(("norm", "box", "radius"), [
    # Own (0, 0), other (2, 1): the boundary is 2 x + y = 2.5, and the query is the own reference.
    ("L2", None, 2.5 / np.sqrt(5)), ("Linf", None, 2.5 / 3), ("L1", None, 1.25),
    # Where x ends at 1 it is crossed at (1, 0.5) at the nearest; where x ends at 0.9, at (0.9, 0.7).
    ("L2", (-9.0, 1.0), np.hypot(1, 0.5)), ("Linf", (-9.0, 1.0), 2.5 / 3), ("L1", (-9.0, 1.0), 1.5),
    ("L2", (-9.0, 0.9), np.hypot(0.9, 0.7)), ("Linf", (-9.0, 0.9), 2.5 / 3), ("L1", (-9.0, 0.9), 1.6),
    ("Linf", (-9.0, 0.8), np.inf), ("L1", (-9.0, 0.8), np.inf), ("L2", (-9.0, 0.8), np.inf),
])  # fmt: skip
def test_two_references_in_the_plane_have_hand_computed_radii(norm, box, radius):
    model = few().fit(np.array([[0.0, 0.0], [2.0, 1.0]]), [0, 1])
    result = model.robust_radius(np.array([[0.0, 0.0]]), norm=norm, box=box)
    assert result.upper[0] == pytest.approx(radius, rel=1e-6)
    assert result.lower[0] == pytest.approx(radius, rel=1e-6)
    assert result.status.tolist() == ["exact"]
    assert result.verify().all()


FIRST, OTHERS = range(4), [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 72)]


@pytest.mark.parametrize("seed", [*FIRST, *OTHERS])
def test_radii_are_those_of_a_library_solver_and_their_certificates_hold(seed):
    dtype = (np.float64, np.uint8, np.float32)[seed % 3]
    points, y, queries = problem(seed, n=4 + seed % 30, d=1 + seed % 6, n_classes=2 + seed % 3, dtype=dtype)
    scale = 255 if dtype == np.uint8 else 1
    model = few().fit(points, y)
    predicted = model.predict(queries)
    for norm in NORMS:
        for box in (None, (0.0, float(scale))):
            result = model.robust_radius(queries, norm=norm, box=box)
            expected = [
                exact_radius(query, points[y == label], points[y != label], norm, box)
                for query, label in zip(queries, predicted, strict=True)
            ]
            np.testing.assert_allclose(result.upper, expected, rtol=3e-6, atol=1e-7 * scale)
            assert (result.lower <= result.upper).all()
            assert (result.status == "exact").all()
            assert result.verify().all()
            assert (model.predict(result.x_adv) != predicted).all()
            moved = np.linalg.norm(result.x_adv - queries.astype(float), ORDERS[norm], axis=1)
            np.testing.assert_allclose(moved, result.upper, rtol=1e-9)
            assert box is None or ((result.x_adv >= box[0]) & (result.x_adv <= box[1])).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_beyond_the_radius_the_label_changes_and_nowhere_before_it(norm, box):
    points, y, queries = problem(15, n=50, d=3, n_queries=20)
    model = few().fit(points, y)
    result, predicted = model.robust_radius(queries, norm=norm, box=box), model.predict(queries)
    directions = np.random.default_rng(0).standard_normal((800, 3))
    directions = np.r_[directions, np.sign(directions[:20]), np.eye(3), -np.eye(3)]
    directions /= np.linalg.norm(directions, ORDERS[norm], axis=1)[:, None]
    for query, label, lower, upper, x_adv in zip(
        queries, predicted, result.lower, result.upper, result.x_adv, strict=True
    ):
        around = np.r_[query + lower * (1 - 1e-9) * directions, [query + (x_adv - query) * (1 - 1e-5)]]
        inside = around if box is None else np.clip(around, *box)
        assert (model.predict(inside) == label).all()
        assert model.predict(x_adv[None])[0] != label
        assert np.linalg.norm(x_adv - query, ORDERS[norm]) <= upper * (1 + 1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_a_decision_at_epsilon_is_that_of_the_radius(norm):
    points, y, queries = problem(3, n=90, d=5, n_classes=3, n_queries=60)
    model = few().fit(points, y)
    radii = model.robust_radius(queries, norm=norm)
    epsilon = float(np.median(radii.upper))
    decided = model.robust_radius(queries, norm=norm, epsilon=epsilon)
    assert np.array_equal(decided.is_robust(epsilon), radii.is_robust(epsilon))
    assert np.array_equal(radii.is_robust(epsilon), radii.upper > epsilon)
    assert decided.verify().all()
    assert 0 < decided.is_robust(epsilon).sum() < 60


def test_a_question_that_bounds_do_not_decide_is_an_error():
    points, y, queries = problem(4)
    result = few().fit(points, y).robust_radius(queries, epsilon=1e-6)
    with pytest.raises(SolverError, match="expected bounds on one side of it"):
        result.is_robust(float(result.lower.max()) * 2)


@pytest.mark.parametrize("norm", NORMS)
def test_wrong_and_tied_queries_have_radius_zero(norm):
    model = few().fit(np.array([[0.0, 0.0], [2.0, 0.0]]), [0, 1])
    result = model.robust_radius(np.array([[0.5, 0.0], [1.0, 3.0], [0.5, 0.0]]), [1, 0, 0], norm=norm)
    assert result.lower.tolist() == [0, 0, result.lower[2]]
    assert result.upper.tolist() == pytest.approx([0, 0, 0.5])
    assert result.status.tolist() == ["exact"] * 3
    assert result.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_duplicates_constant_features_and_a_single_dimension(norm):
    points, y, queries = problem(5, n=20, d=3)
    once = few().fit(points, y).robust_radius(queries, norm=norm)
    wide = np.c_[np.r_[points, points], np.full(40, 0.5)]
    twice = few().fit(wide, np.r_[y, y]).robust_radius(np.c_[queries, np.full(6, 0.5)], norm=norm)
    np.testing.assert_allclose(once.upper, twice.upper, rtol=1e-6)
    assert (twice.status == "exact").all()
    line = few().fit(np.array([[0.0], [1.0], [5.0]]), [0, 1, 0]).robust_radius(np.array([[0.2], [4.0]]), norm=norm)
    assert line.upper.tolist() == pytest.approx([0.3, 1.0])


@pytest.mark.parametrize("norm", NORMS)
def test_a_reference_of_both_classes_wins_by_tie_alone(norm):
    # (1, 0) is in both classes: there the classes tie, which is not robust, and nothing nearer than its cell is lost.
    points, y = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), [0, 0, 1]
    result = few().fit(points, y).robust_radius(np.array([[0.0, 0.0]]), norm=norm)
    assert result.upper[0] == pytest.approx(0.5)
    assert result.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_uint8_and_float_data_have_the_same_radii(norm):
    points, y, queries = problem(6, n=40, d=8, dtype=np.uint8)
    one = few().fit(points, y).robust_radius(queries, norm=norm, box=(0, 255))
    two = few().fit(points / 255, y).robust_radius(queries / 255, norm=norm, box=(0, 1))
    np.testing.assert_allclose(one.upper / 255, two.upper, rtol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_radii_are_invariant_as_the_norm_is(norm):
    points, y, queries = problem(7, n=40, d=6)
    radii = few().fit(points, y).robust_radius(queries, norm=norm).upper
    order, axes = np.random.default_rng(0).permutation(40), np.random.default_rng(1).permutation(6)
    for moved, factor in (
        (lambda p: 3 * p, 3), (lambda p: p - 40, 1), (lambda p: p[:, axes] * [-1, 1, 1, -1, 1, 1], 1),
    ):  # fmt: skip
        again = few().fit(moved(points)[order], y[order]).robust_radius(moved(queries), norm=norm).upper
        np.testing.assert_allclose(again, factor * radii, rtol=2e-6)


def test_little_memory_makes_parts_and_blocks_but_the_same_radii(monkeypatch):
    points, y, queries = problem(8, n=60, d=5, n_classes=3, n_queries=20)
    whole = few().fit(points, y).robust_radius(queries, norm="Linf")
    monkeypatch.setattr("nnrobust.nearest.estimator._MEBI", 2048)
    parts = few(working_memory=1).fit(points, y).robust_radius(queries, norm="Linf")
    np.testing.assert_allclose(parts.upper, whole.upper, rtol=1e-6)
    assert parts.verify().all()


@pytest.mark.parametrize("forgery", ["lower", "no number", "x_adv", "multipliers", "own", "box"])
def test_a_certificate_that_claims_too_much_is_found_out(forgery):
    points, y, queries = problem(9, n=60, d=5)
    model = few().fit(points, y)
    claim = model.robust_radius(queries, norm="L2", box=(0.0, 1.0)).certificate[0]
    assert claim.verify()
    object.__setattr__(claim, "multipliers", dict(claim.multipliers))
    if forgery == "lower":
        object.__setattr__(claim, "lower", claim.lower * (1 + 1e-5))
    elif forgery == "no number":
        object.__setattr__(claim, "lower", np.nan)
        object.__setattr__(claim, "upper", np.nan)
    elif forgery == "x_adv":
        object.__setattr__(claim, "x_adv", claim.query + 0.999 * (claim.x_adv - claim.query))
    elif forgery == "multipliers":
        claim.multipliers.update({j: (own, -weights) for j, (own, weights) in claim.multipliers.items()})
    elif forgery == "own":
        object.__setattr__(claim, "own", claim.own[:0])
    else:
        object.__setattr__(claim, "adversary", type(claim.adversary)("L2", (0.4, 0.6)))
    assert not claim.verify()


def test_theorem_1_and_corollary_3_2_half_the_gap_is_robust_in_l2_and_in_l1():
    points, y, queries = problem(10, n=80, d=6, n_queries=40)
    model = few().fit(points, y)
    distances = np.linalg.norm(queries[:, None] - points, axis=2)
    nearest = np.stack([distances[:, y == label].min(axis=1) for label in (0, 1)], axis=1)
    half_gap = np.abs(nearest[:, 0] - nearest[:, 1]) / 2
    in_l2, in_l1 = (model.robust_radius(queries, norm=norm).lower for norm in ("L2", "L1"))
    assert (in_l2 >= half_gap * (1 - 1e-8)).all()
    assert (in_l1 >= in_l2 * (1 - 1e-6)).all()
    assert (in_l2 > half_gap * 1.01).any()


def test_theorem_2_and_corollaries_3_1_and_3_3_training_points_are_robust_at_half_the_class_distance():
    points, y, _ = problem(11, n=60, d=6)
    model = few().fit(points, y)
    d0 = min(np.linalg.norm(a - b) for a in points[y == 0] for b in points[y == 1])
    for norm, promised in (("L2", d0 / 2), ("L1", d0 / 2), ("Linf", d0 / 2 / np.sqrt(6))):
        assert model.robust_radius(points, y, norm=norm).lower.min() >= promised * (1 - 1e-8)


def test_theorem_3_test_points_come_to_be_robust_at_half_the_class_distance_with_more_training_points():
    # Two squares at distance 0.2: nearly every test point is robust at 0.98 * 0.1 once the nearest own point is near enough.
    generator = np.random.default_rng(0)

    def sample(n):
        y = np.arange(n) % 2
        return generator.random((n, 2)) * [0.4, 1.0] + np.c_[0.6 * y, np.zeros(n)], y

    queries, labels = sample(200)
    shares = []
    for n in (8, 64, 4096):
        result = OneNearestNeighbor().fit(*sample(n)).robust_radius(queries, labels, epsilon=0.98 * 0.1)
        shares.append(result.is_robust(0.98 * 0.1).mean())
    assert shares[0] < shares[1] <= shares[2] == 1


@pytest.mark.parametrize(("arguments", "message"), [
    ({"norm": "L3"}, "norm: expected one of Linf, L2, L1, got 'L3'"),
    ({"box": (1.0, 0.0)}, r"box: expected \(low, high\) with low < high"),
    ({"box": (0.0, 0.01)}, r"box: expected every query within \[0, 0.01\], got .* in row 0, feature 0; give the box"),
    ({"epsilon": 0.0}, "epsilon: expected a finite number above 0, got 0.0"),
    ({"epsilon": -1.0}, "epsilon: expected a finite number above 0"),
    ({"epsilon": float("nan")}, "epsilon: expected a finite number above 0"),
    ({"y": [0]}, r"y: expected one label for each of 6 queries, shape \(6,\), got shape \(1,\)"),
    ({"y": [0, 1, 0, 1, 0, 7]}, r"y: expected labels out of \[0, 1\], got .*7"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant_are_named(arguments, message):
    points, y, queries = problem(12)
    with pytest.raises(DataError, match=message):
        few().fit(points, y).robust_radius(queries, **arguments)


def test_data_that_cannot_be_meant_is_named():
    points, y, queries = problem(13)
    model = few().fit(points, y)
    for value, name in ((np.nan, "NaN"), (np.inf, "inf")):
        wrong = queries.copy()
        wrong[2, 1] = value
        with pytest.raises(DataError, match=f"X: expected finite values, got {name} in row 2, feature 1"):
            model.robust_radius(wrong)
    with pytest.raises(ValueError, match="X has 3 features, but OneNearestNeighbor is expecting 4 features"):
        model.robust_radius(queries[:, :3])
    with pytest.raises(DataError, match="y: expected labels of at least two classes, got one class, 0"):
        few().fit(points, np.zeros(24, dtype=int))


@pytest.mark.parametrize("device", [
    "cpu:0", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
])  # fmt: skip
@pytest.mark.parametrize("norm", NORMS)
def test_products_of_pytorch_on_a_device_give_the_same_radii(norm, device):
    points, y, queries = problem(14, n=200, d=20, n_classes=3, n_queries=30)
    on_cpu, there = (few(device=name).fit(points, y).robust_radius(queries, norm=norm) for name in ("cpu", device))
    np.testing.assert_allclose(there.upper, on_cpu.upper, rtol=1e-6)
    assert there.verify().all()


@pytest.mark.slow
def test_the_package_loads_the_estimator_only_when_asked_for():
    code = "import sys, nnrobust; assert not [m for m in sys.modules if m.startswith('nnrobust.')]; nnrobust.OneNearestNeighbor"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_on_the_cpu_pytorch_is_never_imported():
    code = """
import sys
import numpy as np
from nnrobust import OneNearestNeighbor
points = np.random.default_rng(0).random((40, 5))
model = OneNearestNeighbor().fit(points, np.arange(40) % 3)
for norm in ("L2", "Linf", "L1"):
    assert model.robust_radius(points + 0.001, norm=norm, box=(-1, 2)).verify().all()
assert (model.predict(points) == np.arange(40) % 3).all()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

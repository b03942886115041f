"""The worst-case loss, its dual bound and the solver: against definitions, a library's solver, and problems with known answers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from made.linear import DUALS, ORDERS, blobs, least_loss, worst_case_loss
from nnrobust import RobustLinearClassifier
from nnrobust.linear import solver
from nnrobust.linear.norms import dual_norm, largest_error, project_onto_ball
from nnrobust.linear.objective import Objective
from nnrobust.linear.solver import solve

NORMS = ("L2", "Linf", "L1")


def objective(points, y, norm="L2", epsilon=0.3, alpha=1e-2):
    return Objective(points, points.mean(axis=0), y, y.max() + 1, norm, epsilon, alpha)


@pytest.mark.parametrize("norm", NORMS)
def test_smooth_dual_norms_are_above_the_dual_norm_by_no_more_than_they_say(norm):
    vectors = np.random.default_rng(0).standard_normal((20, 7))
    vectors[0] = 0
    exact, subgradients = dual_norm(vectors, norm)
    np.testing.assert_allclose(exact, np.linalg.norm(vectors, DUALS[norm], axis=1))
    np.testing.assert_allclose(np.vecdot(subgradients, vectors), exact)
    for smoothing in (1e-3, 0.1, 2.0):
        smooth, gradients = dual_norm(vectors, norm, smoothing)
        assert (smooth >= exact).all()
        assert (smooth <= exact + smoothing * largest_error(norm, 7) * (1 + 1e-12)).all()
        assert (np.linalg.norm(gradients, ORDERS[norm], axis=1) <= 1 + 1e-12).all()
        step = 1e-6 * np.random.default_rng(1).standard_normal(vectors.shape)
        moved = dual_norm(vectors + step, norm, smoothing)[0] - dual_norm(vectors - step, norm, smoothing)[0]
        np.testing.assert_allclose(moved, 2 * np.vecdot(gradients, step), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_projections_are_in_the_ball_and_nearer_than_other_points_of_it(norm):
    generator = np.random.default_rng(0)
    vectors, radii = generator.standard_normal((30, 5)), generator.random(30) * 3
    found = project_onto_ball(vectors, radii, norm)
    assert (np.linalg.norm(found, ORDERS[norm], axis=1) <= radii * (1 + 1e-12)).all()
    for _ in range(50):
        others = generator.standard_normal((30, 5))
        others *= (radii / np.linalg.norm(others, ORDERS[norm], axis=1))[:, None]
        assert (np.vecdot(vectors - found, others - found) <= 1e-12).all()


@pytest.mark.parametrize("norm", NORMS)
def test_for_two_classes_the_loss_is_that_of_the_worst_points_and_for_more_it_is_above(norm):
    generator = np.random.default_rng(0)
    for n_classes in (2, 4):
        points, y = blobs(1, n_classes=n_classes)
        weights, biases = generator.standard_normal((n_classes, 3)), generator.standard_normal(n_classes)
        bound = worst_case_loss(weights, biases, points, y, norm, 0.3)
        if n_classes == 2:
            _, directions = dual_norm((weights[1] - weights[0])[None], norm)
            worst = points + 0.3 * np.where(y == 0, 1, -1)[:, None] * directions
            assert worst_case_loss(weights, biases, worst, y, norm, 0) == pytest.approx(bound)
        for _ in range(100):
            moves = generator.standard_normal(points.shape)
            moves *= 0.3 / np.linalg.norm(moves, ORDERS[norm], axis=1)[:, None]
            assert worst_case_loss(weights, biases, points + moves, y, norm, 0) <= bound


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_the_objective_is_the_loss_as_written_out_and_no_dual_bound_exceeds_it_anywhere(norm, n_classes):
    points, y = blobs(2, n_classes=n_classes)
    problem = objective(points, y, norm)
    generator = np.random.default_rng(0)
    values, bounds = [], []
    for scale in (0.01, 0.1, 1.0, 1.0, 3.0):
        vectors = scale * generator.standard_normal((problem.mix.shape[1], 3))
        for smoothing in (0.0, 0.1):
            lengths, slopes = dual_norm(problem.differences @ vectors, norm, smoothing)
            found = problem.evaluate(vectors, lengths, np.zeros(n_classes), problem.centred(np.float64))
            value = problem.true_value(vectors, found)
            weights = problem.mix @ vectors
            written = worst_case_loss(weights, found.intercepts - weights @ problem.centre, points, y, norm, 0.3)
            assert value == pytest.approx(written + 0.005 * (vectors**2).sum())
            assert value <= found.value + 1e-12 or smoothing == 0
            values.append(value)
            bounds.append(problem.lower_bound(found, problem.rest(found, slopes)))
    assert max(bounds) <= min(values)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_a_library_solver_and_the_bound_is_below_it(norm, n_classes, seed):
    points, y = blobs(seed, n=24 + seed, n_classes=n_classes)
    expected = least_loss(points, y, norm, epsilon=0.2, alpha=1e-2)
    found = solve(objective(points, y, norm, epsilon=0.2), tol=1e-6, max_iter=5000)
    assert found.gap <= 1e-6
    assert found.value == pytest.approx(expected, rel=3e-6)
    assert found.lower <= expected + 1e-7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_epsilon_it_is_the_logistic_regression_of_scikit_learn(n_classes):
    points, y = blobs(3, n=60, d=5, n_classes=n_classes)
    model = RobustLinearClassifier(alpha=0.01, tol=1e-10).fit(points, y)
    expected = LogisticRegression(C=1 / (0.01 * 60), tol=1e-10, max_iter=10000).fit(points, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(np.diff(model.intercept_), np.diff(expected.intercept_), atol=1e-4)
    assert (model.predict(points) == expected.predict(points)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_an_epsilon_that_covers_half_the_distance_of_the_means_leaves_no_weights(norm):
    # Both balls hold the middle of the means, so that a perturbation can make the means equal: weights only cost.
    points, y = blobs(4, n=40)
    half = np.linalg.norm(points[y == 1].mean(axis=0) - points[y == 0].mean(axis=0), ORDERS[norm]) / 2
    covered, uncovered = (
        solve(objective(points, y, norm, epsilon=factor * half), tol=1e-9, max_iter=5000) for factor in (1.001, 0.9)
    )
    assert not covered.vectors.any()
    assert covered.value == pytest.approx(np.log(2))
    assert covered.gap < 1e-12
    assert covered.n_iter == 0
    assert uncovered.vectors.any()
    assert uncovered.value < np.log(2) - 1e-4


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_the_fit_moves_with_the_data(norm, n_classes):
    points, y = blobs(5, n=60, d=4, n_classes=n_classes)
    options = {"norm": norm, "epsilon": 0.2, "alpha": 0.05, "tol": 1e-7}
    fit = RobustLinearClassifier(**options).fit(points, y)
    scaled = RobustLinearClassifier(**options | {"epsilon": 0.6, "alpha": 0.05 * 9}).fit(3 * points, y)
    np.testing.assert_allclose(3 * scaled.coef_, fit.coef_, atol=2e-3)
    moved = RobustLinearClassifier(**options).fit(points + np.array([5, -3, 100, 0]), y)
    np.testing.assert_allclose(moved.coef_, fit.coef_, atol=2e-3)
    order, axes = np.random.default_rng(0).permutation(60), np.array([2, 0, 3, 1])
    turned = RobustLinearClassifier(**options).fit((points[:, axes] * [1, -1, 1, -1])[order], y[order])
    np.testing.assert_allclose(turned.coef_, fit.coef_[:, axes] * [1, -1, 1, -1], atol=2e-3)
    for other in (scaled, moved, turned):
        assert other.objective_ == pytest.approx(fit.objective_, rel=2e-7)


@pytest.mark.parametrize("norm", NORMS)
def test_many_points_in_float32_are_proven_in_float64(norm):
    points, y = blobs(6, n=3000, d=400, spread=3.0)
    small = points.astype(np.float32)
    found = solve(objective(small, y, norm, epsilon=0.05), tol=1e-4, max_iter=5000)
    again = solve(objective(small.astype(np.float64), y, norm, epsilon=0.05), tol=1e-6, max_iter=5000)
    assert found.gap <= 1e-4
    assert again.gap <= 1e-6
    assert again.lower <= found.value <= again.value * (1 + 1e-4)
    assert found.lower <= again.value


def wide(name):
    """Points of more features than a search against Linf begins with, and their labels."""
    generator = np.random.default_rng(7)
    n, d, n_classes = {"more points": (400, 150, 2), "three classes": (300, 150, 3), "30 classes": (240, 130, 30)}.get(
        name, (60, 200, 2)
    )
    y = np.arange(n) % n_classes
    points = generator.standard_normal((n, d)) + 0.5 * generator.standard_normal((n_classes, d))[y]
    if name == "separable":
        points[:, 3] += 20.0 * y
    if name == "constant features":
        points[:, ::2] = 3.0
    if name == "one signal in all features":
        points += 2.0 * generator.standard_normal((n, 1)) + 0.3 * y[:, None]
    return points, y


@pytest.mark.parametrize("epsilon", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("name", [
    "fewer points", "more points", "separable", "constant features", "one signal in all features", "three classes",
    pytest.param("30 classes", marks=pytest.mark.slow),
])  # fmt: skip
def test_a_search_that_begins_with_few_features_reaches_the_optimum_of_all(name, epsilon, monkeypatch):
    points, y = wide(name)
    problem = objective(points, y, "Linf", epsilon)
    tol = 1e-5 if problem.n_classes == 2 else 1e-3
    monkeypatch.setattr(solver, "_MANY", 1)
    few = solve(problem, tol, max_iter=5000)
    monkeypatch.setattr(solver, "_MANY", points.shape[1] + 1)
    plain = solve(problem, tol, max_iter=5000)
    assert max(few.gap, plain.gap) <= tol
    assert few.lower <= plain.value
    assert plain.lower <= few.value
    assert few.value == pytest.approx(plain.value, rel=tol)
    weights = problem.mix @ few.vectors
    biases = few.intercepts - weights @ problem.centre
    written = worst_case_loss(weights, biases, points, y, "Linf", epsilon)
    assert few.value == pytest.approx(written + 0.005 * (few.vectors**2).sum(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.3])
def test_few_features_reach_the_optimum_of_a_library_solver(n_classes, epsilon, monkeypatch):
    points, y = blobs(9, n=20, d=8, n_classes=n_classes)
    expected = least_loss(points, y, "Linf", epsilon, alpha=1e-2)
    monkeypatch.setattr(solver, "_MANY", 1)
    found = solve(objective(points, y, "Linf", epsilon), tol=1e-6, max_iter=5000)
    assert found.gap <= 1e-6
    assert found.value == pytest.approx(expected, rel=3e-6)
    assert found.lower <= expected + 1e-7


@pytest.mark.parametrize("max_iter", [3, 12])
def test_few_features_left_before_the_gap_have_a_gap_of_the_whole_problem(max_iter, monkeypatch):
    points, y = wide("more points")
    problem = objective(points, y, "Linf", 0.1)
    best = solve(problem, tol=1e-6, max_iter=5000)
    monkeypatch.setattr(solver, "_MANY", 1)
    found = solve(problem, tol=1e-6, max_iter=max_iter)
    assert found.n_iter == max_iter
    assert found.gap > 1e-6
    assert found.lower <= best.value
    assert found.value >= best.lower


def test_features_join_until_what_is_left_out_is_little_and_no_more_than_as_many_as_there_are():
    rest = np.zeros((2, 40))
    rest[0, :4], rest[1, 10] = [4.0, 3.0, 0.0, 0.1], 2.0
    assert solver._joined(np.array([], dtype=int), rest, least=0.02).tolist() == [0, 1, 10]
    assert solver._joined(np.array([0, 1]), rest, least=0.0).tolist() == [0, 1, 3, 10]
    assert solver._joined(np.array([0, 1, 10]), rest, least=0.02).tolist() == [0, 1, 10]
    assert solver._joined(np.array([], dtype=int), np.ones((1, 40)), least=0.0).tolist() == [0, 1, 2, 3, 4]


def test_products_are_taken_with_some_features_alone_where_most_weights_are_0(monkeypatch):
    points, y = wide("more points")
    sizes, centred = [], Objective.centred

    def counted(self, dtype):
        sizes.append(len(self.centre))
        return centred(self, dtype)

    monkeypatch.setattr(Objective, "centred", counted)
    monkeypatch.setattr(solver, "_MANY", 150)
    found = solve(objective(points, y, "Linf", 0.3), tol=1e-4, max_iter=5000)
    assert found.gap <= 1e-4
    assert 0 < min(sizes) <= max(sizes) <= 75
    assert (found.vectors == 0).sum() >= 75

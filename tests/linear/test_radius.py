"""Exact radii of linear classifiers: hand-computed, against a library's solver, by exact signs, with certificates."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import SVC, LinearSVC

from made.brute_force import way_to_polytope
from made.linear import ORDERS, blobs
from nnrobust.errors import DataError
from nnrobust.linear.form import LinearForm
from nnrobust.linear.radius import linear_radius
from nnrobust.linear.signs import score_gap

NORMS = ("L2", "Linf", "L1")


class Weighed:
    """A classifier of these weights (k, d) and intercepts (k,), or of one score for two classes."""

    def __init__(self, coef, intercept):
        self.coef_, self.intercept_ = np.atleast_2d(np.array(coef, dtype=float)), np.atleast_1d(intercept).astype(float)
        self.classes_ = np.arange(max(2, len(self.coef_)))

    def predict(self, x):
        scores = x @ self.coef_.T + self.intercept_
        return (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)


def random_problem(seed):
    generator = np.random.default_rng(seed)
    n_classes, d = 2 + seed % 3, 1 + seed % 5
    weights = generator.standard_normal((1 if n_classes == 2 else n_classes, d))
    return Weighed(
        weights, generator.standard_normal(len(weights)) * 0.3 - 0.3 * weights.sum(axis=1)
    ), generator.random((8, d))


@pytest.mark.parametrize(("norm", "box", "radius"), [
    # The boundary is 3 x + 4 y = 5, seen from the origin.
    ("L2", None, 1.0), ("Linf", None, 5 / 7), ("L1", None, 1.25),
    # Where coordinates end at 0.8 it is crossed at the corner side: (0.6, 0.8) or further along x.
    ("L2", (-9.0, 0.8), 1.0), ("Linf", (-9.0, 0.8), 5 / 7), ("L1", (-9.0, 0.8), 0.6 + 0.8),
    # At 5/7 the best corner (5/7, 5/7) is just past the boundary or just before it; at 0.7 it is before it.
    ("L2", (-9.0, 0.7), np.inf), ("Linf", (-9.0, 0.7), np.inf), ("L1", (-9.0, 0.7), np.inf),
])  # fmt: skip
def test_a_line_in_the_plane_has_hand_computed_radii(norm, box, radius):
    for model in (Weighed([3, 4], -5), Weighed([[-1.5, -2], [1.5, 2]], [2.5, -2.5])):
        result = linear_radius(model, np.zeros((1, 2)), norm=norm, box=box)
        assert result.upper[0] == pytest.approx(radius, rel=1e-9)
        assert result.lower[0] == pytest.approx(radius, rel=2e-9)
        assert result.status.tolist() == ["exact"]
        assert result.verify().all()


@pytest.mark.parametrize(("norm", "radius"), [("L2", 1 / np.sqrt(2)), ("Linf", 0.5), ("L1", 1.0)])
def test_of_three_classes_the_nearest_boundary_counts(norm, radius):
    # Scores 0, x + y - 1 and 2 x - 6: the second wins beyond x + y = 1, the third beyond x = 3.
    result = linear_radius(
        Weighed([[0, 0], [1, 1], [2, 0]], [0, -1, -6]), np.array([[0.0, 0.0], [0.0, 1.5]]), norm=norm
    )
    assert result.upper.tolist() == pytest.approx([radius, radius / 2])
    assert result.verify().all()


@pytest.mark.parametrize("seed", range(30))
def test_radii_are_those_of_a_library_solver_and_their_certificates_hold(seed):
    model, queries = random_problem(seed)
    form, predicted = LinearForm.of(model), model.predict(queries)
    for norm in NORMS:
        for box in (None, (0.0, 1.0)):
            result = linear_radius(model, queries, norm=norm, box=box)
            sides = (-np.inf, np.inf) if box is None else box
            for query, code, lower, upper in zip(queries, predicted, result.lower, result.upper, strict=True):
                rivals = [j for j in range(len(form.classes)) if j != code]
                low, high = sides[0] - query, sides[1] - query
                expected = np.inf
                for j in rivals:
                    normal = form.weights[code] - form.weights[j]
                    gap = normal @ query + form.biases[code] - form.biases[j]
                    ahead = -normal * gap / (normal @ normal) if box is None else np.where(normal < 0, high, low)
                    expected = min(expected, way_to_polytope(normal[None], np.array([-gap]), norm, low, high, ahead))
                assert upper == pytest.approx(expected, rel=3e-6)
                assert lower <= upper
            assert (result.status == "exact").all()
            assert result.verify().all()
            found = np.isfinite(result.upper)
            moved = np.linalg.norm(result.x_adv - queries, ORDERS[norm], axis=1)
            np.testing.assert_allclose(moved[found], result.upper[found], rtol=1e-9)
            assert box is None or ((result.x_adv[found] >= 0) & (result.x_adv[found] <= 1)).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_no_step_within_the_radius_changes_the_label_and_a_projected_step_reaches_it(norm, box):
    model, queries = random_problem(5)
    form, predicted = LinearForm.of(model), model.predict(queries)
    result = linear_radius(model, queries, norm=norm, box=box)
    directions = np.random.default_rng(0).standard_normal((500, queries.shape[1]))
    directions = np.r_[directions, np.sign(directions[:20]), np.eye(queries.shape[1]), -np.eye(queries.shape[1])]
    directions /= np.linalg.norm(directions, ORDERS[norm], axis=1)[:, None]
    for query, code, lower, upper, x_adv in zip(
        queries, predicted, result.lower, result.upper, result.x_adv, strict=True
    ):
        if np.isinf(upper):
            corners = np.where(form.weights - form.weights[code] > 0, 1.0, 0.0)
            assert (model.predict(corners) == code).all()
            continue
        around = np.r_[query + lower * (1 - 1e-9) * directions, [query + (x_adv - query) * (1 - 1e-6)]]
        assert (model.predict(around if box is None else np.clip(around, *box)) == code).all()
        beyond = query + (x_adv - query) * (1 + 1e-6)
        if box is None:
            assert model.predict(beyond[None])[0] != code
    # Attacked: one step against each rival's margin, projected onto the box, never flips a label nearer than the radius.
    for j in range(len(form.classes)):
        steps = np.sign(form.weights[j] - form.weights[predicted])
        for size in np.linspace(0, 2, 200):
            attacked = queries + size * steps
            attacked = attacked if box is None else np.clip(attacked, *box)
            flipped = model.predict(attacked) != predicted
            assert (np.linalg.norm(attacked - queries, ORDERS[norm], axis=1) >= result.lower)[flipped].all()


@pytest.mark.parametrize("norm", NORMS)
def test_radii_are_invariant_as_the_norm_is(norm):
    model, queries = random_problem(8)
    radii = linear_radius(model, queries, norm=norm).upper
    axes, order = np.random.default_rng(0).permutation(queries.shape[1]), np.array([2, 0, 1, 3])
    scaled = Weighed(model.coef_ / 3, model.intercept_)
    np.testing.assert_allclose(linear_radius(scaled, 3 * queries, norm=norm).upper, 3 * radii, rtol=1e-9)
    steeper = Weighed(model.coef_ * 7, model.intercept_ * 7)
    np.testing.assert_allclose(linear_radius(steeper, queries, norm=norm).upper, radii, rtol=1e-9)
    moved = Weighed(model.coef_, model.intercept_ - 40 * model.coef_.sum(axis=1))
    np.testing.assert_allclose(linear_radius(moved, queries + 40, norm=norm).upper, radii, rtol=1e-9)
    rows = order[: len(model.coef_)] if len(model.coef_) == 4 else np.arange(len(model.coef_))[::-1]
    turned = Weighed(model.coef_[rows][:, axes], model.intercept_[rows])
    np.testing.assert_allclose(linear_radius(turned, queries[:, axes], norm=norm).upper, radii, rtol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_wrong_and_tied_queries_have_radius_zero(norm):
    queries = np.array([[1.0], [-1.0], [0.25], [0.5]])
    result = linear_radius(Weighed([1], -0.25), queries, [1, 1, 0, 1], norm=norm)
    assert result.upper.tolist() == pytest.approx([0.75, 0, 0, 0.25])
    assert result.lower.tolist() == pytest.approx([0.75, 0, 0, 0.25])
    assert result.status.tolist() == ["exact"] * 4
    assert result.verify().all()
    assert result.is_robust(0.5).tolist() == [True, False, False, False]
    # A closed ball: a radius of epsilon is not robust at epsilon.
    assert not result.is_robust(float(result.upper[3]))[3]


@pytest.mark.parametrize("norm", NORMS)
def test_equal_weights_are_never_crossed_and_equal_scores_are_ties(norm):
    ahead = linear_radius(Weighed([[1, 1], [1, 1]], [1, 0]), np.ones((1, 2)), norm=norm, box=(0, 1))
    assert ahead.upper.tolist() == ahead.lower.tolist() == [np.inf]
    assert np.isnan(ahead.x_adv).all()
    assert linear_radius(Weighed([[1, 1], [1, 1]], [1, 0]), np.ones((1, 2)), norm=norm).lower.tolist() == [np.inf]
    tied = linear_radius(Weighed([[1, 1], [1, 1], [0, 0]], [0, 0, 0]), np.ones((1, 2)), norm=norm)
    assert tied.upper.tolist() == [0]
    assert ahead.verify().all()
    assert tied.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_corner_that_is_a_tie_is_reached_and_one_just_short_of_it_is_not(norm):
    queries = np.zeros((1, 2))
    corner = linear_radius(Weighed([[0.5, 0.25]], -0.75), queries, norm=norm, box=(0, 1))
    assert corner.x_adv.tolist() == [[1, 1]]
    assert corner.status.tolist() == ["exact"]
    short = linear_radius(Weighed([[0.5, 0.25]], np.nextafter(-0.75, -1)), queries, norm=norm, box=(0, 1))
    assert short.lower.tolist() == short.upper.tolist() == [np.inf]
    assert corner.verify().all()
    assert short.verify().all()


def test_the_sign_of_a_difference_of_scores_is_that_of_fractions():
    generator = np.random.default_rng(0)
    for _ in range(50):
        weights = generator.standard_normal((2, 6)) * 10.0 ** generator.integers(-6, 6, (2, 6))
        point = generator.standard_normal(6)
        exact = sum(
            (Fraction(a) - Fraction(b)) * Fraction(x) for a, b, x in zip(*weights.tolist(), point.tolist(), strict=True)
        )
        near = float(exact)
        for bias in (near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf)):
            found = score_gap(weights, np.array([0.0, bias]), (0, 1), point)
            assert found == float(exact - Fraction(bias))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("norm", NORMS)
def test_certificates_hold_in_as_many_dimensions_as_an_image_has(norm, dtype):
    generator = np.random.default_rng(0)
    queries = (generator.random((20, 3072)) * 255).astype(dtype)
    weights = generator.standard_normal((5, 3072))
    model = Weighed(weights, -weights @ np.full(3072, 127.5))
    for box in (None, (0, 255)):
        result = linear_radius(model, queries, norm=norm, box=box)
        assert (result.status == "exact").all()
        assert result.verify().all()
        if norm == "L1":
            summed = [math.fsum(np.abs(x_adv - query)) for x_adv, query in zip(result.x_adv, queries, strict=True)]
            assert (np.array(summed) <= result.upper).all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_a_decision_at_epsilon_is_that_of_the_radius(norm, box):
    model, queries = random_problem(11)
    radii = linear_radius(model, queries, norm=norm, box=box)
    epsilon = float(np.median(radii.upper[np.isfinite(radii.upper)]))
    decided = linear_radius(model, queries, norm=norm, box=box, epsilon=epsilon)
    assert np.array_equal(decided.is_robust(epsilon), radii.is_robust(epsilon))
    assert decided.verify().all()
    assert (decided.lower <= radii.upper).all()


@pytest.mark.parametrize("estimator", [
    LogisticRegression(), LogisticRegression(fit_intercept=False), LinearSVC(), LinearSVC(fit_intercept=False),
    LinearDiscriminantAnalysis(), RidgeClassifier(), NearestCentroid(), NearestCentroid(shrink_threshold=0.1),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_classifiers_of_scikit_learn_have_radii_at_which_their_labels_change(estimator, n_classes):
    points, y = blobs(0, n=60, n_classes=n_classes)
    labels = np.array(["ape", "bee", "cat"])[y]
    estimator.fit(points, labels)
    predicted = estimator.predict(points)
    for norm in NORMS:
        result = linear_radius(estimator, points, norm=norm)
        assert (estimator.predict(points + (1 - 1e-6) * (result.x_adv - points)) == predicted).all()
        assert (estimator.predict(points + (1 + 1e-6) * (result.x_adv - points)) != predicted).all()
        assert result.verify().all()
        given = linear_radius(estimator, points, labels, norm=norm)
        assert np.array_equal(given.upper > 0, predicted == labels)


def test_the_radius_of_nearest_centroids_is_the_distance_to_their_bisector():
    model = NearestCentroid().fit([[-1.0, 0.0], [1.0, 2.0], [3.0, 0.0], [5.0, 2.0]], [0, 0, 1, 1])
    result = linear_radius(model, np.array([[0.0, 7.0], [3.0, 0.0]]))
    assert result.upper.tolist() == pytest.approx([2.0, 1.0])


def test_sparse_weights_are_taken():
    points, y = blobs(0)
    model = LogisticRegression().fit(points, y)
    expected = linear_radius(model, points).upper
    model.coef_ = csr_array(model.coef_)
    assert np.array_equal(linear_radius(model, points).upper, expected)


@pytest.mark.parametrize(
    "forgery", ["lower", "upper", "x_adv", "box", "code", "biases", "nan", "no number", "no other class"]
)
@pytest.mark.parametrize("norm", NORMS)
def test_a_certificate_that_claims_too_much_is_found_out(norm, forgery):
    model, queries = Weighed([[3, 4], [-1, 2], [0, -5]], [0.3, 1.5, 0.2]), np.array([[0.5, 0.4]])
    claim = linear_radius(model, queries, norm=norm, box=(0.0, 1.0)).certificate[0]
    assert claim.verify()
    honest = replace(claim)
    forged = {
        "lower": {"lower": claim.lower * (1 + 1e-6)},
        "upper": {"upper": claim.upper * (1 - 1e-6)},
        "x_adv": {"x_adv": claim.query + 0.999999 * (claim.x_adv - claim.query)},
        "box": {"adversary": type(claim.adversary)(norm, (0.39, 0.6))},
        "code": {"code": 1},
        "biases": {"biases": claim.biases - [0.1, 0, 0]},
        "nan": {"x_adv": np.full(2, np.nan)},
        "no number": {"upper": np.nan},
        "no other class": {"lower": np.inf, "upper": np.inf},
    }[forgery]
    for name, value in forged.items():
        object.__setattr__(claim, name, value)
    assert not claim.verify()
    assert type(claim).which_hold([honest, claim, honest]).tolist() == [True, False, True]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"norm": "L3"}, "norm: expected one of Linf, L2, L1, got 'L3'"),
    ({"box": (1.0, 0.0)}, r"box: expected \(low, high\) with low < high"),
    ({"box": (0.0, 0.01)}, r"box: expected every query within \[0, 0.01\], got .* in row 0, feature 0; give the box"),
    ({"epsilon": 0.0}, "epsilon: expected a finite number above 0, got 0.0"),
    ({"epsilon": float("nan")}, "epsilon: expected a finite number above 0, got nan"),
    ({"y": [0]}, r"y: expected one label for each of 8 queries, shape \(8,\), got shape \(1,\)"),
    ({"y": [0, 1, 0, 1, 0, 1, 0, 7]}, r"y: expected labels out of \[0, 1, 2\], got .*7"),
    ({"X": np.full((1, 2), np.nan)}, "X: expected finite values, got NaN in row 0, feature 0"),
    ({"X": np.zeros((1, 3))}, "X: expected 2 features, as the classifier has, got 3"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant_are_named(arguments, message):
    model, queries = random_problem(1)
    with pytest.raises(DataError, match=message):
        linear_radius(model, arguments.pop("X", queries), **arguments)


@pytest.mark.parametrize("estimator", [
    KNeighborsClassifier(1), LinearRegression(), SVC(kernel="linear"), SVC(), NearestCentroid(metric="manhattan"),
    NearestCentroid(priors=[0.5, 0.3, 0.2]),
], ids=repr)  # fmt: skip
def test_estimators_that_are_not_one_score_a_class_are_named(estimator):
    points, y = blobs(0, n_classes=3)
    with pytest.raises(DataError, match="estimator: expected .* got"):
        linear_radius(estimator.fit(points, y), points)
    with pytest.raises(DataError, match="estimator: expected .* got"):
        linear_radius(LogisticRegression(), points)

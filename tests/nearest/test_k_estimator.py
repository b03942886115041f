"""The estimator of k nearest neighbours: scikit-learn's conventions, k = 1, scores, what results look like, bad input."""

import re

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from made.project import ROOT
from nnrobust import KNearestNeighbor, OneNearestNeighbor, RobustScorer
from nnrobust.errors import DataError


def problem(seed, n=60, d=4, n_classes=2, n_queries=10):
    generator = np.random.default_rng(seed)
    return generator.random((n, d)), np.arange(n) % n_classes, generator.random((n_queries, d))


@parametrize_with_checks([KNearestNeighbor(3)])
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
def test_with_one_neighbour_it_is_the_nearest_neighbour_to_the_bit(norm):
    points, y, queries = problem(0, n_classes=3)
    one, k = OneNearestNeighbor().fit(points, y), KNearestNeighbor(1).fit(points, y)
    assert np.array_equal(one.predict(queries), k.predict(queries))
    assert np.array_equal(one.predict_proba(queries), k.predict_proba(queries))
    assert np.array_equal(one.decision_function(queries), k.decision_function(queries))
    mine, theirs = (model.robust_radius(queries, norm=norm, box=(0, 1)) for model in (k, one))
    for name in ("lower", "upper", "x_adv", "status"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_predictions_neighbours_and_shares_are_those_of_scikit_learn(k):
    points, y, queries = problem(k, n=200, d=6, n_classes=3, n_queries=40)
    mine, theirs = KNearestNeighbor(k).fit(points, y), KNeighborsClassifier(k, algorithm="brute").fit(points, y)
    distances, positions = mine.kneighbors(queries)
    expected, there = theirs.kneighbors(queries)
    np.testing.assert_allclose(distances, expected, rtol=1e-9)
    assert np.array_equal(positions, there)
    assert np.array_equal(
        mine.kneighbors(queries, 2, return_distance=False), there[:, :2] if k > 1 else mine.kneighbors(queries, 2)[1]
    )
    np.testing.assert_allclose(mine.predict_proba(queries), theirs.predict_proba(queries))
    assert np.array_equal(mine.predict(queries), theirs.predict(queries))


@pytest.mark.parametrize(("k", "n_classes"), [(1, 2), (3, 2), (1, 3), (3, 3)])
def test_the_highest_score_is_the_prediction(k, n_classes):
    points, y, queries = problem(1, n_classes=n_classes, n_queries=50)
    model = KNearestNeighbor(k).fit(points, y)
    scores = model.decision_function(queries)
    assert scores.shape == ((50,) if n_classes == 2 else (50, n_classes))
    chosen = (scores > 0).astype(int) if n_classes == 2 else scores.argmax(axis=1)
    assert np.array_equal(model.predict(queries), chosen)


def test_of_equal_distances_and_votes_the_first_class_counts():
    model = KNearestNeighbor(3).fit(np.array([[0.0], [2.0], [0.0], [2.0], [9.0]]), [1, 0, 1, 0, 2])
    assert model.predict(np.array([[1.0]])).tolist() == [0]
    assert model.kneighbors(np.array([[1.0]]), return_distance=False).tolist() == [[1, 3, 0]]


def test_points_of_images_and_of_extreme_sizes():
    points, y, queries = problem(2, n=40, d=12)
    radii = KNearestNeighbor(3).fit(points, y).robust_radius(queries).upper
    images = KNearestNeighbor(3).fit(points.reshape(40, 3, 2, 2), y).robust_radius(queries.reshape(-1, 3, 2, 2))
    assert images.x_adv.shape == (10, 3, 2, 2)
    np.testing.assert_array_equal(images.upper, radii)
    tiny = KNearestNeighbor(3).fit(points * 1e-100, y).robust_radius(queries * 1e-100)
    np.testing.assert_allclose(tiny.upper, radii * 1e-100, rtol=1e-6)
    assert tiny.verify().all()


def test_bytes_have_the_radii_of_floats():
    generator = np.random.default_rng(0)
    points, queries = (
        generator.integers(0, 256, (60, 20), dtype=np.uint8),
        generator.integers(0, 256, (5, 20), dtype=np.uint8),
    )
    y = np.arange(60) % 2
    bytes_, floats = (
        KNearestNeighbor(3).fit(points.astype(kind), y).robust_radius(queries.astype(kind), norm="Linf", box=(0, 255))
        for kind in (np.uint8, np.float64)
    )
    np.testing.assert_allclose(bytes_.upper, floats.upper, rtol=1e-6)
    assert bytes_.verify().all()


def test_robust_score_is_the_share_of_radii_above_epsilon():
    points, y, queries = problem(3, n=30, n_queries=10)
    labels = (queries[:, 0] > 0.5).astype(int)
    for model in (OneNearestNeighbor().fit(points, y), KNearestNeighbor(3).fit(points, y)):
        radii = model.robust_radius(queries, labels, norm="Linf").upper
        epsilon = float(np.median(radii[radii > 0]))
        assert model.robust_score(queries, labels, norm="Linf", epsilon=epsilon) == (radii > epsilon).mean()
        assert RobustScorer("Linf", epsilon)(model, queries, labels) == (radii > epsilon).mean()


def test_the_example_of_the_docs_chooses_k_or_a_learned_metric_by_exact_robust_accuracy():
    generator = np.random.default_rng(0)
    y = np.arange(180) % 2
    points = generator.normal(size=(180, 2)) * 0.6 + 2 * y[:, None]
    X, y, others = points[:90], y[:90], points[90:]  # noqa: N806
    text = (ROOT / "docs/method.md").read_text(encoding="utf-8")
    names = {"X": X, "y": y, "X_other": others, "y_other": y}
    exec(next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "GridSearchCV" in block), names)
    scorer, search = names["scorer"], names["search"]
    tried = [KNearestNeighbor(k) for k in (1, 3, 5)] + [KNearestNeighbor(metric=names["learned"])]
    means = [cross_val_score(model, X, y, scoring=scorer, cv=3).mean() for model in tried]
    assert search.cv_results_["mean_test_score"] == pytest.approx(means)
    assert search.best_score_ == pytest.approx(max(means))
    assert search.best_params_["n_neighbors"] == (1, 3, 5, 1)[int(np.argmax(means))]
    assert max(means) > means[0]
    assert repr(scorer) == "RobustScorer('L2', 0.4)"


def test_results_become_a_table_and_parts_and_say_what_they_are():
    pandas = pytest.importorskip("pandas")
    points, y, queries = problem(4)
    result = KNearestNeighbor(3).fit(points, y).robust_radius(queries)
    frame = result.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.columns.tolist() == ["lower", "upper", "status", "ended_by"]
    assert np.array_equal(frame["upper"], result.upper)
    for rows in (slice(2, 5), np.array([2, 3, 4]), np.isin(np.arange(10), [2, 3, 4])):
        part = result[rows]
        assert np.array_equal(part.upper, result.upper[2:5])
        assert part.verify().all()
    assert len(result) == 10
    assert len(result[-1]) == 1
    assert len(result[[]].verify()) == 0
    assert len(result[:0].to_frame()) == 0
    assert result[-1].upper[0] == result.upper[-1]
    assert repr(result).startswith("RobustRadius(10 queries: 10 exact, 0 bounded, ")
    assert repr(KNearestNeighbor(3)) == "KNearestNeighbor(n_neighbors=3)"
    assert repr(OneNearestNeighbor(metric=np.eye(4))) == "OneNearestNeighbor(metric=<array of shape (4, 4)>)"


@pytest.mark.parametrize(("options", "message"), [
    ({"n_neighbors": 2}, "n_neighbors: expected an odd number, so that two classes never tie, got 2; give 1 or 3"),
    ({"n_neighbors": 61}, "n_neighbors: expected at most the number of references, 60, got 61"),
    ({"n_neighbors": 0}, "n_neighbors: expected a whole number of at least 1, got 0"),
    ({"n_neighbors": 3.0}, "n_neighbors: expected a whole number of at least 1, got 3.0"),
    ({"weights": "distance"}, "weights: expected uniform, whose regions are bounded by planes, got 'distance'"),
    ({"max_problems": 0}, "max_problems: expected a whole number of at least 1, got 0"),
    ({"n_neighbors": 3, "metric": np.eye(4)}, "metric: expected None for n_neighbors above 1, got one with n_neighbors=3"),
])  # fmt: skip
def test_parameters_that_cannot_be_meant_are_named(options, message):
    points, y, _ = problem(5)
    with pytest.raises(DataError, match=message):
        KNearestNeighbor(**options).fit(points, y)


def test_queries_that_cannot_be_meant_are_named():
    points, y, queries = problem(6)
    model = KNearestNeighbor(3).fit(points, y)
    with pytest.raises(DataError, match="n_neighbors: expected at most the number of references, 60, got 61"):
        model.kneighbors(queries, 61)
    with pytest.raises(DataError, match="as_module: expected n_neighbors=1, as votes have no gradient, got 3"):
        model.as_module()
    with pytest.raises(DataError, match="epsilon: expected a finite number above 0, got 0"):
        model.robust_score(queries, y[:10], norm="L2", epsilon=0)
    with pytest.raises(DataError, match="expected one of Linf, L2, L1, got 'L3'"):
        model.robust_radius(queries, norm="L3")
    with pytest.raises(DataError, match=r"y: expected labels out of \[0, 1\], got 7"):
        model.robust_radius(queries, [7] * 10)


@pytest.mark.parametrize("options", [
    {"box": (np.zeros(4), 9.0)}, {"epsilon": np.ones(4)}, {"weights": np.ones(4)},
])  # fmt: skip
def test_votes_have_the_same_limits_for_every_feature_and_one_neighbour_may_have_others(options):
    points, y, queries = problem(6)
    (name,) = options
    with pytest.raises(DataError, match=f"{name}: expected the same for every feature where n_neighbors is above 1"):
        KNearestNeighbor(3).fit(points, y).robust_radius(queries, **options)

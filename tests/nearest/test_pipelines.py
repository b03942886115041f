"""Pipelines of affine steps and 1NN: radii in the units of the raw input, by brute force, with proofs; steps that cannot be."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, StandardScaler

from made.brute_force import exact_radius
from nnrobust import KNearestNeighbor, OneNearestNeighbor, robust_radius
from nnrobust.errors import DataError

SCALES = np.array([1.0, 50.0, 0.02, 7.0])


def problem(seed, n=30):
    generator = np.random.default_rng(seed)
    points, queries = (generator.random((k, 4)) * SCALES + [100.0, 0.0, -3.0, 1.0] for k in (n, 5))
    return points, np.arange(n) % 3, queries


@pytest.mark.parametrize("steps", [
    [StandardScaler()], [MinMaxScaler((-1, 1)), StandardScaler()], [StandardScaler(), PCA(3, whiten=True)],
    ["passthrough", StandardScaler(), PCA(2)],
])  # fmt: skip
@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
def test_radii_in_raw_units_are_those_of_brute_force(steps, norm):
    points, y, queries = problem(0)
    pipeline = make_pipeline(*steps, OneNearestNeighbor(n_own=3, n_screened=4)).fit(points, y)
    matrix = pipeline[:-1].transform(np.r_[np.eye(4), np.zeros((1, 4))])
    metric = (matrix[:-1] - matrix[-1]).T
    labels = pipeline.predict(queries)
    box = (-10.0, 200.0)
    result = robust_radius(pipeline, queries, norm=norm, box=box)
    expected = [
        exact_radius(query, points[y == label], points[y != label], norm, box, metric)
        for query, label in zip(queries, labels, strict=True)
    ]
    np.testing.assert_allclose(result.upper, expected, rtol=1e-5)
    assert (result.status == "exact").all()
    assert result.verify().all()
    beyond = queries + (1 + 1e-9) * (result.x_adv - queries)
    assert (pipeline.predict(beyond) != labels).all()


def test_a_metric_of_the_classifier_and_columns_that_say_the_same_are_taken_along():
    points, y, queries = problem(1)
    metric = np.random.default_rng(0).standard_normal((2, 4))
    scaler = StandardScaler().fit(points)
    known = OneNearestNeighbor(metric=metric / scaler.scale_).fit(points, y).robust_radius(queries)
    for steps in ([StandardScaler()], [StandardScaler(), FunctionTransformer(lambda z: np.c_[z, z] / np.sqrt(2))]):
        wide = metric if len(steps) == 1 else np.c_[metric, metric] / np.sqrt(2)
        pipeline = make_pipeline(*steps, OneNearestNeighbor(metric=wide)).fit(points, y)
        found = robust_radius(pipeline, queries)
        np.testing.assert_allclose(found.upper, known.upper, rtol=1e-6)
        assert found.verify().all()


def test_an_estimator_alone_is_asked_as_it_is():
    points, y, queries = problem(2)
    model = OneNearestNeighbor().fit(points, y)
    assert np.array_equal(robust_radius(model, queries, norm="L1").upper, model.robust_radius(queries, norm="L1").upper)
    assert np.array_equal(robust_radius(make_pipeline(model), queries).upper, model.robust_radius(queries).upper)


@pytest.mark.parametrize(("steps", "message"), [
    ([Normalizer(), OneNearestNeighbor()], "got the step 'normalizer', Normalizer, which is not"),
    ([MinMaxScaler(clip=True), OneNearestNeighbor()], "got the step 'minmaxscaler', MinMaxScaler, which is not"),
    ([FunctionTransformer(lambda x: np.clip(x, -999, 999)), OneNearestNeighbor()], "'functiontransformer', FunctionTransformer"),
    ([StandardScaler(), KNearestNeighbor(3)], "expected a last step of one neighbour, got n_neighbors=3, which has no metric"),
    ([StandardScaler(), KNeighborsClassifier()], "expected OneNearestNeighbor as the last step, got KNeighborsClassifier"),
])  # fmt: skip
def test_a_step_that_cannot_be_is_named(steps, message):
    points, y, queries = problem(3)
    with pytest.raises(DataError, match=message):
        robust_radius(make_pipeline(*steps).fit(points, y), queries)


def test_an_estimator_without_radii_is_named():
    points, y, queries = problem(3)
    with pytest.raises(DataError, match="expected one with a method robust_radius, .* got KNeighborsClassifier"):
        robust_radius(KNeighborsClassifier().fit(points, y), queries)

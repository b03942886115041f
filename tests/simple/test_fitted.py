"""From a block of params to a fitted classifier."""

import numpy as np
import pytest

from nnrobust.config.classifiers import Linear, Mean, Prototypes
from nnrobust.linear.estimator import RobustLinearClassifier
from nnrobust.simple.fitted import fitted

LINEAR = Linear(kind="linear", norm="L2", epsilon=0.3, alpha=1e-3, tolerance=1e-3, max_iterations=500)
PROTOTYPES = Prototypes(kind="prototypes", counts=[1, 2], norm="L2", epsilon=0.1, fraction=0.25, seed=0)


@pytest.fixture
def points():
    """Each class has two clusters, so that two prototypes are better than one: class 2 lies on both sides of class 7."""
    generator = np.random.default_rng(0)
    centres = np.array([[0.1, 0.5], [0.9, 0.5], [0.5, 0.5]])
    points = np.concatenate([centre + 0.03 * generator.standard_normal((20, 2)) for centre in centres])
    return points, np.repeat([2, 2, 7], 20)


def test_a_linear_block_is_a_linear_classifier_with_its_options_and_the_gap_that_it_proved(points):
    found = fitted(LINEAR, *points)
    expected = RobustLinearClassifier(norm="L2", epsilon=0.3, alpha=1e-3, tol=1e-3, max_iter=500).fit(*points)
    np.testing.assert_array_equal(found.classifier.coef_, expected.coef_)
    assert found.fit.gap == expected.gap_ <= found.fit.tolerance == 1e-3
    assert (found.fit.is_converged, found.fit.n_prototypes) == (True, 0)
    assert found.methods == {"Linf": "closed form", "L2": "closed form"}


@pytest.mark.filterwarnings("ignore:the fit reached:sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_is_left_before_its_gap_says_so(points):
    found = fitted(LINEAR.model_copy(update={"epsilon": 0.0, "max_iterations": 1, "tolerance": 1e-9}), *points)
    assert found.fit.gap > found.fit.tolerance
    assert not found.fit.is_converged


def test_the_nearest_mean_is_1nn_on_the_means(points):
    found = fitted(Mean(kind="mean"), *points)
    assert found.fit.n_prototypes == 1
    means = np.stack([points[0][:40].mean(axis=0), points[0][40:].mean(axis=0)])
    # The middle of both means is as near to one as to the other.
    radius = found.classifier.robust_radius(means, np.array([2, 7]))
    np.testing.assert_allclose(radius.upper, np.linalg.norm(means[0] - means[1]) / 2, rtol=1e-6)


def test_of_the_counts_of_prototypes_the_more_robust_one_is_taken(points):
    found = fitted(PROTOTYPES, *points)
    assert found.fit.n_prototypes == 2
    assert found.classifier.predict(np.array([[0.1, 0.5], [0.9, 0.5], [0.5, 0.5]])).tolist() == [2, 2, 7]

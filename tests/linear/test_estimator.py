"""The scikit-learn estimator: its conventions, robust training, exact radii, hard data, bad input."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from made.linear import DUALS, blobs
from nnrobust import RobustLinearClassifier
from nnrobust.errors import DataError

NORMS = ("L2", "Linf", "L1")


@parametrize_with_checks([RobustLinearClassifier(norm=norm, epsilon=epsilon) for norm, epsilon in (
    ("L2", 0.0), ("L2", 0.05), ("Linf", 0.05), ("L1", 0.05),
)])  # fmt: skip
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("norm", "direction"), [("L2", (1.5, 0.5)), ("Linf", (1.5 - 0.2, 0.5 - 0.2)), ("L1", (1.5 - 0.2, 0.5))]
)
def test_two_points_have_hand_computed_weights(norm, direction):
    # alpha w is what is left of half the way between them, (1.5, 0.5), where it is as far as possible from a ball of radius 0.2 in
    # the norm; times how likely an error is. L2 shortens it, Linf every coordinate of it, L1 the largest.
    model = RobustLinearClassifier(norm=norm, epsilon=0.2, tol=1e-8).fit([[0.0, 0.0], [3.0, 1.0]], [0, 1])
    assert model.coef_[0, 1] / model.coef_[0, 0] == pytest.approx(direction[1] / direction[0], rel=1e-3)
    assert model.coef_[0, 0] > 0
    assert model.decision_function([[1.5, 0.5]])[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_training_against_an_epsilon_makes_more_points_robust_at_it(norm, n_classes):
    points, y = blobs(1, n=300, d=20, n_classes=n_classes, spread=1.5)
    epsilon = {"L2": 0.8, "Linf": 0.3, "L1": 1.5}[norm]
    shares = []
    for trained in (0.0, epsilon):
        model = RobustLinearClassifier(norm=norm, epsilon=trained).fit(points, y)
        radii = model.robust_radius(points, y, norm=norm)
        assert radii.verify().all()
        assert (radii.status == "exact").all()
        shares.append(radii.is_robust(epsilon).mean())
    assert shares[1] > shares[0]


@pytest.mark.parametrize("norm", NORMS)
def test_the_objective_counts_what_the_radii_count(norm):
    # A point of radius 0 or more than epsilon has a worst-case loss above log 2, or below it.
    points, y = blobs(2, n=100, d=5)
    model = RobustLinearClassifier(norm=norm, epsilon=0.3).fit(points, y)
    length = np.linalg.norm(model.coef_[0], DUALS[norm])
    losses = np.logaddexp(0, 0.3 * length - (2 * y - 1) * model.decision_function(points))
    assert model.objective_ == pytest.approx(losses.mean() + 5e-4 * (model.coef_**2).sum(), rel=1e-6)
    assert np.array_equal(model.robust_radius(points, y, norm=norm).is_robust(0.3), losses < np.log(2))


def test_images_keep_their_shape_and_labels_their_type():
    points, y = blobs(3, n=40, d=12)
    model = RobustLinearClassifier().fit(points.reshape(40, 3, 2, 2), np.array(["cat", "dog"])[y])
    result = model.robust_radius(points.reshape(40, 3, 2, 2), norm="Linf")
    assert model.n_features_in_ == 12
    assert set(model.predict(points)) == {"cat", "dog"}
    assert result.x_adv.shape == (40, 3, 2, 2)


def test_bytes_and_floats_have_the_same_fit_and_the_same_input_the_same_bits():
    generator = np.random.default_rng(0)
    y = np.arange(200) % 2
    pixels = (generator.random((200, 30)) * 155 + 100 * (y[:, None] * (np.arange(30) < 5))).astype(np.uint8)
    options = {"norm": "Linf", "epsilon": 8.0, "alpha": 1e-3, "tol": 1e-6}
    fits = [RobustLinearClassifier(**options).fit(x, y) for x in (pixels, pixels, pixels.astype(np.float32))]
    assert np.array_equal(fits[0].coef_, fits[1].coef_)
    assert fits[0].gap_ == fits[1].gap_
    np.testing.assert_allclose(fits[0].coef_, fits[2].coef_, rtol=1e-6, atol=1e-9)


def hard(name):
    points, y = blobs(4, n=40, d=4)
    if name == "separable":
        return np.c_[points, 10.0 * y], y
    if name == "constant features":
        return np.c_[points, np.full(40, 7.0), np.zeros(40)], y
    if name == "all features constant":
        return np.ones((40, 3)), y
    if name == "fewer points than features":
        return blobs(5, n=20, d=300)
    if name == "one feature":
        return points[:, :1], y
    if name == "duplicates of both classes":
        return np.r_[points, points], np.r_[y, 1 - y]
    if name == "one point of a class":
        return points, (np.arange(40) == 0).astype(int)
    return blobs(6, n=400, d=6, n_classes=100)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [
    "separable", "constant features", "all features constant", "fewer points than features", "one feature",
    "duplicates of both classes", "one point of a class", "100 classes",
])  # fmt: skip
def test_hard_data_is_fitted_to_the_gap(name, norm, epsilon):
    points, y = hard(name)
    model = RobustLinearClassifier(norm=norm, epsilon=epsilon).fit(points, y)
    assert model.converged_
    assert 0 <= model.gap_ <= 1e-3
    assert np.isfinite(model.coef_).all()
    assert model.robust_radius(points[:40], y[:40]).verify().all()
    if name == "constant features":
        assert np.abs(model.coef_[0, 4:]).max() <= 1e-6


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_a_fit_that_did_not_reach_its_gap_says_which_it_reached_and_never_claims_the_optimum(norm, n_classes):
    points, y = blobs(7, n=200, d=30, n_classes=n_classes)
    model = RobustLinearClassifier(norm=norm, epsilon=0.05, tol=1e-7, max_iter=3)
    with pytest.warns(
        ConvergenceWarning, match=r"reached a relative duality gap of .* after 3 iterations, expected 1e-07"
    ):
        model.fit(points, y)
    assert not model.converged_
    assert model.gap_ > 1e-7
    assert model.n_iter_ == 3
    best = RobustLinearClassifier(norm=norm, epsilon=0.05, tol=1e-6).fit(points, y)
    # The gap is no less than how far the objective is from the optimum.
    assert model.gap_ >= (1 - best.objective_ / model.objective_) * (1 - 1e-9)


def test_a_tolerance_below_rounding_ends_with_a_warning():
    points, y = blobs(8)
    with pytest.warns(ConvergenceWarning, match="reached a relative duality gap of"):
        model = RobustLinearClassifier(epsilon=0.1, tol=1e-300).fit(points, y)
    assert model.gap_ < 1e-6


@pytest.mark.parametrize(("arguments", "message"), [
    ({"norm": "l3"}, "norm: expected one of Linf, L2, L1, got 'l3'"),
    ({"epsilon": -0.1}, "epsilon: expected a finite number of at least 0, got -0.1"),
    ({"epsilon": float("inf")}, "epsilon: expected a finite number of at least 0, got inf"),
    ({"epsilon": "8/255"}, "epsilon: expected a finite number of at least 0, got '8/255'"),
    ({"alpha": 0}, "alpha: expected a finite number above 0, got 0"),
    ({"tol": 0.0}, "tol: expected a finite number above 0, got 0.0"),
    ({"max_iter": 0}, "max_iter: expected a finite number of at least 1, got 0"),
])  # fmt: skip
def test_parameters_that_cannot_be_meant_are_named(arguments, message):
    points, y = blobs(9)
    with pytest.raises(DataError, match=message):
        RobustLinearClassifier(**arguments).fit(points, y)


def test_data_that_cannot_be_meant_is_named():
    points, y = blobs(10)
    model = RobustLinearClassifier().fit(points, y)
    for value, name in ((np.nan, "NaN"), (np.inf, "inf")):
        wrong = points.copy()
        wrong[2, 1] = value
        for call in (model.fit, lambda x, _: model.predict(x), model.robust_radius):
            with pytest.raises(DataError, match=f"X: expected finite values, got {name} in row 2, feature 1"):
                call(wrong, y)
    with pytest.raises(ValueError, match="X has 2 features, but RobustLinearClassifier is expecting 3 features"):
        model.robust_radius(points[:, :2])
    with pytest.raises(DataError, match="y: expected labels of at least two classes, got one class, 0"):
        model.fit(points, np.zeros(30, dtype=int))
    with pytest.raises(DataError, match=r"y: expected labels out of \[0, 1\], got 5"):
        model.robust_radius(points, np.full(30, 5))


def test_a_fit_says_nothing_unless_it_is_verbose(capsys):
    points, y = blobs(12)
    RobustLinearClassifier(epsilon=0.1).fit(points, y)
    assert capsys.readouterr() == ("", "")


def test_a_verbose_fit_says_where_it_ended_and_now_and_then_where_it_is(capsys, monkeypatch):
    points, y = blobs(12, n=200, d=30)
    options = {"norm": "Linf", "epsilon": 0.1, "tol": 1e-6}
    quiet, model = (RobustLinearClassifier(verbose=verbose, **options).fit(points, y) for verbose in (False, True))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"fit: iteration {model.n_iter_}, relative gap {model.gap_:.1e} of 1.0e-06, ")
    assert said.err.count("\n") == 1
    assert np.array_equal(quiet.coef_, model.coef_)
    monkeypatch.setattr("nnrobust.runtime.progress._SECONDS_BETWEEN_LINES", 0.0)
    model.fit(points, y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    iterations = [int(line.split()[2].rstrip(",")) for line in lines]
    assert iterations == sorted(iterations)


def test_on_a_terminal_a_verbose_fit_keeps_to_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("nnrobust.runtime.progress._SECONDS_ON_TERMINAL", 0.0)
    points, y = blobs(12, n=200, d=30)
    RobustLinearClassifier(norm="Linf", epsilon=0.1, tol=1e-6, verbose=True).fit(points, y)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert said.count("\rfit: iteration") > 2


def test_a_converged_fit_warns_of_nothing():
    points, y = blobs(11)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RobustLinearClassifier(norm="Linf", epsilon=0.1).fit(points, y).converged_


@pytest.mark.slow
def test_pytorch_is_never_imported():
    code = """
import sys
import numpy as np
from nnrobust import RobustLinearClassifier
points = np.random.default_rng(0).random((40, 5))
model = RobustLinearClassifier(norm="Linf", epsilon=0.1).fit(points, np.arange(40) % 3)
assert model.robust_radius(points, norm="L1", box=(-1, 2)).verify().all()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

"""1NN with distances in the image of a linear map: exact radii in the space of the points, certificates, conventions, bad input."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from made.brute_force import exact_radius
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError

NORMS = ("L2", "Linf", "L1")
ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}


def problem(seed, n=24, d=4, n_classes=2, n_queries=6, dtype=np.float64):
    generator = np.random.default_rng(seed)
    points, queries = generator.random((n, d)), generator.random((n_queries, d))
    if dtype == np.uint8:
        points, queries = points * 255, queries * 255
    return points.astype(dtype), np.arange(n) % n_classes, queries.astype(dtype)


def of_rank(rank, d, seed=0, n_rows=None):
    """A random map (n_rows, d) of that rank."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal((n_rows or rank, rank)) @ generator.standard_normal((rank, d))


def few(metric, **options):
    """An estimator that starts with few references, so that small problems take all of its ways."""
    return OneNearestNeighbor(metric=metric, n_own=3, n_screened=4, **options)


FIRST, OTHERS = range(6), [pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60)]


@pytest.mark.parametrize("seed", [*FIRST, *OTHERS])
def test_radii_are_those_of_a_library_solver_and_their_certificates_hold(seed):
    d = 1 + seed % 6
    dtype = (np.float64, np.uint8, np.float32)[seed % 3]
    points, y, queries = problem(seed, n=4 + seed % 30, d=d, n_classes=2 + seed % 3, dtype=dtype)
    metric = of_rank(1 + seed % d, d, seed, n_rows=1 + seed % 5 if seed % d == 0 else None)
    scale = 255 if dtype == np.uint8 else 1
    model = few(metric).fit(points, y)
    predicted = model.predict(queries)
    for norm in NORMS:
        for box in (None, (0.0, float(scale))):
            result = model.robust_radius(queries, norm=norm, box=box)
            expected = [
                exact_radius(query, points[y == label], points[y != label], norm, box, metric)
                for query, label in zip(queries, predicted, strict=True)
            ]
            np.testing.assert_allclose(result.upper, expected, rtol=5e-6, atol=1e-7 * scale)
            assert (result.status == "exact").all()
            assert (result.lower <= result.upper).all()
            assert result.verify().all()
            is_finite = np.isfinite(result.upper)
            assert (model.predict(result.x_adv[is_finite]) != predicted[is_finite]).all()
            moved = np.linalg.norm(result.x_adv - queries.astype(float), ORDERS[norm], axis=1)[is_finite]
            np.testing.assert_allclose(moved, result.upper[is_finite], rtol=1e-9)


def test_predictions_are_those_of_brute_force_on_the_image_of_the_map():
    points, y, queries = problem(0, n=300, d=12, n_classes=3, n_queries=200, dtype=np.uint8)
    metric = of_rank(4, 12)
    known = KNeighborsClassifier(1, algorithm="brute").fit(points @ metric.T, y)
    assert (few(metric).fit(points, y).predict(queries) == known.predict(queries @ metric.T)).all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_the_identity_a_rotation_and_any_scale_leave_the_radii_as_they_are(norm, box):
    points, y, queries = problem(1, n=60, d=6, n_classes=3, n_queries=20)
    plain = few(None).fit(points, y).robust_radius(queries, norm=norm, box=box)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    for metric in (np.eye(6), turned, 1000 * turned, np.r_[turned, turned]):
        found = few(metric).fit(points, y).robust_radius(queries, norm=norm, box=box)
        np.testing.assert_allclose(found.upper, plain.upper, rtol=2e-6)
        assert (found.status == "exact").all()
        assert found.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_between_one_row_the_radius_is_the_way_to_the_threshold(norm):
    # w.x is compared with 0 and 10, so the label changes at w.x = 5: from (1, 0), where w.x = 3, 2 / ||w||_q away.
    model = few([[3.0, 4.0]]).fit([[0.0, 0.0], [2.0, 1.0]], [0, 1])
    result = model.robust_radius([[1.0, 0.0]], norm=norm)
    assert result.upper[0] == pytest.approx(2 / {"L2": 5, "Linf": 7, "L1": 4}[norm], rel=1e-6)
    assert result.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_references_that_the_map_makes_equal_tie_wherever_they_are_nearest(norm):
    # The second feature does not count: (1, 5) of the other class is where (1, 0) of the own one is, which never loses to it.
    metric, points = [[1.0, 0.0]], np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 5.0]])
    result = few(metric).fit(points, [0, 0, 1]).robust_radius([[0.0, 9.0], [0.9, 0.0]], norm=norm)
    assert result.upper == pytest.approx([0.5, 0])
    assert result.verify().all()
    # Both classes everywhere equal: nothing is robust.
    equal = few(metric).fit([[2.0, 1.0], [2.0, 3.0]], ["a", "b"])
    assert equal.predict([[7.0, 7.0]]).tolist() == ["a"]
    assert equal.robust_radius([[7.0, 7.0]], norm=norm).upper.tolist() == [0]


def test_a_map_that_makes_features_equal_by_rounding_alone_makes_references_equal():
    generator = np.random.default_rng(0)
    metric = of_rank(3, 50)
    unseen = generator.standard_normal((20, 50)) @ (np.eye(50) - np.linalg.pinv(metric) @ metric)
    points = np.r_[generator.standard_normal((20, 50)), np.zeros((20, 50))]
    points[20:] = points[:20] + unseen
    model = few(metric).fit(points, np.arange(40) // 20)
    result = model.robust_radius(points)
    assert (result.upper <= 1e-9).all()
    assert result.verify().all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
def test_certificates_hold_in_as_many_dimensions_as_an_image_has_and_however_unequal_the_directions(norm, condition):
    points, y, queries = problem(2, n=60, d=3072, n_queries=10, dtype=np.uint8)
    metric = np.linalg.qr(of_rank(12, 3072).T)[0].T * np.geomspace(1, 1 / condition, 12)[:, None]
    result = few(metric).fit(points, y).robust_radius(queries, norm=norm)
    assert result.verify().all()
    if condition <= 1e3:
        assert (result.status == "exact").all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_beyond_the_radius_the_label_changes_and_nowhere_before_it(norm, box):
    points, y, queries = problem(3, n=50, d=3, n_queries=20)
    model = few(of_rank(2, 3)).fit(points, y)
    result, predicted = model.robust_radius(queries, norm=norm, box=box), model.predict(queries)
    directions = np.random.default_rng(0).standard_normal((800, 3))
    directions = np.r_[directions, np.sign(directions[:20]), np.eye(3), -np.eye(3)]
    directions /= np.linalg.norm(directions, ORDERS[norm], axis=1)[:, None]
    for query, label, lower, x_adv in zip(queries, predicted, result.lower, result.x_adv, strict=True):
        around = np.r_[query + lower * (1 - 1e-9) * directions, [query + (x_adv - query) * (1 - 1e-5)]]
        assert (model.predict(around if box is None else np.clip(around, *box)) == label).all()
        assert model.predict(x_adv[None])[0] != label


@pytest.mark.parametrize("norm", NORMS)
def test_a_decision_at_epsilon_is_that_of_the_radius(norm):
    points, y, queries = problem(4, n=90, d=5, n_classes=3, n_queries=60)
    model = few(of_rank(3, 5)).fit(points, y)
    radii = model.robust_radius(queries, norm=norm)
    epsilon = float(np.median(radii.upper))
    decided = model.robust_radius(queries, norm=norm, epsilon=epsilon)
    assert np.array_equal(decided.is_robust(epsilon), radii.is_robust(epsilon))
    assert decided.verify().all()


def test_little_memory_makes_parts_and_blocks_but_the_same_radii(monkeypatch):
    points, y, queries = problem(5, n=60, d=5, n_classes=3, n_queries=20)
    metric = of_rank(3, 5)
    whole = few(metric).fit(points, y).robust_radius(queries, norm="Linf")
    monkeypatch.setattr("nnrobust.nearest.estimator._MEBI", 2048)
    parts = few(metric, working_memory=1).fit(points, y).robust_radius(queries, norm="Linf")
    np.testing.assert_allclose(parts.upper, whole.upper, rtol=1e-6)
    assert parts.verify().all()


@pytest.mark.parametrize("norm", NORMS)
def test_products_of_pytorch_give_the_same_radii(norm):
    points, y, queries = problem(12, n=200, d=20, n_classes=3, n_queries=30)
    metric = of_rank(8, 20)
    here, there = (
        few(metric, device=device).fit(points, y).robust_radius(queries, norm=norm) for device in ("cpu", "cpu:0")
    )
    np.testing.assert_allclose(there.upper, here.upper, rtol=1e-6)
    assert there.verify().all()


def test_a_bisector_bound_of_the_image_is_below_the_radius_and_no_attack_on_the_module_is_below_that():
    points, y, queries = problem(6, n=60, d=6, n_queries=40)
    metric = of_rank(3, 6)
    model = few(metric).fit(points, y)
    result = model.robust_radius(queries, norm="L2")
    distances = np.linalg.norm((queries[:, None] - points) @ metric.T, axis=2)
    # Half the gap in the image, over how much the map stretches at most.
    nearest = np.stack([distances[:, y == label].min(axis=1) for label in (0, 1)], axis=1)
    certified = np.abs(nearest[:, 0] - nearest[:, 1]) / 2 / np.linalg.norm(metric, 2)
    assert (certified <= result.lower * (1 + 1e-8)).all()
    module = model.as_module()
    x = torch.from_numpy(queries).requires_grad_()
    own = torch.from_numpy(model.predict(queries))
    assert (module(x).argmax(dim=1) == own).all()
    start, best = x.detach().clone(), np.full(len(queries), np.inf)
    point = start.clone()
    for _ in range(300):
        point.requires_grad_()
        logits = module(point)
        margin = logits.gather(1, 1 - own[:, None]) - logits.gather(1, own[:, None])
        gradient = torch.autograd.grad(margin.sum(), point)[0]
        moved = (point.detach() - start).norm(dim=1).numpy()
        best = np.where((margin.detach()[:, 0] > 0).numpy(), np.minimum(best, moved), best)
        point = point.detach() + 0.01 * torch.sign(-margin.detach()) * gradient / gradient.norm(dim=1, keepdim=True)
    assert (best >= result.lower).all()
    assert np.isfinite(best).mean() > 0.8


@pytest.mark.parametrize("forgery", ["lower", "no number", "x_adv", "multipliers", "own", "metric", "references"])
def test_a_certificate_that_claims_too_much_is_found_out(forgery):
    points, y, queries = problem(7, n=60, d=5, n_queries=20)
    claims = few(of_rank(3, 5)).fit(points, y).robust_radius(queries, box=(0.0, 1.0)).certificate
    assert all(claim.verify() for claim in claims)
    claim = next(claim for claim in claims if any(len(own) > 1 for own, _ in claim.multipliers.values()))
    forged = {
        "lower": {"lower": claim.lower * (1 + 1e-5)},
        "no number": {"lower": np.nan},
        "x_adv": {"x_adv": claim.query + 0.999 * (claim.x_adv - claim.query)},
        "multipliers": {"multipliers": {j: (own, -weights) for j, (own, weights) in claim.multipliers.items()}},
        "own": {"own": claim.own[:0]},
        "metric": {"metric": claim.metric * [[1.0], [1.0], [1.5]]},
        "references": {"references": claim.references * 0.9},
    }[forgery]
    for name, value in forged.items():
        object.__setattr__(claim, name, value)
    assert not claim.verify()


def test_the_bound_of_a_certificate_is_below_that_of_fractions():
    # One own and one other reference: the distance to their bisector, from the exact W and the references as they are kept.
    points, _, queries = problem(8, n=2, d=7, n_queries=20)
    metric = of_rank(3, 7)
    model = few(metric).fit(points, [0, 1])
    for proof in model.robust_radius(queries).certificate:
        own, other = (proof.references[proof.labels == label][0].tolist() for label in (proof.label, 1 - proof.label))
        rows = [[Fraction(w) for w in row] for row in metric.tolist()]
        place = [sum(w * Fraction(x) for w, x in zip(row, proof.query.tolist(), strict=True)) for row in rows]
        ways = [Fraction(i) - Fraction(j) for i, j in zip(own, other, strict=True)]
        normal = [sum(w * way for w, way in zip(column, ways, strict=True)) for column in zip(*rows, strict=True)]
        gap = sum((p - Fraction(j)) ** 2 - (p - Fraction(i)) ** 2 for p, i, j in zip(place, own, other, strict=True))
        assert Fraction(proof.lower) ** 2 * 4 * sum(a * a for a in normal) <= gap**2
        assert Fraction(proof.upper) ** 2 * 4 * sum(a * a for a in normal) >= gap**2


def test_transformers_of_scikit_learn_stand_for_their_linear_part():
    points, y, queries = problem(9, n=60, d=6, n_classes=3)
    for transformer in (PCA(3), PCA(3, whiten=True), StandardScaler(), make_pipeline(StandardScaler(), PCA(2))):
        transformer.fit(points)
        found = few(transformer).fit(points, y)
        known = KNeighborsClassifier(1).fit(transformer.transform(points), y)
        assert (found.predict(queries) == known.predict(transformer.transform(queries))).all()
        result = found.robust_radius(queries)
        assert (
            known.predict(transformer.transform(result.x_adv + 1e-6 * (result.x_adv - queries)))
            != found.predict(queries)
        ).all()
        assert result.verify().all()
    exact = few(PCA(3).fit(points).components_).fit(points, y).robust_radius(queries)
    assert few(PCA(3).fit(points)).fit(points, y).robust_radius(queries).upper == pytest.approx(exact.upper)


def test_the_metric_is_a_parameter_that_copies_keep():
    metric = of_rank(2, 4)
    model = OneNearestNeighbor(metric=metric)
    assert model.get_params()["metric"] is metric
    assert np.array_equal(clone(model).metric, metric)
    points, y, _ = problem(10)
    model.fit(points, y)
    assert model.set_params(metric=None).fit(points, y).robust_radius(points[:1]).certificate[0].metric is None


@pytest.mark.parametrize(("metric", "message"), [
    (np.ones((2, 3)), r"metric: expected an array of shape \(k, 4\), one column for each feature, got shape \(2, 3\)"),
    (np.ones(4), r"metric: expected an array of shape \(k, 4\), one column for each feature, got shape \(4,\)"),
    (np.empty((0, 4)), r"metric: expected an array of shape \(k, 4\), one column for each feature, got shape \(0, 4\)"),
    (np.where(np.eye(4) > 0, np.nan, 1.0), "metric: expected finite values, got nan in row 0, column 0"),
    (np.zeros((2, 4)), "metric: expected a rank of at least 1, got all zeros"),
    ("L2", "metric: expected an array of numbers or a fitted transformer, got 'L2'"),
    (PCA(2), "metric: expected a transformer fitted to 4 features, got PCA"),
    (Normalizer().fit(np.eye(4)), "metric: expected an affine transformer"),
])  # fmt: skip
def test_metrics_that_cannot_be_meant_are_named(metric, message):
    points, y, _ = problem(11)
    with pytest.raises(DataError, match=message):
        OneNearestNeighbor(metric=metric).fit(points, y)

"""Radii where some features are categories, of which a change costs 1."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from nnrobust import KNearestNeighbor, OneNearestNeighbor, verify
from nnrobust.errors import DataError, SolverError
from nnrobust.nearest import categories as module
from nnrobust.nearest.proofs.categorical_proof import CategoricalCertificate, Category, cost
from nnrobust.threat import NORMS, ORDER

COLOURS = {(2, 3, 4): np.eye(3), 5: [0, 2]}


def table(seed, n):
    """Two numbers, a category of three as one-hot columns, one of two as a code; labels by all of them."""
    generator = np.random.default_rng(seed)
    numbers, colour, side = generator.random((n, 2)), generator.integers(0, 3, n), generator.integers(0, 2, n)
    points = np.hstack([numbers, np.eye(3)[colour], 2.0 * side[:, None]])
    return points, ((numbers[:, 0] + 0.4 * colour + 0.3 * side + 0.1 * generator.standard_normal(n)) > 1).astype(int)


def rows_of(query):
    """Every row that has the query's numbers, with how many of its categories it changes."""
    for colour, side in product(range(3), (0.0, 2.0)):
        row = np.r_[query[:2], np.eye(3)[colour], side]
        yield row, int((row[2:5] != query[2:5]).any()) + int(row[5] != query[5])


def test_a_radius_is_known_by_hand():
    # One number and a category: the other class is 0.8 away, or 0.3 after a change of category.
    model = OneNearestNeighbor().fit([[0.0, 0.0], [1.6, 0.0], [0.6, 1.0], [9.0, 1.0]], [0, 1, 1, 0])
    # With category 1 the query (0, 1) is at squared distances 1, 3.56, 0.36 and 81 + ...: labelled 1 at once.
    for norm in NORMS:
        found = model.robust_radius([[0.0, 0.0]], [0], norm=norm, categories={1: [0, 1]})
        assert found.upper[0] == pytest.approx(0.8)
        assert found.x_adv[0].tolist() == pytest.approx([0.8, 0.0])
    far = OneNearestNeighbor().fit([[0.0, 0.0], [6.0, 0.0], [0.6, 1.0], [9.0, 1.0]], [0, 1, 1, 0])
    for norm in NORMS:
        found = far.robust_radius([[0.0, 0.0]], [0], norm=norm, categories={1: [0, 1]})
        assert found.upper[0] == pytest.approx(1.0)
        assert found.x_adv[0].tolist() == [0.0, 1.0]
        assert found.verify().all()


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_the_radius_is_the_least_over_all_choices_and_a_point_shows_it(norm, box):
    points, labels = table(0, 60)
    model, queries, y = OneNearestNeighbor().fit(points[15:], labels[15:]), points[:15], labels[:15]
    found = model.robust_radius(queries, y, norm=norm, box=box, categories=COLOURS)
    assert (found.status == "exact").all()
    assert found.verify().all()
    held = np.array([1, 1, 0, 0, 0, 0.0])
    limits = None if box is None else (np.array([0, 0] + [-9] * 4), np.array([1, 1] + [9] * 4))
    for n, query in enumerate(queries):
        costs = [cost(norm, n_changed, model.robust_radius(row[None], y[n : n + 1], norm=norm, box=limits, weights=held).upper[0])
                 for row, n_changed in rows_of(query)]  # fmt: skip
        assert found.upper[n] == pytest.approx(min(costs), rel=1e-6)
        moved = found.x_adv[n] - query
        n_changed = int(moved[2:5].any()) + int(moved[5] != 0)
        size = np.linalg.norm(moved[:2], ORDER[norm])
        assert cost(norm, n_changed, size) <= found.upper[n] * (1 + 1e-9)
        distances = np.linalg.norm(points[15:] - found.x_adv[n], axis=1)
        is_own = labels[15:] == y[n]
        assert distances[~is_own].min() <= distances[is_own].min() * (1 + 1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_no_row_that_costs_less_is_labelled_otherwise(norm):
    points, labels = table(1, 60)
    model, queries, y = OneNearestNeighbor().fit(points[10:], labels[10:]), points[:10], labels[:10]
    found = model.robust_radius(queries, y, norm=norm, categories=COLOURS)
    generator = np.random.default_rng(2)
    for n, query in enumerate(queries):
        for row, n_changed in rows_of(query):
            moves = generator.standard_normal((300, 2)) * 0.5
            rows = row + np.hstack([moves, np.zeros((300, 4))])
            sizes = np.linalg.norm(moves, ORDER[norm], axis=1)
            near = np.array([cost(norm, n_changed, size) for size in sizes]) < found.lower[n]
            assert (model.predict(rows[near]) == y[n]).all() if near.any() else True


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("epsilon", [0.05, 0.3, 1.0, 1.2])
def test_a_decision_at_epsilon_is_that_of_the_radius(norm, epsilon):
    points, labels = table(3, 60)
    model, queries, y = OneNearestNeighbor().fit(points[20:], labels[20:]), points[:20], labels[:20]
    whole = model.robust_radius(queries, y, norm=norm, categories=COLOURS)
    decided = model.robust_radius(queries, y, norm=norm, epsilon=epsilon, categories=COLOURS)
    assert np.array_equal(decided.is_robust(epsilon), whole.is_robust(epsilon))
    assert decided.verify().all()
    assert sum(len(one.parts) for one in decided.certificate) <= sum(len(one.parts) for one in whole.certificate)


def test_units_and_labels_of_any_kind():
    points, labels = table(4, 40)
    names = np.array(["no", "yes"])[labels]
    shown = OneNearestNeighbor().fit(points[10:], names[10:]).robust_radius(points[:10], categories=COLOURS)
    scaled = points * np.array([1000, 1000, 1, 1, 1, 1])
    model = OneNearestNeighbor(metric=np.diag([1e-3, 1e-3, 1, 1, 1, 1])).fit(scaled[10:], names[10:])
    weights = np.array([1000, 1000, 1, 1, 1, 1.0])
    again = model.robust_radius(scaled[:10], categories=COLOURS, weights=weights)
    assert again.upper.tolist() == pytest.approx(shown.upper.tolist(), rel=1e-6)
    assert again.verify().all()


def test_too_many_choices_leave_a_bound_that_says_so_and_holds(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    model = OneNearestNeighbor().fit([[0.0, 0, 0], [6.0, 0, 0], [0.6, 1, 1]], [0, 1, 1])
    found = model.robust_radius([[0.0, 0, 0]], [0], categories={1: [0, 1], 2: [0, 1]})
    assert found.status.tolist() == ["bounded"]
    assert found.ended_by.tolist() == ["2 choices of categories"]
    assert found.lower[0] == pytest.approx(1.0)
    assert found.upper[0] == pytest.approx(2.36 / 1.2)
    assert found.verify().all()
    with pytest.raises(SolverError, match="expected bounds on one side"):
        found.is_robust(1.5)


@pytest.mark.parametrize("norm", NORMS)
def test_proofs_are_kept_in_a_file(tmp_path, norm):
    points, labels = table(5, 40)
    model = OneNearestNeighbor().fit(points[10:], labels[10:])
    model.robust_radius(points[:10], labels[:10], norm=norm, box=(0, 1), categories=COLOURS).save(
        tmp_path / "proofs.npz"
    )
    assert verify(tmp_path / "proofs.npz", (points[10:], labels[10:])).all()
    assert verify(tmp_path / "proofs.npz", model).all()
    with pytest.warns(match="expected references and labels with the digest"):
        assert not verify(tmp_path / "proofs.npz", (points[10:], 1 - labels[10:])).any()


@pytest.mark.parametrize("forgery", [
    "lower", "upper", "x_adv", "a part is missing", "a part of another label", "another adversary", "no category", "no number", "a part of other references", "no hope",
])  # fmt: skip
def test_a_certificate_that_claims_too_much_is_found_out(forgery):
    points, labels = table(6, 60)
    model = OneNearestNeighbor().fit(points[20:], labels[20:])
    found = model.robust_radius(points[:20], labels[:20], norm="L1", categories=COLOURS)
    claim = next(one for one in found.certificate if one.lower > 1)
    others = OneNearestNeighbor().fit(points[20:] + np.array([0.1, 0, 0, 0, 0, 0]), labels[20:])
    moved = others.robust_radius(claim.query[None], [claim.label], norm="L1", categories=COLOURS).certificate[0]
    assert claim.verify()
    sizes = claim.adversary.weights
    forged = {
        "lower": {"lower": claim.lower * (1 + 1e-6), "upper": claim.upper * (1 + 1e-6)},
        "upper": {"lower": claim.lower * (1 - 1e-6), "upper": claim.upper * (1 - 1e-6)},
        "x_adv": {"x_adv": claim.query},
        "a part is missing": {"parts": claim.parts[1:]},
        "a part of another label": {"label": 1 - claim.label},
        "another adversary": {"adversary": replace(claim.adversary, weights=(2.0, *sizes[1:]))},
        "no category": {"adversary": replace(claim.adversary, weights=(1.0,) * 6)},
        "no number": {"upper": np.nan},
        "a part of other references": {"parts": moved.parts},
        "no hope": {"lower": np.inf, "upper": np.inf},
    }[forgery]
    assert CategoricalCertificate.which_hold([claim, replace(claim, **forged), claim]).tolist() == [True, False, True]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"categories": [2, 3]}, "categories: expected columns with the rows of values that they may have, .* got list"),
    ({"categories": {}}, "categories: expected columns"),
    ({"categories": {"a": [0, 1]}}, "categories: expected a column, or a tuple of columns, with numbers, got 'a'"),
    ({"categories": {5: ["x", "y"]}}, "categories: expected a column, or a tuple of columns, with numbers"),
    ({"categories": {(2, 3, 4): np.eye(2)}}, r"categories: expected two or more rows of 3 finite values .* got shape \(2, 2\)"),
    ({"categories": {5: [0]}}, "categories: expected two or more rows of 1 finite values"),
    ({"categories": {5: [0, 0, 2]}}, "categories: expected different rows for columns 5"),
    ({"categories": {6: [0, 1]}}, "categories: expected each of the 6 columns once at most, counted from 0, got 6"),
    ({"categories": {5: [0, 2], (2, 5): [[0, 0], [1, 1]]}}, "categories: expected each of the 6 columns once at most"),
    ({"categories": {5: [0, 1]}}, r"X: expected columns 5 of each row to be one of the rows of its category, got \[2.0\] in row"),
    ({"categories": {0: [0, 1], 1: [0, 1]}}, "X: expected columns 0"),
    ({"categories": COLOURS, "epsilon": [1] * 6}, "epsilon: expected one number beside categories, got an array"),
    ({"categories": COLOURS, "weights": [0, 0, 1, 1, 1, 1]}, "categories: expected one feature at least that is a number"),
    ({"categories": COLOURS, "weights": [1, 1]}, r"weights: expected a number, or one for each of 6 features"),
    ({"categories": COLOURS, "weights": "wide"}, "weights: expected numbers, got 'wide'"),
    ({"categories": COLOURS, "box": ([0, 0], 1)}, "box: expected a number, or one for each of 6 features"),
    ({"categories": COLOURS, "norm": "L3"}, "norm: expected one of"),
    ({"categories": COLOURS, "box": (0, 0.001)}, "box: expected every query within it"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant_are_named(arguments, message):
    points, labels = table(7, 30)
    with pytest.raises(DataError, match=message):
        OneNearestNeighbor().fit(points, labels).robust_radius(points[:5], **arguments)


def test_votes_of_several_neighbours_have_no_categories():
    points, labels = table(8, 30)
    with pytest.raises(DataError, match="categories: expected none where n_neighbors is above 1"):
        KNearestNeighbor(3).fit(points, labels).robust_radius(points[:2], categories=COLOURS)
    one = KNearestNeighbor(1).fit(points, labels).robust_radius(points[:2], labels[:2], categories=COLOURS)
    assert one.verify().all()


def test_a_row_names_its_category():
    category = Category((1, 2), ((0.0, 1.0), (1.0, 0.0)))
    assert category.of(np.array([5.0, 1.0, 0.0])) == 1
    assert category.of(np.array([5.0, 1.0, 1.0])) is None

"""Figure 2: the problem in the plane, networks and 1NN on it, and how it is drawn."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import yaml
from matplotlib.patches import Rectangle

from made.project import profile
from nnrobust.config.params import read_params
from nnrobust.errors import ParamError
from nnrobust.experiments.plane import (
    CORNERS,
    OVERWRITTEN,
    Panel,
    PlaneProblem,
    Schedule,
    classifier_of,
    made_points,
    measure,
    nearest_panel,
    network_panel,
    train,
    withstands_grid,
)
from nnrobust.figures.plane import most_robust, plane_figure
from nnrobust.figures.style import WIDE, style
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.training.losses import maximise_divergence

SHORT = Schedule(hidden=16, epochs=40, learning_rate=0.01, steps=3, step_size=0.4, seed=0)


def problem_of(n_points=40, seed=0):
    return PlaneProblem(*made_points(n_points, 4.0, 2.0, 0.1, seed), 1.0)


def answers(function, problem):
    """A panel that a typed function of points makes."""
    return Panel("made", "attacked", "by hand", None, function, withstands_grid(problem, function, 3))


def test_the_problem_has_ten_points_a_cluster_and_one_of_each_with_the_other_label():
    points, labels = made_points(40, 4.0, 0.01, 0.1, 0)
    for corner, mine, label in zip(CORNERS, points.reshape(4, 10, 2), labels.reshape(4, 10), strict=True):
        assert np.abs(mine - np.multiply(4.0, corner)).max() < 0.5
        is_of_its_class = label == (mine.prod(axis=1) > 0)
        assert is_of_its_class.sum() == 9
    assert np.bincount(labels).tolist() == [20, 20]


def test_the_clusters_have_the_variance_asked_for_and_no_correlation():
    points, labels = made_points(40_000, 4.0, 2.0, 0.0, 0)
    for corner, mine in zip(CORNERS, points.reshape(4, 10_000, 2), strict=True):
        np.testing.assert_allclose(mine.mean(axis=0), np.multiply(4.0, corner), atol=0.1)
        np.testing.assert_allclose(np.cov(mine.T), 2 * np.eye(2), atol=0.15)
    assert (labels == np.repeat([1, 1, 0, 0], 10_000)).all()


def test_a_seed_gives_the_same_problem_and_network_and_leaves_the_global_generators_alone():
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, same, other = problem_of(), problem_of(), problem_of(seed=1)
    assert (one.points == same.points).all()
    assert (one.labels == same.labels).all()
    assert (one.points != other.points).all()
    weights = [train(problem, SHORT, 6.0).state_dicts()[0] for problem in (one, same)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert (np.random.get_state()[1] == numpy_state).all()
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_the_box_of_the_inner_attack_holds_every_ball_with_a_margin():
    problem = problem_of()
    images = problem.to_box(problem.squares(3).reshape(-1, 2))
    assert images.shape == (1, 40 * 9, 1, 1, 2)
    margin = problem.epsilon / (2 * problem.reach)
    assert images.min() > 0.99 * margin
    assert images.max() < 1 - 0.99 * margin
    corners = images.view(40, 9, 2)
    np.testing.assert_allclose(corners[:, 8] - corners[:, 0], 2 * margin, atol=1e-6)


def test_the_inner_attack_moves_by_its_step_and_as_far_as_epsilon_in_units_of_the_plane(monkeypatch):
    problem, moved = problem_of(), []

    def watched(stack, images, noise, attack):
        found = maximise_divergence(stack, images, noise, attack)
        moved.append(2 * problem.reach * float((found - images).abs().max()))
        assert 0 < 2 * problem.reach * float(noise.std()) < 0.002
        return found

    monkeypatch.setattr("nnrobust.experiments.plane.maximise_divergence", watched)
    for steps in (1, 8):
        train(problem, Schedule(hidden=16, epochs=1, learning_rate=0.01, steps=steps, step_size=0.3, seed=0), 1.0)
    assert moved == pytest.approx([0.3, 1.0], abs=0.01)


def test_the_verdicts_of_1nn_are_those_of_a_fine_grid_up_to_its_spacing():
    problem, n_side = problem_of(), 101
    spacing = 2 * problem.epsilon / (n_side - 1)
    radius = OneNearestNeighbor().fit(problem.points, problem.labels).robust_radius(
        problem.points, problem.labels, norm="Linf"
    )  # fmt: skip

    def nearest(points):
        squared = np.square(points[:, None] - problem.points).sum(axis=-1)
        return problem.labels[squared.argmin(axis=1)]

    def on_grid(points):
        return np.concatenate([nearest(part) for part in np.array_split(points, 20)])

    is_robust, by_grid = nearest_panel(problem).is_robust, withstands_grid(problem, on_grid, n_side)
    is_clear = np.abs(radius.upper - problem.epsilon) > spacing
    assert is_clear.sum() >= 35
    assert (is_robust == by_grid)[is_clear].all()
    assert 0 < is_robust.sum() < 40
    assert (by_grid | ~is_robust).all()


def test_a_wrong_answer_anywhere_in_the_ball_or_at_the_point_itself_is_not_robust():
    problem = PlaneProblem(np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([0, 1]), 1.0)

    def right(points):
        return (points[:, 0] > 2.5).astype(int)

    assert withstands_grid(problem, right, 2).tolist() == [True, True]
    assert withstands_grid(problem, lambda p: right(p) ^ (p == [1.0, -1.0]).all(axis=1), 2).tolist() == [False, True]
    # Two points a side are the corners alone.
    assert withstands_grid(problem, lambda p: right(p) ^ (p == 0).all(axis=1), 2).tolist() == [False, True]
    assert withstands_grid(problem, lambda p: right(p) ^ (p == [0.0, 1.0]).all(axis=1), 2).tolist() == [True, True]
    assert withstands_grid(problem, lambda p: right(p) ^ (p == [0.0, 1.0]).all(axis=1), 3).tolist() == [False, True]


@pytest.mark.slow
def test_a_network_is_never_robust_where_it_is_wrong_and_trades_makes_it_more_robust():
    problem = problem_of()
    untrained = network_panel(problem, Schedule(16, 1, 1e-6, 1, 0.1, 0), None, 2)
    is_correct = untrained.classify(problem.points) == problem.labels
    assert not is_correct.all()
    assert not (untrained.is_robust & ~is_correct).any()
    longer = Schedule(32, 200, 0.02, 5, 0.4, 0)
    standard, trades = (network_panel(problem, longer, beta, 21).is_robust.sum() for beta in (None, 6.0))
    assert standard < trades <= most_robust(problem.points, problem.labels, problem.epsilon)


def test_the_overwritten_loss_is_training_with_beta_0_and_no_other():
    problem = problem_of()
    overwritten, zero, small = (train(problem, SHORT, beta).state_dicts()[0] for beta in (None, 0.0, 0.5))
    assert all(torch.equal(value, zero[name]) for name, value in overwritten.items())
    assert not torch.equal(small["2.weight"], zero["2.weight"])


@pytest.mark.slow
def test_training_fits_the_points_in_units_of_the_plane():
    problem = PlaneProblem(*made_points(16, 4.0, 0.1, 0.0, 0), 1.0)
    classify = classifier_of(train(problem, Schedule(32, 150, 0.02, 5, 0.3, 0), 1.0), problem)
    assert (classify(problem.points) == problem.labels).all()
    assert classify(np.array([[4.0, 4.0], [-4.0, 4.0]])).tolist() == [1, 0]


def test_the_table_has_a_row_for_each_panel_and_point_and_regions_go_from_low_y_to_high():
    problem = problem_of()
    panels = [network_panel(problem, SHORT, 6.0, 5), nearest_panel(problem), network_panel(problem, SHORT, None, 5)]
    table, regions = measure([*panels, answers(lambda p: (p[:, 1] > 0).astype(int), problem)], problem, 10)
    assert ",".join(table.columns) == "panel,kind,method,x,y,label,prediction,is_correct,is_robust,epsilon,beta"
    assert table["panel"].value_counts(sort=False).to_dict() == dict.fromkeys(
        ["TRADES, beta = 6", "1NN", OVERWRITTEN, "made"], 40
    )
    kinds = dict(zip(table["panel"], zip(table["kind"], table["method"], strict=True), strict=True))
    assert kinds["1NN"] == ("exact", "robust radius")
    assert kinds[OVERWRITTEN] == kinds["TRADES, beta = 6"] == ("attacked", "25 points a ball")
    assert table["beta"].dropna().tolist() == [6.0] * 40
    assert (table["is_correct"] == (table["label"] == table["prediction"])).all()
    assert table[table["panel"] == "1NN"]["is_correct"].all()
    assert regions.shape == (4, 10, 10)
    assert (regions[3, :5] == 0).all()
    assert (regions[3, 5:] == 1).all()


def test_the_most_that_any_classifier_can_be_robust_on_is_the_largest_set_of_balls_that_do_not_meet():
    two = np.array([[0.0, 0.0], [2.0, 1.0]])
    assert most_robust(two, np.array([0, 1]), 1.0) == 1
    assert most_robust(two, np.array([0, 1]), 0.99) == 2
    assert most_robust(two, np.array([1, 1]), 1.0) == 2
    generator = np.random.default_rng(0)
    for _ in range(20):
        points, labels = generator.uniform(0, 4, (9, 2)), generator.integers(0, 2, 9)
        meet = (np.abs(points[:, None] - points).max(axis=-1) <= 1.2) & (labels[:, None] != labels)
        subsets = [np.flatnonzero(one) for one in product([0, 1], repeat=9)]
        expected = max(len(one) for one in subsets if not meet[np.ix_(one, one)].any())
        assert most_robust(points, labels, 0.6) == expected


def drawn(panels, problem):
    table, regions = measure(panels, problem, 20)
    with style():
        return table, plane_figure(table, {"axis": problem.axis(20), "regions": regions}, 7, WIDE)


def test_the_figure_has_the_whole_ball_of_each_point_bold_where_not_robust():
    problem = PlaneProblem(*made_points(8, 4.0, 2.0, 0.5, 0), 0.75)
    table, figure = drawn([nearest_panel(problem), answers(lambda p: (p[:, 0] > 0).astype(int), problem)], problem)
    assert len(figure.axes) == 2
    for axes, panel in zip(figure.axes, ("1NN", "made"), strict=True):
        mine = table[table["panel"] == panel]
        squares = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        assert len(squares) == 8
        for square, point in zip(squares, mine.itertuples(), strict=True):
            assert (square.get_width(), square.get_height()) == (1.5, 1.5)
            np.testing.assert_allclose(square.get_center(), (point.x, point.y))
            assert (square.get_linewidth() > 1) is (not point.is_robust)
        robust, correct = mine["is_robust"].sum(), mine["is_correct"].sum()
        assert axes.get_title("left").startswith(f"{panel}\n{robust} of 8 robust, {correct} correct\n")
    assert 0 < table["is_robust"].sum() < 16
    title = figure.get_suptitle()
    assert title.startswith("8 training points")
    assert "= 0.75, seed 7; no classifier is robust on more than " in title


def test_an_odd_number_of_panels_and_a_classifier_of_one_answer_can_be_drawn():
    problem = problem_of(8)
    one = answers(lambda p: np.zeros(len(p), dtype=int), problem)
    _, figure = drawn([nearest_panel(problem), one, replace(one, name="other")], problem)
    figure.canvas.draw()
    assert [axes.get_title("left").splitlines()[0] for axes in figure.axes] == ["1NN", "made", "other"]


def test_equal_betas_are_refused_as_their_panels_would_be_one(tmp_path):
    content = profile("embedded")
    content["plane"]["betas"] = [6.0, 6.0]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ParamError, match=r"plane: betas: expected each once, .*got \[6\.0, 6\.0\]"):
        read_params(path)
    content["plane"].update(betas=[6.0], n_points=42)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ParamError, match=r"plane\.n_points: expected a multiple of 4, got 42"):
        read_params(path)

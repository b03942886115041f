"""Figure 3: the numbers of theorem 1 on the example in the plane, by hand, and how they are drawn."""

import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.patches import Circle

from nnrobust.figures.style import WIDE, style
from nnrobust.figures.theorem import OTHER, OWN, QUERY, theorem_figure, theorem_table
from nnrobust.nearest.estimator import OneNearestNeighbor


@pytest.fixture(scope="module")
def table():
    return theorem_table()


@pytest.fixture(scope="module")
def figure(table):
    with style():
        return theorem_figure(table, WIDE)


def numbers(table):
    return table[table["kind"] == "number"].set_index("name")["value"]


def place(table, name):
    return table.set_index("name").loc[name, ["x", "y"]].to_numpy(dtype=float)


def test_the_half_gap_is_half_the_difference_of_both_distances(table):
    number = numbers(table)
    assert (number["d"], number["delta"]) == pytest.approx((math.hypot(0.8, 0.6), math.hypot(1.2, 1.6) - 1.0))
    assert number["half_gap"] == pytest.approx((2.0 - 1.0) / 2)


def test_the_named_references_are_the_nearest_of_each_class(table):
    points = table[table["kind"].isin(["own", "other"])]
    for kind, name in (("own", "x0"), ("other", "x1")):
        mine = points[points["kind"] == kind]
        assert mine.loc[mine["value"].idxmin(), "name"] == name
    number = numbers(table)
    assert points.set_index("name").loc["x1", "value"] == pytest.approx(number["d"] + number["delta"])
    np.testing.assert_allclose(points["value"], np.hypot(points["x"], points["y"]))


def test_the_bisector_is_farther_than_the_half_gap_and_the_exact_radius_farther_than_both(table):
    number = numbers(table)
    assert number["half_gap"] < number["bisector"] < number["exact"]
    # The bisector of x0 = (-0.8, 0.6) and x1 = (1.2, 1.6): (2^2 - 1^2) / (2 |(2, 1)|).
    assert number["bisector"] == pytest.approx(3 / (2 * math.sqrt(5)))
    # Where the bisectors of x1 with x0 and with (1, -0.5) cross: 2a + b = (4 - 1) / 2, 0.2a + 2.1b = (4 - 1.25) / 2.
    corner = np.linalg.solve([[2.0, 1.0], [0.2, 2.1]], [1.5, 1.375])
    assert number["exact"] == pytest.approx(np.linalg.norm(corner), rel=1e-6)
    np.testing.assert_allclose(place(table, "x*"), corner, atol=1e-6)


def test_the_nearest_adversarial_point_is_as_far_from_x0_as_from_x1(table):
    point = place(table, "x*")
    to_own, to_other = (np.linalg.norm(np.array(one) - point, axis=1).min() for one in (OWN, OTHER))
    assert to_own == pytest.approx(to_other, rel=1e-6)
    assert np.linalg.norm(place(table, "x0") - point) == pytest.approx(to_own, rel=1e-6)
    assert np.linalg.norm(place(table, "x1") - point) == pytest.approx(to_other, rel=1e-6)


def test_the_exact_radius_is_the_estimators_and_its_proof_holds(table):
    labels = [0] * len(OWN) + [1] * len(OTHER)
    found = OneNearestNeighbor().fit(np.array(OWN + OTHER), np.array(labels)).robust_radius(np.array([QUERY]))
    assert found.status.tolist() == ["exact"]
    assert found.verify().all()
    assert numbers(table)["exact"] == pytest.approx(found.upper[0], rel=1e-6)


def test_the_figure_has_both_distances_and_the_three_balls_with_their_numbers(table, figure):
    (axes,) = figure.axes
    number = numbers(table)
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert all(circle.center == QUERY for circle in circles)
    expected = [number["d"], number["d"] + number["delta"], number["half_gap"], number["bisector"], number["exact"]]
    assert sorted(circle.radius for circle in circles) == sorted(expected)
    texts = " ".join(text.get_text() for text in [*axes.texts, *figure.legends[0].get_texts()])
    for written in ("d = 1", "d + δ = 2", "half gap δ/2 = 0.5", "bisectors = 0.6708", "radius = 0.7564"):
        assert written in texts
    assert "d(x, x₁) ≥ d(x, x₀) + δ" in figure.get_suptitle()


def test_every_reference_is_in_the_frame_and_the_boundary_goes_through_the_adversarial_point(table, figure):
    (axes,) = figure.axes
    points = table[table["kind"] != "number"]
    assert points["x"].between(*axes.get_xlim()).all()
    assert points["y"].between(*axes.get_ylim()).all()
    boundary = axes.collections[-1]
    vertices = np.concatenate([path.vertices for path in boundary.get_paths()])
    step = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 400
    assert np.linalg.norm(vertices - place(table, "x*"), axis=1).min() < step
    inside = np.linalg.norm(vertices, axis=1)
    assert inside.min() > numbers(table)["exact"] - step


@pytest.mark.slow
def test_drawing_needs_neither_torch_nor_faiss_and_the_table_no_faiss():
    code = (
        "import sys, nnrobust.figures.plane, nnrobust.figures.theorem as t;"
        "assert not {'torch', 'faiss'} & set(sys.modules);"
        "t.theorem_table(); assert 'faiss' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

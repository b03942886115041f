"""Figure 3: theorem 1 on an example in the plane, with the radii that the theorem, bisectors and the convex problems give."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from nnrobust.figures.curves import STYLES
from nnrobust.figures.style import Layout, wrapped

QUERY = (0.0, 0.0)
OWN = ((-0.8, 0.6), (1.0, -0.5), (-1.9, -0.4), (0.1, -1.9), (-1.3, 1.7))
"""References of the query's class, of which the first is the nearest: d = 1."""
OTHER = ((1.2, 1.6), (2.1, 0.4), (1.9, -1.7), (-0.1, 2.2), (-1.9, -1.6))
"""References of the other class, of which the first is the nearest: d + delta = 2. Its bisector with the nearest own-class one
comes nearest to the query where a second own-class reference still wins, so that all three radii differ."""
_REACH = 2.4
_GRID = 401
_WAY: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 1.1, "color": "0.35"}


def theorem_table() -> pd.DataFrame:
    """The points and the numbers of the figure: columns kind, name, x, y and value.

    Of a point (kind query, own, other, adversarial), value is its l2 distance from the query. Numbers have no coordinates: d,
    delta, half_gap (certified, theorem 1), bisector (certified) and exact, where `adversarial` lies.
    Source: arXiv 2404.06313, figure 3 and theorem 1 with d(x, x1) >= d(x, x0) + delta, definition 3.3 the right way round.
    """
    # Here, so that whoever only draws needs no solver.
    from nnrobust.nearest.distances.references import References
    from nnrobust.nearest.distances.screening import Effort, Rivals
    from nnrobust.nearest.search.radius import exact_radii

    query, own, other = np.array([QUERY]), np.array(OWN), np.array(OTHER)
    rivals = Rivals.of(*(References.of(one, np.zeros(2, np.float32), "cpu") for one in (own, other)))
    radii = exact_radii(query, rivals, Effort(len(own), len(other), 1))
    points = [("query", "x", query[0]), ("adversarial", "x*", radii.witness[0])]
    points += [("own", f"own {i}" if i else "x0", one) for i, one in enumerate(own)]
    points += [("other", f"other {i}" if i else "x1", one) for i, one in enumerate(other)]
    rows = [(kind, name, *one, float(np.linalg.norm(one - query))) for kind, name, one in points]
    distances = {name: value for _, name, _, _, value in rows}
    d, delta = distances["x0"], distances["x1"] - distances["x0"]
    numbers = {"d": d, "delta": delta, "half_gap": delta / 2, "bisector": radii.bisector[0], "exact": radii.upper[0]}
    rows += [("number", name, np.nan, np.nan, float(value)) for name, value in numbers.items()]
    return pd.DataFrame(rows, columns=["kind", "name", "x", "y", "value"])


def theorem_figure(table: pd.DataFrame, layout: Layout) -> Figure:
    """The example of `theorem_table`: regions of 1NN, both distances, and the three balls around the query."""
    figure = Figure(figsize=(layout.width, 7.2 if layout.is_narrow else 5.4))
    axes = figure.subplots()
    number = table[table["kind"] == "number"].set_index("name")["value"]
    points = table[table["kind"] != "number"].set_index("name")
    _regions(axes, points)
    _distances(axes, points, number)
    balls = _balls(axes, points, number)
    dots = _dots(axes, points)
    limits = (-_REACH, _REACH)
    axes.set(aspect="equal", xlim=limits, ylim=limits, xlabel="first coordinate", ylabel="second coordinate")
    axes.grid(visible=False)
    place = "outside lower left" if layout.is_narrow else "outside right center"
    figure.legend(handles=[*balls, *dots], loc=place, frameon=False, labelspacing=0.4 if layout.is_narrow else 1.1)
    title = "Theorem 1: where d(x, x₁) ≥ d(x, x₀) + δ, no perturbation shorter than δ/2 changes the label"
    figure.suptitle(wrapped(title, layout))
    return figure


def _regions(axes: Axes, points: pd.DataFrame) -> None:
    """Which class is nearer, in its color, and the boundary between them."""
    axis = np.linspace(-_REACH, _REACH, _GRID)
    lattice = np.stack(np.meshgrid(axis, axis), axis=-1)
    nearest = []
    for kind in ("own", "other"):
        places = points.loc[points["kind"] == kind, ["x", "y"]].to_numpy()
        nearest.append(np.linalg.norm(lattice[:, :, None] - places, axis=-1).min(axis=-1))
    lead = nearest[0] - nearest[1]
    colors = sns.color_palette("colorblind")
    axes.contourf(axis, axis, lead, levels=[-np.inf, 0, np.inf], colors=[(*colors[0], 0.12), (*colors[1], 0.35)])
    axes.contour(axis, axis, lead, levels=[0], colors="black", linewidths=1.2)


def _distances(axes: Axes, points: pd.DataFrame, number: pd.Series) -> None:
    """The circles through the nearest references, the ways there, and the names."""
    center = tuple(points.loc["x", ["x", "y"]])
    far = number["d"] + number["delta"]
    for end, radius in (("x0", number["d"]), ("x1", far)):
        axes.add_patch(Circle(center, radius, fill=False, **_WAY))
        axes.plot(*zip(center, points.loc[end, ["x", "y"]], strict=True), color="0.35", linewidth=1, zorder=2)
    for name, text, shift in (
        ("x", "x", (0, -0.22)),
        ("x0", f"x₀\nd = {number['d']:.4g}", (-0.55, 0.1)),
        ("x1", f"x₁\nd + δ = {far:.4g}", (0.6, 0.3)),
        ("x*", "x*", (0.48, 0.16)),
    ):
        place = points.loc[name, "x"] + shift[0], points.loc[name, "y"] + shift[1]
        axes.text(*place, text, ha="center", va="center")


def _balls(axes: Axes, points: pd.DataFrame, number: pd.Series) -> list[Line2D]:
    """The three balls, in the styles that the radii have in every figure; their entries of the legend."""
    handles = []
    names = {"half_gap": "certified, half gap δ/2", "bisector": "certified, bisectors", "exact": "exact radius"}
    center = (points.loc["x", "x"], points.loc["x", "y"])
    for name, text in names.items():
        _, line, color = STYLES[name.replace("_", " ")]
        look = {"linestyle": line, "linewidth": 1.8, "color": sns.color_palette("colorblind")[color]}
        axes.add_patch(Circle(center, number[name], fill=False, zorder=3, **look))
        handles.append(Line2D([], [], label=f"{text} = {number[name]:.4g}", **look))
    return handles


def _dots(axes: Axes, points: pd.DataFrame) -> list[Line2D]:
    """The query, the references and the adversarial point; their entries of the legend, and those of the lines."""
    own, other = sns.color_palette("colorblind")[:2]
    handles = []
    for kind, marker, size, color, label in (
        ("query", "D", 6.5, "black", "query x"),
        ("own", "o", 6.5, own, "references of its class"),
        ("other", "^", 6.5, other, "references of the other class"),
        ("adversarial", "*", 11, "white", "x*, nearest point that the other class wins"),
    ):
        mine = points[points["kind"] == kind]
        handles += axes.plot(mine["x"], mine["y"], marker, markersize=size, color=color, markeredgecolor="black",
                             label=label, zorder=4)  # fmt: skip
    boundary = Line2D([], [], color="black", linewidth=1.2, label="boundary of 1NN")
    way = Line2D([], [], label="distances d and d + δ", **_WAY)
    return [*handles, boundary, way]

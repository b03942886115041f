"""Figure 2: decision regions of networks and of 1NN in the plane, with the ball around each training point."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from nnrobust.figures.style import Layout, number_of, wrapped

MARKERS = ("o", "^")
"""Of label 0 and of label 1."""
NOTE = "overwritten loss: the released notebook replaces the TRADES loss by cross-entropy, so this panel is standard training"
"""Source: figure 2's notebook in the authors' repository of arXiv 2404.06313."""
_BALLS: dict[bool, dict[str, Any]] = {
    True: {"fill": False, "edgecolor": "black", "linewidth": 0.6, "alpha": 0.45},
    False: {"fill": False, "edgecolor": "black", "linewidth": 1.3},
}
"""How the ball of a point is drawn where the classifier is robust, and where it is not."""
_SHADES = (0.22, 0.5)
"""How much of a class's color its region has; regions differ in grey too."""


def most_robust(points: np.ndarray, labels: np.ndarray, epsilon: float) -> int:
    """The most points (n, 2) that any one classifier can be robust on, in closed linf balls of radius epsilon.

    Balls of different labels that meet exclude each other, and whatever is left after that is possible. With two labels the
    least number of points to give up is the size of the largest matching of such pairs (Koenig's theorem).
    """
    one, other = points[labels == 0], points[labels == 1]
    meet = np.abs(one[:, None] - other).max(axis=-1) <= 2 * epsilon
    matched = maximum_bipartite_matching(csr_array(meet), perm_type="column")
    return len(points) - int((matched >= 0).sum())


def plane_figure(table: pd.DataFrame, grids: Mapping[str, np.ndarray], seed: int, layout: Layout) -> Figure:
    """One panel for each classifier: regions, points by label, their balls, and what is not robust.

    Args:
        table: a row for each panel and point, as `nnrobust.experiments.plane.measure` gives it.
        grids: `regions`, the labels on the plane of each panel, and `axis`, the values of both coordinates there.
        seed: of points and training, for the title.
        layout: of the figure; panels stand two beside each other where it is narrow.
    """
    names = list(dict.fromkeys(table["panel"]))
    n_columns = min(2 if layout.is_narrow else 4, len(names))
    n_rows, side = -(-len(names) // n_columns), layout.width / max(n_columns, 2 if layout.is_narrow else 3)
    figure = Figure(figsize=(layout.width, 1.2 + (side + 0.5) * n_rows))
    places = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes in places.flat[len(names) :]:
        axes.remove()
    for axes, (name, region) in zip(places.flat, zip(names, grids["regions"], strict=True), strict=False):
        rows = table[table["panel"] == name]
        _panel(axes, rows, grids["axis"], region)
        axes.set_title("\n".join(wrapped(line, layout, 0.95 / n_columns) for line in _heading(rows)), loc="left")
    for axes in places[:, 0]:
        axes.set_ylabel("second coordinate")
    for axes in places[-1]:
        axes.set_xlabel("first coordinate")
    n_entries = 2 if layout.is_narrow else 4
    figure.legend(handles=_legend(), loc="outside lower center", ncols=n_entries, frameon=False)
    points = table[table["panel"] == names[0]]
    n, epsilon = len(points), float(points["epsilon"].iloc[0])
    most = most_robust(points[["x", "y"]].to_numpy(), points["label"].to_numpy(), epsilon)
    setting = f"{number_of(n, 'training point')}, Linf, epsilon = {epsilon:g}, seed {seed}"
    figure.suptitle(wrapped(f"{setting}; no classifier is robust on more than {most}", layout))
    return figure


def _heading(rows: pd.DataFrame) -> list[str]:
    """What a panel shows, how many points are robust and right, and what that stands on."""
    name, kind, method = (str(rows[column].iloc[0]) for column in ("panel", "kind", "method"))
    counts = f"{int(rows['is_robust'].sum())} of {len(rows)} robust, {int(rows['is_correct'].sum())} correct"
    return [name, counts, f"{kind}, {method}"]


def _panel(axes: Axes, rows: pd.DataFrame, axis: np.ndarray, region: np.ndarray) -> None:
    colors = sns.color_palette("colorblind")
    tints = [[1 - share * (1 - part) for part in colors[label]] for label, share in enumerate(_SHADES)]
    half = (axis[1] - axis[0]) / 2
    extent = (axis[0] - half, axis[-1] + half, axis[0] - half, axis[-1] + half)
    axes.imshow(region, cmap=ListedColormap(tints), vmin=0, vmax=1, interpolation="none", extent=extent, origin="lower")
    if region.min() < region.max():
        axes.contour(axis, axis, region, levels=[0.5], colors="black", linewidths=0.9)
    for point in rows.itertuples():
        corner, side = (point.x - point.epsilon, point.y - point.epsilon), 2 * point.epsilon
        axes.add_patch(Rectangle(corner, side, side, **_BALLS[point.is_robust]))
    for (label, is_robust), mine in rows.groupby(["label", "is_robust"]):
        color = colors[label]
        face, edge = (color, "black") if is_robust else ("white", [0.6 * part for part in color])
        axes.scatter(mine["x"], mine["y"], s=28, marker=MARKERS[label], color=face, edgecolor=edge,
                     linewidth=0.7 if is_robust else 1.6, zorder=3)  # fmt: skip
    axes.set(aspect="equal", xlim=(axis[0], axis[-1]), ylim=(axis[0], axis[-1]))
    for one in (axes.xaxis, axes.yaxis):
        one.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=False)


def _legend() -> list[Line2D | Patch]:
    colors = sns.color_palette("colorblind")
    look: dict[str, Any] = {"markersize": 6, "markeredgecolor": "black", "linestyle": ""}
    dots = [
        Line2D([], [], marker=marker, color=colors[label], label=f"label {label}", **look)
        for label, marker in enumerate(MARKERS)
    ]
    ball = Patch(label="Linf ball, side 2 epsilon", **_BALLS[True])
    return [*dots, ball, Patch(label="not robust (marker hollow)", **_BALLS[False])]

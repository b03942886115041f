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

MARKERS = ("o", "^")
"""Of label 0 and of label 1."""
NOTE = "overwritten loss: the released notebook replaces the TRADES loss\nby cross-entropy, so this panel is standard training"
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


def plane_figure(table: pd.DataFrame, grids: Mapping[str, np.ndarray], seed: int) -> Figure:
    """One panel for each classifier: regions, points by label, their balls, and what is not robust.

    Args:
        table: a row for each panel and point, as `nnrobust.experiments.plane.measure` gives it.
        grids: `regions`, the labels on the plane of each panel, and `axis`, the values of both coordinates there.
        seed: of points and training, for the title.
    """
    panels = list(dict.fromkeys(table["panel"]))
    n_rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(7.2, 1.3 + 3.5 * n_rows))
    places = figure.subplots(n_rows, 2, sharex=True, sharey=True, squeeze=False)
    for axes in places.flat[len(panels) :]:
        axes.remove()
    for axes, (panel, region) in zip(places.flat, zip(panels, grids["regions"], strict=True), strict=False):
        _panel(axes, table[table["panel"] == panel], grids["axis"], region)
    for axes in places[:, 0]:
        axes.set_ylabel("second coordinate")
    for axes in places[-1]:
        axes.set_xlabel("first coordinate")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=9.5)
    points = table[table["panel"] == panels[0]]
    n, epsilon = len(points), float(points["epsilon"].iloc[0])
    most = most_robust(points[["x", "y"]].to_numpy(), points["label"].to_numpy(), epsilon)
    setting = rf"{n} training points, $\ell_\infty$, $\epsilon$ = {epsilon:g}, seed {seed}"
    figure.suptitle(f"{setting}; no classifier is robust on more than {most}\n{NOTE}", fontsize=10)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, axis: np.ndarray, region: np.ndarray) -> None:
    colors = sns.color_palette("colorblind")
    tints = [[1 - share * (1 - part) for part in colors[label]] for label, share in enumerate(_SHADES)]
    axes.pcolormesh(axis, axis, region, cmap=ListedColormap(tints), vmin=0, vmax=1, shading="nearest", rasterized=True)
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
    name, kind, method = (str(rows[column].iloc[0]) for column in ("panel", "kind", "method"))
    title = f"{name}: {int(rows['is_robust'].sum())} of {len(rows)} robust"
    axes.set_title(f"{title}\n{int(rows['is_correct'].sum())} correct; {kind}, {method}", fontsize=10)
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
    ball = Patch(label=r"$\ell_\infty$ ball, side 2$\epsilon$", **_BALLS[True])
    return [*dots, ball, Patch(label="not robust (marker hollow)", **_BALLS[False])]

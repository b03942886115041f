"""Labels that stand at the lines they name, so that nobody has to look them up in a legend."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from nnrobust.figures.style import LETTERS, darker

_N_PLACES = 40
"""Places along each line that are tried."""


def label_lines(axes: Axes, lines: dict[str, Line2D]) -> None:
    """Writes each name beside its line, where the fewest other lines and names are near.

    The axes must have their limits, and the figure its layout: call `figure.draw_without_rendering()` before.
    """
    size = np.asarray(axes.get_window_extent().size) * 72 / axes.figure.dpi
    for name, line in lines.items():
        line.set_label(name)
    ways = {name: _way(axes, line, size) for name, line in lines.items()}
    taken: list[tuple[np.ndarray, np.ndarray]] = []
    # Those with the fewest places in the panel choose first.
    for name in sorted(ways, key=lambda one: len(ways[one])):
        others = np.concatenate([way for other, way in ways.items() if other != name] or [np.zeros((0, 2))])
        half = np.array([0.31 * LETTERS * len(name), 0.62 * LETTERS])
        places = [
            (cost, place)
            for point in ways[name][:: max(1, len(ways[name]) // _N_PLACES)]
            for place in _beside(point, half)
            if np.isfinite(cost := _cost(place, half, (ways[name], others), taken, size))
        ]
        if not places:
            continue
        _, place = min(places, key=lambda one: one[0])
        taken.append((place, half))
        x, y = place / size
        axes.text(x, y, name, transform=axes.transAxes, ha="center", va="center", zorder=5,
                  color=darker(to_rgb(lines[name].get_color())),
                  bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5})  # fmt: skip


def _way(axes: Axes, line: Line2D, size: np.ndarray) -> np.ndarray:
    """Points (n, 2) on the line inside the panel, in points of 1/72 inch, two apart."""
    corners = axes.transAxes.inverted().transform(
        axes.transData.transform(np.column_stack(line.get_data()).astype(float))
    )
    corners = corners[np.isfinite(corners).all(axis=1)] * size
    if len(corners) < 2:
        return corners
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    places = np.linspace(0, lengths[-1], max(2, int(lengths[-1] / 2)))
    points = np.column_stack([np.interp(places, lengths, corners[:, axis]) for axis in range(2)])
    return points[((points >= 0) & (points <= size)).all(axis=1)]


def _beside(point: np.ndarray, half: np.ndarray) -> list[np.ndarray]:
    """Centres of a text of twice `half` above, below, right and left of a point."""
    reach = half + 2
    steps = ((0, 1), (0, -1), (1, 0.6), (-1, -0.6), (1, -0.6), (-1, 0.6))
    return [point + reach * np.array(step) for step in steps]


def _cost(
    place: np.ndarray, half: np.ndarray, ways: tuple[np.ndarray, np.ndarray], taken: list[tuple[np.ndarray, np.ndarray]],
    size: np.ndarray,
) -> float:  # fmt: skip
    """How much a text there covers of its own line and, worse, of others; infinity over another name or the edge."""
    if (place - half < 0).any() or (place + half > size).any():
        return np.inf
    if any((np.abs(place - other) < half + room).all() for other, room in taken):
        return np.inf
    mine, others = (np.abs(way - place) - half for way in ways)
    covered = 3.0 * (others < 0).all(axis=1).sum() + (mine < 0).all(axis=1).sum()
    near = np.maximum(others, 0)
    gap = np.linalg.norm(near, axis=1).min(initial=60.0)
    own = np.linalg.norm(np.maximum(mine, 0), axis=1).min(initial=60.0)
    return float(covered + own / 10 - min(gap, 30.0) / 10)

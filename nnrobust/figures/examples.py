"""Figures 1 and 7: training images, what fools a classifier on them, and by how much each pixel changes."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec

from nnrobust.examples import Examples

ROWS = ("image", "adversarial", "difference")


def example_figure(examples: Examples, title: str, classes: list[str], epsilon: dict[str, float]) -> Figure:
    """Images, the nearest found that fool (with their l2 distance), and rescaled differences; beside them the pixel changes.

    Gray in a difference is no change; each is scaled by its own largest. The histogram has the absolute changes of all pixel
    values of all images shown, and the Linf epsilon as an upright line.
    """
    figure = Figure(figsize=(9.2, 2.9))
    n = len(examples.images)
    grid = figure.add_gridspec(1, 2, width_ratios=(n, 3.4))
    images = GridSpecFromSubplotSpec(len(ROWS), n, grid[0], wspace=0.05, hspace=0.08)
    shades = shown_images(examples)
    for column in range(n):
        for row, name in enumerate(ROWS):
            axes = figure.add_subplot(images[row, column])
            axes.set(xticks=[], yticks=[])
            axes.set_box_aspect(examples.images.shape[2] / examples.images.shape[3])
            if name == "image" or examples.is_found[column]:
                axes.imshow(shades[name][column], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if column == 0:
                axes.set_ylabel(name, fontsize=8)
        figure.axes[-3].set_title(_label(examples, column, classes), fontsize=7)
        figure.axes[-1].set_xlabel(_distance(examples, column, epsilon["L2"]), fontsize=7)
    _histogram(figure.add_subplot(grid[1]), examples, epsilon["Linf"])
    figure.suptitle(title, fontsize=9)
    return figure


def shown_images(examples: Examples) -> dict[str, np.ndarray]:
    """Each row's images (n, h, w, c), values in [0, 1]."""
    stored = examples.images / 255
    change = examples.adversarial - stored
    largest = np.abs(change).max(axis=(1, 2, 3), keepdims=True)
    difference = 0.5 + 0.5 * change / np.where(largest > 0, largest, 1)
    every = {"image": stored, "adversarial": examples.adversarial, "difference": difference}
    return {name: images.transpose(0, 2, 3, 1) for name, images in every.items()}


def _label(examples: Examples, column: int, classes: list[str]) -> str:
    name = classes[examples.labels[column]]
    return name if examples.predictions[column] == examples.labels[column] else f"{name}\nwrong as it is"


def _distance(examples: Examples, column: int, epsilon: float) -> str:
    if not examples.is_found[column]:
        return "none found"
    sign = r"\leq" if examples.inside(epsilon)[column] else ">"
    return rf"$\ell_2$ {examples.norms[column]:.2f} ${sign} \epsilon$"


def _histogram(axes: Axes, examples: Examples, epsilon: float) -> None:
    change = np.abs(examples.adversarial - examples.images / 255)[examples.is_found].ravel()
    ends, weights = (0.0, max(1.05 * epsilon, change.max(initial=0))), np.full(len(change), 100 / max(1, len(change)))
    axes.hist(change, bins=60, range=ends, weights=weights, color=sns.color_palette("colorblind")[0])
    axes.axvline(epsilon, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="change of a pixel value, in [0, 1]", ylabel="pixel values (%)", title="none found")
    if len(change):
        share = 100 * (change < epsilon).mean()
        axes.set_title(f"{share:.0f} % of values change by\nless than {epsilon:.3g} (dotted)", fontsize=8)
        axes.set_yscale("log")

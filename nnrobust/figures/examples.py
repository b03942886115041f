"""Figures 1 and 7: training images, what fools a classifier on them, and by how much each pixel changes."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec

from nnrobust.examples import Examples
from nnrobust.figures.style import Layout, number_of, wrapped

ROWS = ("image", "adversarial", "difference")
_IN_A_ROW = {False: 8, True: 4}
"""Images beside each other, by whether the layout is narrow."""


def example_figure(
    examples: Examples, title: str, classes: list[str], epsilon: dict[str, float], is_exact: bool, layout: Layout
) -> Figure:  # fmt: skip
    """Images, the nearest found that fool (with their distances and SSIM), and rescaled differences; then the pixel changes.

    Gray in a difference is no change; each is scaled by its own largest. The histogram has the absolute changes of all pixel
    values of the images that `counted` names, and the Linf epsilon as an upright line. `is_exact`: no nearer image fools.
    """
    n, n_columns = len(examples.images), min(_IN_A_ROW[layout.is_narrow], len(examples.images))
    blocks = [range(start, min(start + n_columns, n)) for start in range(0, n, n_columns)]
    side = (layout.width - 0.5) / n_columns
    heights = [3 * side + 1.25] * len(blocks) + [1.9]
    figure = Figure(figsize=(layout.width, sum(heights) + 0.5))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    shades, labels = shown_images(examples), _distances(examples, epsilon["L2"])
    for i, block in enumerate(blocks):
        images = GridSpecFromSubplotSpec(len(ROWS), n_columns, grid[i], wspace=0.06, hspace=0.06)
        for column, index in enumerate(block):
            every = [figure.add_subplot(images[row, column]) for row in range(len(ROWS))]
            for axes, name in zip(every, ROWS, strict=True):
                _image(axes, shades[name][index] if name == "image" or examples.is_found[index] else None, examples)
                if column == 0:
                    axes.set_ylabel(name)
            every[0].set_title(_label(examples, index, classes))
            every[-1].set_xlabel(labels[index])
    axes = figure.add_subplot(grid[len(blocks)])
    _histogram(axes, examples, epsilon, is_exact)
    axes.set_title(wrapped(share_in_words(examples, epsilon, is_exact), layout, 0.9))
    figure.suptitle(wrapped(title, layout))
    return figure


def counted(examples: Examples, epsilon: float, is_exact: bool) -> np.ndarray:
    """Of which images (n,) the changes are counted, as in the claims: all that are fooled, of an attack those within epsilon."""
    return examples.is_found if is_exact else examples.is_found & examples.inside(epsilon)


def shown_images(examples: Examples) -> dict[str, np.ndarray]:
    """Each row's images (n, h, w, c), values in [0, 1]."""
    stored = examples.images / 255
    change = examples.adversarial - stored
    largest = np.abs(change).max(axis=(1, 2, 3), keepdims=True)
    difference = 0.5 + 0.5 * change / np.where(largest > 0, largest, 1)
    every = {"image": stored, "adversarial": examples.adversarial, "difference": difference}
    return {name: images.transpose(0, 2, 3, 1) for name, images in every.items()}


def _image(axes: Axes, shades: np.ndarray | None, examples: Examples) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(examples.images.shape[2] / examples.images.shape[3])
    if shades is not None:
        axes.imshow(shades, cmap="gray", vmin=0, vmax=1, interpolation="none")


def _label(examples: Examples, column: int, classes: list[str]) -> str:
    name = classes[examples.labels[column]]
    return name if examples.predictions[column] == examples.labels[column] else f"{name}\nwrong as it is"


def _distances(examples: Examples, epsilon: float) -> list[str]:
    """What stands under each image: how far its adversarial one is, in L2 and in Linf, and how similar."""
    signs = np.where(examples.inside(epsilon), "≤", ">")
    measures = zip(examples.norms, signs, examples.largest_changes(), examples.ssim(), strict=True)
    texts = [
        f"L2 {norm:.2f}\n{sign} epsilon\nLinf {largest:.2f}\nSSIM {ssim:.2f}" for norm, sign, largest, ssim in measures
    ]
    return [text if found else "none found" for text, found in zip(texts, examples.is_found, strict=True)]


def changes(examples: Examples, is_counted: np.ndarray) -> np.ndarray:
    """The absolute changes of all pixel values of the images counted, in one row."""
    return np.abs(examples.adversarial - examples.images / 255)[is_counted].ravel()


def share_in_words(examples: Examples, epsilon: dict[str, float], is_exact: bool) -> str:
    """The share of pixel values that the claim on the figure is about, with its denominator."""
    is_counted = counted(examples, epsilon["L2"], is_exact)
    change, n, linf = changes(examples, is_counted), int(is_counted.sum()), epsilon["Linf"]
    if not n:
        return "none found"
    share, words = ((change > linf), "more") if is_exact else ((change < linf), "less")
    of = f"the {number_of(n, 'image')} fooled" if is_exact else f"the {number_of(n, 'image')} fooled within epsilon"
    return f"{100 * share.mean():.1f} % of the pixel values of {of} change by {words} than {linf:.3g} (dotted)"


def caption(examples: Examples, epsilon: dict[str, float], is_exact: bool) -> str:
    """What the figure shows, of how many images, and by how much these are changed; `is_exact` as in `example_figure`."""
    n = int(examples.is_found.sum())
    kind = (
        "Proven: no nearer image in [0, 1] is classified differently"
        if is_exact
        else "Attacked: a nearer one may exist"
    )
    return (
        f"{len(examples.images)} training images, {n} of them fooled, nearest in l2. {kind}. Gray in a difference is no change; "
        "each is scaled by its largest. Linf is the largest change of a pixel value, SSIM the structural similarity to the image "
        f"(1: equal). Below: {share_in_words(examples, epsilon, is_exact)}; the claim counts the same values. "
        f"{_medians_in_words(examples, counted(examples, epsilon['L2'], is_exact))}."
    )


def _medians_in_words(examples: Examples, is_counted: np.ndarray) -> str:
    if not is_counted.any():
        return "No median of them, as none is counted"
    measures = {"L2": examples.norms, "Linf": examples.largest_changes(), "SSIM": examples.ssim()}
    medians = [f"{name} {np.median(values[is_counted]):.3g}" for name, values in measures.items()]
    return f"Medians of these {number_of(int(is_counted.sum()), 'image')}: {', '.join(medians)}"


def _histogram(axes: Axes, examples: Examples, epsilon: dict[str, float], is_exact: bool) -> None:
    change = changes(examples, counted(examples, epsilon["L2"], is_exact))
    ends = (0.0, max(1.05 * epsilon["Linf"], change.max(initial=0)))
    weights = np.full(len(change), 100 / max(1, len(change)))
    axes.hist(change, bins=60, range=ends, weights=weights, color=sns.color_palette("colorblind")[0])
    axes.axvline(epsilon["Linf"], color="black", linestyle=":", linewidth=1.2)
    axes.set(xlabel="change of a pixel value, in [0, 1]", ylabel="values (%)")
    if len(change):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")

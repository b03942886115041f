"""What all figures have in common: their look and letters, their two layouts, their files, the names of the norms."""

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrobust.runtime.outputs import finished_file

MARKERS = "osD^vPX*"
"""Of classifiers, beside their colors; filled where numbers are proven, hollow where they are attacked."""
MEASURES = {
    "clean": ("clean", "D", 7),
    "Linf": ("Linf", "s", 0),
    "L2": ("L2", "o", 1),
    "union": ("both norms", "|", 2),
}
"""Label, marker and color of each measure, wherever several are in one panel."""
LETTERS = 9.5
"""Points. Every text has this size: 15 pixels where a wide figure fills a page of 1,120, 11.6 where a narrow one fills 350."""
GREY = "0.45"
"""Of what others published."""


@dataclass(frozen=True)
class Layout:
    """The room of a figure: its width in inches, the most panels in a row, and the characters that a line of its title holds."""

    name: str
    width: float
    n_columns: int

    @property
    def n_characters(self) -> int:
        return int(self.width * 72 / (0.56 * LETTERS))

    @property
    def is_narrow(self) -> bool:
        return self.n_columns == 1


WIDE, NARROW = Layout("wide", 9.6, 4), Layout("narrow", 4.0, 1)
"""For desks and paper, and for phones."""


@contextmanager
def style() -> Iterator[None]:
    """The one look of all figures: legible in grey and to colour-blind readers."""
    sizes = dict.fromkeys(
        ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize",
         "figure.titlesize", "figure.labelsize"),
        LETTERS,
    )  # fmt: skip
    settings = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper"),
        **sizes,
        # Verdana has the widths of DejaVu Sans, where a reader of an SVG lacks that.
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "nnrobust",
    }
    with mpl.rc_context(settings):
        yield


def settled(figure: Figure) -> Figure:
    """The figure with its parts in their places, which all formats then share; else each of them finds places anew."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Writes the figure as PNG or as PDF, as the path says, without the time of writing: equal figures are equal files."""
    metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}[path.suffix]
    with finished_file(path) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)


def svg(figure: Figure) -> str:
    """The figure as SVG with letters as text, and with nothing that a reader does not see: half the size of Matplotlib's."""
    content = io.StringIO()
    figure.savefig(content, format="svg", dpi=72, metadata={"Date": None})
    whole = content.getvalue()
    bare = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", whole[whole.index("<svg") :], flags=re.DOTALL)
    shorter = re.sub(r"<[^>]+>", lambda tag: _short(tag[0]), bare)
    family = ", ".join(mpl.rcParams["font.sans-serif"])
    letters = f"text{{font: {LETTERS}px {family}}}</style>"
    return re.sub(r">\s+<", "><", shorter.replace("</style>", letters, 1)).strip()


def _short(tag: str) -> str:
    """A tag in one line, with paths in tenths and other places in hundredths of a point, without the names of groups and the
    font that all texts have."""
    one_line = re.sub(r"\s+", " ", tag)
    if tag.startswith("<g "):
        one_line = re.sub(r' id="[^"]*"', "", one_line)
    if tag.startswith("<text "):
        one_line = re.sub(r"font-size: [\d.]+px; font-family: [^;]*; ?| transform=\"rotate\(-0 [^)]*\)\"", "", one_line)
    path = re.sub(
        r' d="[^"]*"', lambda way: re.sub(r"-?\d+\.\d+", lambda number: _rounded(number[0], 1), way[0]), one_line
    )
    return re.sub(r"-?\d+\.\d{3,}", lambda number: _rounded(number[0], 2), path)


def _rounded(number: str, n_decimals: int) -> str:
    return f"{float(number):.{n_decimals}f}".rstrip("0").rstrip(".")


def wrapped(text: str, layout: Layout, share: float = 1.0) -> str:
    """The text in lines that fit the layout's width, or a share of it."""
    return "\n".join(textwrap.wrap(text, int(share * layout.n_characters)))


def panels(figure: Figure, n: int, layout: Layout, **options: Any) -> list[Axes]:
    """n panels, as many beside each other as the layout has room for."""
    n_columns = min(n, layout.n_columns)
    n_rows = -(-n // n_columns)
    every = figure.subplots(n_rows, n_columns, squeeze=False, **options).flat
    for axes in every[n:]:
        axes.remove()
    return list(every[:n])


def darker(color: tuple[float, ...]) -> tuple[float, ...]:
    """The color for letters on white, with a contrast of at least 4.5."""
    shade = np.asarray(color[:3])
    while contrast(tuple(shade)) < 4.5:
        shade = 0.92 * shade
    return tuple(shade)


def contrast(color: tuple[float, ...]) -> float:
    """The contrast of a color with white, from 1 to 21, as WCAG 2.2 defines it."""
    parts = np.asarray(color)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def number_of(n: int, noun: str) -> str:
    """`1 pair`, `45 pairs`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

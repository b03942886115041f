"""What all figures have in common: their look, their files, the symbols of the norms."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from nnrobust.runtime.outputs import finished_file

SYMBOLS = {"Linf": r"$\ell_\infty$", "L2": r"$\ell_2$"}
MARKERS = "osD^vPX*"
"""Of classifiers, beside their colors; filled where numbers are proven, hollow where they are attacked."""


@contextmanager
def style() -> Iterator[None]:
    """The one look of all figures: legible in grey and to colour-blind readers."""
    settings = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper", font_scale=1.1),
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,
        "svg.hashsalt": "nnrobust",
    }
    with mpl.rc_context(settings):
        yield


def save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Writes the figure as PNG or as PDF, as the path says, without the time of writing: equal figures are equal files."""
    metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}[path.suffix]
    with finished_file(path) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)

"""A drawing's files, and the picture of it for the report."""

from dataclasses import dataclass
from pathlib import Path

from nnrobust.figures.gallery import Drawing
from nnrobust.figures.style import NARROW, save, settled, style, svg
from nnrobust.runtime.outputs import write_csv

LONGEST_CSV = 40_000
"""Characters of a figure's table up to which the page has it, beside the files of the run."""


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, for desks and paper, and for phones: `name` is its anchor, `data` the CSV that it is drawn from."""

    name: str
    title: str
    caption: str
    wide: str
    narrow: str
    data: str | None


@dataclass(frozen=True)
class FigureFiles:
    """Draws figures into folders: PNG, PDF, and as CSV the table that each is drawn from."""

    images: Path
    pdf: Path
    tables: Path
    dots_per_inch: int

    def __call__(self, drawing: Drawing) -> Picture:
        """The picture for the page, in both layouts, with its table where that is short."""
        write_csv(self.tables / f"{drawing.name}.csv", drawing.table)
        data = drawing.table.to_csv(index=False)
        with style():
            wide = settled(drawing.figure)
            save(wide, self.images / f"{drawing.name}.png", self.dots_per_inch)
            save(wide, self.pdf / f"{drawing.name}.pdf", self.dots_per_inch)
            narrow = settled(drawing.draw(NARROW))
            return Picture(
                drawing.name,
                drawing.title,
                drawing.caption,
                svg(wide),
                svg(narrow),
                data if len(data) <= LONGEST_CSV else None,
            )

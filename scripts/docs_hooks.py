"""What `make docs` adds to the pages in docs/: notebooks with their outputs, published runs, and links to these.

MkDocs calls the functions named on_*. A notebook is a Python file in notebooks/, in cells that begin with `# %%` (text with
`# %% [markdown]`), which editors and Jupyter open as it is. Here it is run: its page has what the cells print and draw, and the
same as an .ipynb file to download.
"""

import contextlib
import io
import json
import os
import re
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "agg")

ROOT = Path(__file__).parent.parent
RUNS = "results"
MADE = (RUNS, "metrics")
"""The folders outside docs/ whose files pages link to."""
_MARK = "# %%"
_TEXT = f"{_MARK} [markdown]"
_OUTSIDE = re.compile(r"\]\(\.\./(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook: its text, or its code with what that printed and the PNG files it drew."""

    is_code: bool
    source: str
    printed: str = ""
    drawn: tuple[bytes, ...] = ()


def cells_of(text: str) -> list[Cell]:
    """The cells of a notebook, not run."""
    cells = []
    for part in re.split(rf"^(?={_MARK})", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        if head.strip() == _TEXT:
            body = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
        cells.append(Cell(head.strip() != _TEXT, body.strip("\n")))
    return cells


def run(path: Path) -> list[Cell]:
    """The cells of a notebook, run from first to last in one namespace."""
    names: dict[str, Any] = {"__name__": "__main__"}
    done = []
    for cell in cells_of(path.read_text(encoding="utf-8")):
        if cell.is_code:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(cell.source, str(path), "exec"), names)
            cell = Cell(True, cell.source, out.getvalue(), tuple(_drawn()))
        done.append(cell)
    return done


def _drawn() -> list[bytes]:
    """The open figures as PNG files; they are closed."""
    from matplotlib import pyplot

    files = []
    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, format="png", dpi=120, bbox_inches="tight")
        files.append(file.getvalue())
    pyplot.close("all")
    return files


def as_page(name: str, cells: list[Cell]) -> str:
    """A notebook as Markdown; its pictures are NAME-1.png and so on, beside the page."""
    lines, n_pictures = [], 0
    for cell in cells:
        lines.append(f"```python\n{cell.source}\n```" if cell.is_code else cell.source)
        if cell.printed:
            lines.append(f"```text\n{cell.printed.rstrip()}\n```")
        for _ in cell.drawn:
            n_pictures += 1
            lines.append(f"![Figure {n_pictures}]({name}-{n_pictures}.png)")
    lines.insert(1, f"[Download as a notebook]({name}.ipynb). The outputs below were made when this page was built.")
    return "\n\n".join(lines) + "\n"


def as_notebook(cells: list[Cell]) -> str:
    """A notebook with its outputs as an .ipynb file, format 4.5."""
    found = []
    for number, cell in enumerate(cells):
        about: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": cell.source}
        if not cell.is_code:
            found.append({"cell_type": "markdown", **about})
            continue
        outputs: list[dict[str, Any]] = []
        if cell.printed:
            outputs.append({"output_type": "stream", "name": "stdout", "text": cell.printed})
        for png in cell.drawn:
            data = {"image/png": b64encode(png).decode()}
            outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
        found.append({"cell_type": "code", **about, "execution_count": None, "outputs": outputs})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": found}, indent=1) + "\n"


def outside(path: str) -> str:
    """Where the site has a file or folder outside docs/: a published run's folder is a part of the page over all runs."""
    if path.rstrip("/") in (RUNS, f"{RUNS}/README.md"):
        return f"{RUNS}/index.html"
    if (ROOT / path).is_dir():
        return f"{RUNS}/index.html#{Path(path).parts[1]}"
    return path


def on_files(files: Any, config: Any) -> Any:
    """The files of the site, with notebooks, published runs and metrics."""
    from mkdocs.structure.files import File

    for path in sorted((ROOT / "notebooks").glob("*.py")):
        cells, base = run(path), f"notebooks/{path.stem}"
        made = {f"{base}.md": as_page(path.stem, cells), f"{base}.ipynb": as_notebook(cells)}
        pictures = [png for cell in cells for png in cell.drawn]
        made |= {f"{base}-{number}.png": png for number, png in enumerate(pictures, 1)}
        for name, content in made.items():
            files.append(File.generated(config, name, content=content))
    for folder in MADE:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if (
                path.is_file()
                and path.suffix in (".csv", ".html", ".json", ".png", ".yaml")
                and "/records/" not in name
            ):
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with links that lead out of docs/ led to where the site has those files."""
    return _OUTSIDE.sub(lambda found: f"]({outside(found['path'])}{found['anchor'] or ''})", markdown)

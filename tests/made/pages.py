"""Examples in Markdown pages: blocks of Python, each with the output that the page shows after it."""

import contextlib
import io
import re
from pathlib import Path

_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL | re.MULTILINE)


def examples_of(page: Path) -> list[tuple[str, str]]:
    """Code and shown output of each example of a page, in order."""
    return [(code, shown or "") for code, shown in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def run_examples(page: Path) -> list[str]:
    """What each example of a page prints, all run in one namespace and in the current folder."""
    names: dict[str, object] = {}
    printed = []
    for code, _ in examples_of(page):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, str(page), "exec"), names)
        printed.append(out.getvalue())
    return printed

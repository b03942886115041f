"""Writes the page that `dvc plots show` fills, `.dvc/plots/page.html`: after a change of `nnrobust/report/plots_page.py`."""

from pathlib import Path

from nnrobust.report.plots_page import plots_page

PAGE = Path(__file__).parent.parent / ".dvc" / "plots" / "page.html"

if __name__ == "__main__":
    PAGE.write_text(plots_page(), encoding="utf-8")

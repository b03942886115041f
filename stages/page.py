"""Writes the page that `dvc plots show` fills, before anything else, so that it is there while networks train."""

from pathlib import Path

from nnrobust.report.plots_page import plots_page
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.process import run_stage

OUTPUT = Path("data/plots_page.html")


def main() -> None:
    with finished_file(OUTPUT) as temporary:
        temporary.write_text(plots_page(), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)

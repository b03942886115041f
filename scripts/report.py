"""Writes `report/index.html`, one page with all of the run that `dvc repro` left, and with the times that this machine takes.

    make report

The page is no output of a stage: it says what differs from run to run, the times, the machine and the commit, so that what
stages leave is the same wherever they run. It is refused where the outputs are not those of the code and the params.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from nnrobust.runtime.kernels import pin_kernels

pin_kernels(ROOT / "params.yaml")  # before libraries are loaded: times are those of the kernels that stages use

from nnrobust.report.finished import finished
from nnrobust.runtime.outputs import finished_file
from nnrobust.runtime.process import one_sentence

REPORT = ROOT / "report/index.html"


def main() -> None:
    with one_sentence():
        page = finished(ROOT).page
        with finished_file(REPORT) as temporary:
            temporary.write_text(page, encoding="utf-8")
    print(
        f"report:   {REPORT.relative_to(ROOT)}: the paper's claims with their verdicts, figures, tables, times, provenance"
    )


if __name__ == "__main__":
    main()

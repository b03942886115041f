"""Sets two published runs side by side, `python scripts/compare.py NAME NAME`: summaries, and claims judged differently."""

import sys
from pathlib import Path

from nnrobust.report.published import compared
from nnrobust.runtime.process import one_sentence

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with one_sentence():
        numbers, verdicts = compared(*(RESULTS / name for name in sys.argv[1:]))
    print(numbers.to_string(na_rep="-"))
    print(f"\n{len(verdicts)} claims judged differently")
    if len(verdicts):
        print(verdicts.to_string())


if __name__ == "__main__":
    main()

"""Sets two published runs side by side, `python scripts/compare.py NAME NAME`: summaries, and claims judged differently."""

import sys
from pathlib import Path

from nnrobust.errors import NnrobustError
from nnrobust.report.published import compared

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    try:
        numbers, verdicts = compared(*(RESULTS / name for name in sys.argv[1:]))
    except NnrobustError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    print(numbers.to_string(na_rep="-"))
    print(f"\n{len(verdicts)} claims judged differently")
    if len(verdicts):
        print(verdicts.to_string())


if __name__ == "__main__":
    main()

"""Progress of a fit on standard error: a line that changes on a terminal, a new line now and then elsewhere."""

import sys
import time

from nnrobust.runtime.progress import SECONDS_BETWEEN_LINES

_SECONDS_ON_TERMINAL = 0.5


def unreported(n_iter: int, gap: float) -> None:
    """Says nothing: what a fit does unless it is verbose."""


class FitProgress:
    """Says how many iterations a fit has taken and how near the optimum it is known to be."""

    def __init__(self, tol: float) -> None:
        self.tol, self.is_terminal = tol, sys.stderr.isatty()
        self.start = self.last = time.monotonic()

    def __call__(self, n_iter: int, gap: float) -> None:
        """Says it, unless that was done a moment ago."""
        pause = _SECONDS_ON_TERMINAL if self.is_terminal else SECONDS_BETWEEN_LINES
        if time.monotonic() - self.last >= pause:
            self._write(n_iter, gap, end="" if self.is_terminal else "\n")

    def finish(self, n_iter: int, gap: float) -> None:
        """Says where the fit ended."""
        self._write(n_iter, gap, end="\n")

    def _write(self, n_iter: int, gap: float, end: str) -> None:
        self.last = time.monotonic()
        text = f"fit: iteration {n_iter}, relative gap {gap:.1e} of {self.tol:.1e}, {self.last - self.start:.0f} s"
        print(f"\r{text:<78}" if self.is_terminal else text, end=end, file=sys.stderr, flush=True)

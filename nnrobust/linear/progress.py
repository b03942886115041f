"""Progress of a fit on standard error."""

from nnrobust.runtime.progress import Line


def unreported(n_iter: int, gap: float) -> None:
    """Says nothing: what a fit does unless it is verbose."""


class FitProgress:
    """Says how many iterations a fit has taken and how near the optimum it is known to be."""

    def __init__(self, tol: float) -> None:
        self.tol, self.line = tol, Line()

    def __call__(self, n_iter: int, gap: float, is_last: bool = False) -> None:
        """Says it, unless something was said a moment ago and this is not where the fit ended."""
        self.line.say(
            lambda: f"fit: iteration {n_iter}, relative gap {gap:.1e} of {self.tol:.1e}, {self.line.seconds:.0f} s",
            is_last,
        )

"""Whether a model is as accurate as its maker says, before anything is attacked: a wrong normalisation raises no error."""

import numpy as np

from nnrobust.errors import AttackError

ALLOWANCE = 0.05
"""How far below its stated clean accuracy, in [0, 1], a model may be. Wrong normalisations cost 0.02 to 0.6."""


def clean_line(name: str, stated: float | None, is_correct: np.ndarray) -> str:
    """The share of images (n,) that a model is right on, beside the clean accuracy stated, in words."""
    said = "none is stated" if stated is None else f"{100 * stated:.1f} % is stated"
    return f"{name}: clean accuracy {100 * is_correct.mean():.1f} % on {len(is_correct)} test images; {said}"


def check_clean(name: str, stated: float, is_correct: np.ndarray, allowance: float = ALLOWANCE) -> None:
    """Compares the share of images (n,) that a model is right on with the clean accuracy stated, both in [0, 1].

    Few images allow more, two standard errors of the stated accuracy, by which a model may be below by chance.

    Raises:
        AttackError: when it is more than `allowance` below, with what to check.
    """
    n, measured = len(is_correct), float(is_correct.mean())
    chance = 2 * np.sqrt(stated * (1 - stated) / n)
    if measured < stated - max(allowance, chance):
        raise AttackError(
            f"{name}: expected a clean accuracy of about {100 * stated:.1f} %, as stated, got {100 * measured:.1f} % on {n} "
            "images; check mean and std, value range, layout and colour order, class order, and that the images are those that "
            "it was stated for (JPEG copies cost standard networks ten points); if it is no mistake, allow for "
            f"{100 * (stated - measured):.0f} points"
        )

"""How robust accuracy depends on epsilon: of 1NN by certificate and exactly, of networks under attack."""

import numpy as np
import pandas as pd

from nnrobust.records import ALL_CLASSES
from nnrobust.tables.accuracy import CERTIFICATES, EXACT, standard_error

BOUNDS = {**{name: (column, column) for name, column in CERTIFICATES.items()}, **EXACT}
"""Of 1NN, the columns of the records that hold the radius by each method, from below and from above."""


def epsilon_curves(records: pd.DataFrame, split: str, n_points: int, end: float) -> pd.DataFrame:
    """Robust accuracy of one classifier at `n_points` epsilons from 0 to `end` times the recorded one, in percent.

    Columns: `classifier`, `problem` (`pairs`: the mean over pairs; `all`: all classes at once), `norm`, `epsilon`, `method`,
    `kind`, `accuracy`, `error` (standard error of the mean over pairs), `open` (what the verdicts that are not exact could
    add), `n_problems`. Of 1NN at epsilon 0 it is the clean accuracy without ties. Of networks it is the share of images that no
    attack has fooled within epsilon, an upper bound; only a minimum-norm attack makes it a good one away from the recorded
    epsilon. Only test images have full radii in the records of 1NN.
    """
    rows = []
    mine = records[(records["split"] == split) & (records["status"] == "ok")]
    for norm, part in mine.groupby(mine["norm"].astype(str)):
        grid = np.linspace(0, end, n_points) * float(part["epsilon"].iloc[0])
        problems = [(str(name), one) for name, one in part.groupby(part["pair"].astype(str))]
        for problem, chosen in (
            ("pairs", [one for name, one in problems if name != ALL_CLASSES]),
            ("all", [one for name, one in problems if name == ALL_CLASSES]),
        ):
            for method, kind, lower, upper in _methods(part) if chosen else ():
                rates = 100 * np.stack([_share_above(one[lower], grid) for one in chosen])
                bounds = 100 * np.stack([_share_above(one[upper], grid) for one in chosen])
                rows += [
                    {
                        "classifier": str(part["classifier"].iloc[0]), "problem": problem, "norm": norm, "epsilon": epsilon,
                        "method": method, "kind": kind, "accuracy": rates[:, i].mean(),
                        "error": standard_error(rates[:, i]), "open": (bounds - rates)[:, i].mean(), "n_problems": len(chosen),
                    }
                    for i, epsilon in enumerate(grid)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def _methods(records: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Method, kind, and the columns that bound the radius from below and from above."""
    if records["kind"].iloc[0] == "attacked":
        return [(str(records["attacks"].iloc[0]), "attacked", "radius_upper", "radius_upper")]
    return [(name, "exact" if name in EXACT else "certified", *columns) for name, columns in BOUNDS.items()]


def _share_above(radii: pd.Series, grid: np.ndarray) -> np.ndarray:
    """The share of radii above each value of the grid; a wrong image has radius 0."""
    ordered = np.sort(radii.to_numpy())
    return 1 - np.searchsorted(ordered, grid, side="right") / len(ordered)

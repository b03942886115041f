"""How the robust accuracy of 1NN depends on epsilon, by certificate and exactly."""

import numpy as np
import pandas as pd

from nnrobust.accuracy import CERTIFICATES, EXACT, standard_error
from nnrobust.records import ALL_CLASSES

RADII = {**CERTIFICATES, **{name: lower for name, (lower, _) in EXACT.items()}}
"""The column of the records that holds the radius by each method; of an exact one the lower end."""


def epsilon_curves(records: pd.DataFrame, split: str, n_points: int, end: float) -> pd.DataFrame:
    """Robust accuracy of 1NN at `n_points` epsilons from 0 to `end` times the recorded one, in percent.

    Columns: `problem` (`pairs`: the mean over pairs; `all`: all classes at once), `norm`, `epsilon`, `method`, `kind`,
    `accuracy`, `error` (standard error of the mean over pairs), `open` (what the verdicts that are not exact could add),
    `n_problems`. At epsilon 0 it is the clean accuracy without ties. Only test images have full radii in the records.
    """
    rows = []
    mine = records[(records["split"] == split) & (records["kind"] != "attacked")]
    for norm, part in mine.groupby(mine["norm"].astype(str)):
        grid = np.linspace(0, end, n_points) * float(part["epsilon"].iloc[0])
        problems = [(str(name), one) for name, one in part.groupby(part["pair"].astype(str))]
        for problem, chosen in (
            ("pairs", [one for name, one in problems if name != ALL_CLASSES]),
            ("all", [one for name, one in problems if name == ALL_CLASSES]),
        ):
            for method, column in RADII.items() if chosen else ():
                rates = 100 * np.stack([_share_above(one[column], grid) for one in chosen])
                upper = EXACT[method][1] if method in EXACT else column
                bounds = 100 * np.stack([_share_above(one[upper], grid) for one in chosen])
                rows += [
                    {
                        "problem": problem, "norm": norm, "epsilon": epsilon, "method": method,
                        "kind": "exact" if method in EXACT else "certified", "accuracy": rates[:, i].mean(),
                        "error": standard_error(rates[:, i]), "open": (bounds - rates)[:, i].mean(), "n_problems": len(chosen),
                    }
                    for i, epsilon in enumerate(grid)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def _share_above(radii: pd.Series, grid: np.ndarray) -> np.ndarray:
    """The share of radii above each value of the grid; a wrong image has radius 0."""
    ordered = np.sort(radii.to_numpy())
    return 1 - np.searchsorted(ordered, grid, side="right") / len(ordered)

"""Table 1: running times, in seconds for machines, and in units that are read at a glance."""

import pandas as pd

from nnrobust.runtime.timing import ALONE, MANY, TRAINING
from nnrobust.tables.comparison import median_interval

TIMES_CAPTION = (
    "Medians, in brackets their intervals (of fewer than six measurements all of their spread, of a single one none), transfers "
    "to the device and back included. Training on a CPU is in seconds of the processor, of each pair as its stage last ran on "
    "this machine; pairs trained side by side are one measurement; training of 1NN is building its index. Inference: test images "
    "of the first pair, all classifiers in turn, alone and 512 at once or as many as there are."
)
UNITS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"))
"""Seconds and names of the units."""


def times_table(times: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Out of `report.stopwatch`, in seconds: columns classifier, quantity, median, low, high, n, device."""
    rows = [
        dict(zip(("classifier", "quantity"), key, strict=True))
        | {"median": mine["seconds"].median()}
        | dict(zip(("low", "high"), median_interval(mine["seconds"].to_numpy(), confidence), strict=True))
        | {"n": len(mine), "device": " and ".join(dict.fromkeys(mine["device"]))}
        for key, mine in times.groupby(["classifier", "quantity"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["classifier", "quantity", "median", "low", "high", "n", "device"])


def times_shown(times: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """A row for each classifier, each quantity in one unit, which its column's name has: the largest in which the median is at
    least 1; three digits."""
    table = times_table(times, confidence)
    columns = {"classifier": list(dict.fromkeys(table["classifier"]))}
    for quantity in (TRAINING, ALONE, MANY):
        mine = table[table["quantity"] == quantity].set_index("classifier")
        seconds, unit = unit_of(float(mine["median"].median()))
        cells = {
            name: _cell(row["median"] / seconds, row["low"] / seconds, row["high"] / seconds)
            for name, row in mine.iterrows()
        }
        columns[f"{quantity} ({unit})"] = [cells.get(name, "") for name in columns["classifier"]]
    devices = {
        name: " and ".join(dict.fromkeys(mine["device"])) for name, mine in times.groupby("classifier", sort=False)
    }
    return pd.DataFrame(columns | {"device": [devices[name] for name in columns["classifier"]]})


def _cell(median: float, low: float, high: float) -> str:
    ends = f" ({low:.3g} to {high:.3g})" if low > 0 and high < float("inf") else ""
    return f"{median:.3g}{ends}"


def unit_of(seconds: float) -> tuple[float, str]:
    """The largest unit that is not above so many seconds; the smallest there is for fewer."""
    return next((unit for unit in reversed(UNITS) if unit[0] <= seconds), UNITS[0])

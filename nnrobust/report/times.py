"""Table 1: running times, in seconds for machines, and in units that are read at a glance."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

TIMES_CAPTION = (
    "One measurement each, transfers to the device and back included; training on a CPU in seconds of the processor. Training of "
    "1NN is building its index."
)
UNITS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"))
"""Seconds and names of the units."""
COLUMNS = {
    "training_seconds_per_pair": "training of a pair",
    "inference_seconds_batch_1": "an image alone",
    "inference_seconds_batch_512": "an image of 512",
}


def times_table(timings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Seconds to train one pair (1NN: to build its index), and to classify one test image, by classifier; three digits.

    Inference alone and in batches of 512, from this machine's memory and back.
    """
    rows = [
        {
            "classifier": name,
            "training_seconds_per_pair": float(f"{one['training_seconds_per_pair']:.3g}"),
            "inference_seconds_batch_1": float(f"{one['inference_seconds_per_image']['1']:.3g}"),
            "inference_seconds_batch_512": float(f"{one['inference_seconds_per_image']['512']:.3g}"),
            "device": one["device"],
        }
        for name, one in timings.items()
    ]
    return pd.DataFrame(rows)


def times_shown(timings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The same in one unit a column, which its name has: the largest in which the median is at least 1."""
    table = times_table(timings)
    columns = {"classifier": table["classifier"]}
    for name, title in COLUMNS.items():
        seconds, unit = unit_of(float(table[name].median()))
        columns[f"{title} ({unit})"] = (table[name] / seconds).map(lambda value: float(f"{value:.3g}"))
    return pd.DataFrame(columns | {"device": table["device"]})


def unit_of(seconds: float) -> tuple[float, str]:
    """The largest unit that is not above so many seconds; the smallest there is for fewer."""
    return next((unit for unit in reversed(UNITS) if unit[0] <= seconds), UNITS[0])

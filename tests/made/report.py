"""A report with all that a page may hold."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from nnrobust.report.report import Picture, Report, Table

CLAIM = {
    "where": "section 4",
    "quote": "orders of magnitude faster",
    "paper": "90 %",
    "ours": "22.7 %",
    "interval": "[20.1, 25.3] %",
    "sample": "900 images",
    "kind": "attacked",
    "rule": "the interval lies above 90 %",
    "verdict": "fails",
    "setting": "test images",
    "note": None,
}


def png(width: int = 40, height: int = 30) -> bytes:
    """A small grey picture."""
    content = io.BytesIO()
    Image.new("L", (width, height), 200).save(content, format="PNG")
    return content.getvalue()


def claims_of(*rows: dict[str, object]) -> pd.DataFrame:
    """Claims with the ids c0, c1, ..., each as `CLAIM` but for what is given."""
    return pd.DataFrame([{"id": f"c{i}"} | CLAIM | row for i, row in enumerate(rows)])


def made_report() -> Report:
    """Five claims, two pictures, and two tables: a narrow one with gaps and a wide one."""
    claims = claims_of(
        {"ours": "9.5 %"},
        {"verdict": "not run", "ours": "-", "interval": None, "sample": float("nan")},
        {"verdict": "holds", "ours": "100 %", "where": "figure 10"},
        {"verdict": "cannot tell", "ours": "22.7 %", "where": "figure 6", "note": "as T_B < T_R & S"},
        {"verdict": "holds", "ours": "-3.2 points", "paper": "ahead"},
    )
    numbers = pd.DataFrame(
        {
            "name": ["a", "b", "c", "d"],
            "accuracy": [0.5, float("nan"), 0.125, 10.0],
            "time": ["1,200 s", "9.5 s", None, "1e-3 s"],
        }
    )
    wide = pd.DataFrame({f"a_rather_long_name_{i}": np.arange(60) * 1.5 + i for i in range(30)})
    return Report(
        title="Claims and numbers",
        setting="Made numbers, profile none: not the paper's experiment.",
        claims=claims,
        controls=claims[:0],
        pictures=[
            Picture("first", "What is seen", "Grey everywhere.", png(), "first.csv"),
            Picture("second", "Is it grey?", "It is.", png(1200, 500), None),
        ],
        tables=[
            Table("numbers", "Numbers", "With gaps.", numbers),
            Table("wide", "Many columns", "Wider than a phone.", wide),
        ],
        provenance={
            "commit": "ab" * 20,
            "params": "a: 1\nb: 2\n",
            "versions": {"python": "3.11", "torch": None},
            "device": "CPU",
        },
        not_run=["69 models: no device"],
    )

"""A report with all that a page may hold."""

import numpy as np
import pandas as pd

from nnrobust.figures.pictures import Picture
from nnrobust.report.report import Report, Table

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


def svg(width: float = 40, height: float = 30) -> str:
    """A small grey picture, as figures are written: its size in points, and a text."""
    return (
        f'<svg height="{height}pt" version="1.1" viewBox="0 0 {width} {height}" width="{width}pt" '
        f'xmlns="http://www.w3.org/2000/svg"><rect fill="#888" height="{height}" width="{width}"/>'
        f'<text style="font: 9.5px sans-serif" x="2" y="12">100 % grey</text></svg>'
    )


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
            "sign_p": [0.0, 0.25, float("nan"), 2e-5],
        }
    )
    wide = pd.DataFrame({f"a_rather_long_name_{i}": np.arange(60) * 1.5 + i for i in range(30)})
    return Report(
        title="Claims and numbers",
        answer="1NN keeps 22.7 % of the test images (exact).",
        setting="Made numbers, profile none: not the paper's experiment.",
        claims=claims,
        controls=claims[:0],
        pictures=[
            Picture("first", "What is seen", "Grey everywhere.", svg(400, 200), svg(), "a,b\n1,2\n"),
            Picture("second", "Is it grey?", "It is.", svg(1200, 500), svg(), None),
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

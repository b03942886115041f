"""The cells of the report's tables: what each shows, and the number that it sorts by; names of columns for readers."""

import json
import math
import numbers
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

MISSING = "–"
_ABSENT = {"", "-", "–", "—", "nan", "None"}
"""Texts that stand for no value."""
_DECIMALS = 6
"""The most decimals that a column of numbers is given."""
_NUMBER = re.compile(r"[<>≤≥~≈±]?\s*([-−+]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-−+]?\d+)?)")
_UNIT = re.compile(r"(?:\s*%|[a-zµ]{1,2}|\s[^\d\s-]{1,12})?|\s*±.*")
SMALLEST_P = 1e-6
"""A p-value below it is shown as that: the tables that it comes from have six decimals."""
P_VALUES = ("sign_p", "wilcoxon_p")
COLUMN_NAMES = {
    "n": "images", "n_pairs": "pairs", "split": "images of", "method": "proof or attacks", "clean_accuracy": "clean (%)",
    "robust_accuracy": "robust (%)", "robust_error": "± (%)", "robust_accuracy_low": "robust from (%)",
    "robust_accuracy_high": "to (%)", "clean": "clean (%)", "Linf": "Linf (%)", "L2": "L2 (%)", "union": "both norms (%)",
    "second": "against", "n_ahead": "1NN ahead", "n_equal": "equal", "n_behind": "1NN behind",
    "difference": "1NN minus it (points)",
    "low": "from", "high": "to", "sign_p": "sign test, p", "wilcoxon_p": "signed ranks, p", "is_comparable": "within the margin",
    "index": "image", "label": "class", "is_found": "fooled", "is_inside": "within epsilon", "norm": "norm",
    "largest_change": "largest change", "ssim": "SSIM", "share_below": "changed by less (%)",
    "share_above": "changed by more (%)", "n_without": "images without", "clean_accuracy_without": "clean without (%)",
    "robust_accuracy_without": "robust without (%)",
    "gap": "gap to the optimum", "is_converged": "converged", "n_iterations": "iterations", "n_prototypes": "prototypes",
    "n_records": "records", "n_open": "without a verdict", "n_seeds": "seeds", "mean": "mean (%)", "lowest": "lowest (%)",
    "highest": "highest (%)", "standard_deviation": "standard deviation (%)", "trained_for": "trained for",
    "published_clean_accuracy": "published clean (%)", "published_autoattack_accuracy": "published, AutoAttack (%)",
    "training": "training of a pair", "alone": "an image alone", "in_batch": "an image of 512",
}  # fmt: skip
"""What the columns of the report's tables are called for readers; the CSV files keep their own names."""


class Cell(NamedTuple):
    """What a cell shows, and the number that it sorts by (None: as text)."""

    text: str
    value: str | None
    is_missing: bool

    @property
    def has_own_value(self) -> bool:
        """Whether a browser cannot read the number from the text."""
        return self.value is not None and not re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", self.text)


def cell(value: object, decimals: int | None = None) -> Cell:
    """How a value is shown: a dash where there is none, numbers with `decimals` (None: six digits), everything else as it is."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return Cell(MISSING, None, True)
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", None, False)
    if isinstance(value, numbers.Real):
        text = _number(float(value)) if decimals is None else f"{value:.{decimals}f}"
        return Cell(text, json.dumps(float(value)), False)
    text = str(value).strip()
    if text in _ABSENT:
        return Cell(MISSING, None, True)
    return Cell(text, _leading_number(text), False)


def _number(value: float) -> str:
    """Six digits; whole numbers have all of theirs."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def _leading_number(text: str) -> str | None:
    """The number that a text such as `22.7 %` or `< 1e-3 s` starts with; a name such as `1NN` starts with none."""
    found = _NUMBER.match(text)
    return (
        None
        if found is None or text[found.end() : found.end() + 1].isupper()
        else json.dumps(float(found[1].replace(",", "").replace("−", "-")))
    )


def _is_quantity(one: Cell) -> bool:
    """Whether a cell is a number and at most a unit or an error after it."""
    found = _NUMBER.match(one.text)
    return found is not None and _UNIT.fullmatch(one.text[found.end() :]) is not None


def column_cells(name: str, values: list[object]) -> list[Cell]:
    """The cells of a column of a table: a small p-value is a bound, all others are as `_aligned` shows them."""
    if name in P_VALUES:
        return [p_cell(value) for value in values]
    return _aligned(values)


def p_cell(value: object) -> Cell:
    """A p-value with two digits, or as below `SMALLEST_P`."""
    shown = cell(value)
    if shown.is_missing or not isinstance(value, numbers.Real):
        return shown
    text = f"< {SMALLEST_P:.0e}".replace("e-0", "e-") if value < SMALLEST_P else f"{float(value):.2g}"
    return Cell(text, json.dumps(float(value)), False)


def _aligned(values: list[object]) -> list[Cell]:
    """The cells of a column. Numbers get as many decimals as the one with most, so that their points stand in one line; if that
    is more than `_DECIMALS`, or some have an exponent, each is shown by itself."""
    cells = [cell(value) for value in values]
    texts = [
        shown.text
        for value, shown in zip(values, cells, strict=True)
        if isinstance(value, float) and not shown.is_missing and math.isfinite(value)
    ]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    if decimals > _DECIMALS or not all(re.fullmatch(r"[-\d.]+", text) for text in texts):
        return cells
    return [
        cell(value, decimals) if isinstance(value, float) and math.isfinite(value) else cell(value) for value in values
    ]


def are_quantities(column: Iterable[Cell]) -> bool:
    """Whether a column holds numbers, and so is set flush right."""
    present = [entry for entry in column if not entry.is_missing and not entry.text.endswith("∞")]
    return bool(present) and all(_is_quantity(entry) for entry in present)

"""The verdicts of the report: claims in groups of cards, counted by what the run is to the paper's experiment."""

import re
from collections import Counter
from typing import NamedTuple

import pandas as pd

from nnrobust.claims.judge import NOT_RUN, VERDICTS
from nnrobust.errors import DataError
from nnrobust.report.cells import Cell, cell

CLAIM_COLUMNS = (
    "id", "where", "quote", "paper", "ours", "interval", "sample", "kind", "rule", "verdict", "setting", "note",
)  # fmt: skip
SIGNS = dict(zip(VERDICTS, ("✓", "✗", "?", "○"), strict=True))
"""Each verdict with its sign, in the order in which they are counted."""
_REPRODUCTION, _TRANSFER = "Reproduction", "Transfer"
_PICTURES = "figures and tables"


class Group(NamedTuple):
    """The claims of one part of the paper: those with a verdict, and those that were not run."""

    name: str
    judged: list[dict[str, Cell]]
    not_run: list[dict[str, Cell]]


class Tally(NamedTuple):
    """The verdicts of one setting: its name, what it is in full, and (verdict, sign, count) of each verdict."""

    name: str
    setting: str
    counts: list[tuple[str, str, int]]


def check(claims: pd.DataFrame) -> None:
    """Raises DataError where claims lack a column or have an unknown verdict."""
    lacking = [name for name in CLAIM_COLUMNS if name not in claims]
    if lacking:
        raise DataError(
            f"claims: expected the columns {', '.join(CLAIM_COLUMNS)}; {', '.join(lacking)} missing; add them"
        )
    for claim, verdict in zip(claims["id"], claims["verdict"], strict=True):
        if verdict not in VERDICTS:
            raise DataError(f"claim {claim}: expected a verdict among {', '.join(VERDICTS)}; got {verdict!r}; use one")


def tallies(claims: pd.DataFrame) -> list[Tally]:
    """How often each verdict was reached, a reproduction of the paper's experiment apart from a transfer to other data."""
    found = []
    for setting in dict.fromkeys(claims["setting"]):
        counted = Counter(claims.loc[claims["setting"] == setting, "verdict"])
        counts = [(verdict, sign, counted[verdict]) for verdict, sign in SIGNS.items()]
        found.append(Tally(_name_of(str(setting)), str(setting), counts))
    return found


def _name_of(setting: str) -> str:
    """A word or three for what `nnrobust.claims.judge.setting_of` says."""
    if setting.startswith("a transfer"):
        return _TRANSFER
    if setting.startswith("a reproduction"):
        return f"{_REPRODUCTION} in part" if setting.startswith("a reproduction in part") else _REPRODUCTION
    return "Verdicts"


def groups(claims: pd.DataFrame) -> list[Group]:
    """The claims by the part of the paper they stand in, in the order of the paper: abstract, sections, figures and tables."""
    rows = [{name: cell(claim[name]) for name in CLAIM_COLUMNS} for claim in claims.to_dict("records")]
    for row in rows:
        if row["interval"].text == row["ours"].text:  # exact: the interval is the number itself
            row["interval"] = cell(None)
    parts = [_part(row["where"].text) for row in rows]
    found = []
    for part in sorted(dict.fromkeys(parts), key=_order):
        mine = [row for row, where in zip(rows, parts, strict=True) if where == part]
        is_open = [row["verdict"].text == NOT_RUN for row in mine]
        judged, left = (
            [row for row, one in zip(mine, is_open, strict=True) if one is wanted] for wanted in (False, True)
        )
        found.append(Group(part[:1].upper() + part[1:], judged, left))
    return found


def _part(where: str) -> str:
    """`section 4, figure 5` stands in `section 4`; what stands under a figure or in a table alone is with the others of those."""
    first = where.partition(",")[0].strip()
    return _PICTURES if re.match(r"(figure|table) \d", first) else first


def _order(part: str) -> tuple[int, str]:
    """Sections by number, the figures last, other parts first, as they come."""
    if part.startswith("section"):
        return 1, part
    return (2 if part == _PICTURES else 0), ""

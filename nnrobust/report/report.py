"""The report: one page of HTML with the claims and their verdicts, the figures, the tables, and where all of it comes from.

Everything is inside the page, so that it opens from disk and needs no network.
"""

import base64
import json
import numbers
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

import jinja2
import numpy as np
import pandas as pd

from nnrobust.claims.judge import VERDICTS
from nnrobust.errors import DataError

CLAIM_COLUMNS = (
    "id", "where", "quote", "paper", "ours", "interval", "sample", "kind", "rule", "verdict", "setting", "note",
)  # fmt: skip
SIGNS = dict(zip(VERDICTS, ("✓", "✗", "?", "○"), strict=True))
"""Each verdict with its sign, in the order in which they sort."""
MISSING = "–"
_ABSENT = {"", "-", "–", "—", "nan", "None"}
"""Texts that stand for no value."""
_DECIMALS = 6
"""The most decimals that a column of numbers is given."""
_LONG = 160
"""Characters of a value of the provenance from which it folds away; a SHA-256 has 64."""
_WIDE = 44
"""Characters of a name and its value from which a group of the provenance takes the whole width."""
_NUMBER = re.compile(r"[<>≤≥~≈±]?\s*([-−+]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-−+]?\d+)?)")
_UNIT = re.compile(r"(?:\s*%|[a-zµ]{1,2}|\s[^\d\s-]{1,12})?|\s*±.*")
_SECTIONS = ("answer", "verdicts", "controls", "figures", "tables", "provenance", "not-run")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A figure: `name` is its anchor, `png` the file's bytes, `data` the name of the CSV beside it."""

    name: str
    title: str
    caption: str
    png: bytes
    data: str | None


@dataclass(frozen=True)
class Table:
    """A table: `name` is its anchor. Cells that start with a number sort by it, the others as text, empty ones last."""

    name: str
    title: str
    caption: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Report:
    """What the page says. `setting`: one sentence on the data, the profile, and whether it is the paper's experiment.

    The first of the `pictures` stands at the top.
    `claims` of the paper and `controls` beside them have the columns `CLAIM_COLUMNS`, verdicts of `VERDICTS`; `provenance` is
    nested at most one level.
    """

    title: str
    setting: str
    claims: pd.DataFrame
    controls: pd.DataFrame
    pictures: list[Picture]
    tables: list[Table]
    provenance: dict[str, object]
    not_run: list[str]


class Cell(NamedTuple):
    """What a cell shows, and the number that it sorts by (None: as text)."""

    text: str
    value: str | None
    is_missing: bool


class _Column(NamedTuple):
    name: str
    is_number: bool


class _Group(NamedTuple):
    name: str
    short: list[tuple[str, str]]
    long: list[tuple[str, str]]
    is_wide: bool


@dataclass(frozen=True)
class _Section:
    name: str
    title: str
    count: int | None


def render(report: Report) -> str:
    """The whole page; equal reports give equal pages, and whatever a report says appears as text, never as markup.

    Raises: DataError where claims lack a column or have an unknown verdict, an anchor is unusable or used twice, or a picture
    is no PNG.
    """
    for ledger in (report.claims, report.controls):
        _check_claims(ledger)
    _check_anchors(report)
    template = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    ).from_string(files("nnrobust.report").joinpath("report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        sections=_sections(report),
        counts=_counts(report.claims),
        control_counts=_counts(report.controls),
        signs=SIGNS,
        ranks={verdict: rank for rank, verdict in enumerate(VERDICTS)},
        claims=_rows(report.claims),
        controls=_rows(report.controls),
        pictures=[_picture(picture) for picture in report.pictures],
        tables=[_table(table) for table in report.tables],
        provenance=_groups(report.provenance),
    )


def _counts(claims: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Each verdict with its sign, and how many claims have it."""
    counted = Counter(claims["verdict"])
    return [(verdict, sign, counted[verdict]) for verdict, sign in SIGNS.items()]


def _rows(claims: pd.DataFrame) -> list[dict[str, Cell]]:
    return [{name: cell(claim[name]) for name in CLAIM_COLUMNS} for claim in claims.to_dict("records")]


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


def _check_claims(claims: pd.DataFrame) -> None:
    lacking = [name for name in CLAIM_COLUMNS if name not in claims]
    if lacking:
        raise DataError(
            f"claims: expected the columns {', '.join(CLAIM_COLUMNS)}; {', '.join(lacking)} missing; add them"
        )
    for claim, verdict in zip(claims["id"], claims["verdict"], strict=True):
        if verdict not in VERDICTS:
            raise DataError(f"claim {claim}: expected a verdict among {', '.join(VERDICTS)}; got {verdict!r}; use one")


def _check_anchors(report: Report) -> None:
    names = [picture.name for picture in report.pictures] + [table.name for table in report.tables]
    taken = set(_SECTIONS)
    for name in [*names, *(f"claim-{claim}" for claim in (*report.claims["id"], *report.controls["id"]))]:
        if not name or re.search(r"\s", name):
            raise DataError(f"anchor {name!r}: expected a name without spaces; rename the picture, table or claim")
        if name in taken:
            raise DataError(f"anchor {name!r}: expected each name once, other than {', '.join(_SECTIONS)}; rename one")
        taken.add(name)


def _sections(report: Report) -> list[_Section]:
    """The table of contents: a section without content is not on the page, but the last two always are."""
    counts = (
        None if report.pictures else 0,
        len(report.claims),
        len(report.controls),
        len(report.pictures),
        len(report.tables),
        None,
        len(report.not_run),
    )
    titles = ("The answer", "Verdicts", "Controls", "Figures", "Tables", "Provenance", "What was not run")
    every = [_Section(*parts) for parts in zip(_SECTIONS, titles, counts, strict=True)]
    return [section for section in every if section.count != 0 or section.name in ("verdicts", "not-run")]


def _picture(picture: Picture) -> dict[str, object]:
    """What the template shows of a picture. The size keeps its place while the page loads."""
    if not picture.png.startswith(_PNG) or len(picture.png) < 24:
        raise DataError(f"picture {picture.name}: expected a PNG, got {picture.png[:8]!r}; save the figure as PNG")
    width, height = struct.unpack(">II", picture.png[16:24])
    end = "" if picture.title.endswith((".", "?", "!")) else "."
    return {
        "name": picture.name,
        "title": picture.title,
        "caption": picture.caption,
        "data": picture.data,
        "alt": f"{picture.title}{end} {picture.caption}".strip(),
        "width": width,
        "height": height,
        "base64": base64.b64encode(picture.png).decode("ascii"),
    }


def _table(table: Table) -> dict[str, object]:
    cells = [_column_cells(table.rows.iloc[:, place].tolist()) for place in range(table.rows.shape[1])]
    columns = [_Column(str(name), _are_quantities(mine)) for name, mine in zip(table.rows.columns, cells, strict=True)]
    rows = list(zip(*cells, strict=True))
    return {"name": table.name, "title": table.title, "caption": table.caption, "columns": columns, "rows": rows}


def _column_cells(values: list[object]) -> list[Cell]:
    """The cells of a column. Numbers get as many decimals as the one with most, so that their points stand in one line; if that
    is more than `_DECIMALS`, or some have an exponent, each is shown by itself."""
    cells = [cell(value) for value in values]
    texts = [
        shown.text
        for value, shown in zip(values, cells, strict=True)
        if isinstance(value, float) and not shown.is_missing
    ]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    if decimals > _DECIMALS or not all(re.fullmatch(r"[-\d.]+", text) for text in texts):
        return cells
    return [cell(value, decimals) if isinstance(value, float) else cell(value) for value in values]


def _are_quantities(column: Iterable[Cell]) -> bool:
    """Whether a column holds numbers, and so is set flush right."""
    present = [entry for entry in column if not entry.is_missing]
    return bool(present) and all(_is_quantity(entry) for entry in present)


def _groups(provenance: Mapping[str, object]) -> list[_Group]:
    """The provenance in groups: plain entries first, under no name, then each nested one."""
    plain = {name: value for name, value in provenance.items() if not isinstance(value, Mapping)}
    nested = {name: value for name, value in provenance.items() if isinstance(value, Mapping)}
    return [_group(name, value) for name, value in {"": plain, **nested}.items() if value]


def _group(name: str, entries: Mapping[str, object]) -> _Group:
    shown = [(str(key), _plain(value)) for key, value in entries.items()]
    is_long = [len(text) > _LONG or "\n" in text for _, text in shown]
    short = [pair for pair, folds in zip(shown, is_long, strict=True) if not folds]
    folded = [pair for pair, folds in zip(shown, is_long, strict=True) if folds]
    return _Group(name, short, folded, any(len(key) + len(text) > _WIDE for key, text in short))


def _plain(value: object) -> str:
    """A value of the provenance as text; what is neither text nor number as JSON."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return cell(value).text

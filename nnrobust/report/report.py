"""The report: one page of HTML with the claims and their verdicts, the figures, the tables, and where all of it comes from.

Everything is inside the page, so that it opens from disk and needs no network.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup

from nnrobust.errors import DataError
from nnrobust.figures.pictures import Picture
from nnrobust.report.cells import COLUMN_NAMES, are_quantities, cell, column_cells
from nnrobust.report.verdicts import SIGNS, check, groups, tallies

_LONG = 160
"""Characters of a value of the provenance from which it folds away; a SHA-256 has 64."""
_WIDE = 44
"""Characters of a name and its value from which a group of the provenance takes the whole width."""
_SECTIONS = ("answer", "verdicts", "controls", "figures", "tables", "provenance", "not-run")
_SIZE = {side: re.compile(rf'<svg [^>]*?{side}="([\d.]+)pt"') for side in ("width", "height")}
_PLAIN = " !$()*+,-./:;=?@_[]{}|~"
"""Characters that stand for themselves in an address, and in an attribute."""


@dataclass(frozen=True)
class Table:
    """A table: `name` is its anchor. Cells that start with a number sort by it, the others as text, empty ones last."""

    name: str
    title: str
    caption: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Report:
    """What the page says. `answer`: one sentence, which stands at the top with the first of the `pictures`.

    `setting`: one sentence on the data, the profile, and whether it is the paper's experiment.
    `claims` of the paper and `controls` beside them have the columns `CLAIM_COLUMNS`, verdicts of `VERDICTS`; `provenance` is
    nested at most one level.
    """

    title: str
    answer: str
    setting: str
    claims: pd.DataFrame
    controls: pd.DataFrame
    pictures: list[Picture]
    tables: list[Table]
    provenance: dict[str, object]
    not_run: list[str]


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
    is no SVG of a size in points.
    """
    for ledger in (report.claims, report.controls):
        check(ledger)
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
        tallies=tallies(report.claims),
        control_tallies=tallies(report.controls),
        signs=SIGNS,
        groups=groups(report.claims),
        control_groups=groups(report.controls),
        pictures=[_picture(picture) for picture in report.pictures],
        tables=[_table(table) for table in report.tables],
        provenance=_groups(report.provenance),
    )


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
    """What the template shows of a picture."""
    end = "" if picture.title.endswith((".", "?", "!")) else "."
    return {
        "name": picture.name,
        "title": picture.title,
        "caption": picture.caption,
        "data": None if picture.data is None else address("text/csv", picture.data),
        "alt": f"{picture.title}{end} {picture.caption}".strip(),
        "layouts": [
            _layout(picture.name, name, svg) for name, svg in (("wide", picture.wide), ("narrow", picture.narrow))
        ],
    }


def _layout(picture: str, name: str, svg: str) -> dict[str, object]:
    """A layout's address, and its size, which keeps its place while the page loads."""
    found = [pattern.match(svg) for pattern in _SIZE.values()]
    if None in found:
        raise DataError(
            f"picture {picture}: expected an SVG with its size in points, got {svg[:40]!r}; draw it with style.svg"
        )
    width, height = (round(float(one[1]) * 4 / 3) for one in found if one)
    # Most quotes, and all angles, are those of tags.
    tags = re.sub(r"<[^>]+>", lambda tag: tag[0].replace("'", "&apos;").replace('"', "'"), svg)
    return {"name": name, "address": address("image/svg+xml", tags, "<>'"), "width": width, "height": height}


def address(kind: str, text: str, plain: str = "") -> Markup:
    """The address that holds the text itself, safe within double quotes; `plain`: more characters that stay as they are."""
    return Markup(f"data:{kind};charset=utf-8,{quote(text, safe=_PLAIN + plain)}")


def _table(table: Table) -> dict[str, object]:
    names = [str(name) for name in table.rows.columns]
    cells = [column_cells(name, table.rows.iloc[:, place].tolist()) for place, name in enumerate(names)]
    columns = [
        _Column(COLUMN_NAMES.get(name, name), are_quantities(mine)) for name, mine in zip(names, cells, strict=True)
    ]
    return {
        "name": table.name,
        "title": table.title,
        "caption": table.caption,
        "columns": columns,
        "numbers": [place for place, column in enumerate(columns, 1) if column.is_number],
        "rows": list(zip(*cells, strict=True)),
        "data": address("text/csv", table.rows.to_csv(index=False)),
    }


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

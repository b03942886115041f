"""The report as text: what it says, that it is escaped, whole, valid in its structure, and equal for equal input."""

import itertools
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from made.report import CLAIM, claims_of, made_report, png
from nnrobust.errors import DataError
from nnrobust.report.report import Cell, Picture, Report, Table, cell, render

HOSTILE = '<script>alert("1")</script> & <b>'
VOID = {"meta", "link", "col", "img", "wbr"}
HEADINGS = ["h1", "h2", "h3"]


class Structure(HTMLParser):
    """Tags in order, with their attributes; a tag closed in the wrong place is an AssertionError."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Every value of an attribute, in order."""
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def test_whatever_a_report_says_appears_as_text():
    made = made_report()
    hostile = replace(
        made,
        title=HOSTILE,
        setting=HOSTILE,
        claims=claims_of({name: HOSTILE for name in CLAIM if name != "verdict"}),
        pictures=[Picture("first", HOSTILE, HOSTILE, png(), HOSTILE)],
        tables=[Table("numbers", HOSTILE, HOSTILE, pd.DataFrame({HOSTILE: [HOSTILE]}))],
        provenance={HOSTILE: HOSTILE, "nested": {HOSTILE: HOSTILE * 10}},
        not_run=[HOSTILE],
    )
    page = render(hostile)
    plain = Structure(render(made))
    seen = Structure(page)
    assert "<script>alert" not in page
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in plain.tags}
    # title twice, setting, ten texts of the claim (its `where` among them), figure and table with their links, provenance, not run
    assert seen.text().count(HOSTILE) >= 25


def test_the_page_loads_nothing_from_anywhere():
    page = render(made_report())
    seen = Structure(page)
    assert all(source.startswith("data:image/png;base64,") for source in seen.values("src"))
    assert [one["href"] for tag, one in seen.tags if tag == "link"] == ["data:,"]
    assert [value for value in seen.values("href") if not value.startswith(("#", "data:"))] == [
        "https://arxiv.org/abs/2404.06313"
    ]
    for loading in ("<script src", "<iframe", "@import", "url(", "fetch(", "eval(", "srcset", "@font-face"):
        assert loading not in page
    (policy,) = [one["content"] for tag, one in seen.tags if tag == "meta" and "http-equiv" in one]
    assert policy.startswith("default-src 'none'")


def test_equal_reports_are_equal_pages():
    assert render(made_report()) == render(made_report())


def test_a_page_of_sixteen_large_figures_stays_below_five_megabytes():
    noise = np.random.default_rng(0).bytes(80_000)
    pictures = [Picture(f"p{i}", f"figure {i}", "noise", png() + noise, None) for i in range(16)]
    table = pd.DataFrame(np.random.default_rng(0).random((270, 16))).rename(columns=str)
    page = render(replace(made_report(), pictures=pictures, tables=[Table("numbers", "Numbers", "", table)]))
    assert 1_700_000 < len(page.encode()) < 3_000_000


def test_the_structure_is_valid_and_every_link_has_its_place():
    page = render(made_report())
    seen = Structure(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    names = seen.values("id")
    assert len(names) == len(set(names))
    assert {value[1:] for value in seen.values("href") if value.startswith("#")} <= set(names)
    levels = [HEADINGS.index(tag) for tag, _ in seen.tags if tag in HEADINGS]
    assert levels[0] == 0
    assert levels.count(0) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_answer_comes_first_then_verdicts_and_what_was_not_run_last():
    seen = Structure(render(made_report()))
    sections = [one["id"] for tag, one in seen.tags if tag == "section" and one.get("class") != "table"]
    assert sections == ["answer", "verdicts", "figures", "tables", "provenance", "not-run"]
    assert "✓ holds 2 ✗ fails 1 ? cannot tell 1 ○ not run 1" in seen.text()
    rows = [one for tag, one in seen.tags if tag == "tr" and one.get("id", "").startswith("claim-")]
    assert [one["id"] for one in rows if one.get("class") == "not-run"] == ["claim-c1"]


def test_controls_are_a_section_of_their_own_and_not_counted_among_the_claims():
    controls = claims_of({"verdict": "fails", "quote": "1NN is ahead"}).assign(id="control")
    seen = Structure(render(replace(made_report(), controls=controls)))
    sections = [one["id"] for tag, one in seen.tags if tag == "section" and one.get("class") != "table"]
    assert sections == ["answer", "verdicts", "controls", "figures", "tables", "provenance", "not-run"]
    assert "✓ holds 2 ✗ fails 1 ? cannot tell 1 ○ not run 1" in seen.text()
    assert "✓ holds 0, ✗ fails 1, ? cannot tell 0, ○ not run 0" in seen.text()
    assert len(seen.values("id")) == len(set(seen.values("id")))
    with pytest.raises(DataError, match="anchor 'claim-c0': expected each name once"):
        render(replace(made_report(), controls=controls.assign(id="c0")))


def test_a_picture_says_in_words_what_it_shows_and_keeps_its_place():
    first, second = (one for tag, one in Structure(render(made_report())).tags if tag == "img")
    assert first["alt"] == "What is seen. Grey everywhere."
    assert second["alt"] == "Is it grey? It is."
    assert (second["width"], second["height"]) == ("1200", "500")


@pytest.mark.parametrize("nothing", [None, float("nan"), np.nan, pd.NA, pd.NaT, "", " ", "-", "–", "nan"])
def test_what_has_no_value_is_a_dash_that_sorts_last(nothing):
    assert cell(nothing) == Cell("–", None, True)
    page = render(replace(made_report(), tables=[Table("numbers", "", "", pd.DataFrame({"x": [nothing, "a"]}))]))
    assert "<tr><td data-missing>–</td></tr>\n<tr><td>a</td></tr>" in page


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        ("22.7 %", "22.7 %", 22.7),
        ("-3.2 points", "-3.2 points", -3.2),
        ("−3.2 points", "−3.2 points", -3.2),
        ("7,467.693 s", "7,467.693 s", 7467.693),
        ("< 1e-3 s", "< 1e-3 s", 1e-3),
        (".5", ".5", 0.5),
        ("29 of 45", "29 of 45", 29),
        (0.1 + 0.2, "0.3", 0.1 + 0.2),
        (1_200_000, "1200000", 1_200_000),
        (np.float32(0.5), "0.5", 0.5),
        (1.5e-5, "1.5e-05", 1.5e-5),
        ("1NN", "1NN", None),
        ("T_B", "T_B", None),
        (True, "yes", None),
        (np.bool_(False), "no", None),
    ],
)
def test_a_cell_sorts_by_the_number_it_starts_with(value, text, number):
    found = cell(value)
    assert found.text == text
    assert (None if found.value is None else float(found.value)) == number
    assert not found.is_missing


def test_an_infinite_number_is_one_that_a_browser_reads():
    assert cell(math.inf).value == "Infinity"


def test_points_of_a_column_stand_in_one_line_and_numbers_are_flush_right():
    page = render(made_report())
    assert [re.findall(rf"<td[^>]*>{text}</td>", page) for text in ("0.500", "0.125", "10.000")] == [
        ['<td class="number" data-value="0.5">0.500</td>'],
        ['<td class="number" data-value="0.125">0.125</td>'],
        ['<td class="number" data-value="10.0">10.000</td>'],
    ]
    assert '<td class="number" data-value="1200.0">1,200 s</td>' in page
    assert "<td>a</td>" in page


def test_a_long_text_of_the_provenance_folds_away():
    page = render(made_report())
    assert '<summary>params <span class="quiet">(2 lines)</span></summary>' in page
    assert "<dt>python</dt><dd>3.11</dd>" in page
    assert "<dt>torch</dt><dd>–</dd>" in page
    assert page.index("<dt>commit</dt>") < page.index("<dt>device</dt>") < page.index(">versions</h3>")


def test_a_report_with_nothing_in_it_says_so():
    none = claims_of().reindex(columns=["id", *CLAIM])
    empty = Report("Nothing", "No data.", none, none, [], [], {"commit": None}, [])
    seen = Structure(render(empty))
    assert "No claim was judged." in seen.text()
    assert "Nothing was left out." in seen.text()
    assert {value for value in seen.values("href") if value.startswith("#")} == {"#verdicts", "#provenance", "#not-run"}


def test_what_cannot_be_shown_is_an_error_that_names_it():
    made = made_report()
    with pytest.raises(DataError, match="claim c0: expected a verdict among holds, .*got 'maybe'"):
        render(replace(made, claims=claims_of({"verdict": "maybe"})))
    with pytest.raises(DataError, match="claims: expected the columns .* rule, note missing"):
        render(replace(made, claims=made.claims.drop(columns=["rule", "note"])))
    with pytest.raises(DataError, match="picture first: expected a PNG, got b'%PDF-1.4'"):
        render(replace(made, pictures=[Picture("first", "", "", b"%PDF-1.4" + bytes(100), None)]))
    for name in ("numbers", "verdicts", "claim-c0"):
        with pytest.raises(DataError, match=f"anchor '{name}': expected each name once"):
            render(replace(made, pictures=[Picture(name, "", "", png(), None)]))
    with pytest.raises(DataError, match="anchor 'figure 4': expected a name without spaces"):
        render(replace(made, pictures=[Picture("figure 4", "", "", png(), None)]))

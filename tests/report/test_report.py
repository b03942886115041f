"""The report as text: what it says, that it is escaped, whole, valid in its structure, and equal for equal input."""

import io
import itertools
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from made.report import CLAIM, claims_of, made_report, svg
from nnrobust.errors import DataError
from nnrobust.figures.pictures import Picture
from nnrobust.report.cells import Cell, cell, column_cells
from nnrobust.report.report import Report, Table, render
from nnrobust.report.times import times_shown, times_table
from nnrobust.runtime.timing import ALONE, MANY, TRAINING

HOSTILE = '<script>alert("1")</script> & <b>'
VOID = {"meta", "link", "img", "input", "wbr"}
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
        answer=HOSTILE,
        setting=HOSTILE,
        claims=claims_of({name: HOSTILE for name in CLAIM if name != "verdict"}),
        pictures=[Picture("first", HOSTILE, HOSTILE, svg(), svg(), HOSTILE)],
        tables=[Table("numbers", HOSTILE, HOSTILE, pd.DataFrame({HOSTILE: [HOSTILE]}))],
        provenance={HOSTILE: HOSTILE, "nested": {HOSTILE: HOSTILE * 10}},
        not_run=[HOSTILE],
    )
    page = render(hostile)
    plain = Structure(render(made))
    seen = Structure(page)
    assert "<script>alert" not in page
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in plain.tags}
    # title twice, answer, setting, ten texts of the claim, figure and table with their links, provenance, not run
    assert seen.text().count(HOSTILE) >= 22


def test_the_page_loads_nothing_from_anywhere():
    page = render(made_report())
    seen = Structure(page)
    assert all(source.startswith("data:image/svg+xml;") for source in seen.values("src"))
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


def test_a_page_of_sixteen_large_figures_and_a_long_table_stays_below_two_megabytes():
    lines = "".join(f'<path d="M {i} {i + 1} L {i} 7"/>' for i in range(1200))
    large = svg().replace("<rect", f"{lines}<rect")
    pictures = [Picture(f"p{i}", f"figure {i}", "lines", large, large, None) for i in range(16)]
    table = pd.DataFrame(np.random.default_rng(0).random((900, 11)).round(4)).rename(columns=str)
    page = render(replace(made_report(), pictures=pictures, tables=[Table("numbers", "Numbers", "", table)]))
    assert len(large) > 30_000
    assert len(page.encode()) < 2_000_000


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


def sections(seen: Structure) -> list[str]:
    return [one["id"] for tag, one in seen.tags if tag == "section" and one.get("class") != "table"]


def test_the_first_screen_is_one_sentence_and_one_figure_then_verdicts_and_what_was_not_run_last():
    seen = Structure(render(made_report()))
    assert sections(seen) == ["answer", "verdicts", "figures", "tables", "provenance", "not-run"]
    places = [
        place for place, (tag, one) in enumerate(seen.tags) if one.get("class") == "answer" or tag in ("figure", "h2")
    ]
    assert [seen.tags[place][0] for place in places[:3]] == ["p", "figure", "h2"]
    assert "✓ holds 2 ✗ fails 1 ? cannot tell 1 ○ not run 1" in seen.text()


def test_verdicts_are_counted_apart_for_a_reproduction_and_for_a_transfer():
    claims = claims_of(
        {"setting": "a reproduction in part, the paper's data with other settings (profile a, cifar10)"},
        {"setting": "a transfer to other data than the paper's (profile b, digits)", "verdict": "holds"},
    )
    text = Structure(render(replace(made_report(), claims=claims))).text()
    first, second = text.index("Reproduction in part"), text.index(" Transfer ")
    assert "✓ holds 0 ✗ fails 1 ? cannot tell 0 ○ not run 0" in text[first:second]
    assert "✓ holds 1 ✗ fails 0 ? cannot tell 0 ○ not run 0" in text[second:]
    assert "neither confirms nor refutes the paper" in text[second:]


def test_claims_are_cards_by_the_part_of_the_paper_and_those_not_run_are_folded():
    page = render(made_report())
    cards = re.findall(r'<li class="card ([^"]*)" id="claim-(c[0-9])">', page)
    assert cards == [("fails", "c0"), ("holds", "c4"), ("holds", "c2"), ("cannot-tell", "c3")]
    heads = re.findall(r"<h3>((?:Section|Figures)[^<]*)</h3>", page)
    assert heads == ["Section 4", "Figures and tables", "Section 4"]
    folded = page[page.index('<details class="open">') : page.index('<section id="figures">')]
    assert re.findall(r'<li id="claim-(c[0-9])">', folded) == ["c1"]
    assert "○ not run: 1</summary>" in folded


def test_an_exact_number_is_not_repeated_as_its_interval():
    claims = claims_of({"ours": "47.5 %", "interval": "47.5 %"}, {"ours": "22.7 %", "interval": "20 % to 25 %"})
    page = render(replace(made_report(), claims=claims))
    assert page.count("47.5\u00a0%") == 1
    assert "<b>22.7\u00a0%</b> <small>20\u00a0% to 25\u00a0%</small>" in page


def test_controls_are_a_section_of_their_own_and_not_counted_among_the_claims():
    controls = claims_of({"verdict": "fails", "quote": "1NN is ahead"}).assign(id="control")
    seen = Structure(render(replace(made_report(), controls=controls)))
    assert sections(seen) == ["answer", "verdicts", "controls", "figures", "tables", "provenance", "not-run"]
    assert "✓ holds 2 ✗ fails 1 ? cannot tell 1 ○ not run 1" in seen.text()
    assert "✓ holds 0 ✗ fails 1 ? cannot tell 0 ○ not run 0" in seen.text()
    assert len(seen.values("id")) == len(set(seen.values("id")))
    with pytest.raises(DataError, match="anchor 'claim-c0': expected each name once"):
        render(replace(made_report(), controls=controls.assign(id="c0")))


def test_a_picture_says_in_words_what_it_shows_and_keeps_its_place_in_both_layouts():
    images = [one for tag, one in Structure(render(made_report())).tags if tag == "img"]
    assert [one["alt"] for one in images] == ["What is seen. Grey everywhere."] * 2 + ["Is it grey? It is."] * 2
    assert [one["class"] for one in images] == ["wide", "narrow"] * 2
    assert [(one["width"], one["height"]) for one in images[::2]] == [("533", "267"), ("1600", "667")]


def test_a_table_and_a_figure_have_their_numbers_inside_as_csv():
    links = {one["download"]: one["href"] for tag, one in Structure(render(made_report())).tags if "download" in one}
    assert list(links) == ["first.csv", "numbers.csv", "wide.csv"]
    assert unquote(links["first.csv"]) == "data:text/csv;charset=utf-8,a,b\n1,2\n"
    head, _, content = unquote(links["numbers.csv"]).partition(",")
    assert head == "data:text/csv;charset=utf-8"
    assert pd.read_csv(io.StringIO(content)).equals(made_report().tables[0].rows)


def test_columns_have_names_for_readers():
    rows = pd.DataFrame({"n_pairs": [45], "robust_accuracy": [50.0], "odd": [1]})
    page = render(replace(made_report(), tables=[Table("numbers", "", "", rows)]))
    assert re.findall(r'<button type="button">([^<]*)</button>', page) == ["pairs", "robust (%)", "odd"]


def test_a_p_value_below_a_millionth_is_shown_as_that_and_sorts_first():
    assert [one.text for one in column_cells("sign_p", [0.0, 9e-7, 0.25, np.nan])] == ["< 1e-6", "< 1e-6", "0.25", "–"]
    assert [one.value for one in column_cells("wilcoxon_p", [0.0, 2e-5])] == ["0.0", "2e-05"]


def test_times_are_in_one_unit_a_column_and_in_seconds_for_machines():
    training, alone = {"1NN": 0.5, "S": 100.0, "T_R": 7000.0}, {"1NN": 2e-4, "S": 3e-3, "T_R": 3.1e-3}
    rows = [(name, TRAINING, seconds, "a GPU") for name, seconds in training.items()]
    rows += [(name, ALONE, seconds * (1 + k / 100), "CPU") for name, seconds in alone.items() for k in range(9)]
    rows += [("1NN", MANY, 1.23456e-6, "CPU"), ("mean", TRAINING, 300.0, "CPU")]
    times = pd.DataFrame(rows, columns=["classifier", "quantity", "seconds", "device"])
    shown = times_shown(times, 0.95).set_index("classifier")
    assert list(shown) == ["training of a pair (min)", "an image alone (ms)", "an image of 512 (µs)", "device"]
    # Of nine measurements the second and the eighth hold the median with 96 %; of one none are known to.
    assert shown.loc["1NN"].tolist() == ["0.00833", "0.208 (0.202 to 0.214)", "1.23", "a GPU and CPU"]
    assert shown.loc["mean"].tolist() == ["5", "", "", "CPU"]
    table = times_table(times, 0.95).set_index(["classifier", "quantity"])
    median, low, high, n, device = table.loc[("S", ALONE)]
    assert (median, low, high) == pytest.approx((3.12e-3, 3.03e-3, 3.21e-3))
    assert (n, device) == (9, "CPU")
    assert table.loc[("S", TRAINING), ["median", "n"]].tolist() == [100.0, 1]


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
    assert [one.text for one in column_cells("low", [-math.inf, 1.25, math.inf])] == ["−∞", "1.25", "∞"]


def test_points_of_a_column_stand_in_one_line_and_numbers_are_flush_right():
    page = render(made_report())
    assert [re.findall(rf"<td[^>]*>{text}</td>", page) for text in ("0.500", "0.125", "10.000")] == [
        ["<td>0.500</td>"],
        ["<td>0.125</td>"],
        ["<td>10.000</td>"],
    ]
    right = "#numbers td:nth-child(2),#numbers td:nth-child(3),#numbers td:nth-child(4){text-align:right}"
    assert right in page
    assert '<td data-value="1200.0">1,200 s</td>' in page
    assert "<td>a</td>" in page


def test_a_long_text_of_the_provenance_folds_away():
    page = render(made_report())
    assert '<summary>params <span class="quiet">(2 lines)</span></summary>' in page
    assert "<dt>python</dt><dd>3.11</dd>" in page
    assert "<dt>torch</dt><dd>–</dd>" in page
    assert page.index("<dt>commit</dt>") < page.index("<dt>device</dt>") < page.index(">versions</h3>")


def test_a_report_with_nothing_in_it_says_so():
    none = claims_of().reindex(columns=["id", *CLAIM])
    empty = Report("Nothing", "", "No data.", none, none, [], [], {"commit": None}, [])
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
    with pytest.raises(DataError, match="picture first: expected an SVG with its size in points, got '%PDF-1.4'"):
        render(replace(made, pictures=[Picture("first", "", "", svg(), "%PDF-1.4", None)]))
    for name in ("numbers", "verdicts", "claim-c0"):
        with pytest.raises(DataError, match=f"anchor '{name}': expected each name once"):
            render(replace(made, pictures=[Picture(name, "", "", svg(), svg(), None)]))
    with pytest.raises(DataError, match="anchor 'figure 4': expected a name without spaces"):
        render(replace(made, pictures=[Picture("figure 4", "", "", svg(), svg(), None)]))

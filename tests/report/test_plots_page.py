"""The interactive plots: DVC's own code fills the templates, and the Vega-Lite of the page's bundle draws them."""

import json
import re
from collections import Counter

import pytest
import vl_convert
import yaml

from made.project import ROOT
from nnrobust.figures.gallery import TITLES
from nnrobust.report.plots_page import plots_page

TEMPLATES = ROOT / ".dvc" / "plots"
PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
NAMED = {name: plot for entry in PLOTS if isinstance(entry, dict) for name, plot in entry.items()}
CURVES = ("loss", "clean_accuracy", "robust_accuracy")
COLUMNS = {
    "plots/tables/figure_4.csv": ["classifier", "measure", "kind", "accuracy", "low", "high", "n_pairs"],
    "plots/tables/figure_5.csv": ["classifier", "measure", "kind", "accuracy", "low", "high", "n_pairs"],
    "plots/tables/figure_6.csv": [
        "pair",
        *(f"{one}_{what}" for one in ("1NN", "T_B") for what in ("mean", "Linf", "L2", "union")),
    ],
    "plots/tables/training.csv": ["variant", "epoch", "n_pairs", *CURVES],
}
BARS = [
    ["1NN", "clean", "clean", "99.5", "99.25", "99.75", "3"],
    ["1NN", "Linf", "exact", "90", "85.5", "94.5", "3"],
    ["1NN", "L2", "certified", "70", "61", "79", "3"],
    ["S", "clean", "clean", "100", "100", "100", "3"],
    ["S", "Linf", "attacked", "50", "40", "60", "3"],
    ["S", "L2", "attacked", "9", "8", "10", "3"],
    ["S", "union", "attacked", "9", "0", "100", "3"],
]
PAIRS = [
    ["0-1", "97.5", "98", "97", "97", "98.5", "99", "98", "98"],
    ["0-2", "45", "50", "40", "40", "60", "70", "50", "50"],
    ["1-2", "80", "90", "70", "70", "80", "85", "75", "75"],
]
EPOCHS = [
    ["S", "9", "3", "0.5", "0.75", "0.625"],
    ["S", "10", "3", "0.25", "", ""],
    ["S", "11", "3", "0.125", "1.0", "0.875"],
    ["T_B", "9", "3", "0.6", "0.7", "0.65"],
]


def file(path, rows, columns=None):
    """What DVC reads from a CSV file: a dictionary of strings for each row."""
    return {path: {"data": [dict(zip(columns or COLUMNS[path], row, strict=True)) for row in rows]}}


def spec(name, revisions):
    """The Vega-Lite specification of a plot of dvc.yaml, as DVC makes it from the files of each revision."""
    from dvc.render.match import match_defs_renderers

    data = {
        revision: {"definitions": {"data": {"dvc.yaml": {"data": {name: NAMED[name]}}}}, "sources": {"data": files}}
        for revision, files in revisions.items()
    }
    (made,) = match_defs_renderers(data, templates_dir=TEMPLATES)
    assert not made.definition_errors
    return made.renderer.get_filled_template()


def marks(drawn):
    """How many marks of each kind an SVG has, and what is read aloud for each, in order."""
    tags = [dict(re.findall(r'aria-(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<[^>]+>", drawn)]
    found = [(tag["roledescription"], tag["label"]) for tag in tags if {"roledescription", "label"} <= set(tag)]
    return Counter(kind for kind, _ in found), found


def draw(name, revisions):
    return marks(vl_convert.vegalite_to_svg(spec(name, revisions)))


def text(drawn):
    return " ".join(re.findall(r"<text[^>]*>([^<]+)</text>", drawn))


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.json")), ids=lambda path: path.stem)
def test_a_template_is_in_the_language_of_the_pages_vega_lite_and_is_used(path):
    newest = max(vl_convert.get_vegalite_versions(), key=lambda version: tuple(map(int, version.split("."))))
    schema = json.loads(path.read_text())["$schema"]
    assert schema == f"https://vega.github.io/schema/vega-lite/v{newest.split('.')[0]}.json"
    assert path.stem in {plot["template"] for plot in NAMED.values()}


@pytest.mark.parametrize("name", NAMED)
def test_a_plot_of_dvc_yaml_has_its_template_and_columns(name):
    plot = NAMED[name]
    assert (TEMPLATES / f"{plot['template']}.json").is_file()
    for path, column in plot["y"].items():
        assert {plot["x"], column} <= set(COLUMNS[path])


def test_the_images_are_a_folder_of_the_plot_stage_so_that_none_is_missed_where_one_was_not_drawn():
    assert [entry for entry in PLOTS if isinstance(entry, str)] == ["plots/images"]
    assert '"images"' in (ROOT / "stages" / "plot.py").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Figure 4, train images", "Figure 5, test images"])
def test_dots_have_a_line_from_low_to_high_all_columns_in_the_tooltip_and_are_hollow_where_attacked(name):
    (path,) = NAMED[name]["y"]
    drawn = vl_convert.vegalite_to_svg(spec(name, {"workspace": file(path, BARS)}))
    count, labels = marks(drawn)
    assert (count["point"], count["rule mark"]) == (7, 7)
    assert "clean Linf L2 union measure" in text(drawn)  # the legend
    ends = [label for kind, label in labels if kind == "rule mark" and "classifier: S" in label]
    assert [re.search("to: ([0-9]+)", label)[1] for label in ends if "Linf" in label] == ["60"]
    assert [re.search("to: ([0-9]+)", label)[1] for label in ends if "union" in label] == ["9"]
    (dot,) = [one for kind, one in labels if kind == "point" and "measure: L2" in one and "classifier: 1NN" in one]
    assert "revision: workspace; kind: certified; accuracy (%): 70.00; interval (%): 61.00 to 79.00; n_pairs: 3" in dot
    dots = re.findall(r"<path aria-label=[^>]*measure: Linf[^>]*aria-roledescription=.point.[^>]*>", drawn)
    assert [("white" in one, "classifier: S" in one) for one in dots] == [(False, False), (True, True)]


def test_dots_of_two_revisions_stand_in_two_facets_in_the_order_asked():
    path = "plots/tables/figure_5.csv"
    filled = spec("Figure 5, test images", {"new": file(path, BARS), "main": file(path, BARS[:3])})
    count, labels = marks(vl_convert.vegalite_to_svg(filled))
    assert count["point"] == 10
    assert [label for kind, label in labels if kind == "title" and ("new" in label or "main" in label)] == [
        "Title text 'new'",
        "Title text 'main'",
    ]


def test_dots_of_a_revision_without_intervals_have_none():
    path, short = "plots/tables/figure_5.csv", ["classifier", "measure", "kind", "accuracy", "error", "n_pairs"]
    old = file(path, [[*row[:4], "0.5", row[6]] for row in BARS], short)
    count, labels = draw("Figure 5, test images", {"old": old, "new": file(path, BARS)})
    assert count["point"] == 14
    assert sum("interval (%): not given" in label for kind, label in labels if kind == "point") == 7


@pytest.mark.parametrize("revisions", [["workspace"], ["main", "workspace"]])
def test_the_scatter_has_a_dot_for_each_pair_and_equal_axes(revisions):
    (name,) = [name for name, plot in NAMED.items() if plot["template"] == "pairs_scatter"]
    filled = spec(name, {revision: file("plots/tables/figure_6.csv", PAIRS) for revision in revisions})
    count, labels = marks(vl_convert.vegalite_to_svg(filled))
    assert count["point"] == 3 * len(revisions)
    assert [label for kind, label in labels if kind == "rule mark"] == ["low: 45; high: 98.5"]
    axes = [label.split("for a ")[1] for kind, label in labels if kind == "axis"]
    assert len(axes) == 2
    assert axes[0] == axes[1]
    low, high = map(int, re.search(r"from (\d+) to (\d+)", axes[0]).groups())
    assert 40 <= low < 45
    assert 98 < high <= 102
    assert filled["width"] == filled["height"]
    assert filled["layer"][1]["mark"]["tooltip"] == {"content": "data"}
    assert list(filled["data"]["values"][0]) == [*COLUMNS["plots/tables/figure_6.csv"], "rev"]


@pytest.mark.parametrize("revisions", [["workspace"], ["main", "workspace"]])
@pytest.mark.parametrize("column", CURVES)
def test_curves_have_a_line_for_each_variant_and_no_dot_where_nothing_was_taken(column, revisions):
    (name,) = [name for name, plot in NAMED.items() if plot["y"] == {"plots/tables/training.csv": column}]
    drawn = vl_convert.vegalite_to_svg(
        spec(name, {revision: file("plots/tables/training.csv", EPOCHS) for revision in revisions})
    )
    count, labels = marks(drawn)
    assert count["line mark"] == 2 * len(revisions)
    lines = re.findall(
        r'<path aria-label="epoch: 9;[^"]*variant: S;[^"]*"[^>]*aria-roledescription="line mark"[^>]* d="([^"]+)"',
        drawn,
    )
    assert [line.count("L") for line in lines] == [2 if column == "loss" else 1] * len(revisions)
    assert count["point"] == (4 if column == "loss" else 3) * len(revisions)
    dots = [label for kind, label in labels if kind == "point"]
    shown = f"{column}: {dict(zip(CURVES, ('0.125', '100.00%', '87.50%'), strict=True))[column]}"
    assert sum(shown in dot and "variant: S" in dot and "epoch: 11;" in dot for dot in dots) == len(revisions)


def test_a_plot_without_any_file_is_an_empty_specification():
    assert spec("Figure 5, test images", {"workspace": {}}) == {}


def test_the_legend_picks_measures_revisions_and_variants():
    """A click on a legend entry changes the parameter that the opacity of all marks of the plot asks."""
    for name, files, field in (
        ("Figure 4, train images", file("plots/tables/figure_4.csv", BARS), "measure"),
        ("Figure 6, test images, pairs", file("plots/tables/figure_6.csv", PAIRS), "rev"),
        ("Learning curves, loss", file("plots/tables/training.csv", EPOCHS), "variant"),
    ):
        signals = vl_convert.vegalite_to_vega(spec(name, {"workspace": files}))["signals"]
        assert [one["name"] for one in signals if one["name"].endswith(f"_{field}_legend")] != []


@pytest.mark.slow
def test_the_plots_page_has_its_scripts_inside_and_dvcs_place_for_plots():
    page = plots_page()
    assert page.count("{plot_divs}") == page.count("{refresh_tag}") == 1
    assert "{scripts}" not in page
    assert "<script src" not in page
    assert page.count("<script") == page.count("</script>") == 1
    assert "vegaEmbed" in page
    assert not re.search(r"""<(script|link|img|iframe)[^>]*\s(src|href)=["']?https?:""", page)
    assert "@import" not in page


@pytest.mark.slow
def test_the_plots_page_names_every_figure_by_its_title():
    page = plots_page()
    assert [name for name in TITLES if f'"{name}":' not in page] == []
    assert "Figure 1: what fools a network on training images" in page


@pytest.mark.slow
def test_the_page_in_the_repository_is_what_its_script_writes():
    assert (ROOT / ".dvc" / "plots" / "page.html").read_text(encoding="utf-8") == plots_page()

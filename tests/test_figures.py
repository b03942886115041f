import pandas as pd
import pytest
from test_accuracy import attacked, certified, exact

from nnrobust import figures
from nnrobust.accuracy import accuracy_table, mean_over_pairs
from nnrobust.page import plots_page


@pytest.fixture
def table():
    parts = []
    for pair in ("0-1", "0-2", "1-2"):
        for split in ("train", "test"):
            for norm in ("Linf", "L2"):
                parts += [certified(pair, norm, split), attacked(norm, pair, split=split)]
    return pd.concat([accuracy_table(part, 0.95) for part in parts], ignore_index=True)


def test_bars_show_the_better_certificate_and_say_what_is_certified(table):
    bars = figures.bars_table(mean_over_pairs(table), "test", ["1NN", "S"])
    assert bars["measure"].tolist() == ["clean", "Linf", "L2"] * 2
    assert bars["kind"].tolist() == ["clean", "certified", "certified", "clean", "attacked", "attacked"]
    assert bars["accuracy"].tolist() == [75.0, 50.0, 50.0, 100.0, 50.0, 50.0]
    assert set(bars["n_pairs"]) == {3}


def test_an_exact_number_takes_the_place_of_a_certified_one(table):
    parts = [accuracy_table(exact(pair), 0.95) for pair in ("0-1", "0-2", "1-2")]
    parts.append(table[(table["norm"] == "Linf") & (table["split"] == "test")])
    bars = figures.bars_table(mean_over_pairs(pd.concat(parts, ignore_index=True)), "test", ["1NN"])
    assert bars["kind"].tolist() == ["clean", "certified", "exact"]
    assert bars["accuracy"].tolist() == [75.0, 50.0, 75.0]
    with figures.style():
        (axes,) = figures.bars(bars, "test", "made", {"Linf": 0.1, "L2": 0.8}).axes
    assert axes.get_xticklabels()[0].get_text().splitlines()[1:] == [r"$\ell_\infty$ certified", r"$\ell_2$ exact"]


def test_the_pairs_table_has_the_papers_sum_and_each_norm(table):
    pairs = figures.pairs_table(table, "1NN", "S")
    assert pairs["pair"].tolist() == ["0-1", "0-2", "1-2"]
    assert pairs["1NN_sum"].tolist() == [100.0] * 3
    assert pairs["S_L2"].tolist() == [50.0] * 3


def test_equal_figures_are_equal_files_in_both_formats(table, tmp_path):
    bars = figures.bars_table(mean_over_pairs(table), "train", ["1NN", "S"])
    for name in ("one", "other"):
        with figures.style():
            figures.save(figures.bars(bars, "train", "made", {"Linf": 0.1, "L2": 0.8}), tmp_path / name, 60)
    for suffix in (".png", ".pdf"):
        content = (tmp_path / f"one{suffix}").read_bytes()
        assert len(content) > 5000
        assert content == (tmp_path / f"other{suffix}").read_bytes()


def test_the_scatter_counts_who_is_ahead(table):
    with figures.style():
        figure = figures.scatter(figures.pairs_table(table, "1NN", "S"), "1NN", "S", "made")
    assert [axes.get_title() for axes in figure.axes] == ["1NN ahead in 0 of 3, equal in 3"] * 2


def test_the_table_of_times_has_a_row_for_each_classifier():
    one = {"training_seconds_per_pair": 1.23456, "inference_seconds_per_image": 9.87654e-6, "device": "CPU"}
    table = figures.times_table({"1NN": one, "S": one})
    assert table.iloc[1].tolist() == ["S", 1.23, 9.88e-6, "CPU"]
    with figures.style():
        assert len(figures.times(table).axes) == 1


def test_the_plots_page_has_its_scripts_inside_and_dvcs_place_for_plots():
    page = plots_page()
    assert page.count("{plot_divs}") == page.count("{refresh_tag}") == 1
    assert "{scripts}" not in page
    assert "<script src" not in page
    assert page.count("<script") == page.count("</script>") == 1
    assert "vegaEmbed" in page

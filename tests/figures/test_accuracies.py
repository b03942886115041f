"""The paper's figures and table, those of the pretrained models and of class distances: tables by hand, and how they are drawn."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from made.records import attacked, exact
from nnrobust.examples import Examples
from nnrobust.figures import accuracies as figures
from nnrobust.figures.accuracies import distance_figure, distance_table
from nnrobust.figures.examples import example_figure, shown_images
from nnrobust.figures.style import save, style
from nnrobust.figures.zoo import images_of, zoo_figure, zoo_points
from nnrobust.tables.accuracy import accuracy_table, union_table
from nnrobust.tables.comparison import scores

EPSILON = {"Linf": 0.1, "L2": 0.8}
ROBUST = {  # of S, image by image
    ("0-1", "Linf"): (False, True, True, True), ("0-1", "L2"): (True, False, True, True),
    ("0-2", "Linf"): (True, True, True, True), ("0-2", "L2"): (True, True, True, True),
    ("1-2", "Linf"): (True, False, False, False), ("1-2", "L2"): (True, False, False, False),
}  # fmt: skip


def scores_of(records, confidence=0.95):
    parts = [pd.concat(part, ignore_index=True) for part in records]
    table, unions = (
        pd.concat([f(part, confidence) for part in parts], ignore_index=True) for f in (accuracy_table, union_table)
    )
    return scores(table, unions)


@pytest.fixture
def table():
    """1NN exact, right and robust on three of four images, both norms; S on 3, 4 and 1 of them."""
    mine = [exact(pair, norm, split) for (pair, norm), split in product(ROBUST, ("train", "test"))]
    theirs = [
        attacked(norm, pair, robust, split)
        for ((pair, norm), robust), split in product(ROBUST.items(), ("train", "test"))
    ]
    return scores_of([mine, theirs])


# Figures 4 and 5


def test_bars_are_means_over_pairs_and_say_what_is_proven(table):
    bars = figures.bars_table(table, "test", ["1NN", "S"], 0.95)
    assert bars["measure"].tolist() == ["clean", "Linf", "L2"] * 2
    assert bars["kind"].tolist() == ["clean", "exact", "exact", "clean", "attacked", "attacked"]
    assert bars["accuracy"].tolist() == [75.0, 75.0, 75.0, 100.0, 66.6667, 66.6667]
    assert set(bars["n_pairs"]) == {3}


def test_a_mean_of_exact_and_certified_numbers_is_certified(table):
    mixed = table.copy()
    mixed.loc[(mixed["measure"] == "Linf") & (mixed["pair"] == "0-2") & (mixed["classifier"] == "1NN"), "kind"] = (
        "certified"
    )
    bars = figures.bars_table(mixed, "test", ["1NN"], 0.95)
    assert bars["kind"].tolist() == ["clean", "certified", "exact"]
    with style():
        (axes,) = figures.bars(bars, "test", "made", EPSILON).axes
    assert axes.get_xticklabels()[0].get_text().splitlines()[1:] == [r"$\ell_\infty$ certified", r"$\ell_2$ exact"]


def test_an_interval_is_students_and_ends_at_0_and_100(table):
    # 75, 100 and 25: mean 66.67, standard deviation 38.19, and Student's factor for two degrees of freedom 4.303: 94.9 either way.
    bars = figures.bars_table(table, "test", ["S"], 0.95).set_index("measure")
    assert bars.loc["L2", ["low", "high"]].tolist() == [0.0, 100.0]
    # At 50 % the factor is 0.8165: 18.00 either way, within the ends.
    half = figures.bars_table(table, "test", ["S"], 0.5).set_index("measure")
    assert half.loc["L2", ["low", "high"]].tolist() == pytest.approx([66.6667 - 18.0021, 66.6667 + 18.0021], abs=1e-3)
    assert half.loc["clean", ["low", "high"]].tolist() == [100.0, 100.0]


def test_a_single_pair_has_an_interval_without_ends(table):
    bars = figures.bars_table(table[table["pair"] == "0-1"], "test", ["S"], 0.95)
    assert bars[["low", "high"]].values.tolist() == [[0.0, 100.0]] * 3


def test_the_whiskers_are_drawn_as_far_down_and_up_as_the_interval_goes(table):
    bars = figures.bars_table(table, "test", ["1NN", "S"], 0.8)
    assert bars["high"].tolist()[-1] == 100
    with style():
        (axes,) = figures.bars(bars, "test", "made", EPSILON).axes
    for container, measure in zip(
        [one for one in axes.containers if hasattr(one, "errorbar")], figures.MEASURES, strict=True
    ):
        part = bars[bars["measure"] == measure]
        segments = container.errorbar.lines[2][0].get_segments()
        np.testing.assert_allclose([segment[:, 1] for segment in segments], part[["low", "high"]], atol=1e-9)
        assert [bar.get_height() for bar in container] == part["accuracy"].tolist()
    assert [text.get_text() for text in axes.texts] == ["75", "100", "75", "67", "75", "67"]


def test_bars_of_proven_numbers_are_filled_and_of_attacked_ones_hollow(table):
    with style():
        (axes,) = figures.bars(figures.bars_table(table, "test", ["1NN", "S"], 0.95), "test", "made", EPSILON).axes
    white = [
        [bar.get_facecolor()[:3] == (1, 1, 1) for bar in bars] for bars in axes.containers if hasattr(bars, "errorbar")
    ]
    assert white == [[False, False], [False, True], [False, True]]


def test_a_classifier_with_fewer_pairs_says_so_and_one_without_any_has_no_bar(table):
    fewer = table[(table["classifier"] != "S") | (table["pair"] != "1-2")]
    bars = figures.bars_table(fewer, "test", ["1NN", "S", "T_B"], 0.95)
    assert bars["classifier"].drop_duplicates().tolist() == ["1NN", "S"]
    with style():
        (axes,) = figures.bars(bars, "test", "made", EPSILON).axes
    assert [one.get_text() for one in axes.get_xticklabels()] == ["1NN\nexact", "S\nattacked\n2 pairs"]
    assert "mean over 3 pairs" in axes.get_title()


@pytest.mark.slow
def test_equal_figures_are_equal_files_in_both_formats(table, tmp_path):
    bars = figures.bars_table(table, "train", ["1NN", "S"], 0.95)
    for name in ("one.png", "one.pdf", "other.png", "other.pdf"):
        with style():
            save(figures.bars(bars, "train", "made", EPSILON), tmp_path / name, 60)
    for suffix in (".png", ".pdf"):
        content = (tmp_path / f"one{suffix}").read_bytes()
        assert len(content) > 5000
        assert content == (tmp_path / f"other{suffix}").read_bytes()


# Figure 6


def test_the_pairs_table_has_the_papers_sum_each_norm_and_what_withstands_both(table):
    pairs = figures.pairs_table(table, "1NN", ["S"])
    assert pairs["pair"].tolist() == ["0-1", "0-2", "1-2"]
    assert pairs["1NN_sum"].tolist() == [150.0] * 3
    assert pairs["1NN_union"].tolist() == [75.0] * 3
    assert pairs["S_sum"].tolist() == [150.0, 200.0, 50.0]
    assert pairs["S_L2"].tolist() == pairs["S_Linf"].tolist() == [75.0, 100.0, 25.0]
    assert pairs["S_union"].tolist() == [50.0, 100.0, 25.0]


def test_a_pair_that_one_of_them_lacks_is_left_out(table):
    fewer = table[(table["classifier"] != "S") | (table["pair"] != "0-2")]
    assert figures.pairs_table(fewer, "1NN", ["S"])["pair"].tolist() == ["0-1", "1-2"]


def labels_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_scatter_counts_who_is_ahead(table):
    with style():
        figure = figures.scatter(figures.pairs_table(table, "1NN", ["S"]), "1NN", {"S": "attacked"}, "made")
    assert [labels_of(axes) for axes in figure.axes] == [
        ["S (attacked): 1NN ahead in 1 of 3, equal in 1"], ["S (attacked): 1NN ahead in 2 of 3, equal in 0"],
    ]  # fmt: skip


def test_dots_of_proven_numbers_are_filled_and_of_attacked_ones_hollow(table):
    both = pd.concat([table, table[table["classifier"] == "1NN"].assign(classifier="linear")])
    pairs = figures.pairs_table(both, "1NN", ["S", "linear"])
    with style():
        left, _ = figures.scatter(pairs, "1NN", {"S": "attacked", "linear": "exact"}, "made").axes
    hollow, filled = left.collections[:2]
    assert (len(hollow.get_facecolor()), len(filled.get_facecolor())) == (0, 1)
    np.testing.assert_array_equal(filled.get_offsets(), pairs[["linear_sum", "1NN_sum"]])
    assert labels_of(left)[1] == "linear (exact): 1NN ahead in 0 of 3, equal in 3"


def test_the_scatter_has_the_sum_left_and_the_union_right(table):
    pairs = figures.pairs_table(table, "1NN", ["S"])
    with style():
        left, right = figures.scatter(pairs, "1NN", {"S": "attacked"}, "made").axes
    for axes, name in ((left, "sum"), (right, "union")):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), pairs[[f"S_{name}", f"1NN_{name}"]])
        assert axes.get_xlabel().startswith("the other:")
        assert axes.get_ylabel().endswith("proven)")
        assert axes.get_xlim() == axes.get_ylim()


# Table 1


def test_the_table_of_times_has_a_row_for_each_classifier():
    seconds = {"1": 9.87654e-4, "512": 1.23456e-6}
    one = {"training_seconds_per_pair": 1.23456, "inference_seconds_per_image": seconds, "device": "CPU"}
    table = figures.times_table({"1NN": one, "S": one | {"device": "GPU"}})
    assert table.columns.tolist()[2:4] == ["inference_seconds_batch_1", "inference_seconds_batch_512"]
    assert table.iloc[1].tolist() == ["S", 1.23, 9.88e-4, 1.23e-6, "GPU"]
    with style():
        figure = figures.times(table)
    (axes,) = figure.axes
    cells = axes.tables[0].get_celld()
    text = [[cells[row, column].get_text().get_text() for column in range(5)] for row in range(3)]
    assert text[1:] == [["1NN", "1.23", "9.88e-04", "1.23e-06", "CPU"], ["S", "1.23", "9.88e-04", "1.23e-06", "GPU"]]
    assert text[0][2].endswith("one at a time")
    assert text[0][3].endswith("512 at once")


# Figure 8


def zoo(name, kind="attacked", n=(4, 4), status="ok", pair="all", method="apgd-ce", **robust):
    """Rows of a table of the zoo for both splits and norms, `robust` by split and norm."""
    return pd.DataFrame([
        {"classifier": name, "pair": pair, "split": split, "norm": norm, "kind": kind, "method": method, "n": n[split == "test"],
         "robust_accuracy": robust.get(f"{split}_{norm}", 0.5), "robust_accuracy_low": 0.0, "robust_accuracy_high": 0.875,
         "status": status}
        for split, norm in product(("train", "test"), ("Linf", "L2"))
    ])  # fmt: skip


@pytest.fixture
def points():
    """1NN at 50 %, ahead of both models, of one, of none of two (one is equal), and of one."""
    return zoo_points(pd.concat([
        zoo("1NN", kind="exact", method="exact"),
        zoo("weak", train_Linf=0.25, train_L2=0.25, test_Linf=0.5, test_L2=0.0),
        zoo("strong", train_Linf=0.25, train_L2=0.75, test_Linf=0.75, test_L2=0.75),
    ], ignore_index=True))  # fmt: skip


def test_each_panel_of_the_zoo_counts_the_models_that_1nn_is_ahead_of(points):
    with style():
        figure = zoo_figure(points, 3, "made", EPSILON)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.rpartition(": ")[2] for title in titles] == [f"1NN (exact) ahead of {n} of 2" for n in (2, 1, 0, 1)]
    assert [title.split(",")[0] for title in titles] == ["train", "train", "test", "test"]
    assert [(r"\infty" in title) for title in titles] == [True, False, True, False]
    assert "2 of 3 pretrained models, 4 training and 4 test images" in figure.get_suptitle()
    line = figure.axes[1].lines[-1]
    assert set(line.get_ydata()) == {50.0}


def test_another_proven_classifier_is_a_line_and_no_model():
    rows = [
        zoo("1NN", kind="exact", method="exact"),
        zoo("linear", kind="exact", method="exact", test_L2=0.25),
        zoo("weak"),
    ]
    points = zoo_points(pd.concat(rows, ignore_index=True))
    with style():
        figure = zoo_figure(points, 1, "made", EPSILON)
    assert "1 of 1 pretrained models" in figure.get_suptitle()
    assert figure.axes[3].get_title().endswith("ahead of 0 of 1")
    (line,) = [one for one in figure.axes[3].lines if one.get_label() == "linear (proven)"]
    assert set(line.get_ydata()) == {25.0}


def test_the_models_of_a_panel_are_in_the_order_of_their_accuracy_with_their_intervals(points):
    part = points[(points["split"] == "test") & (points["norm"] == "L2")]
    assert part["classifier"].tolist() == ["weak", "1NN", "strong"]
    assert part[["accuracy", "low", "high"]].values.tolist() == [[0, 0, 87.5], [50, 0, 87.5], [75, 0, 87.5]]


def test_of_1nn_the_zoo_has_the_exact_number_of_all_classes_else_the_certified_one():
    proofs = pd.concat([
        zoo("1NN", "certified", method="half gap", test_L2=0.1), zoo("1NN", "certified", method="bisector", test_L2=0.2),
        zoo("1NN", "exact", method="exact", test_L2=0.3), zoo("1NN", "exact", method="exact in box", test_L2=0.4),
        zoo("1NN", "exact", method="exact", pair="0-1", test_L2=0.9), zoo("model"),
    ], ignore_index=True)  # fmt: skip
    is_l2 = (proofs["split"] == "test") & (proofs["norm"] == "L2")
    points = zoo_points(proofs)
    mine = points[points["classifier"] == "1NN"]
    assert len(mine) == 4
    assert mine.loc[(mine["split"] == "test") & (mine["norm"] == "L2"), ["kind", "accuracy"]].values.tolist() == [
        ["exact", 30]
    ]
    points = zoo_points(proofs[~(is_l2 & (proofs["kind"] == "exact"))])
    with style():
        titles = [axes.get_title() for axes in zoo_figure(points, 1, "made", EPSILON).axes]
    assert ["(exact)" in title for title in titles] == [True, True, True, False]
    assert "1NN (certified) ahead of 0 of 1" in titles[3]
    assert points[points["kind"] == "certified"]["accuracy"].tolist() == [20]


def test_of_several_attacks_on_a_model_all_together_count():
    both = pd.concat(
        [
            zoo("1NN", "exact", method="exact"),
            zoo("model", test_L2=0.75),
            zoo("model", method="apgd-ce + apgd-dlr", test_L2=0.25),
        ]
    )
    points = zoo_points(both)
    model = points[(points["classifier"] == "model") & (points["split"] == "test") & (points["norm"] == "L2")]
    assert model["accuracy"].tolist() == [25.0]


def test_a_model_without_a_verdict_on_some_image_is_not_in_the_figure():
    failed = zoo("broken", n=(2, 2)).assign(n=2)
    why = pd.DataFrame(
        [{"classifier": "broken", "split": "test", "norm": "L2", "n": 2, "status": "attack failed: nan"}]
    )
    missing = pd.DataFrame([{"classifier": "absent", "status": "missing"}])
    points = zoo_points(
        pd.concat([zoo("1NN", "exact", method="exact"), zoo("whole"), failed, why, missing], ignore_index=True)
    )
    assert set(points["classifier"]) == {"1NN", "whole"}


def test_the_images_of_each_split_are_counted():
    points = zoo_points(pd.concat([zoo("1NN", "exact", method="exact", n=(200, 1000)), zoo("model", n=(200, 1000))]))
    assert images_of(points) == "200 training and 1,000 test images"


# Class distances


def test_exactly_the_pairs_whose_distance_falls_short_are_framed():
    distances = pd.DataFrame({"first": ["a", "a", "b"], "second": ["b", "c", "c"], "distance": [1.5, 0.9, 1.0]})
    table = distance_table(distances, 1.0)
    assert table["is_enough"].tolist() == [True, False, True]
    with style():
        figure = distance_figure(table, ["a", "b", "c"], "made")
    axes = figure.axes[0]
    frames = [one.get_xy() for one in axes.patches if isinstance(one, Rectangle)]
    assert frames == [(0, 1)]  # column a, and row c, the second below b
    assert [one.get_text() for one in axes.get_xticklabels()] == ["a", "b"]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["b", "c"]
    assert sorted(one.get_text() for one in axes.texts) == ["0.90", "1.00", "1.50"]
    assert "1 of 3 pairs (framed)" in axes.get_title()
    assert axes.get_title().endswith("= 1.000")


def test_classes_named_by_digits_find_their_places_and_pairs_that_are_not_run_stay_empty():
    table = distance_table(pd.DataFrame({"first": [3, 5], "second": [5, 8], "distance": [1.25, 2.5]}), 3.0)
    with style():
        axes = distance_figure(table, ["3", "5", "8"], "made").axes[0]
    assert sorted(one.get_xy() for one in axes.patches if isinstance(one, Rectangle)) == [(0, 0), (1, 1)]
    assert sorted(one.get_text() for one in axes.texts) == ["1.25", "2.50"]


# Figures 1 and 7


@pytest.fixture
def examples():
    """Three grey images of 2 x 3: fooled within 0.8, fooled beyond it, and wrong as it is."""
    images = np.full((3, 1, 2, 3), 51, np.uint8)
    adversarial = np.full((3, 1, 2, 3), 0.2)
    adversarial[0, 0, 0, 0], adversarial[0, 0, 1, 2], adversarial[1, 0, 0, 1] = 0.6, 0.0, 1.1
    is_found, labels = np.array([True, True, False]), np.array([0, 1, 0])
    return Examples(
        images, adversarial, is_found, np.arange(3), labels, np.array([0, 1, 1]), np.array([0.45, 0.9, 0.0])
    )


def test_differences_are_gray_where_nothing_changes_and_scaled_by_their_own_largest(examples):
    rows = shown_images(examples)
    assert [rows[name].shape for name in ("image", "adversarial", "difference")] == [(3, 2, 3, 1)] * 3
    difference = rows["difference"][..., 0]
    np.testing.assert_allclose(difference[0], [[1, 0.5, 0.5], [0.5, 0.5, 0.25]])
    np.testing.assert_allclose(difference[1], [[0.5, 1, 0.5], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(difference[2], 0.5)


def test_each_image_says_how_far_it_was_and_whether_that_is_within_epsilon(examples, tmp_path):
    with style():
        figure = example_figure(examples, "made", ["cat", "dog"], EPSILON)
        save(figure, tmp_path / "one.png", 60)
    first, last, histogram = figure.axes[0:9:3], figure.axes[2:9:3], figure.axes[9]
    assert [axes.get_title() for axes in first] == ["cat", "dog", "cat\nwrong as it is"]
    assert [axes.get_xlabel() for axes in last] == [
        r"$\ell_2$ 0.45 $\leq \epsilon$",
        r"$\ell_2$ 0.90 $> \epsilon$",
        "none found",
    ]
    assert [len(axes.images) for axes in figure.axes[:9]] == [1, 1, 1, 1, 1, 1, 1, 0, 0]
    # Of twelve values of the two fooled, three change, all by more than 0.1.
    assert histogram.get_title().startswith("75 % of values change by")
    assert sum(bar.get_height() for bar in histogram.patches) == pytest.approx(100)


def test_empty_places_are_as_large_as_the_images(examples, tmp_path):
    with style():
        figure = example_figure(examples, "made", ["cat", "dog"], EPSILON)
        save(figure, tmp_path / "one.png", 60)
    shapes = [axes.get_window_extent() for axes in figure.axes[:9]]
    assert [round(one.height / one.width, 3) for one in shapes] == [0.667] * 9


def test_neighbouring_labels_do_not_run_into_each_other(examples, tmp_path):
    eight = Examples(
        *(np.resize(getattr(examples, name), (8, *getattr(examples, name).shape[1:])) for name in vars(examples))
    )
    with style():
        figure = example_figure(eight, "made", ["automobile", "airplane"], EPSILON)
        save(figure, tmp_path / "one.png", 60)
    for texts in ([axes.title for axes in figure.axes[0:24:3]], [axes.xaxis.label for axes in figure.axes[2:24:3]]):
        extents = [one.get_window_extent() for one in texts]
        assert all(one.x1 < other.x0 for one, other in pairwise(extents))


def test_a_classifier_that_nothing_fools_has_a_figure_too(examples, tmp_path):
    none = Examples(*(vars(examples) | {"is_found": np.zeros(3, bool), "adversarial": examples.images / 255}).values())
    with style():
        figure = example_figure(none, "made", ["cat", "dog"], EPSILON)
        save(figure, tmp_path / "one.png", 60)
    assert figure.axes[9].get_title() == "none found"
    assert not any(bar.get_height() for bar in figure.axes[9].patches)

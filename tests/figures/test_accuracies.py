"""The paper's figures and table, those of the pretrained models and of class distances: tables by hand, and how they are drawn."""

import re
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from made.records import attacked, exact
from nnrobust.examples import Examples, changes_table
from nnrobust.figures.accuracies import means_figure, means_table
from nnrobust.figures.distances import distance_figure, distance_table
from nnrobust.figures.examples import example_figure, share_in_words, shown_images
from nnrobust.figures.pairs import in_words, pairs_figure, pairs_table
from nnrobust.figures.strength import drops_table, strength_figure
from nnrobust.figures.strength import in_words as in_words_of_drops
from nnrobust.figures.style import NARROW, WIDE, save, style, svg
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


def test_means_over_pairs_say_what_is_proven(table):
    means = means_table(table, "test", ["1NN", "S"], 0.95)
    assert means["measure"].tolist() == ["clean", "Linf", "L2", "union"] * 2
    assert means["kind"].tolist() == ["clean", "exact", "exact", "exact", "clean", "attacked", "attacked", "attacked"]
    assert means["accuracy"].tolist() == [75.0, 75.0, 75.0, 75.0, 100.0, 66.6667, 66.6667, 58.3333]
    assert set(means["n_pairs"]) == {3}


def test_a_mean_of_exact_and_certified_numbers_is_certified(table):
    mixed = table.copy()
    mixed.loc[(mixed["measure"] == "Linf") & (mixed["pair"] == "0-2") & (mixed["classifier"] == "1NN"), "kind"] = (
        "certified"
    )
    means = means_table(mixed, "test", ["1NN"], 0.95)
    assert means["kind"].tolist() == ["clean", "certified", "exact", "exact"]
    with style():
        figure = means_figure(means, "test", "made", WIDE)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["filled: exact or certified"]


def test_an_interval_is_students_and_ends_at_0_and_100(table):
    # 75, 100 and 25: mean 66.67, standard deviation 38.19, and Student's factor for two degrees of freedom 4.303: 94.9 either way.
    means = means_table(table, "test", ["S"], 0.95).set_index("measure")
    assert means.loc["L2", ["low", "high"]].tolist() == [0.0, 100.0]
    # At 50 % the factor is 0.8165: 18.00 either way, within the ends.
    half = means_table(table, "test", ["S"], 0.5).set_index("measure")
    assert half.loc["L2", ["low", "high"]].tolist() == pytest.approx([66.6667 - 18.0021, 66.6667 + 18.0021], abs=1e-3)
    assert half.loc["clean", ["low", "high"]].tolist() == [100.0, 100.0]


def test_a_single_pair_has_an_interval_without_ends_which_is_not_drawn(table):
    means = means_table(table[table["pair"] == "0-1"], "test", ["S"], 0.95)
    assert means[["low", "high"]].values.tolist() == [[0.0, 100.0]] * 4
    with style():
        axes = means_figure(means, "test", "made", WIDE).axes[1]
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "None"] == [[75.0, 75.0]]


def test_each_panel_has_its_dots_intervals_and_numbers_over_its_own_range(table):
    means = means_table(table, "test", ["1NN", "S"], 0.5)
    with style():
        figure = means_figure(means, "test", "made", WIDE)
    assert [axes.get_title("left") for axes in figure.axes] == ["clean", "Linf", "L2", "both norms"]
    for axes, measure in zip(figure.axes, ("clean", "Linf", "L2", "union"), strict=True):
        part = means[means["measure"] == measure].set_index("classifier").loc[["1NN", "S"]]
        dots = [line for line in axes.lines if line.get_marker() != "None"]
        assert [float(dot.get_xdata()[0]) for dot in dots] == part["accuracy"].tolist()
        ends = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "None"]
        assert ends == part[["low", "high"]].values.tolist()
        assert [text.get_text() for text in axes.texts] == [f"{value:.1f}" for value in part["accuracy"]]
        assert axes.get_xlim()[0] > 20
    assert "each panel has its own range" in figure.get_suptitle()


def test_dots_of_proven_numbers_are_filled_and_of_attacked_ones_hollow(table):
    with style():
        figure = means_figure(means_table(table, "test", ["1NN", "S"], 0.95), "test", "made", WIDE)
    white = [
        [line.get_markerfacecolor() == "white" for line in axes.lines if line.get_marker() != "None"]
        for axes in figure.axes
    ]
    assert white == [[False, False], [False, True], [False, True], [False, True]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["filled: exact", "hollow: attacked"]


def test_a_classifier_with_fewer_pairs_says_so_and_comes_last_and_one_without_any_has_no_line(table):
    fewer = table[(table["classifier"] != "S") | (table["pair"] != "1-2")]
    means = means_table(fewer, "test", ["S", "1NN", "T_B"], 0.95)
    assert means["classifier"].drop_duplicates().tolist() == ["S", "1NN"]
    with style():
        figure = means_figure(means, "test", "made", WIDE)
    assert [one.get_text() for one in figure.axes[0].get_yticklabels()] == ["1NN", "S (2 pairs)"]
    assert "mean over 3 pairs" in figure.get_suptitle()


@pytest.mark.slow
def test_equal_figures_are_equal_files_in_all_formats(table, tmp_path):
    means = means_table(table, "train", ["1NN", "S"], 0.95)
    for name in ("one.png", "one.pdf", "other.png", "other.pdf"):
        with style():
            save(means_figure(means, "train", "made", NARROW), tmp_path / name, 60)
    with style():
        assert len({svg(means_figure(means, "train", "made", NARROW)) for _ in range(2)}) == 1
    for suffix in (".png", ".pdf"):
        content = (tmp_path / f"one{suffix}").read_bytes()
        assert len(content) > 5000
        assert content == (tmp_path / f"other{suffix}").read_bytes()


def test_an_svg_keeps_its_texts_as_they_are_and_its_coordinates_in_hundredths(table):
    with style():
        figure = means_figure(means_table(table, "train", ["1NN", "S"], 0.95), "train", "0.03137 <made>", WIDE)
        content = svg(figure)
    assert "0.03137 &lt;made&gt;" in content
    assert not [tag for tag in re.findall(r"<[^>]+>", content) if re.search(r"\d\.\d{3}", tag)]
    assert content.startswith("<svg ")
    assert "<metadata>" not in content


# Figure 6


def test_the_pairs_table_has_the_mean_each_norm_and_what_withstands_both(table):
    pairs = pairs_table(table, "1NN", ["S"])
    assert pairs["pair"].tolist() == ["0-1", "0-2", "1-2"]
    assert pairs["1NN_mean"].tolist() == [75.0] * 3
    assert pairs["1NN_union"].tolist() == [75.0] * 3
    assert pairs["S_mean"].tolist() == [75.0, 100.0, 25.0]
    assert pairs["S_L2"].tolist() == pairs["S_Linf"].tolist() == [75.0, 100.0, 25.0]
    assert pairs["S_union"].tolist() == [50.0, 100.0, 25.0]


def test_a_pair_that_one_of_them_lacks_is_left_out(table):
    fewer = table[(table["classifier"] != "S") | (table["pair"] != "0-2")]
    assert pairs_table(fewer, "1NN", ["S"])["pair"].tolist() == ["0-1", "1-2"]


def labels_of(figure):
    """The texts of the legend below each panel."""
    return [[text.get_text() for text in part.legends[0].get_texts()] for part in figure.subfigs]


def test_the_scatter_counts_who_is_ahead_with_the_sign_test(table):
    with style():
        figure = pairs_figure(pairs_table(table, "1NN", ["S"]), "1NN", {"S": "attacked"}, "made", WIDE)
    assert labels_of(figure) == [
        ["S (attacked): 1NN ahead on 1 of 3, equal on 1; p = 1"], ["S (attacked): 1NN ahead on 2 of 3; p = 1"],
    ]  # fmt: skip
    assert in_words(np.ones(45), "1NN") == "1NN ahead on 45 of 45; p < 1e-6"


def test_below_the_scatter_a_long_name_does_not_push_its_numbers_out(table):
    long = table.assign(classifier=table["classifier"].replace("S", "a_network_with_a_name_of_40_letters_or_so"))
    with style():
        figure = pairs_figure(
            pairs_table(long, "1NN", ["a_network_with_a_name_of_40_letters_or_so"]),
            "1NN",
            {"a_network_with_a_name_of_40_letters_or_so": "attacked"},
            "made",
            WIDE,
        )
        figure.draw_without_rendering()
    right = figure.bbox.x1
    assert all(part.legends[0].get_window_extent().x1 <= right for part in figure.subfigs)


def test_in_the_scatter_dots_of_proven_numbers_are_filled_and_of_attacked_ones_hollow(table):
    both = pd.concat([table, table[table["classifier"] == "1NN"].assign(classifier="linear")])
    pairs = pairs_table(both, "1NN", ["S", "linear"])
    with style():
        figure = pairs_figure(pairs, "1NN", {"S": "attacked", "linear": "exact"}, "made", WIDE)
    hollow, filled = figure.axes[0].collections[:2]
    assert (len(hollow.get_facecolor()), len(filled.get_facecolor())) == (0, 1)
    np.testing.assert_array_equal(filled.get_offsets(), pairs[["linear_mean", "1NN_mean"]])
    assert labels_of(figure)[0][1] == "linear (exact): 1NN ahead on 0 of 3, equal on 3; p = 1"


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_the_scatter_has_the_mean_and_the_union_on_one_scale(table, layout):
    pairs = pairs_table(table, "1NN", ["S"])
    with style():
        first, second = pairs_figure(pairs, "1NN", {"S": "attacked"}, "made", layout).axes
    for axes, name in ((first, "mean"), (second, "union")):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), pairs[[f"S_{name}", f"1NN_{name}"]])
    assert first.get_xlim() == first.get_ylim() == second.get_xlim() == second.get_ylim()
    assert first.get_xlim()[1] < 110


# Have the attacks converged?


def test_drops_are_the_largest_of_all_attacks_at_each_change():
    accuracy = {("a", 5, 1): 0.9, ("a", 10, 1): 0.8, ("a", 20, 1): 0.79, ("a", 20, 3): 0.77,
                ("b", 5, 1): 0.9, ("b", 10, 1): 0.9, ("b", 20, 1): 0.84, ("b", 20, 3): 0.75}  # fmt: skip
    rows = [("S", "L2", *key, 40, value) for key, value in accuracy.items()]
    columns = ["classifier", "norm", "attack", "steps", "restarts", "n", "robust_accuracy"]
    drops = drops_table(pd.DataFrame(rows, columns=columns))
    assert drops[["change", "what", "drop"]].values.tolist() == [
        ["more steps", "10 to 20 steps", 6.0], ["more restarts", "1 to 3 restarts", 9.0], ["another attack", "b against a", 2.0],
    ]  # fmt: skip
    with style():
        (axes,) = strength_figure(drops, "made", NARROW).axes
    assert [line.get_xdata().tolist() for line in axes.lines[:3]] == [[6.0], [9.0], [2.0]]
    assert in_words_of_drops(drops) == "from 10 to 20 steps, from 1 to 3 restarts, under another attack"


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


def heads(figure):
    return [axes.get_title("left").replace("\n", " ") for axes in figure.axes]


def test_each_panel_of_the_zoo_counts_the_models_that_1nn_is_ahead_of(points):
    with style():
        figure = zoo_figure(points, "made: 2 of 3 models", EPSILON, WIDE)
    titles = heads(figure)
    assert [title.rpartition(": ")[2] for title in titles] == [
        f"1NN (exact) ahead of {n} of 2 measured" for n in (0, 1, 2, 1)
    ]
    assert [title.split(" ε")[0] for title in titles] == ["test, Linf", "test, L2", "train, Linf", "train, L2"]
    assert figure.get_suptitle() == "made: 2 of 3 models"
    assert [set(line.get_xdata()) for line in figure.axes[3].lines][:1] == [{50.0}]
    assert [one.get_text() for one in figure.axes[0].get_yticklabels()] == ["strong", "1NN", "weak"]


def test_another_proven_classifier_is_a_filled_dot_and_no_model():
    rows = [
        zoo("1NN", kind="exact", method="exact"),
        zoo("linear", kind="exact", method="exact", test_L2=0.25),
        zoo("weak"),
    ]
    points = zoo_points(pd.concat(rows, ignore_index=True))
    with style():
        figure = zoo_figure(points, "made", EPSILON, WIDE)
    assert all(title.endswith("ahead of 0 of 1 measured") for title in heads(figure))
    names = [one.get_text() for one in figure.axes[0].get_yticklabels()]
    dots = {names[int(line.get_ydata()[0])]: line for line in figure.axes[1].lines if line.get_marker() == "o"}
    assert dots["linear"].get_xdata().tolist() == [25.0]
    assert [name for name, dot in dots.items() if dot.get_markerfacecolor() == "white"] == ["weak"]


def test_published_models_share_a_line_and_so_do_measured_ones_after_the_first_few(points):
    published = pd.DataFrame(
        {"classifier": ["p", "q"], "split": "test", "norm": "Linf", "kind": "published", "accuracy": [40, 60.0]}
    )
    with style(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnrobust.figures.zoo.N_NAMED", 1)
        figure = zoo_figure(pd.concat([points, published]), "made", EPSILON, NARROW)
    axes = figure.axes[0]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["strong", "1NN", "1 further models", "2 published"]
    ticks = [line for line in axes.lines if line.get_marker() == "|"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ticks] == [(40, 3), (60, 3)]
    assert heads(figure)[0].endswith("ahead of 0 of 2 measured and 1 of 2 published")
    assert len([line for one in figure.axes[1:] for line in one.lines if line.get_marker() == "|"]) == 0


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
        titles = heads(zoo_figure(points, "made", EPSILON, WIDE))
    assert ["(exact)" in title for title in titles] == [True, False, True, True]
    assert "1NN (certified) ahead of 0 of 1" in titles[1]
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
        figure = distance_figure(table, ["a", "b", "c"], "made", WIDE)
    axes = figure.axes[0]
    frames = [one.get_xy() for one in axes.patches if isinstance(one, Rectangle)]
    assert frames == [(0, 1)]  # column a, and row c, the second below b
    assert [one.get_text() for one in axes.get_xticklabels()] == ["a", "b"]
    assert [one.get_text() for one in axes.get_yticklabels()] == ["b", "c"]
    assert sorted(one.get_text() for one in axes.texts) == ["0.90", "1.00", "1.50"]
    assert "1 of 3 pairs (framed)" in figure.get_suptitle()
    assert figure.get_suptitle().endswith("= 1.000")


def test_classes_named_by_digits_find_their_places_and_pairs_that_are_not_run_stay_empty():
    table = distance_table(pd.DataFrame({"first": [3, 5], "second": [5, 8], "distance": [1.25, 2.5]}), 3.0)
    with style():
        axes = distance_figure(table, ["3", "5", "8"], "made", WIDE).axes[0]
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
        figure = example_figure(examples, "made", ["cat", "dog"], EPSILON, True, WIDE)
        save(figure, tmp_path / "one.png", 60)
    first, last, histogram = figure.axes[0:9:3], figure.axes[2:9:3], figure.axes[9]
    assert [axes.get_title() for axes in first] == ["cat", "dog", "cat\nwrong as it is"]
    assert [axes.get_xlabel() for axes in last] == [
        "L2 0.45\n≤ epsilon\nLinf 0.40\nSSIM 0.77",
        "L2 0.90\n> epsilon\nLinf 0.90\nSSIM 0.89",
        "none found",
    ]
    assert [len(axes.images) for axes in figure.axes[:9]] == [1, 1, 1, 1, 1, 1, 1, 0, 0]
    # Of twelve values of the two fooled, three change, all by more than 0.1.
    assert histogram.get_title().startswith("25.0 % of the pixel values of the 2 images fooled change by more than 0.1")
    assert sum(bar.get_height() for bar in histogram.patches) == pytest.approx(100)


def test_of_an_attack_only_the_images_fooled_within_epsilon_are_counted_as_in_the_claim(examples):
    words = "of the pixel values of the 1 image fooled within epsilon change by less than 0.1 (dotted)"
    assert share_in_words(examples, EPSILON, False) == f"66.7 % {words}"
    table = changes_table(examples, "S", EPSILON)
    assert table.loc[table["is_inside"], "share_below"].mean() == pytest.approx(2 / 3, abs=1e-5)


def test_empty_places_are_as_large_as_the_images(examples, tmp_path):
    with style():
        figure = example_figure(examples, "made", ["cat", "dog"], EPSILON, True, WIDE)
        save(figure, tmp_path / "one.png", 60)
    shapes = [axes.get_window_extent() for axes in figure.axes[:9]]
    assert [round(one.height / one.width, 3) for one in shapes] == [0.667] * 9


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_neighbouring_labels_do_not_run_into_each_other(examples, tmp_path, layout):
    eight = Examples(
        *(np.resize(getattr(examples, name), (8, *getattr(examples, name).shape[1:])) for name in vars(examples))
    )
    with style():
        figure = example_figure(eight, "made", ["automobile", "airplane"], EPSILON, True, layout)
        save(figure, tmp_path / "one.png", 60)
    for texts in ([axes.title for axes in figure.axes[0:24:3]], [axes.xaxis.label for axes in figure.axes[2:24:3]]):
        extents = [one.get_window_extent() for one in texts]
        assert all(one.x1 < other.x0 or other.y1 < one.y0 for one, other in pairwise(extents))


def test_a_classifier_that_nothing_fools_has_a_figure_too(examples, tmp_path):
    none = Examples(*(vars(examples) | {"is_found": np.zeros(3, bool), "adversarial": examples.images / 255}).values())
    with style():
        figure = example_figure(none, "made", ["cat", "dog"], EPSILON, True, WIDE)
        save(figure, tmp_path / "one.png", 60)
    assert figure.axes[9].get_title() == "none found"
    assert not any(bar.get_height() for bar in figure.axes[9].patches)

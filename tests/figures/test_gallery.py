"""What a run has to show: read from its files, drawn figure by figure with captions, and put into the report's tables."""

import json
import pickle
import re
from dataclasses import replace
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from made.radii import attacked as attacked_radii
from made.radii import records as radii
from made.records import attacked, exact
from made.report import svg
from nnrobust.claims.judge import NOT_RUN
from nnrobust.config.blocks import Epsilons
from nnrobust.config.checks import CLASSES
from nnrobust.errors import DataError
from nnrobust.examples import Examples, changes_table
from nnrobust.experiments.plane import PlaneProblem, measure, nearest_panel
from nnrobust.figures import curves
from nnrobust.figures.gallery import TITLES, gallery
from nnrobust.figures.pictures import FigureFiles, Picture
from nnrobust.figures.style import LETTERS, NARROW, WIDE, style
from nnrobust.report.contents import not_run, report_of
from nnrobust.report.report import render
from nnrobust.report.verdicts import CLAIM_COLUMNS
from nnrobust.runtime.seals import save_arrays, seal
from nnrobust.runtime.timing import ALONE, MANY, TRAINING
from nnrobust.tables.accuracy import accuracy_table, epsilon_curves, mean_over_pairs, union_table
from nnrobust.tables.comparison import COMMON, paired_table, scores
from nnrobust.tables.duplicates import duplicates_table, without_them
from nnrobust.tables.leaderboard import leaderboard
from nnrobust.tables.runs import FITS, Run
from nnrobust.tables.zoo import PUBLISHED, about_zoo, published_table, zoo_table

PAIRS, SPLITS, NORMS = ("a-b", "a-c", "b-c"), ("train", "test"), ("Linf", "L2")
WHOLE, OTHER = "Standard", "Zhang2019Theoretically"
TIMES = pd.DataFrame(
    [
        ("1NN", TRAINING, 0.5, "CPU"),
        ("S", TRAINING, 90.0, "a GPU"),
        ("1NN", MANY, 1e-5, "CPU"),
        ("1NN", ALONE, 1e-4, "CPU"),
    ],
    columns=["classifier", "quantity", "seconds", "device"],
)
WITHOUT_SIMPLE = "The other simple classifiers, and so the controls: params name none under classifiers."
ALWAYS = [
    "figure_2",
    "figure_3",
    "figure_4",
    "figure_5",
    "curve_epsilon",
    "certificates",
    "curve_growth",
    "class_distances",
]
ALL = [
    "overview",
    "figure_1",
    *ALWAYS[:4],
    "figure_6",
    "figure_7",
    "figure_8",
    *ALWAYS[4:],
    "training",
    "attack_strength",
]


def every(make, **constants):
    """Records of each pair, split and norm."""
    frames = [make(pair=pair, norm=norm, split=split) for pair, split, norm in product(PAIRS, SPLITS, NORMS)]
    return pd.concat(frames, ignore_index=True).assign(**constants)


def bare(records, name):
    """Records of 1NN as those of another classifier, which has no half gap and no bisectors."""
    return records.assign(classifier=name, radius_half_gap=np.nan, radius_bisector=np.nan)


def accuracy_tables(networks, simple=()):
    """Tables `pairs`, `means` and `unions` of 1NN, of others as exact, and of networks that stand on half of the images."""
    parts = (
        [every(exact)]
        + [bare(every(exact), name) for name in simple]
        + [every(attacked, classifier=name) for name in networks]
    )
    pairs = pd.concat([accuracy_table(part, 0.95) for part in parts], ignore_index=True)
    unions = pd.concat([union_table(part, 0.95) for part in parts], ignore_index=True)
    return {"pairs": pairs, "means": mean_over_pairs(pairs), "unions": unions}


def without_the_first(networks):
    """Table `duplicates` of 1NN on pairs and on all classes, and of networks, where the first image has a near-duplicate."""
    parts = [every(exact), pd.concat([exact("all", norm) for norm in NORMS])]
    parts += [every(attacked, classifier=name) for name in networks]
    tables = (
        [accuracy_table(one, 0.95) for one in many] for many in (parts, [without_them(part, [0]) for part in parts])
    )
    return duplicates_table(*(pd.concat(one, ignore_index=True) for one in tables))


def curve_table(networks):
    parts = []
    for norm in NORMS:
        parts.append(pd.concat([radii(pair, [0.5, 2.0], norm) for pair in PAIRS] + [radii("all", [0.5], norm)]))
        parts += [pd.concat([attacked_radii(name, pair, [0.5, 2.0], norm) for pair in PAIRS]) for name in networks]
    return pd.concat([epsilon_curves(part, "test", 5, 2.0) for part in parts], ignore_index=True)


def zoo_of(models):
    """The table of pretrained models, each under two attacks; a value of `models` is the status of its test images in L2."""
    frames = {}
    for name, status in models.items():
        parts = [attacked(norm, "all", split=split, attacks="apgd-ce + fmn") for split, norm in product(SPLITS, NORMS)]
        one = pd.concat(parts, ignore_index=True).assign(classifier=name, index=np.tile(np.arange(4), 4))
        one["status"] = np.where((one["split"] == "test") & (one["norm"] == "L2"), status, "ok")
        frames[name] = one
    mine = [
        exact("all", norm, split).assign(classifier="1NN", index=np.arange(4)) for split, norm in product(SPLITS, NORMS)
    ]
    return zoo_table(frames, pd.concat(mine, ignore_index=True), 0.95, about_zoo(list(models)))


def examples_of(predictions):
    """Three grey images, each fooled at one pixel unless it is wrong as it is."""
    images, labels = np.full((3, 1, 2, 2), 51, np.uint8), np.array([0, 1, 0])
    is_found = np.array(predictions) == labels
    adversarial = images / 255
    adversarial[is_found, 0, 0, 0] += 0.4
    return Examples(images, adversarial, is_found, np.arange(3), labels, np.array(predictions), 0.4 * is_found)


def growth():
    rows = product(NORMS, (("exact", 0.5), ("half gap", 0.25)), ((0.5, 10, 0), (0.5, 10, 1), (1.0, 20, 0)))
    return pd.DataFrame([
        {"classifier": "1NN", "norm": norm, "method": method, "n_pairs": 3, "clean_accuracy": 0.75, "robust_accuracy": accuracy,
         "fraction": fraction, "n_train_per_class": n, "seed": seed}
        for norm, (method, accuracy), (fraction, n, seed) in rows
    ])  # fmt: skip


def plane():
    problem = PlaneProblem(np.array([[-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]]), np.array([0, 1, 0]), 0.5)
    table, regions = measure([nearest_panel(problem)], problem, 9)
    return table, {"regions": regions, "axis": problem.axis(9)}


def trained(networks):
    """Tables `training` and `strength`."""
    epochs = [(name, epoch, 3, 1 / epoch, 0.5, 0.25) for name, epoch in product(networks, (1, 2))]
    rungs = [
        (norm, 0.5, "apgd-ce", steps, n, 40, 0.5, name)
        for name, norm, (steps, n) in product(networks, NORMS, ((5, 1), (9, 1), (9, 2)))
    ]
    return {
        "training": pd.DataFrame(epochs, columns=["variant", "epoch", "n_pairs", "loss", "clean_accuracy", "robust_accuracy"]),
        "strength": pd.DataFrame(rungs, columns=["norm", "epsilon", "attack", "steps", "restarts", "n", "robust_accuracy", "classifier"]),
    }  # fmt: skip


def made(folder, networks=("S", "T_B"), models=None, illustrated=("1NN", "S"), trained_names=None, simple=()):
    """A run that is written to files and read back; `trained_names`: the variants that some pair has a network of."""
    there = networks if trained_names is None else trained_names
    tables = accuracy_tables(there, simple) | trained(there) | {"curves": curve_table(there), "growth": growth()}
    tables["zoo"] = zoo_of(models or {})
    tables["published"] = pd.DataFrame(columns=PUBLISHED)
    tables["leaderboard"] = leaderboard(tables["pairs"], tables["unions"], tables["published"])
    tables["duplicates"] = without_the_first(there)
    tables["plane"], regions = plane()
    examples = {name: examples_of([0, 1, 0] if name == "1NN" else [0, 0, 0]) for name in illustrated}
    changes = [changes_table(one, name, {"Linf": 0.1, "L2": 0.5}) for name, one in examples.items()]
    tables["changes"] = (
        pd.concat(changes) if changes else changes_table(examples_of([0, 1, 0]), "", {"Linf": 1, "L2": 1})[:0]
    )
    tables["paired"] = paired_table(
        scores(tables["pairs"], tables["unions"]), pd.DataFrame(columns=COMMON), "1NN", 0.95, 0.02
    )
    tables["seeds"] = pd.DataFrame(
        columns=["variants", "split", "measure", "n_seeds", "mean", "lowest", "highest", "standard_deviation"]
    )
    fit = {"pair": "a-b", "gap": 0.0002, "tolerance": 0.001, "is_converged": True, "n_iterations": 9, "n_prototypes": 0,
           "n_records": 32, "n_open": 0}  # fmt: skip
    tables["fits"] = pd.DataFrame([{"classifier": name} | fit for name in simple], columns=FITS)
    for name in ("prepared", "metrics"):
        (folder / name).mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / "metrics" / f"{name}.csv", index=False)
    about = {"name": "made", "classes": ["a", "b", "c"], "image_shape": [1, 4, 4]}
    (folder / "prepared/dataset.json").write_text(json.dumps(about))
    distances = pd.DataFrame({"first": ["a", "a", "b"], "second": ["b", "c", "c"], "distance": [0.5, 0.8, 2.0]})
    distances.to_csv(folder / "prepared/class_distances.csv", index=False)
    seal(folder / "prepared")
    save_arrays(folder / "regions.npz", regions)
    for name, one in examples.items():
        one.save(folder / "examples" / f"{name}.npz")
    return read(folder, networks, illustrated, simple)


def read(folder, networks=("S", "T_B"), illustrated=("1NN", "S"), simple=(), imported=(), pretrained=()):
    params = SimpleNamespace(
        pretrained=dict.fromkeys(pretrained, "both"),
        made=["1NN", *simple, *networks], measured=["1NN", *simple, *networks, *imported], imported=dict.fromkeys(imported), classifiers=dict.fromkeys(simple), searched="T_B", epsilon=Epsilons(Linf=0.1, L2=0.5),
        claims=SimpleNamespace(confidence=0.9), plane=SimpleNamespace(seed=3), examples=SimpleNamespace(classifiers=dict.fromkeys(illustrated)),
    )  # fmt: skip
    return Run.read(params, folder / "prepared", folder / "metrics", folder / "examples", folder / "regions.npz")


def with_others(folder, names):
    """The run of `made`, with networks of others that were measured on pairs, one a little stronger than the other."""
    made(folder)
    parts = [every(attacked, classifier=f"{name}|pairs") for name in names]
    parts[0].loc[parts[0]["is_correct"], "is_robust"] = True
    for file, table_of in (("pairs", accuracy_table), ("unions", union_table)):
        found = pd.concat([pd.read_csv(folder / "metrics" / f"{file}.csv"), *(table_of(part, 0.95) for part in parts)])
        found.to_csv(folder / "metrics" / f"{file}.csv", index=False)
    return read(folder, pretrained=(*names, "not_measured"))


def drawings(run):
    with style():
        return {one.name: one for one in gallery(run)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with networks and two models, and its drawings."""
    run = made(tmp_path_factory.mktemp("whole"), models={WHOLE: "ok", OTHER: "ok"})
    return run, drawings(run)


def claims(**verdicts):
    rows = [dict.fromkeys(CLAIM_COLUMNS, "") | {"id": name, "verdict": verdict} for name, verdict in verdicts.items()]
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


# The run


def test_a_run_is_what_its_files_say(tmp_path):
    run = made(tmp_path)
    assert (run.dataset, run.classes, run.n_dimensions) == ("made", ["a", "b", "c"], 16)
    assert (run.classifiers, run.searched, run.plane_seed, run.confidence) == (["1NN", "S", "T_B"], "T_B", 3, 0.9)
    assert run.epsilon == {"Linf": 0.1, "L2": 0.5}
    assert list(run.examples) == ["1NN", "S"]
    assert set(run.scores["measure"]) == {"clean", "Linf", "L2", "mean", "union"}
    assert run.tables["class_distances"]["distance"].tolist() == [0.5, 0.8, 2.0]
    assert run.regions["regions"].shape == (1, 9, 9)


def test_imported_networks_have_bars_and_dots(tmp_path):
    made(tmp_path, networks=("S", "T_R_10"), illustrated=("1NN",))
    run = read(tmp_path, networks=("S",), illustrated=("1NN",), imported=("T_R_10",))
    assert (run.classifiers, run.imported) == (["1NN", "S", "T_R_10"], ["T_R_10"])
    found = drawings(run)
    assert "T_R_10_union" in found["figure_6"].table
    assert "T_R_10" in set(found["figure_5"].table["classifier"])


def test_a_run_without_networks_sets_1nn_against_the_simple_classifiers_in_figure_6_and_the_report(tmp_path):
    run = made(tmp_path, networks=(), illustrated=("1NN",), simple=("linear", "mean"))
    assert (run.classifiers, run.simple) == (["1NN", "linear", "mean"], ["linear", "mean"])
    found = drawings(run)
    columns = {f"{name}_{what}" for name in ("1NN", "linear", "mean") for what in ("mean", "Linf", "L2", "union")}
    assert set(found["figure_6"].table) == {"pair", *columns}
    assert set(found["figure_5"].table.loc[found["figure_5"].table["classifier"] == "linear", "kind"]) == {
        "clean",
        "exact",
    }
    page = report_of(run, [], (claims(one="holds"), claims(control="fails", other=NOT_RUN)), "a made one", {}, TIMES)
    assert page.controls["id"].tolist() == ["control", "other"]
    (fits,) = [table.rows for table in page.tables if table.name == "fits"]
    assert fits["classifier"].tolist() == ["linear", "mean"]
    text = render(page)
    assert 'id="controls"' in text
    assert 'id="claim-control"' in text
    assert page.not_run == [
        "The pretrained models (figure 8): none is named in models or zoo.models.",
        "Figure 1: examples.classifiers names no network, or its stage failed.",
        "The trained variants: params name none, so the networks' numbers are missing, in figure 6 too.",
    ]


@pytest.mark.slow
def test_networks_of_others_stand_on_pairs_beside_those_trained_here(tmp_path):
    run = with_others(tmp_path, ("strong", "weak"))
    assert run.pretrained == ["strong|pairs", "weak|pairs"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnrobust.figures.gallery.N_OTHERS", 1)
        found = drawings(run)
    for name in ("figure_4", "figure_5"):
        assert set(found[name].table["classifier"]) == {"1NN", "S", "T_B", "strong|pairs", "weak|pairs"}
    assert "strong|pairs_mean" in found["figure_6"].table
    assert "weak|pairs_mean" not in found["figure_6"].table
    assert "Of 2 networks of others the 1 with the highest mean" in found["figure_6"].caption


def test_published_accuracies_are_crosses_apart_from_what_is_measured(whole):
    run, _ = whole
    published = published_table((3, 32, 32), CLASSES["cifar10"], 8 / 255)
    one = drawings(replace(run, tables={**run.tables, "published": published}))["figure_8"]
    assert "Grey: 74 models that were not measured here, as RobustBench publishes them" in one.caption
    crosses = one.table[one.table["kind"] == "published"]
    assert len(crosses) == 74
    assert "4 training and 4 test images" in one.figure.get_suptitle()
    assert not set(crosses["classifier"]) & {WHOLE, OTHER}
    assert set(crosses["norm"]) == {"Linf"}
    titles = [axes.get_title("left").replace("\n", " ") for axes in one.figure.axes]
    assert re.search(r"ahead of \d of 2 measured and \d+ of 74 published$", titles[0])
    assert all(title.endswith("of 2 measured") for title in titles[1:]), titles


def test_networks_of_all_classes_from_a_campaign_are_among_the_models_counted(whole):
    run, _ = whole
    zoo = run.tables["zoo"]
    mine = zoo[zoo["classifier"] == WHOLE].assign(classifier="T_R_10", architecture=np.nan)
    tables = {**run.tables, "zoo": pd.concat([zoo, mine], ignore_index=True)}
    one = drawings(replace(run, tables=tables))["figure_8"]
    assert "T_R_10" in set(one.table["classifier"])
    assert "3 of 3 models" in one.caption


def test_where_no_model_is_measured_the_published_ones_have_a_figure_of_their_own(tmp_path):
    run = made(tmp_path)
    assert "figure_8" not in drawings(run)
    whole = accuracy_table(exact("all", "Linf"), 0.95)
    tables = {**run.tables, "published": published_table((3, 32, 32), CLASSES["cifar10"], 8 / 255)}
    tables["pairs"] = pd.concat([tables["pairs"], whole], ignore_index=True)
    one = drawings(replace(run, tables=tables))["figure_8"]
    assert "76 models" in one.caption
    assert one.table["kind"].value_counts().to_dict() == {"published": 76, "exact": 1}
    texts = [text.get_text() for text in one.figure.legends[0].get_texts()]
    assert texts == ["filled: exact", "grey: published"]


@pytest.mark.slow
def test_examples_whose_stage_failed_are_left_out_and_damaged_ones_are_an_error_that_names_the_file(tmp_path):
    made(tmp_path)
    (tmp_path / "examples" / "S.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="S.npz: expected arrays as they were written.* run `dvc repro examples`"):
        read(tmp_path)
    (tmp_path / "examples" / "S.npz").unlink()
    run = read(tmp_path)
    assert list(run.examples) == ["1NN"]
    assert "Figure 1: examples.classifiers names no network, or its stage failed." in not_run(run, claims())


# The gallery


def test_with_networks_and_models_every_figure_is_there_in_order(whole):
    assert list(whole[1]) == ALL


def test_without_networks_there_is_what_1nn_alone_can_show(tmp_path):
    run = made(tmp_path, networks=(), illustrated=("1NN",))
    assert list(drawings(run)) == ["overview", "figure_2", "figure_3", "figure_4", "figure_5", "figure_7", *ALWAYS[4:]]


@pytest.mark.slow
def test_without_examples_neither_figure_of_images_is_drawn(tmp_path):
    found = drawings(made(tmp_path, illustrated=()))
    assert list(found) == [name for name in ALL if name not in ("figure_1", "figure_7", "figure_8")]


@pytest.mark.slow
def test_a_searched_variant_that_no_pair_has_a_network_of_leaves_figure_6_out(tmp_path):
    run = made(tmp_path, trained_names=("S",))
    assert list(drawings(run)) == [name for name in ALL if name not in ("figure_6", "figure_8")]
    assert "Figure 6: no pair has a network of T_B." in not_run(run, claims())


def test_where_no_variant_has_a_network_the_figures_of_networks_are_left_out(tmp_path):
    found = drawings(made(tmp_path, trained_names=(), illustrated=("1NN",)))
    assert list(found) == ["overview", "figure_2", "figure_3", "figure_4", "figure_5", "figure_7", *ALWAYS[4:]]


@pytest.mark.slow
def test_figure_8_needs_a_model_with_every_verdict(tmp_path):
    run = made(tmp_path / "one", models={WHOLE: "ok", OTHER: "attack failed: nan"})
    figure_8 = drawings(run)["figure_8"]
    assert set(figure_8.table["classifier"]) == {"1NN", WHOLE}
    assert "1 of 2 models" in figure_8.caption
    assert f"{OTHER}: attack failed: nan." in not_run(run, claims())
    run = made(tmp_path / "two", models={WHOLE: "attack failed: nan"})
    assert "figure_8" not in drawings(run)


def beyond(figure):
    """The numbers of ticks that are out of view, or not shown."""
    found = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        found |= {text for tick in ticks for text in (tick.label1, tick.label2) if not low <= tick.get_loc() <= high}
        found |= {
            tick.label1
            for tick in ticks
            if not axis.get_tick_params()["labelleft" if axis.axis_name == "y" else "labelbottom"]
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_every_figure_has_a_table_title_and_caption_and_letters_of_one_size_inside_of_it(whole, layout):
    for name, one in whole[1].items():
        assert len(one.table) > 0
        assert one.title == TITLES[name].format("S" if name == "figure_1" else "1NN")
        assert one.caption.endswith(".")
        with style():
            figure = one.draw(layout)
            figure.draw_without_rendering()
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        texts = [text for text in texts if text not in beyond(figure)]
        assert {text.get_fontsize() for text in texts} == {LETTERS}, name
        assert figure.get_size_inches()[0] == layout.width
        ends = {text: text.get_window_extent() for text in texts}
        room = figure.bbox.padded(2)
        cut = [
            text.get_text()
            for text, end in ends.items()
            if not (room.x0 < end.x0 and end.x1 < room.x1 and room.y0 < end.y0 and end.y1 < room.y1)
        ]
        assert cut == [], name
        over = [
            (text.get_text(), other.get_text())
            for text, other in combinations(texts, 2)
            if ends[text].padded(-1).overlaps(ends[other].padded(-1))
        ]
        assert over == [], name


def test_letters_have_eleven_pixels_on_a_phone_of_390():
    # The page leaves 350 of them to a figure.
    assert LETTERS * 350 / (72 * NARROW.width) >= 11


def test_captions_say_how_many_of_what(whole):
    found = whole[1]
    expected = {
        "figure_1": "3 training images, 2 of them fooled",
        "figure_2": "3 training points",
        "figure_4": "3 pairs: the mean over them, lines its 90% interval",
        "figure_5": "3 pairs: the mean over them, lines its 90% interval",
        "figure_6": "3 pairs, test images",
        "figure_7": "3 training images, 3 of them fooled",
        "figure_8": "2 of 2 models, 4 training and 4 test images",
        "overview": "Test images, 3 pairs.",
        "curve_growth": "Mean over 3 pairs",
        "training": "Mean over 3 pairs",
        "attack_strength": "40 test images",
    }
    assert {name: text for name, text in expected.items() if not found[name].caption.startswith(text)} == {}


def test_what_fools_is_shown_with_its_largest_change_and_its_similarity_and_their_medians_are_in_the_caption(whole):
    found = whole[1]["figure_1"]
    ssim = found.table["ssim"].dropna()
    assert len(ssim) == 2
    assert f"Medians of these 2 images: L2 0.4, Linf 0.4, SSIM {ssim.median():.3g}." in found.caption
    with style():
        labels = [axes.get_xlabel() for axes in found.figure.axes]
    assert labels.count(f"L2 0.40\n≤ epsilon\nLinf 0.40\nSSIM {ssim.iloc[0]:.2f}") == 2
    assert labels.count("none found") == 1


def test_what_is_proven_and_what_is_attacked_is_said_of_each(whole):
    found = whole[1]
    assert "Attacked: a nearer one may exist" in found["figure_1"].caption
    assert "Proven: no nearer image" in found["figure_7"].caption
    assert "1NN, on all classes and the same images, exact." in found["figure_8"].caption
    assert set(found["figure_7"].table["classifier"]) == {"1NN"}
    assert set(found["figure_1"].table["classifier"]) == {"S"}
    assert set(found["certificates"].table["classifier"]) == {"1NN"}
    assert set(found["curve_epsilon"].table["classifier"]) == {"1NN", "S", "T_B"}


def test_a_certified_1nn_is_not_called_exact_in_figure_8(whole):
    run = whole[0]
    zoo = run.tables["zoo"]
    is_open = (zoo["split"] == "test") & (zoo["norm"] == "L2") & (zoo["kind"] == "exact")
    one = drawings(replace(run, tables={**run.tables, "zoo": zoo[~is_open]}))["figure_8"]
    assert one.caption.endswith("the same images, exact or certified.")


def test_the_pairs_that_the_theorems_promise_nothing_for_are_those_below_2_epsilon_sqrt_n(whole):
    table = whole[1]["class_distances"].table
    assert set(table["needed"]) == {2 * 0.1 * 4}
    assert table["is_enough"].tolist() == [False, True, True]


# The report


def report(run, found):
    pictures = [Picture(one.name, one.title, one.caption, svg(), svg(), None) for one in found.values()]
    return report_of(run, pictures, (claims(one="holds"), claims()), "a made one", {"commit": "abc"}, TIMES)


def tables_of(run):
    return {one.name: one.rows for one in report(run, {}).tables}


def test_the_report_has_every_drawing_with_its_caption_and_data(whole):
    page = report(*whole)
    text = render(page)
    assert all(f'id="{name}"' in text for name in ALL)
    assert page.answer.startswith("On test images of 3 pairs of made, right and robust in both norms at once: 1NN ")


def test_a_drawing_comes_onto_the_page_in_both_layouts_with_its_table_where_that_is_short(whole, tmp_path):
    drawing = whole[1]["class_distances"]
    folders = [tmp_path / name for name in ("images", "pdf", "tables")]
    for folder in folders:
        folder.mkdir()
    files = FigureFiles(*folders, 50)
    one = files(drawing)
    assert one.wide.startswith("<svg ")
    assert "framed" in one.wide
    assert one.narrow != one.wide
    assert one.data.splitlines()[0] == "first,second,distance,needed,is_enough"
    assert [path.name for folder in folders for path in folder.iterdir()] == [
        f"class_distances.{end}" for end in ("png", "pdf", "csv")
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnrobust.figures.pictures.LONGEST_CSV", 10)
        assert files(drawing).data is None


def test_drawings_reach_worker_processes(whole):
    for drawing in whole[1].values():
        again = pickle.loads(pickle.dumps(drawing))
        assert (again.name, again.caption, again.draw.func) == (drawing.name, drawing.caption, drawing.draw.func)


def test_the_reports_tables_are_in_percent_and_points(whole):
    tables = tables_of(whole[0])
    assert list(tables) == ["leaderboard", "means", "paired", "pairs", "changes", "duplicates", "table_1", "zoo"]
    means = tables["means"].set_index(["classifier", "split", "norm", "method"])
    assert means.loc[("1NN", "test", "L2", "exact"), ["kind", "n_pairs", "clean_accuracy", "robust_accuracy"]].tolist() == [
        "exact", 3, 75.0, 75.0,
    ]  # fmt: skip
    assert means.loc[("S", "test", "L2", "apgd-ce"), ["kind", "robust_accuracy"]].tolist() == ["attacked", 50.0]
    paired = tables["paired"].set_index(["second", "split", "measure"])
    assert paired.loc[("S", "test", "L2"), ["n_pairs", "n_ahead", "difference", "low"]].tolist() == [3, 3, 25.0, 25.0]
    assert paired.loc[("S", "test", "L2"), "sign_p"] == 0.25
    changes = tables["changes"].set_index(["classifier", "index"])
    assert changes.loc[("1NN", 0), ["norm", "largest_change", "share_below", "share_above"]].tolist() == [
        0.4,
        0.4,
        75,
        25,
    ]
    assert changes.loc[("S", 1), ["norm", "largest_change", "share_below", "share_above"]].isna().all()


def test_the_second_column_is_without_near_duplicates_and_its_caption_says_how_many_and_how_much(whole):
    (table,) = [one for one in report(whole[0], {}).tables if one.name == "duplicates"]
    assert table.caption.startswith("1 of 4 test images have a near-duplicate")
    assert table.caption.endswith("The largest change: 1NN, pairs, clean, +25.00 points.")
    rows = table.rows.set_index(["classifier", "problem", "norm"])
    assert rows.loc[("1NN", "all classes", "L2"), ["robust_accuracy", "robust_accuracy_without"]].tolist() == [75, 100]
    assert rows.loc[("S", "pairs", "L2"), ["n", "n_without", "robust_accuracy_without"]].tolist() == [12, 9, 33.33]
    assert rows["n_pairs"].isna().tolist() == [problem == "all classes" for _, problem, _ in rows.index]


def test_the_report_has_every_pair_on_test_images_by_its_strongest_proofs_or_attacks(whole):
    pairs = tables_of(whole[0])["pairs"]
    assert set(pairs["split"]) == {"test"}
    assert set(pairs["pair"]) == set(PAIRS)
    assert set(pairs.loc[pairs["classifier"] == "1NN", "method"]) == {"exact", "bisector"}
    assert len(pairs) == len(PAIRS) * len(NORMS) * (2 + 2)
    row = pairs[(pairs["classifier"] == "S") & (pairs["norm"] == "L2")].iloc[0]
    assert row["robust_accuracy_low"] < row["robust_accuracy"] == 50 < row["robust_accuracy_high"] < 100


def test_the_table_of_the_models_tells_its_rows_apart(tmp_path):
    run = made(tmp_path, models={WHOLE: "ok", OTHER: "attack failed: nan"})
    table = tables_of(run)["zoo"]
    assert not table.duplicated(["classifier", "split", "norm", "method", "status"]).any()
    mine = table[(table["classifier"] == "1NN") & (table["split"] == "test") & (table["norm"] == "L2")]
    assert mine[["method", "robust_accuracy"]].values.tolist() == [
        ["half gap", 25.0], ["bisector", 50.0], ["exact", 75.0], ["exact in box", 75.0],
    ]  # fmt: skip
    assert table.loc[table["classifier"] == OTHER, "published_autoattack_accuracy"].iloc[0] == 53.08
    assert "attack failed: nan" in set(table["status"])


def test_variants_that_differ_in_their_seed_get_a_table(whole):
    row = {"variants": "S, S_1", "split": "test", "measure": "L2", "n_seeds": 2,
           "mean": 0.5, "lowest": 0.25, "highest": 0.75, "standard_deviation": 0.125}  # fmt: skip
    run = replace(whole[0], tables={**whole[0].tables, "seeds": pd.DataFrame([row])})
    assert tables_of(run)["seeds"].iloc[0].tolist() == ["S, S_1", "test", "L2", 2, 50.0, 25.0, 75.0, 12.5]


def test_the_report_says_what_was_not_run(whole):
    run = whole[0]
    assert not_run(run, claims(one="holds", two="fails")) == [WITHOUT_SIMPLE]
    lines = not_run(
        replace(run, tables={**run.tables, "zoo": zoo_of({})}), claims(one="holds", two=NOT_RUN, three=NOT_RUN)
    )
    assert lines == [
        "2 of 3 claims: two, three.", "The pretrained models (figure 8): none is named in models or zoo.models.", WITHOUT_SIMPLE,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_of_1nn_alone_says_what_it_lacks(tmp_path):
    lines = not_run(made(tmp_path / "one", networks=(), illustrated=("1NN",)), claims())
    assert lines[1:] == [
        "Figure 1: examples.classifiers names no network, or its stage failed.",
        WITHOUT_SIMPLE,
        "The trained variants: params name none, so the networks' numbers are missing, in figure 6 too.",
    ]
    lines = not_run(made(tmp_path / "two", illustrated=("S",)), claims())
    assert lines[1:] == ["Figure 7: examples.classifiers does not name 1NN, or its stage failed.", WITHOUT_SIMPLE]


def test_the_training_figure_says_which_variants_were_trained_on_fewer_pairs():
    table = pd.DataFrame({"variant": ["T_R", "T_R", "S"], "epoch": [1, 2, 1], "n_pairs": [27, 27, 4]})
    assert curves.pairs_of(table) == "27 pairs (S: 4)"
    assert curves.pairs_of(table[table["variant"] == "T_R"]) == "27 pairs"
    whole = table.assign(loss=0.5, clean_accuracy=0.9, robust_accuracy=0.5)
    assert "mean over 27 pairs (S: 4)" in curves.training_figure(whole, "images", WIDE).get_suptitle()

"""What docs/errata.md says of the paper, shown by computations; that page, LICENSE, CITATION.cff and CHANGELOG.md themselves."""

import ast
import json
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import yaml

import nnrobust
from made.project import ROOT, params_of
from made.references import bounds_of, points, random_problem
from nnrobust import OneNearestNeighbor
from nnrobust.nearest.dataset.neighbors import class_distances
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.tables.accuracy import wilson_interval
from nnrobust.threat import norm_of
from nnrobust.training.losses import standard_loss, trades_loss

PAGE = ROOT / "docs" / "errata.md"
PUBLISHED = ROOT / "results" / "cifar10-jpeg"
EPSILON = 8 / 255 * np.sqrt(3072)
"""The paper's radius in L2."""


def radius(references, labels, query, norm="L2"):
    """The exact radius of one query with label 0."""
    model = OneNearestNeighbor().fit(np.array(references, dtype=float), np.array(labels))
    (value,) = model.robust_radius(np.array([query], dtype=float), [0], norm=norm).lower
    return value


def test_half_the_gap_is_not_the_exact_radius_even_of_a_training_image():
    # Query and own reference (0, 0), other (10, 0): half gap 5. At (5, 0) a second own reference, (6, 2), is nearer than the other.
    references = [[0, 0], [6, 2], [10, 0]]
    assert radius(references, [0, 0, 1], [0, 0]) == pytest.approx(15 / np.sqrt(5))
    assert radius([references[0], references[2]], [0, 1], [0, 0]) == pytest.approx(5)


def test_by_ball_inclusion_a_verdict_of_1nn_in_linf_is_its_verdict_in_l2():
    train, queries, labels = random_problem(4, n=40, d=9, n_queries=60)
    bounds, at = bounds_of(train, queries, labels), (np.arange(60), 1 - labels)
    in_linf, in_l2 = (bounds.half_gap[norm][at] for norm in ("Linf", "L2"))
    for epsilon in np.quantile(in_l2[in_l2 > 0], [0.2, 0.5, 0.8]) * 1.001:
        assert 0 < (in_l2 > epsilon).sum() < 60
        assert np.array_equal(in_linf > epsilon / 3, in_l2 > epsilon)
    is_correct = in_l2 > 0
    exact_linf, exact_l2 = (bounds.lower[Adversary(norm)][at][is_correct] for norm in ("Linf", "L2"))
    assert (exact_linf > exact_l2 / 3 * 1.1).any()


@pytest.mark.parametrize("p", [1, 1.25, 1.5, 2])
def test_the_l2_norm_is_at_most_the_lp_norm_for_p_up_to_2(p):
    vectors = np.random.default_rng(0).standard_normal((2000, 50)) ** 5
    assert (norm_of(vectors, "L2") <= np.linalg.norm(vectors, ord=p, axis=1) * (1 + 1e-12)).all()


@pytest.mark.parametrize("p", [2.5, 4, np.inf])
def test_for_p_above_2_it_is_not_so_that_corollary_3_3_needs_the_square_root_of_n(p):
    ones = np.ones((1, 50))
    assert norm_of(ones, "L2")[0] > np.linalg.norm(ones, ord=p, axis=1)[0] * 1.4
    assert norm_of(ones, "L2")[0] == pytest.approx(np.sqrt(50) * norm_of(ones, "Linf")[0])


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 10])
def test_the_linf_norm_is_at_most_the_lp_norm_for_every_p(p):
    vectors = np.random.default_rng(1).standard_normal((2000, 50)) ** 5
    assert (norm_of(vectors, "Linf") <= np.linalg.norm(vectors, ord=p, axis=1) * (1 + 1e-12)).all()


def test_the_premise_of_corollary_3_3_fails_for_five_published_pairs_and_every_image_that_falls_is_of_these():
    table = pd.read_csv(PUBLISHED / "class_distances.csv")
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    below = table[table["distance"] < 2 * EPSILON]
    assert (len(table), len(below)) == (45, 5)
    assert table["distance"].min() > 0, "an image of two classes would make theorem 2 empty"
    for row in below.itertuples():
        assert f"{row.first}-{row.second} {row.distance:.3f}" in PAGE.read_text(encoding="utf-8")
    accuracies = pd.read_csv(PUBLISHED / "pairs.csv").query(
        "classifier == '1NN' and split == 'train' and norm == 'L2' and method == 'exact'"
    )
    fallen = accuracies[accuracies["pair"] != "all"].assign(fallen=lambda t: t["n"] - t["n_robust"])
    in_five = {f"{names.index(row.first)}-{names.index(row.second)}" for row in below.itertuples()}
    assert set(fallen.loc[fallen["fallen"] > 0, "pair"]) == in_five
    assert (len(fallen), fallen["fallen"].sum(), fallen["n"].sum()) == (45, 12, 450_000)


def test_by_ball_inclusion_12_published_training_images_fall_in_linf_where_none_does():
    rows = pd.read_csv(PUBLISHED / "pairs.csv").query(
        "classifier == '1NN' and split == 'train' and norm == 'Linf' and pair != 'all'"
    )
    fallen = (rows["n"] - rows["n_robust"]).groupby(rows["method"]).sum()
    assert (fallen["half gap"], fallen["exact"]) == (12, 0)


def test_in_l2_ten_class_1nn_is_about_where_the_paper_has_trades():
    published = json.loads((PUBLISHED / "summary.json").read_text(encoding="utf-8"))
    assert round(100 * published["1NN_all_classes"]["test"]["L2_exact_accuracy"], 1) == 4.0


def test_at_finite_n_a_test_image_has_half_the_gap_less_than_theorem_3_promises_in_the_limit():
    # On a line: own references at 0 and at 1/n below the query 0.2, the other class at 1. Half the class distance is 0.4 + 1/2n.
    missing = []
    for n in (10, 100, 1000):
        found, nearest = radius([[0.0], [0.2 - 1 / n], [1.0]], [0, 0, 1], [0.2]), 1 / n
        assert found == pytest.approx((0.8 - nearest) / 2)
        missing.append((0.8 + nearest) / 2 - found)
    assert missing == pytest.approx([0.1, 0.01, 0.001])


def test_the_distance_of_classes_that_overlap_goes_to_nothing_as_images_are_added():
    train, _, _ = random_problem(0, n=4000, d=4)
    parts = [points(train.images[:n].reshape(n, -1), train.labels[:n]) for n in (40, 400, 4000)]
    d0 = [class_distances(part, ["a", "b"])["distance"][0] for part in parts]
    assert d0[0] > 2 * d0[1]
    assert d0[1] > 1.5 * d0[2]


def test_the_weight_of_trades_is_on_the_divergence_alone(problem):
    _, stack, images, targets = problem
    others = [(images + 0.1).clamp(0, 1)]

    def loss(beta):
        return trades_loss(stack, images, targets, others, images.new_full((2,), beta), "sum")

    cross_entropy, divergence = standard_loss(stack, images, targets), loss(1.0) - loss(0.0)
    assert loss(0.0).tolist() == pytest.approx(cross_entropy.tolist())
    assert (divergence > 0).all()
    assert loss(6.0).tolist() == pytest.approx((cross_entropy + 6 * divergence).tolist())
    as_printed = 6 * (cross_entropy + divergence)
    assert (as_printed > loss(6.0) * 1.5).all()


def test_600_settings_of_45_pairs_at_the_time_of_table_1_are_6_4_gpu_years():
    params = params_of("paper")
    seconds = len(params.search.space.settings()) * 45 * 7467.693
    assert round(seconds / 3600) == 56_008
    assert round(seconds / (365.25 * 24 * 3600), 1) == 6.4


def test_under_both_balls_at_once_accuracy_is_that_in_l2_and_the_sum_counts_linf_twice():
    generator = np.random.default_rng(0)
    references, labels, queries = generator.random((60, 6)), np.arange(60) % 2, generator.random((200, 6))
    model = OneNearestNeighbor().fit(references, labels)
    in_linf, in_l2 = (model.robust_radius(queries, norm=norm).lower for norm in ("Linf", "L2"))
    epsilon = np.quantile(in_l2, 0.3)
    withstands_linf, withstands_l2 = in_linf > epsilon / np.sqrt(6), in_l2 > epsilon
    assert np.array_equal(withstands_linf & withstands_l2, withstands_l2)
    assert 1 > withstands_linf.mean() > withstands_l2.mean()
    assert withstands_linf.mean() + withstands_l2.mean() > 1, "so the sum is the share of nothing"


@pytest.mark.parametrize(("n", "half_width"), [(200, 6.9), (1000, 3.1)])
def test_an_accuracy_of_so_many_images_is_known_to_so_many_points(n, half_width):
    low, high = wilson_interval(np.arange(n + 1), np.full(n + 1, n), 0.95)
    assert round(100 * (high - low).max() / 2, 1) == half_width


def test_one_black_pixel_turned_white_is_within_the_l2_ball():
    perturbation = np.zeros((1, 3, 32, 32))
    perturbation[0, :, 16, 16] = 1
    assert norm_of(perturbation, "Linf")[0] == 1
    assert norm_of(perturbation, "L2")[0] == pytest.approx(np.sqrt(3))
    assert norm_of(perturbation, "L2")[0] < EPSILON


def test_a_test_image_that_is_a_training_image_too_is_as_robust_as_one():
    own, near, other = [0.0, 0.0], [0.5, 0.0], [2.0, 0.0]
    assert radius([own, other], [0, 1], near) == pytest.approx(0.5)
    assert radius([own, near, other], [0, 0, 1], near) == pytest.approx(0.75)


@cache
def names_of_tests(path):
    """The names of the test functions of a file."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return {one.name for one in body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")}


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"`(tests/[^`]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 23
    for one in named:
        path, _, name = one.partition("::")
        assert (ROOT / path).is_file(), one
        assert name in names_of_tests(path), one


def test_the_page_has_every_number_once_and_each_says_what_is_done_and_what_shows_it():
    parts = re.split(r"^### (\d+)\. ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    numbers, bodies = [int(one) for one in parts[1::2]], parts[2::2]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 23
    for number, body in zip(numbers, bodies, strict=True):
        assert re.search(r"\*\*Here\*\*:\s", body), number
        assert re.search(r"\*\*Shown by\*\*:\s(`tests/|listed; nothing to test)", body), number


def test_the_citation_has_what_its_format_requires_and_the_version_and_license_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["cff-version"], citation["title"], citation["license"]) == ("1.2.0", "nnrobust", "MIT")
    (paper,) = citation["references"]
    assert paper["url"] == "https://arxiv.org/abs/2404.06313"
    assert [one["family-names"] for one in paper["authors"]] == ["Hagai", "Weiss"]
    version = nnrobust.__version__
    assert citation["version"] == version
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    assert f"## [{version}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

"""The paper's claims: their sentences, and the ranges that these allow."""

import math
from collections import Counter

import pytest

from made.evidence import ACCEPTED, IDS, MARGIN, ZOO
from made.project import params_of
from nnrobust.claims.judge import FAILS, HOLDS, judged, shown
from nnrobust.claims.measures import Measured
from nnrobust.claims.paper import CLAIMS
from nnrobust.zoo.models import newer, roster

PROFILE_NAMES = ("embedded", "smoke", "cifar10", "cifar10-jpeg-1nn", "cifar10-small", "paper")
OPTIONS = params_of("paper").claims


def test_every_claim_has_a_name_of_its_own():
    assert len(set(IDS)) == len(CLAIMS)
    assert {claim.unit for claim in CLAIMS} == {"percent", "points", "times"}
    assert all(claim.where and claim.quote and claim.paper for claim in CLAIMS)


def test_quotes_are_a_few_words():
    assert max(len(claim.quote.split()) for claim in CLAIMS) <= 12


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_a_claim_allows_some_values_but_not_all(claim):
    low, high = claim.accepted
    ends = [end for end in (low, high) if end is not None]
    assert ends
    assert all(math.isfinite(end) for end in ends)
    assert ends == sorted(ends)
    assert claim.unit != "percent" or all(0 <= end <= 1 for end in ends)


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_judges_with_the_same_margin_and_confidence(name):
    assert params_of(name).claims == OPTIONS


def test_the_margin_of_comparable_is_the_range_of_the_claim_that_says_so():
    assert ACCEPTED["test_linf"] == (-OPTIONS.margin, OPTIONS.margin)
    assert OPTIONS.margin == MARGIN


def test_the_ratios_of_table_1_are_those_of_its_seconds():
    paper = {claim.id: claim.paper for claim in CLAIMS}
    assert paper["training_time"] == shown(7467.693 / 0.34034, "times")
    assert paper["early_stop_time"] == f"{7467.693 / 99.84268:.1f} times"
    assert paper["inference_time"] == shown(0.00009 / 0.00001, "times")
    low, high = ACCEPTED["early_stop_time"]
    assert (low, high) == pytest.approx((74.8 / 2, 74.8 * 2), rel=2e-3)


def test_the_69_models_say_whether_they_had_extra_data_and_the_newer_ones_do_not():
    assert Counter(one.has_extra_data for one in roster().values()) == {False: 48, True: 21}
    assert {one.has_extra_data for one in newer().values()} == {None}
    assert {name: roster()[name].has_extra_data for name in ZOO} == ZOO
    assert roster()["Carmon2019Unlabeled"].has_extra_data is True
    assert roster()["Standard"].has_extra_data is False


@pytest.mark.parametrize(
    ("claims", "n", "n_of_all", "expected"),
    [
        (("zoo_train_l2", "zoo_test_l2"), 68, 69, HOLDS),
        (("zoo_train_l2", "zoo_test_l2"), 67, 69, FAILS),
        (("zoo_train_linf", "abstract_zoo"), 63, 69, HOLDS),
        (("zoo_train_linf", "abstract_zoo"), 62, 69, FAILS),
        (("zoo_test_linf",), 62, 68, HOLDS),
        (("zoo_test_linf",), 61, 68, FAILS),
        (("pairs_36",), 33, 45, HOLDS),
        (("pairs_36",), 32, 45, FAILS),
        (("pairs_36",), 39, 45, HOLDS),
        (("pairs_36",), 40, 45, FAILS),
        (("plane_standard",), 159, 160, HOLDS),
        (("plane_standard",), 160, 160, FAILS),
        (("training_cost", "larger_changes"), 2, 1, HOLDS),
        (("training_cost", "larger_changes"), 1.99, 1, FAILS),
    ],
)
def test_a_rule_begins_and_ends_where_its_words_do(claims, n, n_of_all, expected):
    share = n / n_of_all
    assert {judged(Measured(share, share, share, "made", "attacked"), ACCEPTED[name]) for name in claims} == {expected}

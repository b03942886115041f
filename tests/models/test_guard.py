"""The clean accuracy beside the stated one."""

import numpy as np
import pytest

from nnrobust.errors import AttackError
from nnrobust.models.guard import check_clean, clean_line


def right_on(n_right, n):
    return np.arange(n) < n_right


@pytest.mark.parametrize("n_right", [1000, 700, 651])
def test_a_model_that_is_as_accurate_as_stated_passes(n_right):
    check_clean("net", 0.70, right_on(n_right, 1000))


def test_a_model_more_than_five_points_below_stops_with_what_to_check():
    with pytest.raises(
        AttackError,
        match="net: expected a clean accuracy of about 70.0 %, as stated, got 64.9 % on 1000 images; check mean",
    ):
        check_clean("net", 0.70, right_on(649, 1000))


def test_few_images_allow_for_chance():
    check_clean("net", 0.70, right_on(25, 40))
    with pytest.raises(AttackError):
        check_clean("net", 0.70, right_on(20, 40))


def test_more_points_may_be_allowed_for():
    check_clean("net", 0.9178, right_on(806, 1000), allowance=0.15)


def test_the_clean_accuracy_is_shown_beside_the_stated_one():
    right = np.array([True, True, False, True])
    assert clean_line("mine", 0.8, right) == "mine: clean accuracy 75.0 % on 4 test images; 80.0 % is stated"
    assert clean_line("mine", None, right).endswith("none is stated")

import math
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from made.tries import tries
from nnrobust.threat import ThreatModel, diameter, norm_of, parse_epsilon


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/255", 8 / 255),
        ("8/255*sqrt(3072)", 1.738843163676990),
        (" 20 / 255 * sqrt(64) ", 160 / 255),
        ("0.031", 0.031),
        ("1e-2", 0.01),
        (0.5, 0.5),
        (1, 1.0),
    ],
)
def test_an_epsilon_means_what_its_text_says(text, value):
    assert parse_epsilon(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        *("8/", "eight", "8/255+1", "8//255", "sqrt(-1)", "", "8/0", True, None, "__import__('os')"),
        *(
            "8 255",
            "8/2 55",
            "08/255",
            "0_8/255",
            "\u0668/255",
            "\uff18/255",
            "8\u00a0/255",
            "sqrt(0064)",
            "8/255\n",
            "1:30",
        ),
        *(
            "1e400",
            "1e308*1e308",
            float("nan"),
            float("inf"),
            10**400,
            "9" * 101,
            "1" + "*1" * 100,
            f"sqrt({'9' * 5000})",
        ),
    ],
)
def test_an_epsilon_that_is_no_product_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match="expected|division by zero"):
        parse_epsilon(text)


NUMBERS = (
    st.integers(1, 10**6).map(str)
    | st.decimals(Decimal("0.001"), 10**6, places=6).map("{:f}".format)
    | st.floats(1e-9, 1e9).map(repr)
)
FACTORS = NUMBERS | st.integers(1, 10**6).map("sqrt({})".format) | st.integers(1, 99).map(" sqrt( {} ) ".format)


@tries(300)
@given(FACTORS, st.lists(st.tuples(st.sampled_from("*/"), FACTORS), max_size=4))
@example("8", [("/", "255"), ("*", "sqrt(3072)")])
def test_products_are_those_of_fractions_and_their_text_is_read_back(first, rest):
    squared = Fraction(1)
    for operator, factor in [("*", first), *rest]:
        root = re.search(r"sqrt\( *([0-9]+)", factor)
        value = Fraction(root[1]) if root else Fraction(factor) ** 2
        squared = squared * value if operator == "*" else squared / value
    found = parse_epsilon(first + "".join(operator + factor for operator, factor in rest))
    assert abs(Fraction(found) ** 2 / squared - 1) < 1e-14
    assert parse_epsilon(repr(found)) == found


@tries(300)
@given(st.text("0123456789./*+-()e sqrt\t_", max_size=12) | st.text(max_size=6))
@example("8/255*sqrt(3072)")
@example("2/sqrt(4)/.5e1 * 3.")
def test_a_text_that_is_understood_means_what_python_makes_of_it(text):
    try:
        found = parse_epsilon(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert found == pytest.approx(eval(text.strip(), {"__builtins__": {}, "sqrt": math.sqrt}), rel=1e-14)


def test_the_l2_ball_of_the_paper_contains_the_linf_ball():
    linf, l2 = ThreatModel("Linf", 8 / 255), ThreatModel("L2", 8 / 255 * math.sqrt(3072))
    assert l2.contains(linf, 3072)
    assert not l2.contains(linf, 3073)
    assert not linf.contains(l2, 3072)


def test_no_two_images_are_further_apart_than_the_diameter_of_the_box():
    corners = np.array([[0.0, 0, 0, 0], [1, 1, 1, 1]])
    for norm in ("Linf", "L2", "L1"):
        assert diameter(norm, 4) == pytest.approx(norm_of(corners[1:] - corners[:1], norm)[0])


@pytest.mark.parametrize("outer", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("inner", ["Linf", "L2", "L1"])
def test_containment_holds_for_random_vectors_and_is_tight(outer, inner):
    generator = np.random.default_rng(0)
    d = 7
    vectors = generator.standard_normal((2000, d)) ** 5
    vectors = np.concatenate([vectors, np.ones((1, d)), np.eye(d)])
    vectors /= norm_of(vectors, inner)[:, None]
    largest = norm_of(vectors, outer).max()
    assert ThreatModel(outer, largest).contains(ThreatModel(inner, 1.0), d)
    assert not ThreatModel(outer, largest * 0.999).contains(ThreatModel(inner, 1.0), d)


def test_norms_are_those_of_the_flattened_images():
    images = np.array([[[3.0, 0.0], [0.0, -4.0]]])
    assert [norm_of(images, norm)[0] for norm in ("Linf", "L2", "L1")] == [4.0, 5.0, 7.0]


def test_no_perturbation_has_no_norm():
    for norm in ("Linf", "L2", "L1"):
        assert norm_of(np.zeros((0, 3, 2, 2)), norm).shape == (0,)

"""Arguments of wrong kinds: one DataError names each; spellings of norms that are common elsewhere are understood."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import LogisticRegression

from made.tries import tries
from nnrobust import KNearestNeighbor, OneNearestNeighbor, RobustLinearClassifier
from nnrobust.errors import DataError, DataWarning
from nnrobust.linear.radius import linear_radius

POINTS, Y = np.random.default_rng(0).random((10, 2)), np.arange(10) % 2


@pytest.mark.parametrize(("parameters", "message"), [
    ({"n_screened": 0}, "n_screened: expected a whole number of at least 1, got 0"), ({"n_screened": -1}, "n_screened: expected"),
    ({"n_own": 0}, "n_own: expected a whole number of at least 1"), ({"n_own": "8"}, "n_own: expected"), ({"n_own": 2.5}, "n_own: expected"),
    ({"n_own": True}, "n_own: expected"), ({"n_own": None}, "n_own: expected"), ({"working_memory": 0}, "working_memory: expected"),
    ({"working_memory": "1 GB"}, "working_memory: expected"), ({"device": "gpu"}, "device: expected cpu, or a device that PyTorch finds"),
    ({"device": "cuda:99"}, "device: expected"), ({"device": 3.5}, "device: expected"), ({"device": None}, "device: expected"),
])  # fmt: skip
def test_parameters_of_the_estimator_are_named_when_it_is_fitted_and_when_they_are_set_afterwards(parameters, message):
    with pytest.raises(DataError, match=message):
        OneNearestNeighbor(**parameters).fit(POINTS, Y)
    model = OneNearestNeighbor().fit(POINTS, Y).set_params(**parameters)
    with pytest.raises(DataError, match=message):
        model.robust_radius(POINTS)


@pytest.mark.parametrize(("arguments", "message"), [
    *(({"box": box}, "box: expected") for box in (1, (0,), (0, None), ([0, 0, 0], [1, 1, 1]), "01", (0, 1, 2), (0, "1"), (np.nan, 1), {0, 1})),
    *(({"epsilon": epsilon}, "epsilon: expected a finite number above 0") for epsilon in ("8/255", np.inf, True, 1j)),
    *(({"norm": norm}, "norm: expected one of Linf, L2, L1, got") for norm in ("L3", None, 3, True, ["L2"], "", 2.5, np.nan)),
])  # fmt: skip
def test_arguments_of_a_radius_are_named(arguments, message):
    for radius in (
        OneNearestNeighbor().fit(POINTS, Y).robust_radius,
        partial(linear_radius, LogisticRegression().fit(POINTS, Y)),
    ):
        with pytest.raises(DataError, match=message):
            radius(POINTS[:2], **arguments)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"box": ([0, 0], [1, 1])}, "box: expected"), ({"epsilon": [0.1, 0.2]}, "epsilon: expected a finite number above 0"),
])  # fmt: skip
def test_a_linear_classifier_has_the_same_limits_for_every_feature(arguments, message):
    with pytest.raises(DataError, match=message):
        linear_radius(LogisticRegression().fit(POINTS, Y), POINTS, **arguments)


@pytest.mark.parametrize("epsilon", ["0.1", None, [0.1], np.nan, np.inf, -1, True])
def test_the_epsilon_of_a_verdict_is_named(epsilon):
    with pytest.raises(DataError, match="epsilon: expected a finite number of at least 0"):
        OneNearestNeighbor().fit(POINTS, Y).robust_radius(POINTS[:2]).is_robust(epsilon)


@pytest.mark.parametrize(("norm", "spellings"), [
    ("Linf", ["linf", "LINF", "l_inf", np.inf, "inf"]), ("L2", ["l2", 2, 2.0, "2"]), ("L1", ["l1", 1, "1"]),
])  # fmt: skip
def test_other_spellings_of_a_norm_mean_it(norm, spellings):
    model = OneNearestNeighbor().fit(POINTS, Y)
    expected = model.robust_radius(POINTS[:4], norm=norm)
    for spelling in spellings:
        assert np.array_equal(model.robust_radius(POINTS[:4], norm=spelling).upper, expected.upper)


def test_an_empty_stack_of_images_is_named():
    model = OneNearestNeighbor().fit(np.random.default_rng(0).random((4, 8, 8)), [0, 1, 0, 1])
    for shape in ((0, 8, 8), (3, 0, 8)):
        with pytest.raises(DataError, match="X: expected one image at least"):
            model.predict(np.empty(shape))


def test_masked_values_are_refused_and_a_mask_that_hides_none_is_not():
    masked = np.ma.masked_equal(np.array([[0.0, 1], [2, -9999], [3, 1], [5, 2]]), -9999)
    with pytest.raises(DataError, match="X: expected values throughout, got a masked array with 1 missing ones"):
        OneNearestNeighbor().fit(masked, [0, 1, 0, 1])
    model = OneNearestNeighbor().fit(np.ma.array(masked.data), [0, 1, 0, 1])
    for ask in (model.predict, model.robust_radius):
        with pytest.raises(DataError, match="X: expected values throughout"):
            ask(masked)


def test_masked_labels_are_refused_by_every_classifier_when_it_is_fitted_and_when_it_is_asked():
    masked = np.ma.masked_equal([0, 1, -1], -1)
    points = np.array([[0.0, 1], [2, 3], [5, 2]])
    for kind in (OneNearestNeighbor, KNearestNeighbor, RobustLinearClassifier):
        with pytest.raises(DataError, match="y: expected values throughout, got a masked array with 1 missing ones"):
            kind().fit(points, masked)
        model = kind().fit(points, [0, 1, 1])
        with pytest.raises(DataError, match="y: expected values throughout, got a masked array with 1 missing ones"):
            model.robust_radius(points, masked)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_queries_in_units_of_1_beside_references_in_units_of_255_are_told(is_reversed):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    references, queries = (images[:30] / 255, images[30:]) if is_reversed else (images[:30], images[30:] / 255)
    model = OneNearestNeighbor().fit(references, np.arange(30) % 2)
    for ask in (model.predict, model.robust_radius):
        with pytest.warns(DataWarning, match="X: expected queries in the units of the references, 0 to"):
            ask(queries)


def test_units_are_not_doubted_where_values_are_no_pixels():
    table = np.c_[np.arange(0, 200, 5), np.arange(40) % 2, np.linspace(-1, 1, 40)]
    model = OneNearestNeighbor().fit(table, np.arange(40) % 3)
    model.predict(table[:2])
    black = np.zeros((2, 8, 8), dtype=np.uint8)
    OneNearestNeighbor().fit(np.stack([black[0], black[0] + 255]), [0, 1]).predict(black)


NUMBERS = (
    arrays.boolean_dtypes()
    | arrays.integer_dtypes()
    | arrays.unsigned_integer_dtypes()
    | arrays.floating_dtypes(sizes=(16, 32, 64))
)
KINDS = st.one_of(NUMBERS, arrays.complex_number_dtypes(sizes=(64, 128)), arrays.byte_string_dtypes(max_len=2), arrays.unicode_string_dtypes(max_len=2),
                  arrays.datetime64_dtypes(), arrays.timedelta64_dtypes())  # fmt: skip
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=2),
    st.binary(max_size=2),
    st.tuples(st.integers()),
)
ROWS = st.lists(ANY, min_size=3, max_size=4)
LABELS = st.one_of(
    KINDS.flatmap(lambda kind: arrays.arrays(kind, st.sampled_from([(4,), (4,), (4, 1), (4, 2), (3,), (), (0,)]))),
    *(ROWS, ROWS.map(lambda row: np.array([*row, None], dtype=object)[:-1])),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@tries(100)
@given(LABELS)
@example(["", "", 0.0, ""])
@example(np.array(["", "", 0.0, ""], dtype=object))
@example(np.array([b"a", b"b", b"a", b"b"]))
@example([b"\x81", "", 1, 2])
@example([(1,), 2, 3, 4])
@example([1 + 1j, 2, 3, 4])
@example(np.array([[0], [1], [0], [1]]))
def test_labels_of_any_kind_and_shape_are_learnt_or_one_data_error(y):
    points = np.array([[0.0, 0], [1, 0], [0, 1], [3, 3]])
    try:
        model = OneNearestNeighbor().fit(points, y)
    except DataError as error:
        assert ": expected" in str(error)
        assert len(str(error).splitlines()) == 1
    else:
        assert model.predict(points).tolist() == np.ravel(y).tolist()
        assert (model.robust_radius(points, np.ravel(y)).lower > 0).all()


@pytest.mark.filterwarnings("ignore")
@tries(100)
@given(
    st.sampled_from([range(30), [str(n) for n in range(30)], range(2**53, 2**53 + 30)]),
    st.lists(st.integers(0, 30), min_size=30, max_size=30) | LABELS,
    st.sampled_from([np.int64, np.uint64, np.uint8, np.float32, np.complex64, str, object, list]),
)
@example(range(30), [*range(30)], str)
@example(range(2**53, 2**53 + 30), [*range(30)], np.uint64)
def test_labels_asked_about_mean_the_equal_class_or_are_one_data_error(classes, asked, kind):
    model = OneNearestNeighbor().fit(np.arange(30.0)[:, None], np.array(classes))
    if isinstance(asked, list) and len(asked) == 30:
        asked = [classes[0] + n if isinstance(classes, range) else str(n) for n in asked]
        asked = asked if kind is list else np.array(asked).astype(kind)
    try:
        found = model.robust_radius(np.arange(30.0)[:, None], asked)
    except DataError as error:
        assert str(error).startswith("y: expected")
        labels = np.ravel(np.array(asked, dtype=object)).tolist()
        assert len(labels) != 30 or not set(labels) <= set(classes)
    else:
        assert (found.lower > 0).tolist() == [
            mine == of for mine, of in zip(np.asarray(asked).tolist(), classes, strict=True)
        ]


@pytest.mark.filterwarnings("ignore")
@tries(100)
@given(
    NUMBERS.flatmap(lambda kind: arrays.arrays(kind, (6, 2))), NUMBERS.flatmap(lambda kind: arrays.arrays(kind, (3, 2)))
)
# So far away that rounding leaves no constraint, none that is not met, or one without a direction.
@example(np.array([[-1.0, 0], *[[0, 0]] * 5]), np.full((3, 2), -67108872.0))
@example(np.array([[0, -6], [3, -6], *[[-6, -6]] * 4]), np.array([[19470522181484918, 0], [0, 0], [0, 0]]))
@example(np.array([[1.0, 0], *[[0, 0]] * 5]), np.array([[1.0, 94906267], [1, 1], [1, 1]]))
def test_points_of_any_numbers_have_the_label_of_a_nearest_reference_or_are_one_data_error(points, queries):
    try:
        model = OneNearestNeighbor().fit(points, np.arange(6) % 3)
        labels, result = model.predict(queries), model.robust_radius(queries)
    except DataError as error:
        assert str(error).startswith("X: expected")
        return
    assert result.verify().all()
    for query, label in zip(queries.astype(float).tolist(), labels.tolist(), strict=True):
        squared = [
            sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(query, point, strict=True))
            for point in points.astype(float).tolist()
        ]
        assert min(squared[label::3]) <= min(squared) * (1 + Fraction(1, 10**12))

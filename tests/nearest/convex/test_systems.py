"""Small linear systems side by side: one that cannot be solved leaves the others as they are."""

import numpy as np
import pytest

from nnrobust.nearest.convex.interior import _definite
from nnrobust.nearest.convex.systems import are_definite, diagonals, solutions

GOOD, SINGULAR, INDEFINITE = np.diag([2.0, 4.0]), np.ones((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]])


def test_a_singular_matrix_has_no_solution_and_the_others_have_theirs():
    found = solutions(np.stack([GOOD, SINGULAR, INDEFINITE]), np.array([[2.0, 2.0], [1.0, 2.0], [3.0, 3.0]]))
    assert found[0].tolist() == [1.0, 0.5]
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == pytest.approx([1.0, 1.0])


def test_which_matrices_are_definite_is_said_one_by_one():
    assert are_definite(np.stack([GOOD, INDEFINITE, GOOD])).tolist() == [True, False, True]
    assert are_definite(np.stack([GOOD, GOOD])).all()


def test_a_system_that_rounding_made_indefinite_gets_a_ridge_and_no_other_one():
    almost = np.array([[1.0, 1.0 + 1e-14], [1.0 + 1e-14, 1.0]])
    found = _definite(np.stack([GOOD, almost]))
    assert (found[0] == GOOD).all()
    assert are_definite(found).all()
    assert diagonals(found)[1] == pytest.approx([1.0, 1.0], abs=1e-8)

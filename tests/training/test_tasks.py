import numpy as np
import pytest

from nnrobust.data.datasets import AllClasses, Pair
from nnrobust.errors import TrainingError
from nnrobust.training.tasks import hold_out


def test_a_tenth_of_each_class_is_held_out_and_not_trained_on():
    labels = np.repeat([0, 1, 2], [50, 100, 30])
    kept, held = hold_out(Pair(0, 1), labels, 0.1, 0)
    assert np.bincount(labels[held]).tolist() == [5, 10]
    assert np.bincount(labels[kept]).tolist() == [45, 90]
    assert not set(kept) & set(held)
    assert np.array_equal(hold_out(Pair(0, 1), labels, 0.1, 0)[1], held)
    assert not np.array_equal(hold_out(Pair(0, 1), labels, 0.1, 1)[1], held)
    assert np.bincount(labels[hold_out(AllClasses(3), labels, 0.1, 0)[1]]).tolist() == [5, 10, 3]


def test_a_class_of_one_image_cannot_be_held_out():
    with pytest.raises(TrainingError, match="pair 0-1: expected two training images of class 1"):
        hold_out(Pair(0, 1), np.array([0, 0, 1]), 0.1, 0)

import numpy as np
import pandas as pd
import pytest
from test_training import variant

from nnrobust.datasets import Pair
from nnrobust.errors import TrainingError
from nnrobust.params import Setting
from nnrobust.search import choose, hold_out, outcome, shortened
from nnrobust.training import AS_IN_PARAMS

SETTING = {"beta": 6.0, "epsilon": 0.1, "learning_rate": 0.1, "weight_decay": 5e-4, "batch_size": 50}


def test_a_tenth_of_each_class_is_held_out_and_not_trained_on():
    labels = np.repeat([0, 1, 2], [50, 100, 30])
    kept, held = hold_out(Pair(0, 1), labels, 0.1, 0)
    assert np.bincount(labels[held]).tolist() == [5, 10]
    assert np.bincount(labels[kept]).tolist() == [45, 90]
    assert not set(kept) & set(held)
    assert np.array_equal(hold_out(Pair(0, 1), labels, 0.1, 0)[1], held)
    assert not np.array_equal(hold_out(Pair(0, 1), labels, 0.1, 1)[1], held)


def test_a_class_of_one_image_cannot_be_held_out():
    with pytest.raises(TrainingError, match="pair 0-1: expected two training images of class 1"):
        hold_out(Pair(0, 1), np.array([0, 0, 1]), 0.1, 0)


def trials(rows):
    return pd.DataFrame(
        [
            {"trial": t, "pair": p, **SETTING, "beta": float(t), "clean_accuracy": c, "robust_accuracy": r}
            for t, p, c, r in rows
        ]
    )


def test_the_best_setting_is_the_most_robust_then_the_most_accurate_then_the_first():
    table = trials([
        (0, "0-1", 0.9, 0.5), (1, "0-1", 0.8, 0.6), (2, "0-1", 0.9, 0.6), (3, "0-1", 0.9, 0.6),
        (0, "0-2", 0.9, 0.7), (1, "0-2", 0.9, 0.1),
    ])  # fmt: skip
    chosen = choose(table)
    assert {pair: setting.beta for pair, setting in chosen.items()} == {"0-1": 2.0, "0-2": 0.0}


def test_the_outcome_changes_the_fingerprint_of_the_searched_variant_alone():
    one = outcome(["S", "T_B"], "T_B", {"0-1": Setting(**SETTING)})
    other = outcome(["S", "T_B"], "T_B", {"0-1": Setting(**(SETTING | {"beta": 1.0}))})
    assert one["fingerprints"]["S"] == other["fingerprints"]["S"] == AS_IN_PARAMS
    assert one["fingerprints"]["T_B"] != other["fingerprints"]["T_B"]
    assert Setting(**one["settings"]["0-1"]) == Setting(**SETTING)


def test_a_shortened_variant_keeps_its_schedules_proportions():
    short = shortened(variant(epochs=100, milestones=[50, 90]), 10)
    assert (short.epochs, short.milestones) == (10, [5, 9])

"""Classifiers with a known optimum as modules."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError
from nnrobust.evaluation.modules import as_module
from nnrobust.linear.radius import linear_radius

RNG = np.random.default_rng(0)
X, Y = RNG.random((30, 12)), np.arange(30) % 3


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_linear_classifier_as_a_module_gives_its_answers_and_turns_at_its_exact_radius(n_classes):
    model = LogisticRegression(C=1e-5, max_iter=1000).fit(255 * X, Y % n_classes)
    module = as_module(model, scale=255)
    images = torch.from_numpy(X.reshape(30, 3, 2, 2))
    answers = module(images).argmax(dim=1).numpy()
    assert (answers == model.predict(255 * X)).all()
    radius = linear_radius(model, 255 * X, answers, norm="L2")
    offset = radius.x_adv / 255 - X
    for factor, turns in ((0.999, False), (1.001, True)):
        moved = module(torch.from_numpy(X + factor * offset)).argmax(dim=1).numpy()
        assert (moved != answers).all() == turns
        assert (moved != answers).any() == turns


def test_1nn_is_its_own_module_and_nothing_else_is_one():
    model = OneNearestNeighbor().fit(X, Y)
    images = torch.from_numpy(X.reshape(30, 3, 2, 2) + 0.001).float()
    assert (as_module(model)(images).argmax(dim=1).numpy() == Y).all()
    with pytest.raises(DataError, match="estimator: expected a fitted linear classifier"):
        as_module(np.mean)

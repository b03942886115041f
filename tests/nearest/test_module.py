"""1NN as a torch module: its labels are those of `predict`, for inputs of any kind and scale, and its gradients those of distances."""

import copy

import numpy as np
import pytest
import torch

from made.tries import n_tries
from nnrobust import OneNearestNeighbor
from nnrobust.errors import DataError


def random_problem(generator):
    """References, labels and queries of random kinds: columns of unlike scale, clusters far apart, whole numbers, bytes, ties."""
    n, d, n_classes = int(generator.integers(3, 200)), int(generator.integers(1, 12)), int(generator.integers(2, 5))
    points, queries = generator.random((n, d)), generator.random((60, d))
    kind = generator.integers(6)
    if kind == 0:
        points[:, 0], queries[:, 0] = generator.choice([0.0, 1e3], n), generator.choice([0.0, 1e3], 60)
    elif kind == 1:
        points, queries = (
            points * 1e-4 + generator.choice([0, 51.5], (n, 1)),
            queries * 1e-4 + generator.choice([0, 51.5], (60, 1)),
        )
    elif kind == 2:
        points, queries = np.round(points * 5), np.round(queries * 10) / 2
    elif kind == 3:
        points, queries = (points * 255).astype(np.uint8), (queries * 255).astype(np.uint8)
    elif kind == 4:
        queries = (points[generator.integers(n, size=60)] + points[generator.integers(n, size=60)]) / 2
    else:
        points, queries = points + 1e8, queries + 1e8
    y = generator.integers(0, n_classes, n)
    y[:2] = 0, 1
    return points, y, queries


def labels_of(module, model, x):
    logits = module(x)
    assert torch.is_floating_point(logits)
    best = logits.sort(dim=1, descending=True).values
    assert (best[:, 0] > best[:, 1]).all()
    return model.classes_[logits.argmax(dim=1).numpy()]


@pytest.mark.parametrize("seed", range(n_tries(12_000) // 60 // 4))
def test_the_labels_are_those_of_predict_whatever_the_type_of_inputs(seed):
    points, y, queries = random_problem(np.random.default_rng(seed))
    model = OneNearestNeighbor().fit(points, y)
    module = model.as_module()
    for dtype in (torch.float64, torch.float32, torch.float16, torch.int64):
        x = torch.from_numpy(queries).to(dtype)
        if torch.isfinite(x).all():
            assert (labels_of(module, model, x) == model.predict(x.double().numpy())).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16, torch.float32])
def test_whole_numbers_do_not_wrap(dtype):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 100, (200, 1, 4, 4))
    model = OneNearestNeighbor().fit(images[:100], np.arange(100) % 3)
    x = torch.from_numpy(images[100:]).to(dtype)
    assert (labels_of(model.as_module(), model, x) == model.predict(images[100:])).all()


def test_a_module_moved_to_another_type_copied_and_scaled_has_the_same_labels():
    points, y, queries = random_problem(np.random.default_rng(7))
    model = OneNearestNeighbor().fit(points * 255, y)
    for module in (model.as_module(255).float(), copy.deepcopy(model.as_module(255)).half()):
        assert (labels_of(module, model, torch.from_numpy(queries)) == model.predict(queries * 255)).all()


def test_gradients_are_those_of_the_distances():
    generator = np.random.default_rng(0)
    points, y = generator.random((40, 5)), np.arange(40) % 3
    module = OneNearestNeighbor().fit(points, y).as_module(scale=2.0)
    x = torch.from_numpy(generator.random((8, 5)) / 2).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    distances = np.stack(
        [np.linalg.norm(x.detach().numpy()[:, None] * 2 - points[y == k], axis=2).min(axis=1) for k in range(3)], axis=1
    )
    np.testing.assert_allclose(module(x).detach().numpy(), -distances / 2, rtol=1e-12)


def test_a_scale_that_cannot_be_meant_is_named():
    model = OneNearestNeighbor().fit(np.array([[0.0], [1.0]]), [0, 1])
    with pytest.raises(DataError, match="scale: expected a finite number above 0, got -1"):
        model.as_module(scale=-1)

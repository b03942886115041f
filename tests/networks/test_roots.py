"""The square root that is the same on every processor."""

import numpy as np
import torch

from nnrobust.networks.roots import square_root


def test_it_is_rounded_correctly_in_float32():
    values = np.random.default_rng(0).random(100_000).astype(np.float32) * 100
    values = np.concatenate([values, np.float32([0.0, 1e-38, 1e-45, 3.4e38])])
    found = square_root(torch.from_numpy(values))
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), np.sqrt(values))
    assert square_root(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16

"""Small datasets and networks that several test files share."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from made.images import split_of
from made.models import tiny
from nnrobust.data.datasets import Dataset
from nnrobust.networks.stack import Stack

# Ignored in the background of a shell, as by nohup, and then by every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def dataset() -> Dataset:
    """Three classes of grey 8x8 images, 20 for training and 10 for testing of each."""
    return Dataset("made", ["a", "b", "c"], split_of(20, 3, (1, 8, 8), 0), split_of(10, 3, (1, 8, 8), 1))


@pytest.fixture
def image_tree(tmp_path: Path) -> Path:
    """A folder of RGB images of two classes: three for training, two for testing of each."""
    generator = np.random.default_rng(0)
    for split, n in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "tree" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = generator.integers(0, 256, (5, 4, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "tree"


@pytest.fixture
def problem() -> tuple[list[nn.Module], Stack, torch.Tensor, torch.Tensor]:
    """Two tiny networks with batch normalisation, their stack, images (2, 5, 1, 3, 3) and targets, in float64."""
    torch.manual_seed(1)
    networks = [tiny(0), tiny(1)]
    images = torch.rand(2, 5, 1, 3, 3, dtype=torch.float64)
    return networks, Stack.of(networks), images, torch.randint(0, 2, (2, 5))

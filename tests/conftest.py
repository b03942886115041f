"""Small datasets and networks that several test files share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nnrobust.datasets import Dataset, Split
from nnrobust.stack import Stack

ROOT = Path(__file__).parent.parent


def split_of(n_per_class: int, n_classes: int, shape: tuple[int, int, int], seed: int) -> Split:
    """Random images whose classes differ in brightness."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    noise = generator.integers(0, 120, (len(labels), *shape))
    images = (noise + (labels * 100 // max(1, n_classes - 1))[:, None, None, None]).astype(np.uint8)
    return Split(images, labels.astype(np.int64), [f"{i}" for i in range(len(labels))])


def environment() -> dict[str, str]:
    """The environment in which `dvc` and `python` are those that run the tests."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}


def dvc(folder: Path, *arguments: str) -> str:
    """What a dvc command prints; it must succeed."""
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_project(folder: Path) -> None:
    """Puts what the workflow needs into `folder`, and makes it a git repository."""
    for name in ("stages", "nnrobust", ".dvc/plots"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data" / "raw").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "data" / "raw" / "README.md", folder / "data" / "raw" / "README.md")
    for name in ("dvc.yaml", ".gitignore", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, folder / name)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)


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


def tiny(seed: int) -> nn.Module:
    """A convolution, batch normalisation and a linear layer, for images of 3x3."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double()


@pytest.fixture
def problem() -> tuple[list[nn.Module], Stack, torch.Tensor, torch.Tensor]:
    """Two tiny networks with batch normalisation, their stack, images (2, 5, 1, 3, 3) and targets, in float64."""
    torch.manual_seed(1)
    networks = [tiny(0), tiny(1)]
    images = torch.rand(2, 5, 1, 3, 3, dtype=torch.float64)
    return networks, Stack.of(networks), images, torch.randint(0, 2, (2, 5))


class Linear(nn.Module):
    """Two classes with logits (0, w.x + b): the distance to the boundary is |w.x + b| / ||w||_q."""

    def __init__(self, weight: torch.Tensor, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x.flatten(1) @ self.weight + self.bias
        return torch.stack([torch.zeros_like(score), score], dim=1)

"""Blocks and files of small pretrained models."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nnrobust.models.architectures import ARCHITECTURES
from nnrobust.models.blocks import Model
from nnrobust.zoo.files import fingerprint

SHAPE = (3, 8, 8)
COMMIT = "0123456789" * 4


def block(**changes) -> Model:
    """A local model of the architecture `base`, for images of 8x8 and three classes."""
    plain = Model(
        name="mine", source="local", commit="", path="mine.pt", sha256=None, licence="MIT", copyright="me", dataset="made",
        architecture="base", entry="", shape=SHAPE, value_range=(0.0, 1.0), mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0),
        layout="NCHW", classes=("cat", "dog", "frog"), trained_for="nothing", clean_accuracy=None, published="",
    )  # fmt: skip
    return replace(plain, **changes)


def network(seed: int = 0, n_classes: int = 3) -> nn.Module:
    """The network of `block`, with random weights."""
    torch.manual_seed(seed)
    return ARCHITECTURES["base"](SHAPE, n_classes).eval()


def public(path: Path, **changes) -> Model:
    """The block of a public repository's file, which lies at `path`."""
    sha256 = fingerprint(path).sha256
    return block(source="github:someone/nets", commit=COMMIT, path=f"weights/{path.name}", sha256=sha256, **changes)


def pretrained_folder() -> Path:
    """The folder of the roster's real files, which the tests that need it skip without."""
    root = os.environ.get("NNROBUST_PRETRAINED")
    if root is None:
        pytest.skip("NNROBUST_PRETRAINED names no folder with the files of the roster verification")
    return Path(root)

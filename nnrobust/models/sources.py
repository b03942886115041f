"""A model by the text that names it, or by its block."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from nnrobust.errors import FetchError
from nnrobust.models.blocks import Model, find_model
from nnrobust.models.load import built_by, load_block
from nnrobust.zoo.load import load
from nnrobust.zoo.models import find

KINDS = "verification:NAME, robustbench:NAME, onnx:FILE or FILE.py:FUNCTION"


def load_model(source: str | Model, folder: Path | str = ".", classes: Sequence[str] | None = None) -> nn.Module:
    """A model in eval mode, on the CPU, that takes images in [0, 1].

    Args:
        source: its block, or
            `verification:NAME`: a network of the roster, whose file lies in `folder`;
            `robustbench:NAME`: one of RobustBench's, as `dvc repro fetch@NAME` puts it into `folder` (models/zoo);
            `onnx:FILE`: the network in a file, which takes images in [0, 1] as they are;
            `FILE.py:FUNCTION`: the network that a function makes, called without arguments.
        folder: where files lie.
        classes: of a block or a network of the roster, the dataset's class names in the order of its labels.

    Raises:
        FetchError: when the text names none, or as `load_block`, `read_onnx` and `nnrobust.zoo.load.load` do.
    """
    if isinstance(source, Model):
        return load_block(source, folder, classes)
    kind, _, name = source.partition(":")
    if kind == "verification":
        return load_block(find_model(name), folder, classes)
    if kind == "robustbench":
        return load(find(name), Path(folder) / name, Path(folder).parent / "zoo.lock.json")
    if kind == "onnx":
        from nnrobust.models.onnx import read_onnx

        return read_onnx(Path(name)).eval()
    if ".py:" in source:
        return built_by(source).eval()
    raise FetchError(f"{source}: expected {KINDS}, got another text")

"""A model as a module: images in [0, 1] in, logits out, whatever normalisation, layout or class order it was trained with."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnrobust.errors import FetchError
from nnrobust.models.architectures import ARCHITECTURES
from nnrobust.models.blocks import Model
from nnrobust.models.fetch import located
from nnrobust.models.weights import read_weights
from nnrobust.networks.architectures import Normalize
from nnrobust.networks.restriction import Restricted

ONNX = "onnx"
"""The `architecture` of a file that holds the network itself."""
EXPORTED = "exported"
"""The `architecture` of a file that `torch.export.save` wrote."""
TIMM = "timm:"
"""What the `architecture` of weights for a network of timm's begins with."""


class Pretrained(nn.Module):
    """Logits (n, classes) of images (n, c, h, w), RGB or grey, in [0, 1]; `about` is what its block states.

    `class_names` are those of the logits, in their order.
    """

    def __init__(self, about: Model, network: nn.Module) -> None:
        super().__init__()
        low, high = about.value_range
        # (low + (high - low) x - mean) / std in one step; for a range of [0, 1] it is mean and std as they are.
        mean = [(value - low) / (high - low) for value in about.mean]
        self.about, self.class_names, self.network = about, about.classes, network
        self.normalize = Normalize(mean, [value / (high - low) for value in about.std])

    def forward(self, x: Tensor) -> Tensor:
        x = self.normalize(x)
        return self.network(x.permute(0, 2, 3, 1) if self.about.layout == "NHWC" else x)


def load_block(about: Model, folder: Path | str, classes: Sequence[str] | None = None) -> Pretrained:
    """The model in eval mode, on the CPU, its file checked against its sha256 before anything is read of it.

    Args:
        about: its block, as of the roster `verification`.
        folder: where its file lies, see `located`.
        classes: names of the dataset's classes, in the order of its labels, into which the logits are brought; None: its own.

    Raises:
        FetchError: when the file is missing, another, no weights, or not those of the architecture; when the network does not
            give one finite logit a class; when the dataset has other classes.
    """
    path = located(about, Path(folder))
    if about.architecture == ONNX:
        from nnrobust.models.onnx import read_onnx

        network = read_onnx(path)
    elif about.architecture == EXPORTED:
        from nnrobust.models.exported import read_exported

        network = read_exported(path)
    else:
        network = _built(about)
        fill(network, read_weights(path, about.entry), f"{about.name}: {about.file_name}, {about.architecture}")
    model = Pretrained(about, network)
    if classes is not None and tuple(classes) != about.classes:
        _reorder(model, classes)
    model.eval().requires_grad_(False)
    _check_output(model)
    return model


def built_by(text: str) -> nn.Module:
    """The network that a function of a Python file makes, called without arguments: `mine.py:build`. It runs the file.

    Raises:
        FetchError: when there is no such file or function, or it gives no module.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise FetchError(f"{text}: expected FILE.py:FUNCTION, found no Python file {file!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Any = getattr(module, name, None)
    if not callable(function):
        raise FetchError(f"{text}: expected a function {name} in {path}, found none")
    network = function()
    if not isinstance(network, nn.Module):
        raise FetchError(f"{text}: expected it to give a torch.nn.Module, got {type(network).__name__}")
    return network


def fill(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Puts the weights into the network, which has exactly these.

    Raises:
        FetchError: naming, of what lacks, is too many or has another shape, the first.
    """
    own = network.state_dict()
    # Counts batches in training, and nothing in eval mode; files of before PyTorch 0.4.1 have none.
    lacking = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    beside = [name for name in weights if name not in own]
    other = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if lacking or beside or other:
        shapes = [f"{name} {tuple(weights[name].shape)}, not {tuple(own[name].shape)}" for name in other]
        parts = [("without", lacking), ("with", beside), ("with", shapes)]
        got = ", ".join(f"{word} {names[0]} ({len(names)} such)" for word, names in parts if names)
        raise FetchError(f"{what}: expected the {len(own)} weights of the architecture, got {len(weights)}, {got}; "
                         "state the architecture that the weights are of")  # fmt: skip
    network.load_state_dict(weights, strict=False)


def _built(about: Model) -> nn.Module:
    if about.architecture in ARCHITECTURES:
        return ARCHITECTURES[about.architecture](about.shape, len(about.classes))
    if about.architecture.startswith(TIMM):
        return _by_timm(about)
    if ":" in about.architecture:
        return built_by(about.architecture)
    raise FetchError(
        f"{about.name}: expected architecture {ONNX}, {EXPORTED}, {TIMM}NAME, FILE.py:FUNCTION or one of "
        f"{', '.join(ARCHITECTURES)}, got {about.architecture!r}"
    )


def _by_timm(about: Model) -> nn.Module:
    """The untrained network of timm's, without its normalisation, which the block states."""
    try:
        timm = importlib.import_module("timm")
        name = about.architecture.removeprefix(TIMM)
        return timm.create_model(name, pretrained=False, num_classes=len(about.classes), in_chans=about.shape[0])
    except (ImportError, RuntimeError) as error:
        raise FetchError(
            f"{about.name}: expected timm, with an architecture {about.architecture}, got {error}"
        ) from error


def _reorder(model: Pretrained, classes: Sequence[str]) -> None:
    """Brings the logits into the order of the dataset's classes."""
    own = model.about.classes
    if sorted(classes) != sorted(own):
        unknown = sorted(set(classes) ^ set(own))
        raise FetchError(f"{model.about.name}: expected the dataset's classes, {', '.join(classes)}, got {', '.join(own)}; "
                         f"they differ in {', '.join(unknown[:4])}")  # fmt: skip
    model.network = Restricted(model.network, [own.index(name) for name in classes])
    model.class_names = tuple(classes)


@torch.no_grad()
def _check_output(model: Pretrained) -> None:
    about = model.about
    try:
        logits = model(torch.full((1, *about.shape), 0.5))
    except RuntimeError as error:
        raise FetchError(f"{about.name}: expected a network of images {about.shape}, in {about.layout}, got "
                         f"{str(error).splitlines()[0]}; state its shape and layout") from error  # fmt: skip
    if logits.shape != (1, len(about.classes)) or not bool(logits.isfinite().all()):
        raise FetchError(f"{about.name}: expected {len(about.classes)} finite logits for a grey image, got "
                         f"{tuple(logits.shape)}, {logits.flatten()[:3].tolist()} ...; state its classes")  # fmt: skip

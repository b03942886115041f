"""A model by the text that names it, or by its block."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnrobust.errors import FetchError
from nnrobust.models.blocks import Model, find_model
from nnrobust.models.load import built_by, load_block
from nnrobust.networks.architectures import Normalize
from nnrobust.zoo.load import load
from nnrobust.zoo.models import find

KINDS = "verification:NAME, robustbench:NAME, onnx:FILE, exported:FILE, timm:NAME, hub:FOLDER:NAME or FILE.py:FUNCTION"


def load_model(source: str | Model, folder: Path | str = ".", classes: Sequence[str] | None = None) -> nn.Module:
    """A model in eval mode, on the CPU, that takes images in [0, 1].

    Args:
        source: its block, or
            `verification:NAME`: a network of the roster, whose file lies in `folder`;
            `robustbench:NAME`: one of RobustBench's, as `dvc repro fetch@NAME` puts it into `folder` (models/zoo);
            `onnx:FILE`: the network in a file, which takes images in [0, 1] as they are;
            `exported:FILE`: the program that `torch.export.save` wrote, likewise;
            `timm:NAME`: timm's pretrained network, its normalisation before it, from timm's cache or its hub;
            `hub:FOLDER:NAME`: what an entry point of a folder's `hubconf.py` makes, called without arguments, or, for
            OWNER/REPOSITORY as FOLDER, of the one that torch.hub has downloaded. It runs the folder's code;
            `FILE.py:FUNCTION`: the network that a function makes, called without arguments. It runs the file.
        folder: where files lie.
        classes: of a block or a network of the roster, the dataset's class names in the order of its labels.

    Raises:
        FetchError: when the text names none, or as `load_block`, `read_onnx`, `read_exported` and `nnrobust.zoo.load.load` do.
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
    if kind == "exported":
        from nnrobust.models.exported import read_exported

        return read_exported(Path(name)).eval()
    if kind == "timm":
        return _by_timm(name)
    if kind == "hub":
        return _by_hub(name)
    if ".py:" in source:
        return built_by(source).eval()
    raise FetchError(f"{source}: expected {KINDS}, got another text")


def _by_timm(name: str) -> nn.Module:
    """timm's pretrained network, of images in [0, 1]."""
    try:
        network = importlib.import_module("timm").create_model(name, pretrained=True)
    except Exception as error:  # of whatever library timm gets its files by
        raise FetchError(
            f"timm:{name}: expected timm, with weights in its cache or a connection to its hub, got {type(error).__name__}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    about: Any = network.pretrained_cfg
    return nn.Sequential(Normalize(about["mean"], about["std"]), network).eval()


def _by_hub(text: str) -> nn.Module:
    """The network that an entry point of a folder with `hubconf.py` makes."""
    place, _, entry = text.rpartition(":")
    folders = [Path(place), *sorted(Path(torch.hub.get_dir()).glob(f"{place.replace('/', '_')}_*"))]
    found = [folder for folder in folders if place and (folder / "hubconf.py").is_file()]
    if len(found) != 1:
        raise FetchError(
            f"hub:{text}: expected one folder with a hubconf.py, {place} or torch.hub's own of that repository, found "
            f"{len(found)}; nothing is downloaded here"
        )
    try:
        network = torch.hub.load(str(found[0]), entry, source="local")
    except Exception as error:  # of the folder's own code
        cause = f"{type(error).__name__}: {error}"
        raise FetchError(f"hub:{text}: expected an entry point {entry} without arguments, got {cause}") from error
    if not isinstance(network, nn.Module):
        raise FetchError(f"hub:{text}: expected it to give a torch.nn.Module, got {type(network).__name__}")
    return network.eval()

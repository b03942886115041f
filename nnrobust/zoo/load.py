"""Pretrained networks from their files: built by robustbench, with weights that are unpickled without running anything."""

import contextlib
import importlib
import importlib.util
import io
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnrobust.errors import FetchError
from nnrobust.zoo.files import check_hash, check_look, recorded, remedy
from nnrobust.zoo.models import LAYOUT, N_CLASSES, ZooModel

SCALARS = ("bool", "int32", "int64", "float16", "float32", "float64")


def read_checkpoint(model: ZooModel, file_name: str, path: Path) -> Any:
    """What the checkpoint at `path` holds, on the CPU: tensors, containers, numbers, texts and numpy scalars.

    Anything else is refused, and nothing is run.
    The unpickler is torch's restricted one whatever TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD says, as it is asked for by argument.

    Raises:
        FetchError: when the file is cut off, damaged, or wants a class or function unpickled that may run code.
    """
    try:
        return unpickled(path)
    except Exception as error:
        raise FetchError(
            f"{model.name}: {file_name}: expected tensors, containers and numpy scalars only, got {cause_of(error)}; "
            f"{remedy(file_name)}"
        ) from error


def unpickled(path: Path) -> Any:
    """What a file holds, on the CPU, by torch's restricted unpickler, with numpy's scalars besides; it raises torch's errors."""
    scalar = importlib.import_module("numpy._core.multiarray").scalar
    # Old checkpoints name it as numpy 1 did.
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    with torch.serialization.safe_globals([*names, np.dtype, *(type(np.dtype(name)) for name in SCALARS)]):
        return torch.load(path, map_location="cpu", weights_only=True)


def cause_of(error: Exception) -> str:
    """What a file that `unpickled` refuses is."""
    wanted = re.search(r"(?:unsupported |Unsupported global: )GLOBAL (\S+)", str(error))
    if wanted:
        return f"a pickle that wants {wanted[1]}, which may run code; nothing of it was run"
    return f"one that cannot be read, cut off or damaged ({_first_line(error)})"


def build(model: ZooModel) -> nn.Module:
    """The untrained network, on the default device; a part that asks for CUDA while it is built stays there too.

    Raises:
        FetchError: when this environment's robustbench or timm cannot build it.
    """
    try:
        # The builders report their progress on standard output.
        with _no_cuda_tensors(), contextlib.redirect_stdout(io.StringIO()):
            if model.is_timm:
                zoo_module("robustbench.model_zoo.architectures.xcit")
                name = model.identifiers[0].removeprefix("timm:")
                return importlib.import_module("timm").create_model(name, num_classes=N_CLASSES, pretrained=False)
            enums = zoo_module("robustbench.model_zoo.enums")
            zoo = zoo_module("robustbench.model_zoo").model_dicts
            return zoo[enums.BenchmarkDataset.cifar_10][enums.ThreatModel.Linf][model.name]["model"]()
    except FetchError:
        raise
    except Exception as error:
        raise FetchError(
            f"{model.name}: robustbench cannot build its architecture here ({_first_line(error)}); "
            "run `make repro`, which sets up the versions that can, or take it off zoo.models"
        ) from error


def load(model: ZooModel, folder: Path, lock: Path) -> nn.Module:
    """The pretrained network, in eval mode on the CPU, taking images (n, 3, 32, 32) in [0, 1] to logits or probabilities.

    Its files lie under `folder` as `robustbench.load_model` has them, and are those that the lock file recorded.

    Raises:
        FetchError: when a file is missing, unrecorded, another than recorded, damaged, does not fit the architecture, or wants
            more than tensors, containers and numpy scalars.
    """
    for name in model.file_names:
        path = folder / LAYOUT / name
        if not path.is_file():
            raise FetchError(f"{model.name}: expected {path}, found none; run `dvc repro fetch@{model.name}`")
        if name not in recorded(lock):
            raise FetchError(
                f"{model.name}: expected the sha256 of {name} in {lock}, found none; take the lock file from git, or run "
                f"`dvc repro --single-item --force fetch@{model.name}`, which checks the file and records it"
            )
        check_look(model, name, path)
        check_hash(model, name, path, lock)
    return network_of(model, folder)


def network_of(model: ZooModel, folder: Path) -> nn.Module:
    """The network of the model's files under `folder`, as `load` gives it, whether they are recorded or not.

    Raises:
        FetchError: when a file is damaged, does not fit the architecture, holds weights that are not finite, or wants more than
            tensors, containers and numpy scalars.
    """
    try:
        network = _timm_network(model, folder) if model.is_timm else _robustbench_network(model, folder)
    except FetchError:
        raise
    except Exception as error:
        raise FetchError(
            f"{model.name}: expected the weights of {model.architecture} as RobustBench has them, got a file of another layout "
            f"in {folder / LAYOUT} ({type(error).__name__}: {_first_line(error)}); {remedy(model.file_names[0])}"
        ) from error
    for name, values in network.state_dict().items():
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise FetchError(
                f"{model.name}: expected finite weights in {folder / LAYOUT}, got nan or infinity in {name}; "
                f"{remedy(model.file_names[0])}"
            )
    return network.eval()


def _timm_network(model: ZooModel, folder: Path) -> nn.Module:
    """Weights into the network inside timm's normalisation; `create_model(checkpoint_path=...)` would unpickle anything."""
    network = build(model)
    (file_name,) = model.file_names
    checkpoint = read_checkpoint(model, file_name, folder / LAYOUT / file_name)
    as_timm_has_them = importlib.import_module("timm.models.xcit").checkpoint_filter_fn
    network.model.load_state_dict(as_timm_has_them(checkpoint, network.model), strict=True)
    return network


def _robustbench_network(model: ZooModel, folder: Path) -> nn.Module:
    """By robustbench's own reading of its checkpoints, to which `read_checkpoint` stands in for `torch.load` during the call."""
    utils = zoo_module("robustbench.utils")
    before = utils.torch
    utils.torch = types.SimpleNamespace(
        load=lambda path, **_: read_checkpoint(model, Path(path).name, Path(path)), device=torch.device
    )
    try:
        with _no_cuda_tensors(), contextlib.redirect_stdout(io.StringIO()):
            return utils.load_model(model.name, model_dir=str(folder), dataset="cifar10", threat_model="Linf")
    finally:
        utils.torch = before


@contextmanager
def _no_cuda_tensors() -> Iterator[None]:
    """While the block runs, `Tensor.cuda` gives the tensor itself: one model of the zoo calls it while being built."""
    torch.Tensor.cuda = lambda self, *_, **__: self
    try:
        yield
    finally:
        # Uncovers the method of torch's base class again.
        del torch.Tensor.cuda


def zoo_module(name: str) -> Any:
    """A module of robustbench or of what that needs, without running robustbench's own `__init__`.

    It imports an `autoattack` which no registry has and a `pkg_resources` that setuptools dropped; the zoo needs neither.

    Raises:
        FetchError: when it is not installed.
    """
    try:
        if "robustbench" not in sys.modules:
            spec = importlib.util.find_spec("robustbench")
            if spec is None or spec.submodule_search_locations is None:
                raise ImportError("No module named 'robustbench'")
            package = types.ModuleType("robustbench")
            package.__path__ = list(spec.submodule_search_locations)
            sys.modules["robustbench"] = package
        return importlib.import_module(name)
    except ImportError as error:
        raise FetchError(
            f"{name}: expected it installed ({error}); run `make repro`, which sets up the environment"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

"""Networks of the exchange format ONNX as differentiable modules, by onnx2torch."""

import gzip
import importlib
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.func import vmap

from nnrobust.errors import FetchError

_GZIP = b"\x1f\x8b"
_OLDEST, _WELL_KNOWN = 9, 13
"""The least opset that onnx2torch has converters for, and the one that older files are brought to by onnx itself."""


class OneByOne(nn.Module):
    """A network written for batches of one, on batches (n, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return vmap(lambda image: self.network(image[None])[0])(x)


def read_onnx(path: Path) -> nn.Module:
    """The network in an ONNX file, gzipped or not, in eval mode: inputs (n, ...) as the file has them, one output (n, classes).

    Raises:
        FetchError: when onnx or onnx2torch is not installed; when the file is missing or damaged, keeps weights in other files,
            has several inputs or outputs or a batch size above one; naming the operators that cannot be converted.
    """
    if not path.is_file():
        raise FetchError(f"{path}: expected an ONNX file, found none")
    onnx, onnx2torch = _library("onnx"), _library("onnx2torch")
    model = _checked(onnx, path)
    size = _batch_size(model.graph, path.name)
    if _opset(model) < _OLDEST:
        model = _library("onnx.version_converter").convert_version(model, _WELL_KNOWN)
    unknown = _unknown_operators(model)
    if unknown:
        raise FetchError(
            f"{path.name}: expected operators that onnx2torch converts at opset {_opset(model)}, got {', '.join(unknown)}; "
            "export the network without them or at another opset, or state its weights and architecture"
        )
    try:
        network = onnx2torch.convert(model).eval()
    except Exception as error:
        raise FetchError(
            f"{path.name}: expected a network that onnx2torch converts, got {_first_line(error)}; export it at another opset, or "
            "state its weights and architecture"
        ) from error
    return OneByOne(network) if size == 1 else network


def _checked(onnx: Any, path: Path) -> Any:
    """The model in the file, whole and valid."""
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(gzip.decompress(content) if content.startswith(_GZIP) else content)
        elsewhere = [one.name for one in model.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
        if not elsewhere:
            onnx.checker.check_model(model)
    except Exception as error:
        raise FetchError(
            f"{path.name}: expected an ONNX file, gzipped or not, got one that cannot be read ({_first_line(error)})"
        ) from error
    if elsewhere:  # whose paths the file chooses
        raise FetchError(
            f"{path.name}: expected weights inside the file, got {elsewhere[0]} in another; save it as one file"
        )
    return model


def _batch_size(graph: Any, where: str) -> int | None:
    """The batch size that the network is written for, 1 or None for any."""
    weights = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise FetchError(f"{where}: expected one input and one output, got {len(inputs)} and {len(graph.output)}")
    first = inputs[0].type.tensor_type.shape.dim[0]
    if first.dim_value > 1:
        raise FetchError(
            f"{where}: expected a batch size of one, or any, got {first.dim_value}; export it with a free one"
        )
    return 1 if first.dim_value == 1 else None


def _unknown_operators(model: Any) -> list[str]:
    registry = _library("onnx2torch.node_converters")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    unknown = set()
    for node in model.graph.node:
        try:
            registry.get_converter(
                domain=node.domain, operation_type=node.op_type, version=versions.get(node.domain, 1)
            )
        except NotImplementedError:
            unknown.add(f"{node.domain}.{node.op_type}".removeprefix("."))
    return sorted(unknown)


def _opset(model: Any) -> int:
    return next((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FetchError(f"expected the package {name.split('.')[0]} for ONNX files, found none ({error}); "
                         "`pip install 'nnrobust[onnx]'`") from error  # fmt: skip


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

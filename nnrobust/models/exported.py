"""Programs of `torch.export` as differentiable modules; nothing of their files is unpickled but tensors."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnrobust.errors import FetchError
from nnrobust.zoo.load import cause_of

_AGAIN = (
    "save it again with torch.export.save, from a network in eval mode whose weights and constants are plain tensors"
)
_TENSOR = re.compile(r"(weight|tensor)_\d+")
"""Files of plain tensors; those of other names are pickled objects."""
_NAME = re.compile(r"[\w.,:<> +*-]*")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file|save)\w+(\.\w+)?|_operator\.(getitem|add|sub|mul|floordiv|truediv|neg|mod|eq|ne|l[te]|g[te])"
)
_SYMBOL = re.compile(r"Symbol\('\w+'(, \w+=True)*\)|\b(Add|Mul|Pow|Integer|FloorDiv|Mod|Max|Min)(?=\()")
"""What expressions of sizes are made of, beside numbers and signs."""
_UNUSED = {"metadata", "guards_code", "module_call_graph"}
"""Parts of a graph's text that become comments, or checks of shapes that are left out."""
_TRAINS = {"aten.dropout": 2, "aten.batch_norm": 5, "aten.feature_dropout": 2, "aten.alpha_dropout": 2}
"""Operators that act otherwise in training, and the position of the argument that says whether they are."""


class Exported(nn.Module):
    """The outputs (n, classes) of an exported program, which takes batches of `size` images, or of any number for None."""

    def __init__(self, program: nn.Module, size: int | None) -> None:
        super().__init__()
        self.program, self.size = program, size

    def forward(self, x: Tensor) -> Tensor:
        if self.size is None:
            return self.program(x)
        lacking = -len(x) % self.size
        whole = torch.cat([x, x[:1].expand(lacking, *x.shape[1:])])
        return torch.cat([self.program(part) for part in whole.split(self.size)])[: len(x)]

    def train(self, mode: bool = True) -> "Exported":
        """Itself: a program acts as it was exported."""
        self.training = False
        return self


def read_exported(path: Path) -> nn.Module:
    """The network in a file of `torch.export.save`: inputs (n, ...) as the file has them, one output (n, classes).

    Only the archive format of PyTorch 2.8 and later is read. Loading one unpickles objects among the constants and evaluates
    texts of the graph, so all of it is looked through first: tensors, names, sizes and PyTorch's own operators pass.

    Raises:
        FetchError: when the file is missing, damaged or of the older format; when anything in it but tensors would be unpickled;
            when a text in it might be evaluated as code; when it has several inputs or outputs, an operator that is not
            PyTorch's, or was exported in training mode.
    """
    if not path.is_file():
        raise FetchError(f"{path}: expected a file of torch.export.save, found none")
    _require_plain(path)
    try:
        program = torch.export.load(path)
        module = program.module(check_guards=False)
    except Exception as error:
        raise FetchError(f"{path.name}: expected a program that PyTorch {torch.__version__} loads, got "
                         f"{type(error).__name__}: {str(error).splitlines()[0][:200]}; {_AGAIN}") from error  # fmt: skip
    signature = program.graph_signature
    inputs, outputs = signature.user_inputs, signature.user_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise FetchError(f"{path.name}: expected one input and one output, got {len(inputs)} and {len(outputs)}")
    _require_evaluation(program.graph, path.name)
    first = next(node for node in program.graph.nodes if node.name == inputs[0]).meta["val"].shape[0]
    return Exported(module, first if isinstance(first, int) else None)


def _require_plain(path: Path) -> None:
    """A FetchError for files of which torch would unpickle or evaluate anything but tensors, names and numbers."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any(name.endswith("archive_format") for name in names):
                raise FetchError(
                    f"{path.name}: expected the archive format of PyTorch 2.8 and later, got another zip; {_AGAIN}"
                )
            for name in names:
                if re.search(r"/data/(weights|constants)/.*_config\.json$", name):
                    _require_tensors(json.loads(archive.read(name))["config"], path.name)
                elif re.search(r"/models/.*\.json$", name):
                    _require_names(json.loads(archive.read(name)), "", path.name)
                elif "/sample_inputs/" in name:
                    _require_inert(archive.read(name), path.name)
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FetchError(
            f"{path.name}: expected a file of torch.export.save, got one that cannot be read ({error}); {_AGAIN}"
        ) from error


def _require_tensors(config: dict[str, Any], where: str) -> None:
    for name, entry in config.items():
        if entry["use_pickle"] or not _TENSOR.fullmatch(entry["path_name"]):
            raise FetchError(
                f"{where}: expected plain tensors, got {name}, which would be unpickled and may run code; {_AGAIN}"
            )


def _require_names(content: Any, key: str, where: str) -> None:
    """torch turns names into source text, expressions of sizes into sympy's by `eval`, and operators into its attributes."""
    if key in _UNUSED:
        return
    if isinstance(content, dict):
        for name, value in content.items():
            _require_names(name, "", where)
            _require_names(value, name, where)
    elif isinstance(content, list):
        for value in content:
            _require_names(value, key, where)
    elif isinstance(content, str):
        is_plain = bool((_OPERATOR if key == "target" else _NAME).fullmatch(content)) and "__" not in content
        if key == "expr_str":
            left = _SYMBOL.sub("", content)
            is_plain = (
                bool(re.fullmatch(r"[\w,+*/() -]*", left)) and "__" not in left and not re.search(r"[\w)] *\(", left)
            )
        if not is_plain:
            kind = "PyTorch's own operators" if key == "target" else "plain names"
            raise FetchError(f"{where}: expected {kind}, got {key} {content[:80]!r}, which may run code; {_AGAIN}")


def _require_inert(content: bytes, where: str) -> None:
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise FetchError(
            f"{where}: expected sample inputs that are tensors, got {cause_of(error)}; {_AGAIN}"
        ) from error


def _require_evaluation(graph: Any, where: str) -> None:
    for node in graph.nodes:
        position = _TRAINS.get(str(node.target).rpartition(".")[0])
        if position is not None and len(node.args) > position and node.args[position] is True:
            raise FetchError(
                f"{where}: expected a network exported in eval mode, got {node.target} in training; {_AGAIN}"
            )

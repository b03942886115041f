"""Weights from a file, which is read without running anything of it."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nnrobust.errors import FetchError
from nnrobust.zoo.load import cause_of, unpickled

PREFIXES = ("module.", "_orig_mod.")
"""What networks trained on several GPUs, and compiled ones, put before each name."""
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
WHOLE = "a whole module, whose unpickling runs code of the file's maker"
INSTEAD = "save network.state_dict() where the network comes from, and state the architecture"


def read_weights(path: Path, entry: str) -> dict[str, Tensor]:
    """The weights in a file of safetensors or of PyTorch, by name, on the CPU.

    `entry` leads to them, as `state_dict[0]`. From there on `state_dict`, lists of one and dicts with one dict of weights are
    unwrapped, and `module.` or `_orig_mod.` before every name is taken off.

    Raises:
        FetchError: for whole modules and TorchScript, which are programs and not weights; for files that are damaged, or where
            no weights, or several, are found.
    """
    if path.suffix == ".safetensors":
        return _stripped(_safetensors(path))
    _refuse_programs(path)
    try:
        content = unpickled(path)
    except Exception as error:
        kind = WHOLE if "GLOBAL torch.nn." in str(error) else cause_of(error)
        raise FetchError(f"{path.name}: expected weights alone, got {kind}; {INSTEAD}") from error
    return _stripped(_unwrapped(_at(content, entry, path.name), path.name))


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise FetchError(
            f"{path.name}: expected a file of safetensors, got one that cannot be read ({error})"
        ) from error


def _refuse_programs(path: Path) -> None:
    """TorchScript and exported programs are zip files with code in them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(re.search(r"(^|/)(constants\.pkl|code/.+)$", name) for name in names):
        kind = "TorchScript, a program whose gradients and hidden state cannot be checked"
        raise FetchError(f"{path.name}: expected weights alone, got {kind}; {INSTEAD}")
    if any(name.endswith(("serialized_exported_program.json", "archive_format")) for name in names):
        raise FetchError(f"{path.name}: expected weights alone, got a program of torch.export; {INSTEAD}")


def _at(content: Any, entry: str, where: str) -> Any:
    for key, number in _STEP.findall(entry):
        try:
            content = content[int(number) if number else key]
        except (KeyError, IndexError, TypeError) as error:
            raise FetchError(f"{where}: expected weights at entry {entry!r}, found {_shown(content)}") from error
    return content


def _unwrapped(content: Any, where: str) -> Mapping[str, Tensor]:
    """The weights inside dicts and lists that hold nothing else like them."""
    if _are_weights(content):
        return content
    inner: Any = None
    if isinstance(content, Mapping):
        like = [value for value in content.values() if _are_weights(value)]
        inner = content.get("state_dict", like[0] if len(like) == 1 else None)
    elif isinstance(content, list | tuple) and len(content) == 1:
        inner = content[0]
    if inner is None:
        raise FetchError(
            f"{where}: expected weights by name, found {_shown(content)}; say in entry where they lie, as state_dict[0]"
        )
    return _unwrapped(inner, where)


def _are_weights(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
        and any(value.ndim > 1 for value in content.values())
    )


def _shown(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(map(str, list(content)[:8]))}"
    return f"a {type(content).__name__}" + (f" of {len(content)}" if isinstance(content, list | tuple) else "")


def _stripped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return dict(weights)

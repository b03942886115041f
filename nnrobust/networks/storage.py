"""The file of the networks of a dataset's pairs, or of the one network of all classes."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nnrobust.data.datasets import Problem
from nnrobust.errors import DataError
from nnrobust.runtime.outputs import finished_file

_SHA256 = "sha256"
"""The key, in the metadata of a file, of the sha256 over its tensors' names, types, shapes and values."""


def save_networks(networks: Mapping[str, Mapping[str, Mapping[str, Tensor]]], path: Path | str) -> None:
    """Writes the `state_dict` of each pair's network at each checkpoint as one safetensors file, whole or not at all.

    Tensors are named `3-5/best/<parameter>` and `3-5/last/<parameter>`, those of a network of all classes `all/best/...`.
    Their hash is in the metadata.

    Args:
        networks: by pair (`3-5`, `all`), then by checkpoint (`best`, `last`).
    """
    tensors = {
        f"{pair}/{checkpoint}/{name}": tensor
        for pair, checkpoints in networks.items()
        for checkpoint, state in checkpoints.items()
        for name, tensor in state.items()
    }
    digest = hashlib.sha256()
    for name in sorted(tensors):
        _add(digest, name, tensors[name])
    with finished_file(path) as temporary:
        save_file(tensors, str(temporary), {_SHA256: digest.hexdigest()})


def stored_pairs(path: Path | str) -> set[str]:
    """The pairs (`3-5`) that have a network in the file.

    Raises:
        DataError: when the file is missing, damaged, or another than was written.
    """
    return {name.split("/", 1)[0] for name, _ in _checked(path)}


def load_networks(path: Path | str, pairs: Sequence[Problem], checkpoint: str) -> list[dict[str, Tensor]]:
    """The `state_dict` of each pair's network, at its `best` on validation or at its `last` epoch.

    Raises:
        DataError: when the file is missing, damaged or another than was written, or holds no network for a pair.
    """
    states: dict[str, dict[str, Tensor]] = {f"{pair}/{checkpoint}": {} for pair in pairs}
    for name, value in _checked(path):
        *place, parameter = name.split("/", 2)
        if (state := states.get("/".join(place))) is not None:
            state[parameter] = value
    for problem in pairs:
        if not states[f"{problem}/{checkpoint}"]:
            raise DataError(f"{path}: no network for pair {problem}; run `dvc repro train`")
    return [states[f"{problem}/{checkpoint}"] for problem in pairs]


def _checked(path: Path | str) -> Iterator[tuple[str, Tensor]]:
    """The names and tensors of a file; after the last one, an error where they are not those that were written."""
    digest = hashlib.sha256()
    try:
        with safe_open(str(path), framework="pt") as tensors:
            written = (tensors.metadata() or {}).get(_SHA256)
            for name in sorted(tensors.keys()):
                value = tensors.get_tensor(name)
                _add(digest, name, value)
                yield name, value
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"{path}: expected trained networks: {error}; run `dvc repro train`") from error
    if digest.hexdigest() != written:
        raise DataError(
            f"{path}: expected networks with the sha256 {written or 'that is written with them'}, got {digest.hexdigest()}: the "
            "file was changed or damaged, or is of an older version; delete it and run `dvc repro train`"
        )


def _add(digest: "hashlib._Hash", name: str, value: Tensor) -> None:
    digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
    digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())

"""The file of the networks of a dataset's pairs, or of the one network of all classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nnrobust.data.datasets import Problem
from nnrobust.errors import DataError
from nnrobust.runtime.outputs import finished_file


def save_networks(networks: Mapping[str, Mapping[str, Mapping[str, Tensor]]], path: Path | str) -> None:
    """Writes the `state_dict` of each pair's network at each checkpoint as one safetensors file, whole or not at all.

    Tensors are named `3-5/best/<parameter>` and `3-5/last/<parameter>`, those of a network of all classes `all/best/...`.

    Args:
        networks: by pair (`3-5`, `all`), then by checkpoint (`best`, `last`).
    """
    tensors = {
        f"{pair}/{checkpoint}/{name}": tensor
        for pair, checkpoints in networks.items()
        for checkpoint, state in checkpoints.items()
        for name, tensor in state.items()
    }
    with finished_file(path) as temporary:
        save_file(tensors, str(temporary))


def stored_pairs(path: Path | str) -> set[str]:
    """The pairs (`3-5`) that have a network in the file.

    Raises:
        DataError: when the file is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as tensors:
            return {name.split("/", 1)[0] for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def load_networks(path: Path | str, pairs: Sequence[Problem], checkpoint: str) -> list[dict[str, Tensor]]:
    """The `state_dict` of each pair's network, at its `best` on validation or at its `last` epoch.

    Raises:
        DataError: when the file is missing or damaged, or holds no network for a pair.
    """
    try:
        tensors = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    states = [
        {name.split("/", 2)[2]: value for name, value in tensors.items() if name.startswith(f"{pair}/{checkpoint}/")}
        for pair in pairs
    ]
    for pair, state in zip(pairs, states, strict=True):
        if not state:
            raise DataError(f"{path}: no network for pair {pair}; run `dvc repro train`")
    return states


def _unreadable(path: Path | str, error: Exception) -> DataError:
    return DataError(f"{path}: expected trained networks: {error}; run `dvc repro train`")

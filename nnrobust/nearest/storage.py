"""Radii with their proofs in a file, which anybody who has the classifier's numbers can check: arrays in NumPy's .npz, no code.

The file has what certificates say, and the digest of what they say it about: of references and labels, of weights and biases.
These are not in it; whoever checks it brings them.
"""

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from nnrobust.errors import DataError, DataWarning
from nnrobust.nearest.halfspace import Adversary
from nnrobust.nearest.proof import RobustRadius

_FORMAT = "nnrobust proofs 1"
_KINDS = {
    "nearest": ("nnrobust.nearest.proof", "Certificate"),
    "linear": ("nnrobust.linear.proof", "LinearCertificate"),
}
"""The certificates that a file may hold, which are all of one kind."""

Arrays = dict[str, np.ndarray]


def save(result: RobustRadius, path: Path) -> None:
    """Writes a result, whole or not at all.

    Raises:
        DataError: for one without queries, or whose certificates are of several classifiers or adversaries.
    """
    proofs: list[Any] = list(result.certificate)
    kinds = {(type(one).__module__, type(one).__name__) for one in proofs}
    about = {(one.digest, one.adversary) for one in proofs}
    if len(kinds) != 1 or not kinds <= set(_KINDS.values()) or len(about) != 1:
        raise DataError(
            f"result: expected certificates of one classifier and one adversary, got {len(proofs)} of {len(about)}"
        )
    digest, adversary = about.pop()
    kind = next(name for name, home in _KINDS.items() if home in kinds)
    header = {"format": _FORMAT, "kind": kind, "digest": digest, "norm": adversary.norm, "box": adversary.box}
    header["shape"] = result.x_adv.shape
    arrays = {name: np.stack([getattr(one, name) for one in proofs]) for name in ("query", "x_adv", "lower", "upper")}
    arrays |= type(proofs[0]).to_arrays(proofs)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def load(path: str | Path, references: Any) -> RobustRadius:
    """The result in a file, as a claim about `references`, not checked: `verify` of it says what holds.

    Args:
        references: a pair of references (n, ...) and their labels (n,); of a linear classifier `coef_` and `intercept_`. Or the
            fitted classifier itself.

    Raises:
        DataError: when the file is none of `RobustRadius.save`, or is damaged, or the references are of another shape.
    """
    header, arrays = _read(Path(path))
    module, name = _KINDS[header["kind"]]
    box = None if header["box"] is None else (float(header["box"][0]), float(header["box"][1]))
    restored: Callable[..., list[Any]] = getattr(import_module(module), name).of_arrays
    try:
        proofs = restored(arrays, references, header["digest"], Adversary(str(header["norm"]), box))
        return RobustRadius.of(proofs, arrays["query"], tuple(header["shape"]))
    except DataError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, StopIteration) as error:
        raise DataError(f"{path}: expected a file of RobustRadius.save, got one whose arrays do not fit together ({error}); "
                        "it may be damaged") from error  # fmt: skip


def verify(path: str | Path, references: Any) -> np.ndarray:
    """Which of the radii in a file of `RobustRadius.save` hold (n,), for the classifier of these references, checked anew.

    All are False, with a DataWarning, where the references are not those that the file is about.

    Args:
        references: a pair of references (n, ...) and their labels (n,); of a linear classifier `coef_` and `intercept_`. Or the
            fitted classifier itself.

    Raises:
        DataError: as `load`.
    """
    result = load(path, references)
    proofs: list[Any] = list(result.certificate)
    given, named = proofs[0].digest_now(), proofs[0].digest
    if given != named:
        warnings.warn(f"{path}: expected references and labels with the digest {named[:12]}, got others, {given[:12]}; "
                      "give those that the classifier was fitted to, in their order", DataWarning, stacklevel=2)  # fmt: skip
    return result.verify()


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """The header of a file, and its arrays."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(str(arrays.pop("header")))
        if (
            header["format"] == _FORMAT
            and header["kind"] in _KINDS
            and {"norm", "box", "digest", "shape"} <= set(header)
        ):
            return header, arrays
        got = repr(header["format"])
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        EOFError,
        BadZipFile,
        NotImplementedError,
    ) as error:
        got = f"{type(error).__name__}: {error}"
    raise DataError(f"{path}: expected a file of RobustRadius.save ({_FORMAT}), got {got}")

"""Files of proofs read again and checked, by whoever has the classifier's numbers."""

import json
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from nnrobust.errors import DataError, DataWarning
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import RobustRadius
from nnrobust.nearest.proofs.storage import FORMAT, KINDS

Arrays = dict[str, np.ndarray]


def load(path: str | Path, references: Any) -> RobustRadius:
    """The result in a file, as a claim about `references`, not checked: `verify` of it says what holds.

    Args:
        references: a pair of references (n, ...) and their labels (n,); of a linear classifier `coef_` and `intercept_`. Or the
            fitted classifier itself.

    Raises:
        DataError: when the file is none of `RobustRadius.save`, or is damaged, or the references are of another shape.
    """
    header, arrays = _read(Path(path))
    module, name = KINDS[header["kind"]]
    box = None if header["box"] is None else (_values(header["box"][0]), _values(header["box"][1]))
    weights = tuple(map(float, header["weights"])) if "weights" in header else None
    restored: Callable[..., list[Any]] = getattr(import_module(module), name).of_arrays
    try:
        proofs = restored(arrays, references, header["digest"], Adversary(str(header["norm"]), box, weights))
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


def _values(side: Any) -> float | tuple[float, ...]:
    """A side of a box: a number, or one for each feature."""
    return tuple(map(float, side)) if isinstance(side, list) else float(side)


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """The header of a file, and its arrays."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(str(arrays.pop("header")))
        if header["format"] == FORMAT and header["kind"] in KINDS and {"norm", "box", "digest", "shape"} <= set(header):
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
    raise DataError(f"{path}: expected a file of RobustRadius.save ({FORMAT}), got {got}")

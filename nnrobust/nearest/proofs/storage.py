"""Radii with their proofs in a file, which anybody who has the classifier's numbers can check: arrays in NumPy's .npz, no code.

The file has what certificates say, and the digest of what they say it about: of references and labels, of weights and biases.
These are not in it; whoever checks it brings them (`verification`).
"""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrobust.errors import DataError

if TYPE_CHECKING:
    from nnrobust.nearest.proofs.proof import RobustRadius

FORMAT = "nnrobust proofs 1"
KINDS = {
    "nearest": ("nnrobust.nearest.proofs.proof", "Certificate"),
    "categorical": ("nnrobust.nearest.proofs.categorical_proof", "CategoricalCertificate"),
    "voting": ("nnrobust.nearest.proofs.voting_proof", "VotingCertificate"),
    "linear": ("nnrobust.linear.proof", "LinearCertificate"),
}
"""The certificates that a file may hold, which are all of one kind."""


def save(result: "RobustRadius", path: Path) -> None:
    """Writes a result, whole or not at all.

    Raises:
        DataError: for one without queries, or whose certificates are of several classifiers or adversaries.
    """
    proofs: list[Any] = list(result.certificate)
    kinds = {(type(one).__module__, type(one).__name__) for one in proofs}
    about = {(one.digest, one.adversary) for one in proofs}
    if len(kinds) != 1 or not kinds <= set(KINDS.values()) or len(about) != 1:
        raise DataError(
            f"result: expected certificates of one classifier and one adversary, got {len(proofs)} of {len(about)}"
        )
    digest, adversary = about.pop()
    kind = next(name for name, home in KINDS.items() if home in kinds)
    header = {"format": FORMAT, "kind": kind, "digest": digest, "norm": adversary.norm, "box": adversary.box}
    header["shape"] = result.x_adv.shape
    if adversary.weights is not None:
        header["weights"] = adversary.weights
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

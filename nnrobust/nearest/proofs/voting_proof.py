"""The radius of a query by the vote of k references with its proof, which `voting_checker` checks without the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrobust.nearest.proofs import voting_checker
from nnrobust.nearest.proofs.digest import digest_of
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.nearest.proofs.proof import given, labels_of, rescaled, split

_LISTS = ("own", "tree", "near", "far", "weights")


@dataclass(frozen=True)
class VotingCertificate:
    """Why `label` has more votes than every other at each point nearer to `query` than `lower`, and not at one at `upper`.

    Of `n_neighbors` votes, ties against the label (`votes`). `tree`: what `voting_checker` reads, with pairs `near` and `far` of
    references and their `weights`, in its order; `own`: own-class references whose bisectors rule others out. All references are
    positions. `ended_by`: the budget that ended the search before the bounds met, or nothing.
    `references` (n, d) and `labels` (n,) are those of the classifier, not copies, and `digest` is theirs.
    """

    query: np.ndarray
    label: object
    references: np.ndarray
    labels: np.ndarray
    digest: str
    adversary: Adversary
    n_neighbors: int
    lower: float
    upper: float
    x_adv: np.ndarray
    own: np.ndarray
    tree: np.ndarray
    near: np.ndarray
    far: np.ndarray
    weights: np.ndarray
    ended_by: str = ""
    metric: np.ndarray | None = None

    which_hold = staticmethod(voting_checker.which_hold)

    def verify(self) -> bool:
        """True when both bounds hold: by float64 distances, every rounding error on the safe side.

        False also where a part is malformed, or references and labels are not those of the digest.
        """
        return bool(voting_checker.which_hold([self])[0])

    def digest_now(self) -> str:
        """The digest of the references and labels that are here now."""
        return digest_of(self.references, self.labels)

    def in_units(self, unit: float) -> "VotingCertificate":
        """The same for points divided by `unit`, a power of two; its references are still those of before."""
        return rescaled(self, unit)

    @staticmethod
    def to_arrays(certificates: "Sequence[VotingCertificate]") -> dict[str, np.ndarray]:
        """What `of_arrays` takes, besides what all proofs have."""
        found = {
            "label": labels_of(certificates),
            "n_neighbors": np.array([one.n_neighbors for one in certificates], dtype=np.int64),
            "ended_by": np.array([one.ended_by for one in certificates]),
            "dtype": np.array(certificates[0].references.dtype.str),
        }
        for name in _LISTS:
            parts = [getattr(one, name) for one in certificates]
            found |= {f"n_{name}": np.array([len(part) for part in parts], dtype=np.int64), name: np.concatenate(parts)}
        return found

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], references: Any, digest: str, adversary: Adversary
    ) -> "list[VotingCertificate]":
        """The certificates that `to_arrays` made arrays of, about references and labels, or those of a fitted classifier.

        Raises:
            DataError: for references of another shape.
        """
        points, labels, _ = given(references, arrays)
        lists = {name: split(arrays[name], arrays[f"n_{name}"]) for name in _LISTS}
        return [
            cls(
                query=arrays["query"][n], label=arrays["label"][n], references=points, labels=labels, digest=digest,
                adversary=adversary, n_neighbors=int(arrays["n_neighbors"][n]), lower=float(arrays["lower"][n]),
                upper=float(arrays["upper"][n]), x_adv=arrays["x_adv"][n], ended_by=str(arrays["ended_by"][n]),
                **{name: parts[n] for name, parts in lists.items()},
            )
            for n in range(len(arrays["query"]))
        ]  # fmt: skip

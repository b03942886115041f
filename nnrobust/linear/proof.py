"""The radius of a linear classifier with its proof, which `checker` checks from weights, query and certificate alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.linear import checker
from nnrobust.linear.form import LinearForm
from nnrobust.nearest.proofs.digest import digest_of
from nnrobust.nearest.proofs.halfspace import Adversary


@dataclass(frozen=True)
class LinearCertificate:
    """Why no point nearer to `query` (d,) than `lower` is labelled other than `code`, and why one at `upper` is, or ties.

    `weights` (k, d) and `biases` (k,) of the classifier, float64, not copies; the class of the highest score wins. A rival j wins
    or ties only at a v with (w_j - w_code).v >= the gap of the scores at the query, a half-space, whose distance is the bound.
    `digest` is that of weights and biases.
    """

    query: np.ndarray
    code: int
    weights: np.ndarray
    biases: np.ndarray
    digest: str
    adversary: Adversary
    lower: float
    upper: float
    x_adv: np.ndarray

    def verify(self) -> bool:
        """True when both bounds hold: who wins by exact signs, distances by float64 with rounding on the safe side.

        False also where a part is malformed, or weights and biases are not those of the digest.
        """
        return bool(checker.which_hold([self])[0])

    which_hold = staticmethod(checker.which_hold)

    def digest_now(self) -> str:
        """The digest of the weights and biases that are here now."""
        return digest_of(self.weights, np.arange(len(self.weights)), self.biases)

    @staticmethod
    def to_arrays(certificates: "Sequence[LinearCertificate]") -> dict[str, np.ndarray]:
        """What `of_arrays` takes, besides what all proofs have."""
        return {"code": np.array([one.code for one in certificates], dtype=np.int64)}

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], references: Any, digest: str, adversary: Adversary
    ) -> "list[LinearCertificate]":
        """The certificates that `to_arrays` made arrays of, about a pair of `coef_` and `intercept_`, or a fitted classifier.

        Raises:
            DataError: for others.
        """
        form = LinearForm.of_pair(references) if isinstance(references, (tuple, list)) else LinearForm.of(references)
        if form.weights.shape[1] != arrays["query"].shape[1]:
            raise DataError(
                f"references: expected weights of {arrays['query'].shape[1]} features, got {form.weights.shape[1]}"
            )
        return [
            cls(
                query=arrays["query"][n], code=int(arrays["code"][n]), weights=form.weights, biases=form.biases, digest=digest,
                adversary=adversary, lower=float(arrays["lower"][n]), upper=float(arrays["upper"][n]), x_adv=arrays["x_adv"][n],
            )
            for n in range(len(arrays["query"]))
        ]  # fmt: skip

"""The radius of a query with its proof, which `checker` checks from the query, the references and the certificate alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nnrobust.errors import DataError, SolverError
from nnrobust.nearest.proofs import checker, storage
from nnrobust.nearest.proofs.digest import digest_of, in_image
from nnrobust.nearest.proofs.halfspace import Adversary
from nnrobust.runtime.jobs import checked_in_parts
from nnrobust.runtime.threads import on_one_thread

if TYPE_CHECKING:
    import pandas as pd

EXACT_WITHIN = 1e-6
"""Distance of the bounds of an exact radius at most, relative to the upper one."""
_SMALLEST = 2.0**-1074
"""The smallest number above 0: what claims to be above 0 is so in other units too."""


@dataclass(frozen=True)
class Certificate:
    """Why no point nearer to `query` than `lower` is labelled differently from `label`, and why one at `upper` is.

    `own`: positions of own-class references, whose bisectors settle every other-class reference j that `multipliers` does not
    hold. `multipliers`: for those j, positions of own-class references i and weights m_i > 0, the largest of them from 1/2 to 1.
    x_j wins only at a v with a_i.v <= b_i for all i, so in the half-space (sum m_i a_i).v <= sum m_i b_i, whose distance is the
    bound.
    `references` (n, d) and `labels` (n,) are those of the classifier, not copies, and `digest` is theirs. With a `metric` W
    (k, d) it compares W x with references (n, k), and a_i is W'(x_i - x_j).
    """

    query: np.ndarray
    label: object
    references: np.ndarray
    labels: np.ndarray
    digest: str
    adversary: Adversary
    lower: float
    upper: float
    x_adv: np.ndarray
    own: np.ndarray
    multipliers: dict[int, tuple[np.ndarray, np.ndarray]]
    metric: np.ndarray | None = None

    def verify(self) -> bool:
        """True when both bounds hold: by float64 distances, every rounding error on the safe side.

        False also where a part is malformed, or references and labels are not those of the digest.
        """
        return bool(checker.which_hold([self])[0])

    which_hold = staticmethod(checker.which_hold)

    def digest_now(self) -> str:
        """The digest of the references, labels and metric that are here now."""
        return digest_of(self.references, self.labels, self.metric)

    def in_units(self, unit: float) -> "Certificate":
        """The same for points divided by `unit`, a power of two; its references are still those of before."""
        return rescaled(self, unit)

    @staticmethod
    def to_arrays(certificates: "Sequence[Certificate]") -> dict[str, np.ndarray]:
        """What `of_arrays` takes, besides what all proofs have."""
        first, pairs = certificates[0], [pair for one in certificates for pair in one.multipliers.values()]
        found = {
            "label": labels_of(certificates),
            "n_own": np.array([len(one.own) for one in certificates], dtype=np.int64),
            "own": np.concatenate([one.own for one in certificates]).astype(np.int64),
            "n_rivals": np.array([len(one.multipliers) for one in certificates], dtype=np.int64),
            "rivals": np.array([j for one in certificates for j in one.multipliers], dtype=np.int64),
            "n_weights": np.array([len(own) for own, _ in pairs], dtype=np.int64),
            "weighed": np.concatenate([np.empty(0, dtype=np.int64), *(own for own, _ in pairs)]),
            "weights": np.concatenate([np.empty(0), *(weights for _, weights in pairs)]),
            "dtype": np.array(first.references.dtype.str),
        }
        return found if first.metric is None else {**found, "metric": first.metric}

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], references: Any, digest: str, adversary: Adversary
    ) -> "list[Certificate]":
        """The certificates that `to_arrays` made arrays of, about references and labels, or those of a fitted classifier.

        Raises:
            DataError: for references of another shape.
        """
        points, labels, metric = given(references, arrays)
        rivals, owns = split(arrays["rivals"], arrays["n_rivals"]), split(arrays["own"], arrays["n_own"])
        weighed, weights = (split(arrays[name], arrays["n_weights"]) for name in ("weighed", "weights"))
        pairs = iter(list(zip(weighed, weights, strict=True)))
        return [
            cls(
                query=arrays["query"][n], label=arrays["label"][n], references=points, labels=labels, digest=digest,
                adversary=adversary, lower=float(arrays["lower"][n]), upper=float(arrays["upper"][n]), x_adv=arrays["x_adv"][n],
                own=owns[n], multipliers={j: next(pairs) for j in rivals[n].tolist()}, metric=metric,
            )
            for n in range(len(arrays["query"]))
        ]  # fmt: skip


def rescaled(proof: Any, unit: float) -> Any:
    """A certificate for points divided by `unit`, a power of two; its references are still those of before."""
    lower = max(proof.lower / unit, _SMALLEST if proof.lower > 0 else 0.0)
    return replace(proof, query=proof.query / unit, x_adv=proof.x_adv / unit, lower=lower, upper=proof.upper / unit,
                   adversary=proof.adversary.in_units(unit))  # fmt: skip


def labels_of(certificates: Sequence[Any]) -> np.ndarray:
    """The labels of certificates, as a file can have them.

    Raises:
        DataError: for labels that are neither numbers nor texts.
    """
    labels = np.array([one.label for one in certificates])
    if labels.dtype.kind == "O":
        raise DataError(f"labels: expected numbers or texts, to be written to a file, got {certificates[0].label!r}")
    return labels


def split(values: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Values, one part after the other, of these lengths."""
    return np.split(values, np.cumsum(counts)[:-1]) if len(counts) else []


def given(references: Any, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """References in the type that the certificates are about, if they can be had in it unchanged, with labels and metric."""
    if hasattr(references, "_points"):
        metric = getattr(references._metric, "matrix", None)
        return references._points, references._labels, metric
    if not isinstance(references, (tuple, list)) or len(references) != 2:
        raise DataError(
            f"references: expected a pair, references (n, ...) and labels (n,), got {type(references).__name__}"
        )
    points, labels = (np.asarray(part) for part in references)
    points = points.reshape(len(points), -1)
    metric, dtype = arrays.get("metric"), np.dtype(str(arrays["dtype"]))
    n_features = arrays["query"].shape[1]
    if labels.shape != points.shape[:1] or points.shape[1] != n_features:
        raise DataError(f"references: expected a pair of references (n, {n_features}) and labels (n,), "
                        f"got shapes {points.shape} and {labels.shape}")  # fmt: skip
    if metric is not None:
        if metric.ndim != 2 or metric.shape[1] != n_features or not np.isfinite(metric).all():
            raise DataError(f"metric: expected finite values of shape (k, {n_features}), got shape {metric.shape}; "
                            "the file may be damaged")  # fmt: skip
        points = in_image(points, metric)
    moved = points.astype(dtype)
    return moved if np.array_equal(moved, points) else points, labels, metric


class Proof(Protocol):
    """The proof of one query's bounds, of whatever classifier: `Certificate`, or that of a linear one."""

    @property
    def query(self) -> np.ndarray:
        """The query (d,), float64."""

    @property
    def lower(self) -> float:
        """No point nearer than this is labelled differently."""

    @property
    def upper(self) -> float:
        """One at this distance is, or ties."""

    @property
    def x_adv(self) -> np.ndarray:
        """That point (d,), NaN where none is known."""

    def verify(self) -> bool:
        """True when both bounds hold."""


@dataclass(frozen=True, repr=False)
class RobustRadius:
    """The radii of n queries.

    `lower`, `upper` (n,): the radius lies between them, in the units of the data. `status` (n,): `exact` where they agree within
    a relative 1e-6, else `bounded`. `x_adv`, float64 in the shape of the queries: a point at distance `upper` that is labelled
    differently, the query itself where the radius is 0, NaN where none is known. `certificate`: the n proofs. `queries`, float64
    (n, d): what was asked about.
    """

    lower: np.ndarray
    upper: np.ndarray
    status: np.ndarray
    x_adv: np.ndarray
    certificate: Sequence[Proof]
    queries: np.ndarray

    @classmethod
    def of(cls, proofs: Sequence[Proof], queries: np.ndarray, shape: tuple[int, ...]) -> "RobustRadius":
        """What these proofs say of queries (n, d), whose own shape was `shape`."""
        lower, upper = (
            np.array([getattr(one, name) for one in proofs], dtype=np.float64) for name in ("lower", "upper")
        )
        x_adv = np.stack([one.x_adv for one in proofs]).reshape(shape)
        return cls(lower, upper, _status(lower, upper), x_adv, list(proofs), queries)

    @property
    def ended_by(self) -> np.ndarray:
        """The budget that ended each search before its bounds met (n,), empty texts where none did."""
        return np.array([getattr(one, "ended_by", "") for one in self.certificate], dtype=np.str_)

    def to_frame(self) -> "pd.DataFrame":
        """One row for each query: `lower`, `upper`, `status`, `ended_by`. Needs pandas."""
        import pandas as pd

        columns = {name: getattr(self, name) for name in ("lower", "upper", "status", "ended_by")}
        return pd.DataFrame(columns)

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, rows: Any) -> "RobustRadius":
        """The same of some queries: one by its number, or several by a slice, numbers or a mask (n,)."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        return replace(
            self, lower=self.lower[chosen], upper=self.upper[chosen], status=self.status[chosen], x_adv=self.x_adv[chosen],
            certificate=[self.certificate[n] for n in chosen.tolist()], queries=self.queries[chosen],
        )  # fmt: skip

    def __repr__(self) -> str:
        counts = {name: int((self.status == name).sum()) for name in ("exact", "bounded")}
        found = self.upper[np.isfinite(self.upper)]
        sizes = f", {found.min():.4g} to {found.max():.4g}" if len(found) else ""
        return f"RobustRadius({len(self)} queries: {counts['exact']} exact, {counts['bounded']} bounded{sizes})"

    def is_robust(self, epsilon: float) -> np.ndarray:
        """Which queries keep their label in the closed ball of radius epsilon (n,).

        Raises:
            DataError: for an epsilon that is no finite number, 0 or more.
            SolverError: when neither bound of a query decides it.
        """
        is_number = isinstance(epsilon, (int, float, np.integer, np.floating)) and not isinstance(epsilon, bool)
        if not (is_number and 0 <= epsilon < np.inf):
            raise DataError(f"epsilon: expected a finite number of at least 0, got {epsilon!r}")
        robust = self.lower > epsilon
        open_rows = np.flatnonzero(~robust & (self.upper > epsilon))
        if len(open_rows):
            row = open_rows[0]
            got = f"[{self.lower[row]:g}, {self.upper[row]:g}] in row {row} ({len(open_rows)} such queries)"
            raise SolverError(f"epsilon = {epsilon:g}: expected bounds on one side of it, got {got}; "
                              "ask for the radius, or for this epsilon")  # fmt: skip
        return robust

    @on_one_thread
    def verify(self, n_jobs: int | None = None, verbose: int = 0) -> np.ndarray:
        """Which queries' bounds hold (n,), checked without the solver: the arrays are those of the certificates, which hold.

        `n_jobs` and `verbose` are those of the estimator: processes, and a line of progress on standard error.
        """
        holds = np.zeros(len(self.lower), dtype=bool)
        if len(self.certificate) != len(holds) or not all(
            len(part) == len(holds) for part in (self.upper, self.status, self.x_adv)
        ):
            return holds
        for kind in {type(proof) for proof in self.certificate}:
            rows = [n for n, proof in enumerate(self.certificate) if type(proof) is kind]
            proofs, together = [self.certificate[n] for n in rows], getattr(kind, "which_hold", None)
            holds[rows] = checked_in_parts(_each if together is None else together, proofs, n_jobs, verbose)
        holds &= np.array([self._says(n, proof) for n, proof in enumerate(self.certificate)], dtype=bool)
        return holds

    def _says(self, n: int, proof: Proof) -> bool:
        """Whether the arrays say of query n what the proof does."""
        lower, upper = self.lower[n], self.upper[n]
        return (
            lower == proof.lower and upper == proof.upper and self.status[n] == _status(lower, upper)
            and np.array_equal(self.x_adv[n].ravel(), proof.x_adv, equal_nan=True)
            and np.array_equal(self.queries[n], proof.query)
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Writes queries, bounds, points and proofs to a file, with the digest of the references: `nnrobust.verify` reads it.

        Raises:
            OSError: when it cannot be written.
        """
        storage.save(self, Path(path))


def _each(proofs: Sequence[Proof]) -> np.ndarray:
    """Which proofs hold (n,), one after the other."""
    return np.array([proof.verify() for proof in proofs])


def _status(lower: Any, upper: Any) -> Any:
    """`exact` or `bounded`, of bounds of any shape."""
    agree = (lower == upper) | (lower >= (1 - EXACT_WITHIN) * upper)
    return np.where(agree, "exact", "bounded")

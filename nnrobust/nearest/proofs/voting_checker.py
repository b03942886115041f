"""Whether certificates of votes hold: from queries, references and what is claimed, without the search.

Upper bounds: at `x_adv`, no farther than `upper`, the label loses the vote, by float64 distances.

Lower bounds. Let S be the k references that count at a point nearer than `lower` where the label loses. An other-class reference
is not in S if k // 2 + 1 references of `own` are surely nearer at all such points, by their bisectors: the *possible* ones are
left. The tree says of S which references are in it and which not, from nothing at its root, first a node and then its children:

    -1      The end: with what is in S, and what is possible, the vote is not lost. Own-class references that are surely nearer
            than one in S are in S too.
    -2 r    Reference r is in S (the first child) or is not (the second). What is said to be in S and not in S ends, too.
    -3 n    The next n pairs: every `near` is in S; if no `far` is, each near one is as near as the far one, and their weights
            make one half-space, no nearer than `lower`. So a far one is in S: one child each, in the order in which they come
            first, but for those that are not in S by what was said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrobust.nearest.proofs.checker import scaled
from nnrobust.nearest.proofs.rigorous import ROUNDING, TINY, Classifier, Place, bisectors, half_space, products
from nnrobust.nearest.proofs.votes import can_lose, loses, most_own
from nnrobust.threat import DUAL, norm_of

if TYPE_CHECKING:
    from nnrobust.nearest.proofs.voting_proof import VotingCertificate

_END, _SPLIT, _PAIRS = -1, -2, -3
_MOST = 2**22
"""Distances that are held at once; those of one certificate at least."""


def which_hold(certificates: Sequence["VotingCertificate"]) -> np.ndarray:
    """Which certificates hold (n,)."""
    known: dict[tuple[int, int], Any] = {}
    groups: dict[tuple[int, int, int], list[int]] = {}
    holds = np.zeros(len(certificates), dtype=bool)
    for n, one in enumerate(certificates):
        about = id(one.references), id(one.labels)
        if about not in known:
            classifier = Classifier.of(one) if one.metric is None else None  # type: ignore[arg-type]
            known[about] = classifier, np.unique(one.labels, return_inverse=True)
        classifier, (classes, _) = known[about]
        if classifier is not None and _is_well_formed(one, classifier, classes):
            groups.setdefault((*about, int(np.flatnonzero(classes == one.label)[0])), []).append(n)
    for (references, labels, code), places in groups.items():
        classifier, (_, codes) = known[references, labels]
        for part in _parts(certificates, places, len(codes)):
            moved, units = scaled([certificates[n] for n in part], classifier)  # type: ignore[misc]
            around = _Around.of(moved, units, codes, code)  # type: ignore[arg-type]
            holds[part] = [_Check(one, around, row).holds() for row, one in enumerate(moved)]  # type: ignore[arg-type]
    return holds


def _parts(certificates: Sequence["VotingCertificate"], places: list[int], n_references: int) -> Iterator[list[int]]:
    """Places of certificates whose distances are held at once, one at least."""
    part, n_rows = list[int](), 0
    for n in places:
        n_more = 2 + _n_anchors(certificates[n])
        if part and (n_rows + n_more) * n_references > _MOST:
            yield part
            part, n_rows = [], 0
        part, n_rows = [*part, n], n_rows + n_more
    yield part


def _n_anchors(one: "VotingCertificate") -> int:
    """How many of `own` are compared with all references of other classes."""
    return min(most_own(one.n_neighbors) + 4, len(one.own))


def _is_well_formed(one: "VotingCertificate", classifier: Classifier, classes: np.ndarray) -> bool:
    """Whether the parts of a certificate mean something, and are of this classifier."""
    lists = (one.own, one.tree, one.near, one.far)
    arrays = (one.query, one.x_adv, one.weights, *lists)
    if not all(isinstance(part, np.ndarray) for part in arrays) or not all(
        isinstance(value, (int, float)) and value == value for value in (one.lower, one.upper)
    ):
        return False
    sides, d, n = one.adversary.box, classifier.n_features, len(classifier.labels)
    box = None if sides is None else (np.asarray(sides[0]), np.asarray(sides[1]))
    points = [one.query] if np.isinf(one.upper) else [one.query, one.x_adv]
    return bool(
        one.digest == classifier.digest
        and one.adversary.norm in DUAL
        and one.adversary.weights is None
        and (box is None or (box[0].ndim == box[1].ndim == 0 and box[0] < box[1]))
        and 0 <= one.lower <= one.upper
        and (classes == one.label).sum() == 1 and len(classes) > 1
        and isinstance(one.n_neighbors, int) and one.n_neighbors % 2 == 1 and 1 <= one.n_neighbors <= n
        and all(point.shape == (d,) and point.dtype == np.float64 and np.isfinite(point).all() for point in points)
        and all(box is None or (box[0] <= point.min() and point.max() <= box[1]) for point in points)
        and all(part.dtype.kind in "iu" and part.ndim == 1 for part in lists)
        and all(((part >= 0) & (part < n)).all() for part in (one.own, one.near, one.far))
        and (classifier.labels[one.own] == one.label).all() and len(np.unique(one.own)) == len(one.own)
        and one.weights.shape == one.near.shape == one.far.shape and one.weights.dtype == np.float64
        and ((one.weights > 0) & (one.weights <= 1)).all()
    )  # fmt: skip


@dataclass(frozen=True)
class _Said:
    """What is said of S: other-class references in it, own-class ones in it, references not in it."""

    near: frozenset[int] = frozenset()
    own: frozenset[int] = frozenset()
    barred: frozenset[int] = frozenset()


Distances = tuple[np.ndarray, np.ndarray]
"""Squared distances, and bounds on their errors."""


@dataclass(frozen=True)
class _Around:
    """The references of a classifier around m certificates of one label, with label codes (n,), and that of the label.

    `others`: positions of the other classes. `queries`: distances (m, o) of the queries from these; `anchors`: for positions in
    `own`, distances (o,) of these references. `ends`: distances (m, n) of the points `x_adv` from all references.
    """

    classifier: Classifier
    codes: np.ndarray
    code: int
    others: np.ndarray
    queries: Distances
    anchors: dict[int, Distances]
    ends: Distances

    @classmethod
    def of(
        cls, certificates: Sequence["VotingCertificate"], classifier: Classifier, codes: np.ndarray, code: int
    ) -> "_Around":
        m, others, own = len(certificates), np.flatnonzero(codes != code), np.flatnonzero(codes == code)
        queries = np.stack([one.query for one in certificates])
        ends = np.stack([one.query if np.isinf(one.upper) else one.x_adv for one in certificates])
        chosen = np.unique(np.concatenate([one.own[: _n_anchors(one)] for one in certificates])).astype(np.int64)
        squared, errors = products(np.concatenate([queries, ends, classifier.exactly(chosen)]), classifier, others)
        from_ends = np.empty((m, len(codes))), np.empty((m, len(codes)))
        for found, to_others, to_own in zip(from_ends, (squared, errors), products(ends, classifier, own), strict=True):
            found[:, others], found[:, own] = to_others[m : 2 * m], to_own
        anchors = {i: (squared[row], errors[row]) for row, i in enumerate(chosen.tolist(), start=2 * m)}
        return cls(classifier, codes, code, others, (squared[:m], errors[:m]), anchors, from_ends)


class _Check:
    """One well-formed certificate, the `row`-th of those that distances are known around."""

    def __init__(self, one: "VotingCertificate", around: _Around, row: int) -> None:
        self.one, self.around, self.row = one, around, row
        self.classifier, self.codes, self.code = around.classifier, around.codes, around.code
        self.n_classes = int(self.codes.max()) + 1
        self.target = self._least_distance()
        self.surely_nearer: dict[int, frozenset[int]] = {}
        self.distances: dict[int, float] = {}

    def holds(self) -> bool:
        return self._shows_upper() and (self.one.lower == 0 or self._shows_lower())

    def _least_distance(self) -> float:
        """What is to be proven: `lower`, and of an infinite one the size of the box."""
        room = self.one.adversary.room(self.one.query[None])
        if np.isfinite(self.one.lower) or room is None:
            return self.one.lower
        corner = np.maximum(-room[0], room[1])
        return float(norm_of(corner, self.one.adversary.norm)[0]) * (1 + ROUNDING)

    def _shows_upper(self) -> bool:
        one = self.one
        if np.isinf(one.upper):
            return True
        if not norm_of((one.x_adv - one.query)[None], one.adversary.norm)[0] <= one.upper * (1 + ROUNDING):
            return False
        squared, errors = (part[self.row] for part in self.around.ends)
        reach = np.partition(squared + errors, one.n_neighbors - 1)[one.n_neighbors - 1]
        near = np.flatnonzero(squared - errors <= reach)
        exact = self.classifier.squared_distances(one.x_adv, near)
        return loses(exact, self.codes[near], self.code, one.n_neighbors)

    def _shows_lower(self) -> bool:
        """Reads the tree, of which nothing may be left."""
        possible = self._possible()
        tokens, place = self.one.tree.tolist(), 0
        at, used = 0, [_Said()]
        while used:
            said = used.pop()
            kind, at = (tokens[at], at + 1) if at < len(tokens) else (0, at)
            if kind == _END:
                if not self._is_kept(said, possible):
                    return False
            elif kind in (_SPLIT, _PAIRS) and at < len(tokens):
                value, at = tokens[at], at + 1
                if kind == _SPLIT:
                    if not 0 <= value < len(self.codes):
                        return False
                    used += [_Said(said.near, said.own, said.barred | {value}), self._with(said, value)]
                    continue
                pairs = slice(place, place + value)
                place += max(value, 1)
                if value < 1 or place > len(self.one.near) or not self._is_far(said, pairs):
                    return False
                fars = [far for far in dict.fromkeys(self.one.far[pairs].tolist()) if far not in said.barred]
                used += [self._with(said, far) for far in reversed(fars)]
            else:
                return False
        return at == len(tokens) and place == len(self.one.near)

    def _with(self, said: _Said, reference: int) -> _Said:
        if self.codes[reference] == self.code:
            return _Said(said.near, said.own | {reference}, said.barred)
        return _Said(said.near | {reference}, said.own, said.barred)

    def _is_kept(self, said: _Said, possible: np.ndarray) -> bool:
        """Whether the label cannot lose with these references in S, or they cannot be."""
        rest = [j for j in possible.tolist() if j not in said.near and j not in said.barred]
        counts = [np.bincount(self.codes[list(part)], minlength=self.n_classes) for part in (said.near, rest)]
        others = np.arange(self.n_classes) != self.code
        own, k = self._own_in(said), self.one.n_neighbors
        if own & said.barred:  # in S and not in S: there is no such point
            return True
        n_left = int((self.codes == self.code).sum()) - len(
            own | {i for i in said.barred if self.codes[i] == self.code}
        )
        return not can_lose(len(own), counts[0][others], counts[1][others], k, n_left)

    def _own_in(self, said: _Said) -> frozenset[int]:
        """Own-class references in S: those said to be, and those surely nearer than another in S."""
        return said.own.union(*(self._nearer(j) for j in said.near))

    def _nearer(self, j: int) -> frozenset[int]:
        """The references of `own` that are nearer than another one at all points nearer than the target."""
        if j not in self.surely_nearer:
            own, d_own = self._own
            ways = own - self.classifier.exactly(np.array([j]))
            lengths = np.linalg.norm(ways, DUAL[self.one.adversary.norm], axis=1) * (1 + ROUNDING)
            gaps = self._squared(j) - d_own - ROUNDING * (self._squared(j) + d_own)
            bounds = np.where(lengths > TINY, gaps / (2 * np.maximum(lengths, TINY) * (1 + ROUNDING)), -np.inf)
            self.surely_nearer[j] = frozenset(self.one.own[bounds >= self.target].tolist())
        return self.surely_nearer[j]

    @cached_property
    def _own(self) -> tuple[np.ndarray, np.ndarray]:
        """The references of `own` in float64, and their squared distances from the query."""
        return self.classifier.exactly(self.one.own), self.classifier.squared_distances(self.one.query, self.one.own)

    def _is_far(self, said: _Said, pairs: slice) -> bool:
        """Whether the half-space of these pairs is no nearer than the target, all near references being in S."""
        one, classifier = self.one, self.classifier
        near, far, weights = one.near[pairs], one.far[pairs], one.weights[pairs]
        if not (set(near.tolist()) <= said.near | self._own_in(said) and weights.max() >= 0.5):
            return False
        normals = classifier.exactly(far) - classifier.exactly(near)
        d_near, d_far = (np.array([self._squared(r) for r in part.tolist()]) for part in (near, far))
        depth = weights @ (d_near - d_far) / 2 - ROUNDING * (weights @ (d_near + d_far))
        normal = weights @ normals, ROUNDING * (weights @ np.abs(normals))
        return half_space(one.adversary, one.query, normal, float(depth)) >= self.target

    def _squared(self, reference: int) -> float:
        if reference not in self.distances:
            self.distances[reference] = float(
                self.classifier.squared_distances(self.one.query, np.array([reference]))[0]
            )
        return self.distances[reference]

    def _possible(self) -> np.ndarray:
        """Positions of other-class references that fewer than k // 2 + 1 of `own` are surely nearer than."""
        one, classifier, m = self.one, self.classifier, most_own(self.one.n_neighbors) + 1
        others, place = self.around.others, Place.of(one.query, None)
        n_nearer = np.zeros(len(others), dtype=int)
        squared, errors = (part[self.row] for part in self.around.queries)
        widths = np.sqrt(classifier.n_features) if one.adversary.norm == "Linf" else 1.0
        for i in one.own[: _n_anchors(one)].tolist():
            gaps = squared - errors - self._squared(i) * (1 + ROUNDING)
            lengths = np.sqrt(np.add(*self.around.anchors[i])) * widths
            n_nearer += gaps / (2 * lengths + TINY) * (1 - ROUNDING) >= self.target
        others = others[n_nearer < m]
        distances, counts = classifier.squared_distances(place.point, others), np.zeros(len(others), dtype=int)
        for i in one.own.tolist():
            left = counts < m
            if not left.any():
                break
            rivals = others[left], distances[left]
            counts[left] += bisectors(one.adversary, classifier, place, i, rivals) >= self.target
        return others[counts < m]

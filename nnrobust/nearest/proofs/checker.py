"""Whether certificates hold: from queries, references and what is claimed, without a solver, rounding always on the safe side.

`which_hold` takes certificates of one classifier together, and goes through the references once for all, block by block.
`_is_well_formed`: they are about these references, and made of numbers that mean something. `_shows_upper`: at `x_adv`, no
farther than `upper`, another class is as near as the own one. `_shows_lower`: each other-class reference j has a bound of `lower`
or more, which is one of three: that of its bisector with the first reference of `own`, from products of matrices, for all j at
once; that of its multipliers; that of its bisector with another reference of `own`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnrobust.nearest.proofs.rigorous import ROUNDING, TINY, Classifier, Place, bisectors, products, weighed
from nnrobust.threat import DUAL

if TYPE_CHECKING:
    from nnrobust.nearest.proofs.proof import Certificate

_TOGETHER, _AT_ONCE = 512, 512
"""Certificates that are checked together, and references whose distances from all of their points are held at once."""


def which_hold(certificates: Sequence["Certificate"]) -> np.ndarray:
    """Which certificates hold (n,)."""
    holds, classifiers = np.zeros(len(certificates), dtype=bool), dict[tuple[int, ...], Classifier | None]()
    groups: dict[tuple[int, ...], list[int]] = {}
    for n, one in enumerate(certificates):
        about = id(one.references), id(one.labels), id(one.metric)
        if about not in classifiers:
            classifiers[about] = Classifier.of(one)
        classifier = classifiers[about]
        if classifier is not None and _is_well_formed(one, classifier):
            groups.setdefault(about, []).append(n)
    for key, places in groups.items():
        classifier = classifiers[key]
        assert classifier is not None
        for part in (places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)):
            holds[part] = _check(*scaled([certificates[n] for n in part], classifier))
    return holds


def _is_well_formed(one: "Certificate", classifier: Classifier) -> bool:
    """Whether the parts of a certificate mean something, and are of this classifier."""
    arrays = (one.query, one.x_adv, one.own, *(part for pair in one.multipliers.values() for part in pair))
    if not all(isinstance(part, np.ndarray) for part in arrays) or not all(map(_is_number, (one.lower, one.upper))):
        return False
    norm, box, d = one.adversary.norm, one.adversary.box, classifier.n_features
    is_own = np.asarray(classifier.labels == one.label)
    points = [one.query] if np.isinf(one.upper) else [one.query, one.x_adv]
    return bool(
        one.digest == classifier.digest
        and norm in DUAL
        and (box is None or bool(np.all(np.less(*box))))
        and _are_sizes(one.adversary.weights, d)
        and 0 <= one.lower <= one.upper
        and is_own.shape == classifier.labels.shape and is_own.any() and not is_own.all()
        and all(point.shape == (d,) and point.dtype == np.float64 and np.isfinite(point).all() for point in points)
        and all(box is None or bool(np.all((point >= box[0]) & (point <= box[1]))) for point in points)
        and _are_positions(one.own, is_own)
        and _are_positions(np.array([*one.multipliers], dtype=np.int64), ~is_own)
        and all(_are_weights(own, weights) and _are_positions(own, is_own) for own, weights in one.multipliers.values())
    )  # fmt: skip


def _are_sizes(weights: tuple[float, ...] | None, d: int) -> bool:
    """Whether these are the weights of d features, if there are any: 0, or of a size whose products lose no digits."""
    if weights is None:
        return True
    sizes = np.array(weights)
    return sizes.shape == (d,) and bool(np.all((sizes == 0) | ((sizes > 1e-60) & (sizes < 1e60))) and sizes.any())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and value == value


def _are_positions(positions: np.ndarray, allowed: np.ndarray) -> bool:
    """Whether these are positions of references that are allowed (n,)."""
    is_inside = (
        positions.dtype.kind in "iu" and positions.ndim == 1 and ((positions >= 0) & (positions < len(allowed))).all()
    )
    return bool(is_inside and allowed[positions].all())


def _are_weights(own: np.ndarray, weights: np.ndarray) -> bool:
    """Whether these are multipliers: positive, one a reference, the largest from 1/2 to 1, so that no product loses digits."""
    is_one_each = weights.shape == own.shape and weights.dtype == np.float64 and len(weights) > 0
    return bool(is_one_each and (weights > 0).all() and 0.5 <= weights.max() <= 1)


def scaled(certificates: list["Certificate"], classifier: Classifier) -> tuple[list["Certificate"], Classifier]:
    """The same in units, a power of two, in which no square of a coordinate leaves float64."""
    points = [one.query for one in certificates] + [one.x_adv for one in certificates if np.isfinite(one.upper)]
    largest = max(classifier.largest, *(float(np.abs(point).max()) for point in points))
    if largest == 0 or 2.0**-60 < largest < 2.0**60:
        return certificates, classifier
    unit = float(np.ldexp(1.0, min(max(int(np.frexp(largest)[1]), -1000), 1000)))
    return [one.in_units(unit) for one in certificates], replace(classifier, scale=1 / unit)


def _check(certificates: list["Certificate"], classifier: Classifier) -> np.ndarray:
    """Which of some well-formed certificates hold (m,)."""
    m, codes = len(certificates), np.unique(classifier.labels, return_inverse=True)[1]
    own_code = np.array([codes[(classifier.labels == one.label).argmax()] for one in certificates])
    places = [Place.of(one.query, classifier.metric) for one in certificates]
    ends = [Place.of(one.query if np.isinf(one.upper) else one.x_adv, classifier.metric).point for one in certificates]
    first, near, far = _First.of(certificates, classifier, places), _Nearest(m), _Nearest(m)
    queries, open_rows, open_positions = np.stack([place.point for place in places]), [], []
    for code in np.unique(codes).tolist():
        # Of references of a query's own class only the distances from `ends` matter.
        of_class, facing, members = (
            np.flatnonzero(own_code == code),
            np.flatnonzero(own_code != code),
            np.flatnonzero(codes == code),
        )
        points, n = np.concatenate([np.stack(ends), queries[facing], first.points[facing]]), len(facing)
        for start in range(0, len(members), _AT_ONCE):
            positions = members[start : start + _AT_ONCE]
            squared, errors = products(points, classifier, positions)
            near.see(of_class, squared[of_class], errors[of_class], positions)
            far.see(facing, squared[facing], errors[facing], positions)
            least, most = squared[m : m + n] - errors[m : m + n], squared[m + n :] + errors[m + n :]
            rows, columns = np.nonzero(~first.shows(facing, least, most))
            open_rows.append(facing[rows])
            open_positions.append(positions[columns])
    rows, positions = np.concatenate(open_rows), np.concatenate(open_positions)
    nearest = zip(near.contenders(), far.contenders(), strict=True)
    return np.array([
        _shows_upper(one, classifier, ends[n], both) and _shows_lower(one, classifier, places[n], np.sort(positions[rows == n]))
        for n, (one, both) in enumerate(zip(certificates, nearest, strict=True))
    ])  # fmt: skip


@dataclass(frozen=True)
class _First:
    """Of m certificates: the place (m, k) of the first own reference, and what its bisectors with others are to show.

    `squared` (m,): its squared distance from the query, rounded up. `lower` (m,): what is claimed. `factor` (m,): times a length,
    it is no less than the dual norm. `is_known` (m,): whether there is one, and bisectors are such.
    """

    points: np.ndarray
    squared: np.ndarray
    lower: np.ndarray
    factor: np.ndarray
    is_known: np.ndarray

    @classmethod
    def of(cls, certificates: list["Certificate"], classifier: Classifier, places: list[Place]) -> "_First":
        points, m = np.stack([place.point for place in places]), len(certificates)
        squared, is_known = np.zeros(m), np.zeros(m, dtype=bool)
        for n, one in enumerate(certificates):
            if len(one.own) and classifier.metric is None and one.adversary.weights is None:
                is_known[n], points[n] = True, classifier.exactly(one.own[:1])[0]
                squared[n] = classifier.squared_distances(places[n].point, one.own[:1])[0] * (1 + ROUNDING)
        factor = np.array([np.sqrt(points.shape[1]) if one.adversary.norm == "Linf" else 1.0 for one in certificates])
        return cls(points, squared, np.array([one.lower for one in certificates]), factor, is_known)

    def shows(self, rows: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Whether the bisectors of certificates `rows` (r,) with others show what these claim (r, p).

        From bounds (r, p) of the others' squared distances: at least `least` from the query, at most `most` from the reference.
        """
        lower, lengths = self.lower[rows, None], np.sqrt(most) * self.factor[rows, None]
        bounds = (least - self.squared[rows, None]) / (2 * lengths + TINY) * (1 - ROUNDING)
        shown: np.ndarray = (self.is_known[rows, None] & (bounds >= lower)) | (lower <= 0)
        return shown


class _Nearest:
    """Which references may be the nearest to each of m points, as blocks of them go by."""

    def __init__(self, m: int) -> None:
        self.best, self.seen = np.full(m, np.inf), list[tuple[np.ndarray, np.ndarray, np.ndarray]]()

    def see(self, rows: np.ndarray, squared: np.ndarray, errors: np.ndarray, positions: np.ndarray) -> None:
        """Takes in references at positions (p,), by squared distances (r, p) from points `rows` (r,), and their errors."""
        self.best[rows] = np.minimum(self.best[rows], (squared + errors).min(axis=1))
        least = squared - errors
        at, columns = np.nonzero(least <= self.best[rows, None])
        self.seen.append((rows[at], positions[columns], least[at, columns]))

    def contenders(self) -> list[np.ndarray]:
        """The positions of those for each point."""
        rows, positions, least = (np.concatenate(parts) for parts in zip(*self.seen, strict=True))
        is_near = least <= self.best[rows]
        rows, positions = rows[is_near], positions[is_near]
        return [np.sort(positions[rows == n]) for n in range(len(self.best))]


def _shows_upper(
    one: "Certificate", classifier: Classifier, end: np.ndarray, near: tuple[np.ndarray, np.ndarray]
) -> bool:
    """x_adv, whose place is `end`, is no farther than `upper`, and one of the `near` others is as near to it as the near own."""
    if np.isinf(one.upper):
        return True
    if not one.adversary.sizes((one.x_adv - one.query)[None])[0] <= one.upper * (1 + ROUNDING):
        return False
    nearest_own, nearest_other = (classifier.squared_distances(end, positions).min() for positions in near)
    return bool(nearest_other <= nearest_own)


def _shows_lower(one: "Certificate", classifier: Classifier, place: Place, others: np.ndarray) -> bool:
    """Each of these others has a bound of at least `lower`."""
    is_shown = [j in one.multipliers and weighed(one, classifier, place, j) >= one.lower for j in others.tolist()]
    others = others[~np.array(is_shown, dtype=bool)]
    squared = classifier.squared_distances(place.point, others)
    for i in one.own:
        if len(others) == 0:
            break
        is_open = ~(bisectors(one.adversary, classifier, place, i, (others, squared)) >= one.lower)
        others, squared = others[is_open], squared[is_open]
    return len(others) == 0


def provable(one: "Certificate") -> float:
    """The largest `lower` that holds, of a certificate that is well formed."""
    (one,), classifier = scaled([one], Classifier.unchecked(one))
    others, place = np.flatnonzero(classifier.labels != one.label), Place.of(one.query, classifier.metric)
    squared = classifier.squared_distances(place.point, others)
    bounds = np.array([weighed(one, classifier, place, j) if j in one.multipliers else 0.0 for j in others.tolist()])
    for i in one.own:
        bounds = np.fmax(bounds, bisectors(one.adversary, classifier, place, i, (others, squared)))
    return float(bounds.min()) / classifier.scale


def shows_upper(one: "Certificate") -> bool:
    """Whether the upper bound of a certificate that is well formed holds."""
    (one,), classifier = scaled([one], Classifier.unchecked(one))
    is_own, end = classifier.labels == one.label, Place.of(one.x_adv, classifier.metric).point
    return _shows_upper(one, classifier, end, (np.flatnonzero(is_own), np.flatnonzero(~is_own)))

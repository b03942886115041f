"""The exact radius where some features are categories: a change of one costs 1, beside the size of what numbers change.

With categories held, the radius is that of a table of numbers. So it is the least of the costs, each of a choice of categories
and of the nearest point with them; choices of few changes come first, until those left cost too much by themselves.
"""

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np

from nnrobust.errors import DataError
from nnrobust.nearest.arguments import feature_by_feature, number
from nnrobust.nearest.proofs.categorical_proof import (
    DOWN,
    UP,
    CategoricalCertificate,
    Category,
    changed,
    cost,
    n_choices,
)
from nnrobust.nearest.proofs.proof import Certificate, RobustRadius

MOST = 20_000
"""Choices of categories that are solved for a query at most, and of several queries at once."""
_SLACK = 1 + 1e-9
"""Of an epsilon that is left for numbers: what rounding may do to it."""


def categorical_radius(
    estimator: Any,
    x: np.ndarray,
    labels: np.ndarray,
    categories: Any,
    options: Mapping[str, Any],
    shape: tuple[int, ...],
) -> RobustRadius:
    """The radii of queries x (m, d) with labels (m,), whose own shape was `shape`.

    Args:
        estimator: a fitted `OneNearestNeighbor`.
        categories: as `OneNearestNeighbor.robust_radius` takes them.
        options: norm, box, epsilon and weights, as it takes them too.

    Raises:
        DataError: naming the argument, what was expected, and the first value that is wrong.
    """
    d = x.shape[1]
    known = _known(categories, x)
    columns = [column for one in known for column in one.columns]
    held, norm, limit = _held(options, columns, d), options["norm"], np.inf
    if options["epsilon"] is not None:
        if np.ndim(options["epsilon"]):
            raise DataError("epsilon: expected one number beside categories, got an array; give weights for features")
        limit = number("epsilon", options["epsilon"], 0, is_open=True)
    parts: list[list[Certificate]] = [[] for _ in x]
    lower, upper, x_adv = np.full(len(x), np.inf), np.full(len(x), np.inf), np.full(x.shape, np.nan)
    n_solved, is_open, ended_by = 0, np.full(len(x), True), np.full(len(x), "", dtype=object)
    for n_changed in range(len(known) + 1):
        floor, n_more = cost(norm, n_changed, 0.0, DOWN), n_choices(known, n_changed)
        is_open &= upper > floor
        is_many, is_decided = n_solved + n_more > MOST, (floor > limit) | ((upper <= limit) & np.isfinite(limit))
        ended_by[is_open & is_many & ~is_decided] = f"{MOST} choices of categories"
        is_left = is_open & (is_many | is_decided)
        lower[is_left] = np.minimum(lower[is_left], floor)
        is_open &= ~is_left
        rows = np.flatnonzero(is_open)
        if len(rows) == 0:
            break
        n_solved += n_more
        epsilon = None if np.isinf(limit) else _left(norm, n_changed, limit)
        size = max(1, MOST // n_more)
        for some in (rows[start : start + size] for start in range(0, len(rows), size)):
            copies = np.concatenate([np.stack([*changed(x[row], known, n_changed)]) for row in some])
            of = some.repeat(n_more)
            found = estimator.robust_radius(copies, labels[of], norm=norm, epsilon=epsilon, **held)
            for n, (row, proof) in enumerate(zip(of.tolist(), found.certificate, strict=True)):
                parts[row].append(proof)
                lower[row] = min(lower[row], cost(norm, n_changed, proof.lower, DOWN))
                most = cost(norm, n_changed, proof.upper, UP)
                if most < upper[row]:
                    upper[row], x_adv[row] = most, found.x_adv[n]
    proofs = [
        CategoricalCertificate(
            query=x[row], label=labels[row], digest=some[0].digest, adversary=some[0].adversary, categories=known,
            lower=float(min(lower[row], upper[row])), upper=float(upper[row]), x_adv=x_adv[row], parts=tuple(some),
            ended_by=str(ended_by[row]),
        )
        for row, some in enumerate(parts)
    ]  # fmt: skip
    return RobustRadius.of(proofs, x, shape)


def _left(norm: str, n_changed: int, epsilon: float) -> float | None:
    """What of epsilon is left for numbers; None where nearly nothing is, and the radius itself is as cheap."""
    of_norm = {"L1": epsilon - n_changed, "L2": np.sqrt(max(epsilon**2 - n_changed, 0.0)), "Linf": epsilon}
    left = of_norm[norm]
    return float(left) * _SLACK if left > epsilon * (_SLACK - 1) else None


def _held(options: Mapping[str, Any], columns: list[int], d: int) -> dict[str, Any]:
    """Box and weights that hold the columns of categories, whose values no box limits."""
    given = 1.0 if options["weights"] is None else options["weights"]
    weights = feature_by_feature("weights", given, d).copy()
    weights[columns] = 0.0
    if not weights.any():
        raise DataError(
            "categories: expected one feature at least that is a number and may change, got categories alone"
        )
    box = options["box"]
    if isinstance(box, (tuple, list, np.ndarray)) and len(box) == 2:
        low, high = (feature_by_feature("box", side, d).copy() for side in box)
        low[columns], high[columns] = -np.inf, np.inf
        box = low, high
    return {"weights": weights, "box": box}


def _known(categories: Any, x: np.ndarray) -> tuple[Category, ...]:
    """The categories, such as every query has a value of each."""
    if not isinstance(categories, Mapping) or not categories:
        raise DataError(f"categories: expected columns with the rows of values that they may have, "
                        f"as in {{(3, 4, 5): np.eye(3)}}, got {type(categories).__name__}")  # fmt: skip
    found, seen = [], set[int]()
    for key, given in categories.items():
        try:
            columns = tuple(index(column) for column in (key if isinstance(key, tuple) else (key,)))
            rows = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"categories: expected a column, or a tuple of columns, with numbers, got {key!r}: {given!r}"
            ) from error
        rows = rows.reshape(-1, 1) if rows.ndim == 1 and len(columns) == 1 else rows
        if rows.ndim != 2 or rows.shape[1] != len(columns) or len(rows) < 2 or not np.isfinite(rows).all():
            raise DataError(f"categories: expected two or more rows of {len(columns)} finite values for columns {key}, "
                            f"got shape {rows.shape}")  # fmt: skip
        if len(np.unique(rows, axis=0)) < len(rows):
            raise DataError(f"categories: expected different rows for columns {key}, got some that are equal")
        wrong = [column for column in columns if not 0 <= column < x.shape[1] or column in seen]
        if wrong or len(set(columns)) < len(columns):
            raise DataError(
                f"categories: expected each of the {x.shape[1]} columns once at most, counted from 0, got {key}"
            )
        seen.update(columns)
        category = Category(columns, tuple(map(tuple, rows.tolist())))
        strangers = [row for row, point in enumerate(x) if category.of(point) is None]
        if strangers:
            raise DataError(f"X: expected columns {key} of each row to be one of the rows of its category, got "
                            f"{x[strangers[0], list(columns)].tolist()} in row {strangers[0]}")  # fmt: skip
        found.append(category)
    return tuple(found)

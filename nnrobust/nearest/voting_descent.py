"""The way down to a lost point of k nearest neighbours, which a search then proves to be the nearest, or betters."""

import numpy as np

from nnrobust.nearest.voting_known import Known

_STARTS, _EASY = 4, 8
"""Descents that may end without a nearer point, one after the other, while as many references as this are not ruled out."""
_MOST_TURNS = 8
_BETTER = 1 - 1e-6


def descend(known: Known) -> None:
    """Looks for a lost point: from the references that rule least out, then from those nearest at each point found.

    Raises:
        SpentError: when the budget has ended.
        FallenError: when one within epsilon is found.
    """
    rivals, m = known.rivals(), known.m
    known.add(rivals[: m + 2])
    _descend_from(known, known.places(rivals[:m]))
    n_left = _STARTS
    for leader in rivals[: 4 * _STARTS]:
        is_easy = (known.limits < known.upper).sum() < _EASY
        if n_left == 0 or is_easy or not known.all_limits[leader] < known.upper:
            break
        before = known.upper
        known.add(leader[None])
        _descend_from(known, known.places(leader[None]))
        n_left = n_left - 1 if known.upper == before else _STARTS
    if np.isinf(known.upper) and not known.is_binary:  # a point near m of several classes may be lost to none of them
        for rival in np.unique(known.field.codes[rivals]):
            chosen = rivals[known.field.codes[rivals] == rival][:m]
            known.add(chosen)
            _descend_from(known, known.places(chosen))


def _descend_from(known: Known, near: tuple[int, ...]) -> None:
    """Goes on from where these are near, the own-class references that hinder most excused, to where m others are nearest."""
    m, excused, best = known.m, frozenset[int](), np.inf
    for turn in range(m + _MOST_TURNS):
        far = [place for place in known.own.tolist() if place not in excused]
        found, pairs = known.solve_all([*near], far, (), np.inf)
        if turn < m - 1:
            weight = dict.fromkeys((far for _, far in pairs), 0.0)
            for (_, far_place), one in zip(pairs, found.weights.tolist(), strict=True):
                weight[far_place] += one
            if weight:
                excused |= {max(weight, key=lambda place: weight[place])}
            continue
        if len(near) >= m:
            size, n_known = known.local.size(known.local.moved(found)), len(known.local.positions)
            if not size < best * _BETTER:
                return
            if size < known.upper:
                known.try_at(found)
            if len(known.local.positions) > n_known:
                continue
            best = size
        others = np.flatnonzero(known.codes != known.code)
        if len(others) < m:
            return
        near = tuple(others[np.argsort(found.squared[others])][:m].tolist())
        excused = frozenset(known.own[np.argsort(found.squared[known.own])][: m - 1].tolist())

"""The way down to a lost point of k nearest neighbours, which a search then proves to be the nearest, or betters."""

import numpy as np

from nnrobust.nearest.voting.known import Known

_STARTS, _EASY = 4, 8
"""Descents that may end without a nearer point, one after the other, or an eighth of the references that are not ruled out, if
that is more; below `_EASY` of them there is none.

Of 60 queries on 10,000 images with k = 5 the hardest had radii of 4.4 to 5.1 where a single descent ended at 5.2 to 7.8.
"""
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
    n_in_vain = 0
    for leader in rivals:
        n_left = int((known.all_limits < known.upper).sum())
        if n_left < _EASY or n_in_vain >= max(_STARTS, n_left // _EASY) or not known.all_limits[leader] < known.upper:
            break
        before = known.upper
        known.add(leader[None])
        _descend_from(known, known.places(leader[None]))
        n_in_vain = n_in_vain + 1 if known.upper == before else 0
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

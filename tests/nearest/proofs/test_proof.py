"""Certificates: none that claims what is not so is accepted, whatever was changed in it; those that hold are, at any scale."""

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from made.forgeries import Forger
from made.tries import n_tries
from nnrobust import OneNearestNeighbor
from nnrobust.linear.radius import linear_radius
from nnrobust.nearest.proofs.checker import which_hold

NORMS = ("L2", "Linf", "L1")


def results(seed):
    """A result of 4 queries: references of three types, two to four classes, any norm, with or without a box or a metric."""
    generator = np.random.default_rng(seed)
    d, n, n_classes = int(generator.integers(2, 20)), int(generator.integers(8, 60)), int(generator.integers(2, 5))
    points, queries, y = (
        generator.random((n, d)),
        generator.random((4, d)),
        generator.permutation(np.arange(n) % n_classes),
    )
    if seed % 2:  # many coordinates at a side of the box
        points, queries = (np.clip(2 * part - 0.5, 0, 1) for part in (points, queries))
    if seed % 3 == 0:
        points, queries = (points * 255).astype(np.uint8), (queries * 255).astype(np.uint8)
    dtype = (np.uint8, np.float32, np.float64)[seed % 3]
    box = None if generator.random() < 0.5 else (0.0, 255.0 if seed % 3 == 0 else 1.0)
    metric = generator.standard_normal((1 + d // 2, d)) if seed % 5 == 4 else None
    model = OneNearestNeighbor(metric=metric).fit(points.astype(dtype), y)
    return generator, model.robust_radius(queries.astype(dtype), norm=NORMS[generator.integers(3)], box=box)


FIRST, OTHERS = range(6), [pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, n_tries(30_000) // 800)]


@pytest.mark.parametrize("seed", [*FIRST, *OTHERS])
def test_a_certificate_that_claims_what_is_not_so_is_refused(seed):
    accepted, tried = Counter(), 0
    for part in range(4):
        generator, result = results(4 * seed + part)
        assert result.verify().all()
        honest = [one for one in result.certificate if np.isfinite(one.upper) and one.lower > 0]
        names, forged = [], []
        for one in honest:
            kinds = Forger(generator, one, honest).kinds()
            assert len(kinds) >= 20
            names += kinds
            forged += [make() for make in kinds.values()]
        accepted.update(name for name, holds in zip(names, which_hold(forged), strict=True) if holds)
        tried += len(forged)
    assert tried >= 100
    assert not accepted


def changed(result, **arrays):
    return replace(copy.deepcopy(result), **arrays)


def test_a_result_whose_arrays_are_not_those_of_its_certificates_is_refused():
    points = np.random.default_rng(0).random((40, 3))
    ours = OneNearestNeighbor().fit(points, np.arange(40) % 2).robust_radius(points[:6] + 0.01)
    linear = linear_radius(LogisticRegression().fit(points, np.arange(40) % 2), points[:6])
    for result in (ours, linear):
        assert result.verify().all()
        proofs = list(result.certificate)
        for forged in (
            changed(result, lower=result.lower * 2), changed(result, upper=result.upper / 2), changed(result, x_adv=result.x_adv + 1e-9),
            changed(result, lower=np.full(6, np.nan)), changed(result, status=np.full(6, "bounded")), changed(result, queries=points[6:12]),
            changed(result, certificate=proofs[::-1]), changed(result, certificate=[proofs[0]] * 6), changed(result, certificate=[]),
            changed(result, certificate=proofs[:-1]), changed(result, lower=result.lower[:-1]), changed(result, queries=result.queries[::-1]),
        ):  # fmt: skip
            assert len(forged.verify()) == len(forged.lower)
            assert not forged.verify().all()
        assert not changed(result, certificate=[]).verify().any()


def test_references_and_labels_that_are_changed_in_place_are_noticed():
    points, y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
    result = OneNearestNeighbor().fit(points, y).robust_radius(points[:6] + 0.01)
    for part, at, value in ((result.certificate[0].references, (7, 1), 0.5), (result.certificate[0].labels, 3, 0)):
        kept = part[at]
        part[at] = value
        assert not result.verify().any()
        part[at] = kept
        assert result.verify().all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("weight", [1e-100, 1e-155, 1e-170, 1e-250, 1e-310, 5e-324])
def test_multipliers_that_underflow_prove_nothing(norm, weight):
    generator = np.random.default_rng(0)
    points, y = generator.random((40, 6)), np.arange(40) % 2
    for box in (None, (0, 1)):
        for one in (
            OneNearestNeighbor().fit(points, y).robust_radius(generator.random((5, 6)), norm=norm, box=box).certificate
        ):
            multipliers = {int(j): (one.own[:1], np.array([weight])) for j in np.flatnonzero(y != one.label)}
            assert not replace(one, multipliers=multipliers, lower=one.lower * 1000, upper=np.inf).verify()


def test_a_box_without_a_side_excludes_nothing_by_itself():
    # The rival differs in the first coordinate alone; nothing may be gained from an infinite way in the second.
    model = OneNearestNeighbor().fit(np.array([[0.0, 0.0], [2.0, 0.0]]), [0, 1])
    one = model.robust_radius(np.array([[0.0, 0.0]]), box=(0, np.inf)).certificate[0]
    assert one.verify()
    for lower in (1.1, np.inf):
        assert not replace(one, lower=lower, upper=np.inf).verify()

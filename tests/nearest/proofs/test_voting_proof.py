"""Certificates of votes: forgeries are found out, and files keep them."""

from dataclasses import replace

import numpy as np
import pytest

import nnrobust
from nnrobust import KNearestNeighbor
from nnrobust.errors import DataWarning


def found(seed=0, k=3, n_classes=2, **options):
    generator = np.random.default_rng(seed)
    points, y, queries = generator.random((40, 4)), np.arange(40) % n_classes, generator.random((5, 4))
    model = KNearestNeighbor(k).fit(points, y)
    return (points, y), model.robust_radius(queries, **options)


def forgeries(one):
    """Each claims a radius above the true one, or a point nearer than it, or is no certificate."""
    far = replace(one, lower=one.upper * (1 + 1e-5), upper=np.inf)
    yield "lower", replace(one, lower=one.lower * (1 + 1e-5))
    yield "point", replace(one, lower=0.0, upper=one.upper * 0.99, x_adv=one.query + 0.99 * (one.x_adv - one.query))
    yield (
        "nothing to prove it",
        replace(far, tree=np.array([-1]), near=one.near[:0], far=one.far[:0], weights=one.weights[:0]),
    )
    yield "cut tree", replace(one, tree=one.tree[:-1])
    yield "longer tree", replace(one, tree=np.r_[one.tree, -1])
    yield "other token", replace(one, tree=np.where(one.tree == -1, -4, one.tree))
    yield "pairs turned", replace(far, near=one.far, far=one.near)
    yield "weights", replace(far, weights=np.ones_like(one.weights))
    yield "negative weights", replace(one, weights=-one.weights)
    yield "own twice", replace(far, own=np.r_[one.own, one.own])
    yield "own of others", replace(one, own=np.flatnonzero(one.labels != one.label))
    yield "fewer votes", replace(far, n_neighbors=1)
    yield "even votes", replace(one, n_neighbors=2)
    yield "no number", replace(one, lower=np.nan, upper=np.nan)
    yield "box", replace(one, adversary=type(one.adversary)("L2", (0.49, 0.51)))
    yield "labels", replace(one, labels=1 - one.labels)
    yield "references", replace(one, references=one.references * 1.01)


def test_a_certificate_that_claims_too_much_is_found_out():
    _, result = found()
    row = int(np.argmax([len(one.near) for one in result.certificate]))
    one = result.certificate[row]
    assert one.verify()
    assert len(one.near) > 0
    for name, forged in forgeries(one):
        assert not forged.verify(), name


def test_a_random_change_of_a_tree_never_proves_more():
    generator = np.random.default_rng(0)
    _, result = found(seed=1)
    for one in (one for one in result.certificate if len(one.tree) > 3):
        far = replace(one, lower=one.upper * 1.01, upper=np.inf)
        for _ in range(40):
            tree = far.tree.copy()
            tree[generator.integers(len(tree))] = generator.choice([-1, -2, -3, 0, 1, 2, 3])
            assert not replace(far, tree=tree, near=generator.permutation(far.near)).verify()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_file_of_proofs_holds_for_the_references_and_for_no_others(tmp_path, n_classes):
    (points, y), result = found(n_classes=n_classes, norm="Linf", box=(0.0, 1.0))
    result.save(tmp_path / "proofs.npz")
    assert nnrobust.verify(tmp_path / "proofs.npz", (points, y)).all()
    with pytest.warns(DataWarning, match="expected references and labels with the digest"):
        assert not nnrobust.verify(tmp_path / "proofs.npz", (points + 1e-9, y)).any()

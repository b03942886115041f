"""The rules of the vote against an enumeration of every way to resolve ties."""

import itertools

import numpy as np
import pytest

from nnrobust.nearest.proofs.votes import can_lose, loses


def loses_somehow(squared, codes, code, k):
    """By trying every set of k references that none outside is nearer than."""
    for chosen in itertools.combinations(range(len(squared)), k):
        outside = [i for i in range(len(squared)) if i not in chosen]
        if outside and squared[list(chosen)].max() > squared[outside].min():
            continue
        votes = np.bincount(codes[list(chosen)], minlength=codes.max() + 1)
        if max(votes[rival] for rival in range(len(votes)) if rival != code) >= votes[code]:
            return True
    return False


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_label_loses_where_some_way_to_resolve_ties_makes_it_lose(k):
    generator = np.random.default_rng(k)
    outcomes = []
    for _ in range(150):
        squared, codes = generator.integers(0, 4, 7).astype(float), np.r_[generator.integers(0, 3, 6), 2]
        outcomes.append(loses(squared, codes, 0, k))
        assert outcomes[-1] == loses_somehow(squared, codes, 0, k)
    assert 0 < sum(outcomes) < 150


def test_a_tie_in_votes_of_three_classes_is_a_loss():
    assert loses(np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 1, 2, 0]), 0, 3)
    assert not loses(np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 1, 0, 0]), 0, 3)


def test_a_reference_as_far_as_the_last_that_votes_counts_against_the_label():
    assert loses(np.array([1.0, 2.0, 3.0, 3.0]), np.array([0, 1, 0, 1]), 0, 3)
    assert not loses(np.array([1.0, 2.0, 2.9, 3.0]), np.array([0, 1, 0, 1]), 0, 3)


@pytest.mark.parametrize("k", [3, 5, 7])
def test_a_vote_that_completions_lose_can_be_lost(k):
    generator = np.random.default_rng(k)
    verdicts = []
    for _ in range(100):
        codes = generator.integers(0, 4, 9)
        inside, barred = np.zeros(9, dtype=bool), generator.random(9) < 0.3
        inside[generator.permutation(9)[: generator.integers(0, k)]] = True
        barred &= ~inside
        free = [i for i in range(9) if not inside[i] and not barred[i]]
        is_lost = any(
            (votes := np.bincount(codes[[*np.flatnonzero(inside), *rest]], minlength=4))[1:].max() >= votes[0]
            for rest in itertools.combinations(free, k - int(inside.sum()))
        )
        own_left = sum(codes[i] == 0 for i in free)
        counts = np.bincount(codes[inside], minlength=4)
        open_ones = np.bincount(codes[[i for i in free if codes[i] > 0]], minlength=4)
        verdicts.append(can_lose(int(counts[0]), counts[1:], open_ones[1:], k, own_left))
        assert verdicts[-1] or not is_lost
    assert not all(verdicts)

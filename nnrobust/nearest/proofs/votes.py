"""The vote of the k nearest references: when a label loses it, and when it still can, ties always against it.

A label is kept at a point where it has more votes than every other label among the k nearest references, however ties in distance
are resolved. So of references as far as the k-th nearest those count that hurt the label most: first a rival's, its own last; and
a tie in votes is a loss.
"""

import numpy as np


def loses(squared: np.ndarray, codes: np.ndarray, code: int, k: int) -> bool:
    """Whether label `code` may lose the vote, from squared distances (n,) to references with label codes (n,), n >= k."""
    reach = np.partition(squared, k - 1)[k - 1]
    is_inside, is_tied = squared < reach, squared == reach
    n_classes = int(codes.max()) + 1
    inside, tied = (np.bincount(codes[part], minlength=max(n_classes, code + 1)) for part in (is_inside, is_tied))
    n_free, n_tied = k - int(inside.sum()), int(tied.sum())
    for rival in (rival for rival in range(n_classes) if rival != code):
        from_rival = min(int(tied[rival]), n_free)
        from_third = min(n_tied - int(tied[rival]) - int(tied[code]), n_free - from_rival)
        from_own = n_free - from_rival - from_third
        if inside[rival] + from_rival >= inside[code] + from_own:
            return True
    return False


def can_lose(n_own: int, n_others: np.ndarray, available: np.ndarray, k: int, own_left: int) -> bool:
    """Whether a vote can be lost that counts these references among its k already.

    A necessary condition: some rival gets as many of the k votes as the label.

    Args:
        n_own: references of the label that are among the k.
        n_others: by class (c,), references of others that are.
        available: by class (c,), references of others that may be, besides.
        own_left: references of the label that may be, besides.
    """
    taken = int(n_others.sum())
    least_own = max(n_own, k - taken - int(available.sum()))
    most = np.minimum(n_others + available, k - n_own - (taken - n_others))
    return n_own + taken <= k and least_own <= n_own + own_left and bool((most >= least_own).any())


def most_own(k: int) -> int:
    """How many of the k nearest references may be of a label that loses, at most."""
    return k // 2

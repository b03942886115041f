"""Linear problems, and a slow library's answer to what the least worst-case loss is: the epigraph form, with every constraint."""

from itertools import combinations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

ORDERS = {"L1": 1, "L2": 2, "Linf": np.inf}
DUALS = {"L1": np.inf, "L2": 2, "Linf": 1}


def blobs(seed, n=30, d=3, n_classes=2, spread=0.6):
    """Points (n, d) about a centre for each class, and their labels."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return generator.standard_normal((n_classes, d))[y] + spread * generator.standard_normal((n, d)), y


def worst_case_loss(weights, biases, points, y, norm, epsilon):
    """mean log sum_j exp(z_j - z_y + epsilon ||w_j - w_y||_q), written out for weights (k, d)."""
    scores = points @ weights.T + biases
    own = np.arange(len(y))
    lengths = np.linalg.norm(weights[:, None] - weights[None], DUALS[norm], axis=2)
    return logsumexp(scores - scores[own, y][:, None] + epsilon * lengths[y], axis=1).mean()


def least_loss(points, y, norm, epsilon, alpha):
    """The least worst-case loss and decay by sequential quadratic programming, for labels 0, 1, ...

    Variables are weights (k, d), biases (k,), a length for every pair of classes, and for Linf the sizes of each difference.
    """
    n_classes, d = y.max() + 1, points.shape[1]
    pairs = list(combinations(range(n_classes), 2))
    n_sizes = d if norm == "Linf" else 1
    # For two classes w = 2 w_1 = -2 w_0 decays, whose square is twice the sum of theirs.
    decay = alpha if n_classes == 2 else alpha / 2
    ends = np.cumsum([n_classes * d, n_classes])

    def parts(z):
        return z[: ends[0]].reshape(n_classes, d), z[ends[0] : ends[1]], z[ends[1] :].reshape(len(pairs), n_sizes)

    def loss(z):
        weights, biases, sizes = parts(z)
        scores = points @ weights.T + biases
        own = np.arange(len(y))
        table = np.zeros((n_classes, n_classes))
        for (a, b), size in zip(pairs, sizes, strict=True):
            table[a, b] = table[b, a] = size.sum()
        mean = logsumexp(scores - scores[own, y][:, None] + epsilon * table[y], axis=1).mean()
        # A little decay of the biases settles which of the equally good ones is found.
        return mean + decay * (weights**2).sum() + 1e-9 * (biases**2).sum()

    def slack(z):
        weights, _, sizes = parts(z)
        apart = np.stack([weights[a] - weights[b] for a, b in pairs])
        if norm == "L2":
            return (sizes[:, 0] - np.sqrt((apart**2).sum(axis=1) + 1e-14)).ravel()
        return np.r_[(sizes - apart).ravel(), (sizes + apart).ravel()]

    start = np.r_[
        np.random.default_rng(0).standard_normal(ends[0]) * 0.1, np.zeros(n_classes), np.ones(len(pairs) * n_sizes)
    ]
    found = minimize(
        loss,
        start,
        method="SLSQP",
        constraints={"type": "ineq", "fun": slack},
        options={"ftol": 1e-13, "maxiter": 2000},
    )
    return found.fun

"""The exact sign of a difference of scores, in float64 without an error: what decides who wins at a point."""

import math

import numpy as np

_SPLITTER = 2.0**27 + 1


def score_gap(weights: np.ndarray, biases: np.ndarray, rival_and_own: tuple[int, int], point: np.ndarray) -> float:
    """(w_rival - w_own).point + b_rival - b_own, rounded once: its sign is exact, its relative error 2^-53 at most.

    Products are taken without an error as sums of two numbers, and all are summed without one.
    Conditions: products neither overflow nor fall below 1e-290, other than to 0.
    Source: Dekker, Numer. Math. 18, 1971 (products); Shewchuk, Discrete Comput. Geom. 18, 1997 (`math.fsum`).

    Args:
        weights: (k, d); biases: (k,); rival_and_own: the two classes; point: (d,).
    """
    rival, own = rival_and_own
    parts = np.concatenate([_products(weights[rival], point), _products(-weights[own], point)])
    return math.fsum([*parts[parts != 0].tolist(), float(biases[rival]), -float(biases[own])])


def rough_error(sizes: np.ndarray, n_features: int) -> np.ndarray:
    """By how much float64 may err in a difference of scores, whose terms have `sizes` in sum, in whatever order it adds them."""
    return sizes * (n_features + 8) * 2.0**-53


def wins_or_ties(
    weights: np.ndarray, biases: np.ndarray, rivals: np.ndarray, own: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Where rivals (n,) score at least as high as the own classes (n,) at points (n, d), by the exact sign where it is needed.

    Conditions: as for `score_gap`.
    """
    gains = np.vecdot(weights[rivals] - weights[own], points) + biases[rivals] - biases[own]
    sizes = np.vecdot(np.abs(weights[rivals]) + np.abs(weights[own]), np.abs(points))
    errors = rough_error(sizes + np.abs(biases[rivals]) + np.abs(biases[own]), points.shape[1])
    for n in np.flatnonzero(np.abs(gains) <= errors):
        gains[n] = score_gap(weights, biases, (rivals[n], own[n]), points[n])
    return gains >= 0


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Numbers (2 d,) whose sum is first.second, without an error."""
    product = first * second
    (first_high, first_low), (second_high, second_low) = _halves(first), _halves(second)
    error = ((first_high * second_high - product) + first_high * second_low + first_low * second_high) + (
        first_low * second_low
    )
    return np.concatenate([product, error])


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values as sums of two of at most 26 bits."""
    scaled = values * _SPLITTER
    high = scaled - (scaled - values)
    return high, values - high

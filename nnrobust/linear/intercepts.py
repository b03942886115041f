"""The best intercepts of a cross-entropy at given scores: a small smooth problem of k unknowns, solved inside the large one."""

import numpy as np

_MOST_STEPS = 100
_BALANCED = 1e-13
"""How far the mean probabilities may be from the shares of the classes; float64 sums of 50,000 are no nearer."""


def best_intercepts(
    scores: np.ndarray, codes: np.ndarray, shares: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intercepts b (k,) of least mean(log sum exp(scores + b) - b_y); the probabilities (n, k); those losses (n,).

    By Newton steps, halved until the loss falls. At the best intercepts the mean probabilities are `shares` (k,), all above 0.
    """
    intercepts = start
    probabilities, losses = losses_of(scores, intercepts, codes)
    mean = losses.mean()
    for _ in range(_MOST_STEPS):
        found = probabilities.mean(axis=0)
        slope = found - shares
        if np.abs(slope).max() <= _BALANCED:
            break
        curvature = np.diag(found) - probabilities.T @ probabilities / len(scores)
        # Adding the same to all intercepts changes nothing: the first stays, at any curvature of the others.
        scale = max(np.trace(curvature), 1e-300)
        step = np.r_[0.0, np.linalg.solve(curvature[1:, 1:] + 1e-14 * scale * np.eye(len(shares) - 1), -slope[1:])]
        step /= max(1.0, np.abs(step).max() / 10)
        expected = -slope @ step
        while True:
            tried = losses_of(scores, intercepts + step, codes)
            if tried[1].mean() <= mean - 1e-4 * expected or expected < 1e-15 * abs(mean) or np.abs(step).max() < 1e-12:
                break
            step, expected = step / 2, expected / 2
        intercepts, (probabilities, losses) = intercepts + step, tried
        if np.abs(step).max() <= 1e-15 * max(1.0, np.abs(intercepts).max()):
            break
        mean = losses.mean()
    return intercepts, probabilities, losses


def losses_of(scores: np.ndarray, intercepts: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (n, k), and log sum exp(scores + b) - b_y (n,), at intercepts b (k,)."""
    # Class after class in memory: sums over a few classes are then of long rows.
    shifted = scores.T + intercepts[:, None]
    top = shifted.max(axis=0)
    shifted -= top
    exponentials = np.exp(shifted, out=shifted)
    total = exponentials.sum(axis=0)
    exponentials /= total
    return exponentials.T, np.log(total) + top - intercepts[codes]

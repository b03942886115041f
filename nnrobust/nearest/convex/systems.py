"""Small linear systems side by side, of which one that cannot be solved does not stop the others, in float64."""

import numpy as np


def diagonals(matrices: np.ndarray) -> np.ndarray:
    """The diagonals (n, k) of matrices (n, k, k), to be written to as well."""
    return np.einsum("nii->ni", matrices)


def solutions(matrices: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The vectors (n, k) that matrices (n, k, k) take to `right` (n, k), NaN where a matrix is singular."""
    try:
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right, np.nan)
    return np.concatenate([solutions(matrices[[n]], right[[n]]) for n in range(len(matrices))])


def are_definite(matrices: np.ndarray) -> np.ndarray:
    """Which symmetric matrices (n, k, k) have a Cholesky factor (n,); one that holds NaN, whose solution is NaN, may count."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.zeros(1, dtype=bool)
        return np.concatenate([are_definite(matrices[[n]]) for n in range(len(matrices))])
    return np.ones(len(matrices), dtype=bool)

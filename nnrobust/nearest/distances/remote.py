"""Products of float32 points on a device, by PyTorch, which is imported where there is one and not before."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def moved(points: np.ndarray, device: str) -> "Tensor":
    """The points on the device."""
    import torch

    return torch.from_numpy(points).to(device)


def products(first: "Tensor", second: "Tensor") -> np.ndarray:
    """Inner products (n, m) of points (n, d) and (m, d) that lie on a device, in float32."""
    found: np.ndarray = (first @ second.T).cpu().numpy()
    return found


def squared_distances(
    queries: np.ndarray, norms: np.ndarray, points: "Tensor", squared_norms: np.ndarray, width: int
) -> np.ndarray:
    """Squared distances (m, n), float64 sums of float32 products of `width` coordinates, from both points' squared norms."""
    import torch

    rows = torch.from_numpy(queries).to(points.device)
    squared = torch.from_numpy(norms[:, None]).to(points.device) + torch.from_numpy(squared_norms).to(points.device)
    for start in range(0, rows.shape[1], width):
        part = slice(start, start + width)
        squared -= 2 * (rows[:, part] @ points[:, part].T)
    found: np.ndarray = squared.cpu().numpy()
    return found

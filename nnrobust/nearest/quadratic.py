"""The point nearest to the origin in each of many small polytopes, by their dual problems, in float64."""

import torch
from torch import Tensor

TOLERANCE = 1e-12
"""By how much a constraint may be violated, relative to the distance of the farthest constraint's plane from the origin."""


def nearest_points(gram: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers of the points nearest to the origin in polytopes {v : a_i.v <= b_i}, and which of them are solved.

    Each of n problems, as the least-squares problem min |A^T u|^2 + (b.u + 1)^2 over u >= 0, by the active-set method of Lawson
    and Hanson: the constraint with the largest gradient enters, the least-squares problem of those within is solved, those whose
    u would be negative leave. The multipliers are m = u / (1 + b.u), the point is v = -A^T m. For any m >= 0, solved or not,
    -m.b / |A^T m| bounds its length from below.

    Args:
        gram: a_i.a_k, float64 (n, k, k).
        offsets: b_i, float64 (n, k). A constraint with a_i = e_i and b_i = 1 is never violated, and serves as padding.

    Returns:
        m, float64 (n, k), and a flag (n,) that is False where the method met a singular problem or did not end.

    Source: C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), chapter 23: NNLS and its use for LDP.
    """
    n, k = offsets.shape
    lengths = torch.diagonal(gram, dim1=1, dim2=2).sqrt().clamp(min=1e-300)
    scale = (offsets.abs() / lengths).amax(dim=1, keepdim=True).clamp(min=1e-300)
    b = offsets / lengths / scale
    normal = gram / lengths[:, :, None] / lengths[:, None] + b[:, :, None] * b[:, None]
    u, is_within = torch.zeros_like(b), torch.zeros(n, k, dtype=torch.bool)
    is_solved = torch.zeros(n, dtype=torch.bool)
    live = torch.arange(n)
    for _ in range(10 * k):
        gradient = -b[live] - (normal[live] @ u[live, :, None])[:, :, 0]
        largest, entering = torch.where(is_within[live], -torch.inf, gradient).max(dim=1)
        is_done = largest <= TOLERANCE * (1 + torch.linalg.vecdot(b[live], u[live]))
        is_solved[live[is_done]] = True
        live, entering = live[~is_done], entering[~is_done]
        if len(live) == 0:
            break
        is_within[live, entering] = True
        live = _settle(normal, b, u, is_within, live)
    multipliers = u / (1 + torch.linalg.vecdot(b, u))[:, None]
    return multipliers * scale / lengths, is_solved


def _settle(gram: Tensor, offsets: Tensor, multipliers: Tensor, is_within: Tensor, live: Tensor) -> Tensor:
    """Brings the multipliers of the constraints within to their optimum, in place; returns the problems that are not singular."""
    remaining, is_regular = live, torch.ones(len(gram), dtype=torch.bool)
    for _ in range(offsets.shape[1] + 1):
        within, old = is_within[remaining], multipliers[remaining]
        system = torch.where(within[:, :, None] & within[:, None, :], gram[remaining], 0.0)
        system = system + torch.diag_embed((~within).double())
        new, info = torch.linalg.solve_ex(system, torch.where(within, -offsets[remaining], 0.0)[:, :, None])
        new, is_singular = new[:, :, 0], info != 0
        is_regular[remaining[is_singular]] = False
        leaving = within & (new <= 0)
        is_settled = ~leaving.any(dim=1) & ~is_singular
        multipliers[remaining[is_settled]] = new[is_settled]
        rest = ~is_settled & ~is_singular
        remaining, old, new, leaving, within = remaining[rest], old[rest], new[rest], leaving[rest], within[rest]
        if len(remaining) == 0:
            break
        ratio = torch.where(leaving, old / (old - new).clamp(min=1e-300), torch.inf)
        step = ratio.amin(dim=1, keepdim=True)
        stays = within & ~(leaving & (ratio <= step))
        is_within[remaining] = stays
        multipliers[remaining] = torch.where(stays, old + step * (new - old), 0.0).clamp(min=0)
    return live[is_regular[live]]

"""What attacks raise: losses (n,) of logits (n, classes), given the right output (n,) and the one aimed at (n,)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The cross-entropy of the right output."""
    return F.cross_entropy(logits, targets, reduction="none")


def margin(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The largest other logit minus the right one: positive where the model is fooled. Two classes suffice.

    Source: arXiv 1608.04644, f6 with kappa infinite.
    """
    right = logits.gather(1, targets[:, None])[:, 0]
    return logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1) - right


def logit_ratio(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The difference of logits ratio: `margin` over the distance from the first to the third logit. Three classes at least.

    Source: arXiv 2003.01690, equation 6.
    """
    ordered = logits.sort(dim=1).values
    return margin(logits, targets, aims) / (ordered[:, -1] - ordered[:, -3] + 1e-12)


def targeted_logit_ratio(logits: Tensor, targets: Tensor, aims: Tensor) -> Tensor:
    """The targeted difference of logits ratio. Four classes at least.

    Source: arXiv 2003.01690, equation 7.
    """
    ordered = logits.sort(dim=1).values
    difference = logits.gather(1, aims[:, None])[:, 0] - logits.gather(1, targets[:, None])[:, 0]
    return difference / (ordered[:, -1] - 0.5 * (ordered[:, -3] + ordered[:, -4]) + 1e-12)

"""1NN as a torch module, so that libraries of attacks run on it unchanged."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_CONTENDERS = 4
"""References of a class that float32 finds nearest and float64 measures again."""


class NearestNeighborModule(nn.Module):
    """Logits (n, classes) = minus the l2 distance to each class's nearest reference, of inputs (n, ...), with gradients.

    The choice of the nearest is made in float32 and settled in float64 among a few, not by `References.nearest`, which has no
    gradients; the distances are float64's, rounded to the inputs' type. So where two classes are nearer to a tie than that
    rounding, the largest logit is no proof.
    """

    centre: Tensor
    scale: Tensor
    metric: Tensor | None

    def __init__(self, references: Sequence[Tensor], scale: float, metric: Tensor | None = None) -> None:
        """`references` (m, d) of each class in float64; inputs times `scale` are in their units, logits in the inputs'.

        With a `metric` (k, d), references (m, k) are compared with what it makes of inputs.
        """
        super().__init__()
        self.register_buffer("metric", metric)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        self.register_buffer("centre", torch.cat(list(references)).mean(dim=0))
        for number, points in enumerate(references):
            self.register_buffer(f"references_{number}", points - self.centre)
            self.register_buffer(f"float32_{number}", (points - self.centre).float())
        self.n_classes = len(references)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        points = x.flatten(1).double() * self.scale
        points = (points if self.metric is None else points @ self.metric.T) - self.centre
        nearest = torch.stack([self._nearest(points.detach(), number) for number in range(self.n_classes)], dim=1)
        distances = torch.linalg.vector_norm(points[:, None] - nearest, dim=2)
        return (-distances / self.scale).to(x.dtype)

    @torch.no_grad()
    def _nearest(self, points: Tensor, number: int) -> Tensor:
        """The nearest reference (n, d) of a class."""
        references, proposed = self.get_buffer(f"references_{number}"), self.get_buffer(f"float32_{number}")
        n_contenders = min(_CONTENDERS, len(references))
        near = torch.cdist(points.float(), proposed).topk(n_contenders, dim=1, largest=False).indices
        squared = (references[near] - points[:, None]).square().sum(dim=2)
        return references[near.gather(1, squared.argmin(dim=1, keepdim=True))[:, 0]]

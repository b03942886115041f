"""1NN as a torch module, so that libraries of attacks run on it unchanged."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from nnrobust.nearest.distances.metric import Metric, Plain
from nnrobust.nearest.distances.references import References


class NearestNeighborModule(nn.Module):
    """Logits (n, classes) = minus the l2 distance to each class's nearest reference, of inputs (n, ...), with gradients.

    The nearest references are those of `predict`, and so is the class of the largest logit, for inputs of any type: float64
    decides, and where logits of the inputs' type cannot tell two classes apart, that of the nearest gets the next larger number.
    Logits are float32 at least.
    """

    def __init__(self, references: Sequence[References], metric: Plain, scale: float) -> None:
        """`references` of each class, in what `metric` makes of inputs; inputs times `scale` are in their units."""
        super().__init__()
        self.references, self.metric, self.scale = list(references), metric, float(scale)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        points = x.flatten(1).double() * self.scale
        nearest, label = self._nearest(points.detach().cpu().numpy())
        if isinstance(self.metric, Metric):
            points = points @ torch.from_numpy(self.metric.matrix).to(points.device).T
        distances = torch.linalg.vector_norm(points[:, None] - torch.from_numpy(nearest).to(points.device), dim=2)
        logits = (-distances / self.scale).to(torch.promote_types(x.dtype, torch.float32))
        return logits + _lead(logits.detach(), torch.from_numpy(label).to(points.device))

    def _nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest reference of each class (n, classes, k), float64, and the position (n,) of the nearest class."""
        places = self.metric.mapped(points)
        found = [references.nearest(places) for references in self.references]
        nearest = [references.exactly(at) for references, (_, at) in zip(self.references, found, strict=True)]
        return np.stack(nearest, axis=1), np.stack([squared for squared, _ in found], axis=1).argmin(axis=1)


def _lead(logits: Tensor, label: Tensor) -> Tensor:
    """What to add to logits (n, classes) for that of the label (n,) to be the only largest one: 0 where it is."""
    at = label[:, None]
    largest_other = logits.scatter(1, at, -torch.inf).amax(dim=1, keepdim=True)
    own = logits.gather(1, at)
    ahead = torch.nextafter(largest_other, torch.full_like(largest_other, torch.inf))
    return torch.zeros_like(logits).scatter(1, at, torch.where(own > largest_other, 0.0, ahead - own))

"""A network of many classes as one of a few: its logits of those."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnrobust.errors import DataError


class Restricted(nn.Module):
    """Logits (n, k) of k classes of a network: those of `class_ids`, in that order. It is in the network's mode, train or eval.

    With two ids, the classifier of a pair: the class with the larger of the two logits.
    """

    class_ids: Tensor

    def __init__(self, network: nn.Module, class_ids: Sequence[int]) -> None:
        """`network` gives logits (n, classes); two or more different `class_ids`, counted from 0.

        Raises:
            DataError: for fewer than two ids, an id twice, or a negative one.
        """
        super().__init__()
        ids = [int(class_id) for class_id in class_ids]
        if len(ids) < 2 or len(set(ids)) < len(ids) or min(ids) < 0:
            raise DataError(f"class_ids: expected two or more different class ids, counted from 0, got {ids}")
        self.network = network
        self.n_needed = max(ids) + 1
        # Not among the weights: the state dict stays that of the network.
        self.register_buffer("class_ids", torch.tensor(ids), persistent=False)
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        """The logits (n, k) of inputs (n, ...).

        Raises:
            DataError: when the network has too few logits, which on a CUDA device ends in no sentence.
        """
        logits = self.network(x)
        if logits.ndim != 2 or logits.shape[1] < self.n_needed:
            raise DataError(
                f"expected logits of shape (n, {self.n_needed} or more) for the class ids {self.class_ids.tolist()}, got "
                f"{tuple(logits.shape)}; class ids count the network's outputs from 0"
            )
        return logits.index_select(1, self.class_ids)

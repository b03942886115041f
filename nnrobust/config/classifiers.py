"""The blocks under `classifiers`: the simple classifiers with exact robustness that are measured beside 1NN."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nnrobust.config.blocks import Block, Count, Norm, Positive
from nnrobust.threat import parse_epsilon


class Linear(Block):
    kind: Literal["linear"]
    norm: Norm
    epsilon: Annotated[float, BeforeValidator(parse_epsilon), Field(ge=0, allow_inf_nan=False)]
    alpha: Positive
    tolerance: Positive
    max_iterations: Count


class Mean(Block):
    kind: Literal["mean"]


KINDS: dict[str, type[Block]] = {"linear": Linear, "mean": Mean}
Simple = Linear | Mean
Classifier = Annotated[Simple, Field(discriminator="kind")]
"""The key `kind` says which block it is."""

"""The blocks under `classifiers`: the simple classifiers with exact robustness that are measured beside 1NN."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nnrobust.config.blocks import Block, Count, Epsilon, Fraction, Norm, Positive, Seed
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


class Prototypes(Block):
    kind: Literal["prototypes"]
    counts: Annotated[list[Count], Field(min_length=1)]
    norm: Norm
    epsilon: Epsilon
    fraction: Fraction
    seed: Seed


KINDS: dict[str, type[Block]] = {"linear": Linear, "mean": Mean, "prototypes": Prototypes}
Simple = Linear | Mean | Prototypes
Classifier = Annotated[Simple, Field(discriminator="kind")]
"""The key `kind` says which block it is."""

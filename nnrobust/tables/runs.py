"""What a run of the workflow left for its figures and its report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.config.params import Params
from nnrobust.examples import Examples, load_each
from nnrobust.runtime.timing import read_timings
from nnrobust.tables.comparison import scores

TABLES = (
    "pairs", "means", "unions", "curves", "zoo", "training", "strength", "growth", "plane", "changes", "paired", "seeds",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a run has to show.

    `tables` by the names of `metrics/`, and `class_distances`; `timings` and `examples` by classifier, in the order of params;
    `regions` of the 2-D problem. `searched` is the variant that figure 6 sets against 1NN; `epsilon` is by norm.
    """

    dataset: str
    classes: list[str]
    n_dimensions: int
    classifiers: list[str]
    searched: str | None
    epsilon: dict[str, float]
    confidence: float
    plane_seed: int
    scores: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    timings: dict[str, dict[str, Any]]
    examples: Mapping[str, Examples]
    regions: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, params: Params, prepared: Path, metrics: Path, examples: Path, regions: Path) -> "Run":
        """From the folders of the prepared data, the metrics and the examples, and the file of the regions."""
        about = json.loads((prepared / "dataset.json").read_text(encoding="utf-8"))
        tables = {name: pd.read_csv(metrics / f"{name}.csv") for name in TABLES}
        with np.load(regions) as stored:
            return cls(
                dataset=about["name"],
                classes=about["classes"],
                n_dimensions=int(np.prod(about["image_shape"])),
                classifiers=params.classifiers,
                searched=params.searched,
                epsilon=params.epsilon.model_dump(),
                confidence=params.claims.confidence,
                plane_seed=params.plane.seed,
                scores=scores(tables["pairs"], tables["unions"]),
                tables=tables | {"class_distances": pd.read_csv(prepared / "class_distances.csv")},
                timings=read_timings(metrics / "timings", params.classifiers),
                examples=load_each(examples, params.illustrate.classifiers),
                regions=dict(stored),
            )

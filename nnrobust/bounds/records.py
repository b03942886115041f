"""What linear bounds say of the images that a network was attacked on: records of kind `certified` beside the attacked ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.bounds.layers import Layer, layers_of
from nnrobust.bounds.margins import BEYOND, BLOCK, margins
from nnrobust.data.datasets import SPLITS, Prepared, opened
from nnrobust.errors import DataError, RecordError
from nnrobust.models.blocks import Model
from nnrobust.models.load import load_block
from nnrobust.records import ALL_CLASSES, to_frame
from nnrobust.runtime.machine import Engine
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel

METHOD = "linear bounds"
Margins = dict[int, np.ndarray]
"""By the position of an image in its split, the lower bounds (classes,) on its label's margins."""


@dataclass(frozen=True)
class Work:
    """The margins of images by split, threat model and positions: of the model in `folder`, on the dataset in `prepared`."""

    model: Model
    folder: Path
    prepared: Path

    def __call__(self, item: tuple[str, ThreatModel, Sequence[int]]) -> Margins:
        split, threat, indices = item
        part = getattr(opened(self.prepared).dataset, split)
        found = margins(_layers(self), np.asarray(part.images[indices]), part.labels[indices], threat)
        return dict(zip(indices, found, strict=True))


@lru_cache(maxsize=1)
def _layers(work: Work) -> list[Layer]:
    found = load_block(work.model, work.folder, opened(work.prepared).dataset.classes)
    try:
        return layers_of(found, work.model.shape)
    except DataError as error:
        raise DataError(f"{work.model.name}: {error}; take it out of bounds.models") from error


def bound_all(
    work: Work, attacked: pd.DataFrame, threats: Sequence[ThreatModel], engine: Engine, progress: Progress = silent
) -> Iterator[pd.DataFrame]:
    """The certified records of a model's attacked ones, by threat model, the smaller ball first.

    Of an image that no attack left standing, and in a ball that contains one in which nothing was proven of it, there is nothing
    to prove, and no bound is taken.

    Raises:
        DataError: when there are no linear bounds for the network.
        RecordError: when what is proven robust was fooled, or is no right prediction.
    """
    prepared = opened(work.prepared)
    _layers(work)
    proven: dict[str, tuple[ThreatModel, pd.DataFrame]] = {}
    for threat in sorted(
        threats, key=lambda one: sum(one.contains(other, prepared.dataset.n_dimensions) for other in threats)
    ):
        mine = attacked[(attacked["norm"] == threat.norm) & (attacked["epsilon"] == threat.epsilon)]
        left = mine[mine["is_robust"]]
        for smaller, records in proven.values():
            if threat.contains(smaller, prepared.dataset.n_dimensions):
                left = left.merge(records.loc[records["is_robust"], ["split", "pair", "index"]])
        beyond = ThreatModel(threat.norm, threat.epsilon * BEYOND)
        indices = {split: np.unique(left.loc[left["split"] == split, "index"]).tolist() for split in SPLITS}
        items = [
            (split, beyond, those[start : start + BLOCK])
            for split, those in indices.items()
            for start in range(0, len(those), BLOCK)
        ]
        found: dict[str, Margins] = {split: {} for split in SPLITS}
        mapped = engine.map(work, items)
        for _, (number, margins_of) in zip(progress(items, f"bounds in {threat.norm}"), mapped, strict=True):
            found[items[number][0]].update(margins_of)
        frame = certified_records(mine, found, prepared, beyond)
        proven[threat.norm] = (threat, frame)
        yield frame


def certified_records(
    attacked: pd.DataFrame, found: Mapping[str, Margins], prepared: Prepared, reached: ThreatModel
) -> pd.DataFrame:
    """One record for each attacked one: robust where every other class of its problem has a margin above 0.

    Raises:
        RecordError: as `bound_all`.
    """
    ids = {str(pair): pair.class_ids() for pair in prepared.pairs}
    ids[ALL_CLASSES] = np.arange(len(prepared.dataset.classes))
    is_proven, unknown = np.zeros(len(attacked), dtype=bool), np.full(len(prepared.dataset.classes), -np.inf)
    places = attacked.reset_index(drop=True).astype({"split": str, "pair": str})
    for (split, pair), rows in places.groupby(["split", "pair"]):
        least = np.array([found[split].get(index, unknown)[ids[pair]].min() for index in rows["index"]])
        is_proven[rows.index] = least > 0
    wrong = attacked[is_proven & ~attacked["is_robust"].to_numpy()]
    if len(wrong):
        raise RecordError(
            f"{len(wrong)} images are proven robust and yet fell, or are not right unperturbed, which says that the proof or the "
            f"attack is not of this network; the first: {wrong.iloc[0].to_dict()}"
        )
    kept = (
        "dataset",
        "split",
        "classifier",
        "pair",
        "index",
        "label",
        "prediction",
        "norm",
        "epsilon",
        "is_correct",
        "status",
    )
    nothing = ("radius_half_gap", "radius_bisector", "box_radius_lower", "box_radius_upper", "perturbation_norm")
    return to_frame(
        {
            **{name: attacked[name].to_numpy() for name in kept},
            **dict.fromkeys(nothing, np.nan),
            "kind": "certified",
            "method": METHOD,
            "attacks": "",
            "note": "",
            "is_robust": is_proven,
            "radius_lower": np.where(is_proven, reached.epsilon, 0.0),
            "radius_upper": np.where(attacked["is_correct"], np.inf, 0.0),
        }
    )

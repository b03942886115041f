"""Networks to be bounded, from their files: of others, and of variants."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from nnrobust.bounds.layers import Layer
from nnrobust.bounds.records import chain_of, problem_of
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import opened
from nnrobust.models.blocks import Model
from nnrobust.models.load import load_block
from nnrobust.networks.architectures import builder
from nnrobust.networks.storage import load_networks, stored_pairs
from nnrobust.records import ALL_CLASSES


@dataclass(frozen=True)
class FromFile:
    """The network of others whose file lies in `folder`; its outputs are the dataset's `classes`."""

    model: Model
    folder: Path
    classes: tuple[str, ...]

    def key(self, problem: str) -> str:
        return ALL_CLASSES

    def layers(self, key: str) -> list[Layer]:
        network = load_block(self.model, self.folder, self.classes)
        return chain_of(network, self.model.shape, self.model.name, "models")


@dataclass(frozen=True)
class OfVariant:
    """The networks of a variant in the file at `path`, of the dataset prepared in `prepared`; `is_whole`: one of all classes."""

    path: Path
    prepared: Path
    recipe: Recipe
    is_whole: bool

    def key(self, problem: str) -> str:
        return ALL_CLASSES if self.is_whole else problem

    def layers(self, key: str) -> list[Layer]:
        prepared = opened(self.prepared)
        problem = problem_of(key, prepared.dataset)
        network = builder(prepared, self.recipe, len(problem.class_ids()))()
        network.load_state_dict(_stored(self)[key])
        return chain_of(network.eval(), prepared.dataset.image_shape, self.path.stem, "variants")


@lru_cache(maxsize=1)
def _stored(networks: OfVariant) -> dict[str, dict[str, Tensor]]:
    """The weights of every network in the file, which is read and checked once."""
    dataset, keys = opened(networks.prepared).dataset, sorted(stored_pairs(networks.path))
    problems = [problem_of(key, dataset) for key in keys]
    return dict(zip(keys, load_networks(networks.path, problems, networks.recipe.checkpoint), strict=True))

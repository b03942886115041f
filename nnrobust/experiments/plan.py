"""What a campaign is to do: its variants, their problems, and what is measured of them, out of a profile."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import Problem
from nnrobust.threat import ThreatModel, parse_epsilon
from nnrobust.training.halving import SearchPlan
from nnrobust.training.validation import Validation


@dataclass(frozen=True)
class Unit:
    """One variant on some problems: a network for each, trained at the same time; or one of all classes, attacked on each."""

    variant: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Searched:
    """The variant whose settings are searched, network by network, and the journal in which a search that was ended goes on."""

    variant: str
    search: SearchPlan
    journal: Path


@dataclass(frozen=True)
class Plan:
    """The blocks of a profile that training and attacks need, and how many images of each class are attacked.

    `of_all_classes` are the variants that train one network for all problems; `searched` is the one whose settings are searched,
    if any; of those `bounded` linear bounds prove what they can. Attacks search in `attack_precision`, compiled where
    `is_compiled`.
    """

    recipes: dict[str, Recipe]
    of_all_classes: frozenset[str]
    threats: list[ThreatModel]
    validation: Validation
    fraction: float
    attacks: list[AttackSpec]
    n_attacked: dict[str, int | None]
    searched: Searched | None = None
    bounded: frozenset[str] = frozenset()
    attack_precision: str = "auto"
    is_compiled: bool = False

    @classmethod
    def of(
        cls, profile: Mapping[str, Any], variants: list[str], n_attacked: dict[str, int | None], journal: Path
    ) -> "Plan":
        epsilon = {norm: parse_epsilon(value) for norm, value in profile["epsilon"].items()}
        held, attack, blocks = profile["validation"], profile["attack"], profile["variants"]
        search = profile["search"]
        searched = [Searched(name, SearchPlan.of(search), journal) for name in search["variants"] if name in variants]
        return cls(
            {name: Recipe.of(blocks[name]) for name in variants},
            frozenset(name for name in variants if blocks[name]["problem"] == "all_classes"),
            [ThreatModel(norm, value) for norm, value in epsilon.items()],
            Validation(epsilon, held["steps"], held["every"], held["seed"]),
            held["fraction"],
            [AttackSpec(**spec, seed=attack["seed"]) for spec in attack["attacks"]],
            n_attacked,
            next(iter(searched), None),
            frozenset(profile["bounds"]["variants"]),
            profile["compute"]["attack_precision"],
            profile["compute"]["attack_compile"],
        )

    def search_of(self, variant: str) -> Searched | None:
        return self.searched if self.searched and self.searched.variant == variant else None

    def content(self, variant: str) -> dict[str, Any]:
        """All that decides a variant's networks but the images, for provenance: the recipe, and the search that fills it in."""
        problem, searched = "all_classes" if variant in self.of_all_classes else "pairs", self.search_of(variant)
        return (
            self.recipes[variant].content()
            | {"problem": problem}
            | ({"search": asdict(searched.search)} if searched else {})
        )

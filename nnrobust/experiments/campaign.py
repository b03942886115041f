"""Pairs trained and attacked one after the other into a few files that grow: the inside of `gpu.py`."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import PairSource, pair_inputs
from nnrobust.attacks.verdicts import AttackInputs, attack_records, untrained_records
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import SPLITS, Dataset, Pair, channel_statistics
from nnrobust.networks.architectures import build_network
from nnrobust.records import read_records, write_records
from nnrobust.runtime.machine import Machine
from nnrobust.runtime.outputs import finished_file, write_csv
from nnrobust.threat import ThreatModel, parse_epsilon
from nnrobust.training.outcomes import history, outcomes
from nnrobust.training.schedule import shortened, validation_norms
from nnrobust.training.tasks import Row, Task, Trained, TrainingSet, hold_out
from nnrobust.training.train import train_all, train_with_retry
from nnrobust.training.validation import Validation

PART_BYTES = 12_000_000
"""A records file that has grown to this size is left, and the next one begun."""


class BudgetSpentError(Exception):
    """Raised between two epochs when no time is left."""


@dataclass(frozen=True)
class Unit:
    """One variant on some pairs, which are trained at the same time."""

    variant: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Plan:
    """The blocks of a profile that training and attacks need, and how many images of each class are attacked."""

    recipes: dict[str, Recipe]
    threats: list[ThreatModel]
    validation: Validation
    fraction: float
    attacks: list[AttackSpec]
    n_attacked: dict[str, int | None]

    @classmethod
    def of(cls, profile: Mapping[str, Any], variants: list[str], n_train: int | None, n_test: int | None) -> "Plan":
        epsilon = {norm: parse_epsilon(value) for norm, value in profile["epsilon"].items()}
        held, attack = profile["validation"], profile["attack"]
        return cls(
            {name: Recipe.of(profile["variants"][name]) for name in variants},
            [ThreatModel(norm, value) for norm, value in epsilon.items()],
            Validation(epsilon, held["steps"], held["every"], held["seed"]),
            held["fraction"],
            [AttackSpec(**spec, seed=attack["seed"]) for spec in attack["attacks"]],
            {"train": n_train, "test": n_test},
        )


class Campaign:
    """Trains and attacks units, and appends the results to the files in `out`."""

    def __init__(self, out: Path, dataset: Dataset, plan: Plan, machine: Machine, deadline: float) -> None:
        self.out, self.dataset, self.plan, self.machine, self.deadline = out, dataset, plan, machine, deadline
        statistics, first = channel_statistics(dataset.train.images), next(iter(plan.recipes.values()))
        build = partial(build_network, first.architecture, dataset.image_shape, *statistics, 2)
        self.data = TrainingSet(dataset.train.images, dataset.train.labels, build)

    def done(self) -> pd.DataFrame:
        """The table of networks done: a row for each variant (`classifier`) and pair."""
        path = self.out / "training.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame({"classifier": [], "pair": []})

    def seconds_a_pair(self, variant: str, rates: Mapping[str, float]) -> tuple[float, float]:
        """Seconds to train and to attack a pair: as measured for that variant, else from forward passes a second."""
        table = self.done()
        mine = table[table["classifier"] == variant]
        if len(mine):
            return float(mine["seconds"].mean()), float(mine["attack_seconds"].mean())
        training, attack = self._forwards(self.plan.recipes[variant])
        return training / rates["training"], attack / rates["attack"]

    def _forwards(self, recipe: Recipe) -> tuple[float, float]:
        """The forward passes of an image that a pair takes to train and, if no image falls before the last step, to attack."""
        pair = Pair(0, 1)
        n_train = len(pair.indices(self.data.labels))
        inner = recipe.trades.perturbations if recipe.trades else ()
        step = 3 + 3 * len(inner) + sum(1 + 2 * p.steps for p in inner)
        n_held, norms = self.plan.fraction * n_train, len(validation_norms(recipe))
        checks = n_held * (1 + norms * (2 * self.plan.validation.steps + 1)) / self.plan.validation.every
        n_attacked = sum(len(self._attacked(pair, split).ids) for split in SPLITS)
        steps = sum(spec.steps * spec.restarts for spec in self.plan.attacks)
        attack = n_attacked * len(self.plan.threats) * 2 * steps
        return recipe.epochs * (n_train * step + checks), attack

    def run(self, unit: Unit, attack_seconds: float) -> None:
        """Trains a unit, and attacks and keeps pair after pair; `attack_seconds` are those expected for an attack.

        Raises:
            BudgetSpentError: when the time is up; networks are in the machine's work store.
        """
        recipe = self.plan.recipes[unit.variant]
        tasks = [
            Task(pair, *hold_out(pair, self.data.labels, self.plan.fraction, self.plan.validation.seed), recipe)
            for pair in unit.pairs
        ]
        trained, first_failures = train_with_retry(tasks, self._train)
        for pair, task, result, first in zip(unit.pairs, tasks, trained, first_failures, strict=True):
            self.check_time(attack_seconds)
            start, part = time.monotonic(), Unit(unit.variant, (pair,))
            frames = [frame for split in SPLITS for frame in self._attack(unit.variant, pair, split, result)]
            seconds = {"seconds": round(result.seconds, 1), "attack_seconds": round(time.monotonic() - start, 1)}
            self._append("history.csv", history([task], [result]), part)
            self._append_records(frames, part)
            self._append("training.csv", outcomes([task], [result], [first]).assign(**seconds), part)

    def compare_precisions(self, pair: Pair, variant: str, epochs: int, seeds: int) -> pd.DataFrame:
        """Accuracies on held-out images of networks of one short recipe, trained in float32 and in bfloat16, seed by seed."""
        short = replace(shortened(self.plan.recipes[variant], epochs), checkpoint="last")
        split = hold_out(pair, self.data.labels, self.plan.fraction, self.plan.validation.seed)
        tasks, rows = [Task(pair, *split, replace(short, seed=seed)) for seed in range(seeds)], []
        for name, precision in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            for seed, result in enumerate(self._train(tasks, precision)):
                about = {"precision": name, "seed": seed, "epochs": epochs}
                rows.append({**about, **result.rows[-1], "seconds": result.seconds})
        return pd.DataFrame(rows).round(4)

    def _train(self, tasks: list[Task], precision: torch.dtype | None = None) -> list[Trained]:
        machine = replace(self.machine, precision=precision or self.machine.precision)
        return train_all(tasks, self.data, self.plan.validation, machine, watch=self._watch)

    def _watch(self, tasks: list[Task], epoch: int, rows: list[Row]) -> None:
        self.check_time()

    def check_time(self, needed: float = 0.0) -> None:
        """Raises `BudgetSpentError` when fewer seconds are left than are needed."""
        if time.monotonic() + needed > self.deadline:
            raise BudgetSpentError

    def _attack(self, variant: str, pair: Pair, split: str, result: Trained) -> list[pd.DataFrame]:
        inputs = self._attacked(pair, split)
        about = {"dataset": self.dataset.name, "split": split, "classifier": variant, "pair": str(pair)}
        if result.failure:
            return [untrained_records(about, inputs, pair.class_ids(), threat) for threat in self.plan.threats]
        source = PairSource(self.data.build, [result.state], self.machine.precision)
        verdicts = attack_in_blocks(source, inputs, self.plan.threats, self.plan.attacks, self.machine)
        return [
            attack_records(about, inputs, pair.class_ids(), verdicts[threat.norm], threat)
            for threat in self.plan.threats
        ]

    def _attacked(self, pair: Pair, split: str) -> AttackInputs:
        return pair_inputs(getattr(self.dataset, split), [pair], self.plan.n_attacked[split])

    def _append(self, name: str, table: pd.DataFrame, unit: Unit) -> None:
        path, table = self.out / name, table.assign(classifier=unit.variant)
        if path.exists():
            table = pd.concat([_without(pd.read_csv(path), unit), table], ignore_index=True)
        write_csv(path, table)

    def _append_records(self, frames: list[pd.DataFrame], unit: Unit) -> None:
        parts = sorted(self.out.glob("records_*.parquet"))
        is_open = bool(parts) and parts[-1].stat().st_size < PART_BYTES
        for path in parts:
            kept = read_records(path)
            rest = _without(kept, unit)
            if path == parts[-1] and is_open:
                write_records([rest, *frames], path)
            elif len(rest) < len(kept):
                write_records([rest], path)
        if not is_open:
            write_records(frames, self.out / f"records_{len(parts) + 1:02d}.parquet")


def _without(table: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """The table less the rows of this unit, which a call that was killed while it wrote may have left."""
    is_mine = (table["classifier"] == unit.variant) & table["pair"].isin([str(pair) for pair in unit.pairs])
    return table[~is_mine].reset_index(drop=True)


def write_provenance(out: Path, call: Mapping[str, Any]) -> None:
    """Adds this call to those before it in `provenance.json`."""
    path = out / "provenance.json"
    calls = json.loads(path.read_text())["calls"] if path.exists() else []
    with finished_file(path) as temporary:
        temporary.write_text(json.dumps({"calls": [*calls, call]}, indent=2) + "\n")

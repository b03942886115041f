"""A pilot of the recipe: networks of a few pairs under other schedules, steps and rates, attacked by APGD on held-out images.

    python benchmarks/pilot.py --out FILE.csv [--profile cifar10-small] [--variant T_R] [--images PATH] [--change steps=5 ...]

Trains a variant of the profile with each `--change`, a comma-separated list of `key=value` (`none`: as it is; keys: those of
a variant, and `steps`, `step_size` and `beta` of its TRADES block), on each pair, or with `--all-classes` on all classes. The
images under attack are held out of training; no test image is read. APGD-CE of 50 steps tells more than PGD of the few steps
that training saw. One row a network: accuracies, seconds, seconds an epoch.
"""

import argparse
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from nnrobust.attacks.batches import attack_in_blocks
from nnrobust.attacks.pairs import PairSource
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.profiles import read_profile
from nnrobust.config.recipes import Perturbation, Recipe, Trades
from nnrobust.data.datasets import AllClasses, Problem, channel_statistics, select_pairs
from nnrobust.data.read import Request
from nnrobust.networks.architectures import build_network
from nnrobust.runtime.machine import machine
from nnrobust.runtime.outputs import write_csv
from nnrobust.threat import ThreatModel, parse_epsilon
from nnrobust.training.tasks import Task, TrainingSet, hold_out
from nnrobust.training.train import train_all
from nnrobust.training.validation import Validation

PROFILES = Path(__file__).parent.parent / "profiles"
PAIRS = [("airplane", "automobile"), ("cat", "dog")]
ATTACK = [AttackSpec("apgd-ce", 50, 1, 0)]


def changed(recipe: Recipe, change: str) -> Recipe:
    """The recipe with the values that a text such as `epochs=10,steps=5` names."""
    for part in change.split(",") if change != "none" else ():
        key, _, text = part.partition("=")
        value: Any = yaml.safe_load(text)
        if key in {field.name for field in fields(Trades)}:
            assert recipe.trades is not None
            recipe = replace(recipe, trades=replace(recipe.trades, **{key: value}))
        elif key in {field.name for field in fields(Perturbation)}:
            assert recipe.trades is not None
            value = value if key == "steps" else parse_epsilon(value)
            inner = tuple(replace(one, **{key: value}) for one in recipe.trades.perturbations)
            recipe = replace(recipe, trades=replace(recipe.trades, perturbations=inner))
        else:
            recipe = replace(recipe, **{key: tuple(value) if isinstance(value, list) else value})
    return recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="cifar10-small")
    parser.add_argument("--variant", default="T_R")
    parser.add_argument("--change", nargs="+", default=["none"])
    parser.add_argument("--all-classes", action="store_true")
    parser.add_argument("--n-attacked", type=int, default=200, help="held-out images of each class attacked")
    parser.add_argument("--images", help="folder or tar of {train,test}/<class>/ images, instead of the profile's data")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    profile = read_profile(PROFILES / f"{options.profile}.yaml")
    if options.images:
        profile["data"] |= {"source": "image_folder", "path": options.images, "sha256": None}
    dataset, computer = Request.of(profile["data"]).read(), machine("auto", 1, 200)
    everything = AllClasses(len(dataset.classes))
    problems: list[Problem] = [everything] if options.all_classes else [*select_pairs(dataset.classes, PAIRS)]
    epsilon = {norm: parse_epsilon(value) for norm, value in profile["epsilon"].items()}
    threats = [ThreatModel(norm, value) for norm, value in epsilon.items()]
    train, statistics, rows = dataset.train, channel_statistics(dataset.train.images), []
    for change in options.change:
        recipe = replace(changed(Recipe.of(profile["variants"][options.variant]), change), checkpoint="last")
        for problem in problems:
            task = Task(problem, *hold_out(problem, train.labels, profile["validation"]["fraction"], 0), recipe)
            n_classes = len(problem.class_ids())
            build = partial(
                build_network, recipe.architecture, dataset.image_shape, *statistics, n_classes, recipe.width
            )
            held, start = Validation(epsilon, 1, recipe.epochs, 0), time.process_time()
            (result,) = train_all([task], TrainingSet(train.images, train.labels, build), held, computer)
            seconds = time.process_time() - start
            chosen = np.concatenate(
                [task.held[train.labels[task.held] == c][: options.n_attacked] for c in problem.class_ids()]
            )
            targets = problem.targets(train.labels[chosen])
            inputs = AttackInputs(train.images[chosen], targets, np.zeros_like(chosen), chosen)
            verdicts = attack_in_blocks(PairSource(build, [result.last]), inputs, threats, ATTACK, computer)
            stands = {norm: ~verdict.is_fooled for norm, verdict in verdicts.items()}
            rows.append(
                {
                    "variant": options.variant, "change": change, "problem": str(problem), "n": len(chosen),
                    "clean": (verdicts["Linf"].predictions == targets).mean(),
                    **{norm: stand.mean() for norm, stand in stands.items()},
                    "union": np.logical_and.reduce(list(stands.values())).mean(),
                    "loss": result.rows[-1]["loss"], "cpu_seconds": seconds, "cpu_seconds_an_epoch": seconds / recipe.epochs,
                    "images_per_cpu_second": len(task.indices) * recipe.epochs / seconds,
                }
            )  # fmt: skip
            print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
            write_csv(options.out, pd.DataFrame(rows).round(4))


if __name__ == "__main__":
    main()

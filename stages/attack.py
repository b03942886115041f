"""Attacks one variant's networks on their train and test images: `dvc repro attack@VARIANT`."""

from pathlib import Path

import numpy as np
import pandas as pd

from nnrobust.attacks.batches import Source, attack_in_blocks
from nnrobust.attacks.convergence import COLUMNS, ladder, strength_curve
from nnrobust.attacks.pairs import PairSource, RestrictedSource, pair_inputs, problem_records
from nnrobust.attacks.victim import AttackSpec
from nnrobust.config.params import Params, read_params
from nnrobust.data.datasets import SPLITS, Prepared, Problem, load_dataset
from nnrobust.networks.architectures import builder
from nnrobust.networks.storage import load_networks, stored_pairs
from nnrobust.records import write_records
from nnrobust.runtime.cluster import attack_machine
from nnrobust.runtime.machine import Machine, precision_of
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown

RECORDS = Path("data/records")
Attacked = tuple[Source, list[Problem]]
"""A source of victims, and the problem of each of them."""


def sources(name: str, params: Params, prepared: Prepared, where: Machine) -> tuple[list[Attacked], list[Problem]]:
    """The variant's networks on their own problems, then one of all classes on the pairs; and problems without a network."""
    variant, path = params.variants[name], Path("models/trained") / f"{name}.safetensors"
    is_whole = variant.problem == "all_classes"
    wanted = prepared.problems(variant.problem)
    stored = stored_pairs(path)
    own = [problem for problem in wanted if str(problem) in stored]
    missing = [problem for problem in wanted if problem not in own]
    if not own:
        return [], [*wanted, *prepared.pairs] if is_whole else wanted
    build = builder(prepared, variant.recipe(), len(own[0].class_ids()))
    precision = precision_of(params.compute.attack_precision, where.device)
    source = PairSource(build, load_networks(path, own, variant.checkpoint), precision, params.compute.attack_compile)
    if not is_whole:
        return [(source, own)], missing
    class_ids = np.stack([pair.class_ids() for pair in prepared.pairs])
    return [(source, own), (RestrictedSource(source, class_ids), [*prepared.pairs])], missing


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    options, threats = params.attack, params.epsilon.threat_models()
    machine, frames = attack_machine(params.compute), []
    attacks = [AttackSpec(**block.model_dump(), seed=options.seed) for block in options.attacks]
    attacked, missing = sources(name, params, prepared, machine)
    for split, wanted in zip(SPLITS, (options.n_train_per_class, options.n_test_per_class), strict=True):
        part = getattr(prepared.dataset, split)
        about = {"dataset": prepared.dataset.name, "split": split, "classifier": name}
        for source, problems in attacked:
            inputs = pair_inputs(part, problems, wanted)
            verdicts = attack_in_blocks(source, inputs, threats, attacks, machine, shown)
            frames += problem_records(about, inputs, problems, verdicts, threats)
        frames += problem_records(about, pair_inputs(part, missing, wanted), missing, None, threats)
    write_records(frames, RECORDS / f"{name}.parquet")
    rungs = ladder(options.strength.attacks, options.strength.steps, options.strength.restarts, options.seed)
    curve = pd.DataFrame(columns=COLUMNS)
    for source, problems in attacked[:1]:
        few = pair_inputs(prepared.dataset.test, problems, options.strength.n_test_per_class)
        curve = strength_curve(source, few, threats, rungs, machine, shown)
    write_csv(RECORDS / "strength" / f"{name}.csv", curve.round(6).assign(classifier=name))


if __name__ == "__main__":
    run_stage(main)

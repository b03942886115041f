"""Finds the nearest images that fool one classifier on a few training images: `dvc repro examples@CLASSIFIER`."""

from pathlib import Path

import numpy as np

from nnrobust.attacks.pairs import PairSource, RestrictedSource
from nnrobust.attacks.pretrained import PretrainedSource, ZooFiles
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.config.params import Params, read_params
from nnrobust.data.datasets import AllClasses, Prepared, load_dataset, select_pairs
from nnrobust.examples import class_ids_of, first_in_turn
from nnrobust.experiments.illustrate import fool_nearest_neighbor, fool_network
from nnrobust.networks.architectures import builder
from nnrobust.networks.storage import load_networks
from nnrobust.runtime.machine import Machine, machine
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.zoo.models import find

LOCK, OUTPUT = Path("models/zoo.lock.json"), Path("data/records/examples")
FIRST = np.zeros(1, dtype=np.int64)


def victim_of(name: str, params: Params, prepared: Prepared, where: Machine) -> Victim:
    """A variant's network of the pair, or a pretrained model of all classes."""
    options = params.examples
    path = Path(options.classifiers[name])
    if name not in params.variants:
        return PretrainedSource(ZooFiles(find(name), path, LOCK)).victim(FIRST, where.device)
    variant = params.variants[name]
    pairs = select_pairs(prepared.dataset.classes, [(options.problem[0], options.problem[1])])
    if variant.problem == "pairs":
        states = load_networks(path, pairs, variant.checkpoint)
        return PairSource(builder(prepared, variant.recipe()), states).victim(FIRST, where.device)
    everything = AllClasses(len(prepared.dataset.classes))
    states = load_networks(path, [everything], variant.checkpoint)
    whole = PairSource(builder(prepared, variant.recipe(), everything.n_classes), states)
    return RestrictedSource(whole, pairs[0].class_ids()[None]).victim(FIRST, where.device)


def main() -> None:
    name, params, prepared = stage_item(), read_params("params.yaml"), load_dataset("data/prepared")
    options, train = params.examples, prepared.dataset.train
    class_ids = class_ids_of(options.problem, prepared.dataset.classes)
    indices = first_in_turn(train.labels, class_ids, options.n_images)
    if name == "1NN":
        examples = fool_nearest_neighbor(train, class_ids, indices)
    else:
        targets = np.searchsorted(class_ids, train.labels[indices])
        inputs = AttackInputs(np.asarray(train.images[indices]), targets, np.zeros_like(indices), indices)
        attacks = [AttackSpec(**block.model_dump(), seed=params.attack.seed) for block in params.attack.attacks]
        where = machine(params.compute.device, 1, params.compute.batch_size)
        victim = victim_of(name, params, prepared, where)
        examples = fool_network(victim, inputs, class_ids, params.epsilon.L2, attacks, where.device)
    examples.save(OUTPUT / f"{name}.npz")


if __name__ == "__main__":
    run_stage(main)

"""Chooses the hyperparameters of the searched variant, pair by pair, on held-out training images."""

from dataclasses import replace
from pathlib import Path

from nnrobust.attacks import Strength
from nnrobust.compute import machine
from nnrobust.datasets import load_dataset
from nnrobust.outputs import finished_file, write_json
from nnrobust.pair_networks import PairNetworks
from nnrobust.params import Setting, read_params
from nnrobust.process import run_stage
from nnrobust.progress import shown
from nnrobust.search import Validation, choose, hold_out, outcome, search, shortened
from nnrobust.store import WorkStore
from nnrobust.threat import ThreatModel
from nnrobust.training import Task

INPUT = Path("data/prepared")
OUTPUT = Path("models/search.json")
TRIALS = Path("metrics/search_trials.csv")
WORK = Path(".work")


def main() -> None:
    params = read_params("params.yaml")
    options, prepared = params.search, load_dataset(INPUT)
    variant = shortened(params.variants[options.variant], options.epochs)
    computer = machine(params.compute.device, params.compute.group_size, params.compute.batch_size)
    computer = replace(computer, store=WorkStore.of_loaded_code(WORK))
    networks = PairNetworks.of(prepared, "train", variant.architecture, computer)
    split = [hold_out(pair, networks.labels, options.validation_fraction, options.seed) for pair in prepared.pairs]

    threat = ThreatModel("Linf", params.epsilon.Linf)

    def tasks_of(setting: Setting) -> list[Task]:
        trial = variant.with_setting(setting)
        return [Task(pair, kept, trial) for pair, (kept, _) in zip(prepared.pairs, split, strict=True)]

    trials = search(
        tasks_of,
        options.space.settings(),
        Validation([held for _, held in split], threat, Strength(options.attack_steps, 1, options.seed)),
        networks,
        shown,
    )
    with finished_file(TRIALS) as temporary:
        trials.to_csv(temporary, index=False)
    write_json(OUTPUT, outcome(list(params.variants), options.variant, choose(trials)))


if __name__ == "__main__":
    run_stage(main)

"""Chooses one variant's hyperparameters, network by network, on held-out training images: `dvc repro search@VARIANT`."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.data.datasets import load_dataset
from nnrobust.runtime.cluster import training_machine
from nnrobust.runtime.outputs import write_csv, write_json
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown
from nnrobust.runtime.store import WorkStore
from nnrobust.training.halving import SearchPlan
from nnrobust.training.search import optimism, outcome, search
from nnrobust.training.tasks import TrainingSet, hold_out
from nnrobust.training.trials import Trials
from nnrobust.training.validation import Validation

INPUT = Path("data/prepared")
OUTPUT = Path("metrics/search_settings.json")
METRICS = Path("metrics/search.json")
TABLE = Path("data/records/search_trials.csv")
WORK = Path(".work")


def main() -> None:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset(INPUT)
    options, held = params.search, params.validation
    machine = training_machine(params.compute, WorkStore.of_loaded_code(WORK.resolve()))
    variant = params.variants[name]
    problems = prepared.problems(variant.problem)
    data = TrainingSet.of(prepared, variant.recipe(), len(problems[0].class_ids()))
    trials = Trials(
        variant.recipe(),
        data,
        {pair: hold_out(pair, data.labels, held.fraction, held.seed) for pair in problems},
        prepared.dataset.test.images,
        prepared.dataset.test.labels,
        Validation(params.epsilon.model_dump(), held.steps, held.every, held.seed),
        machine,
    )
    table = search(trials.keys(), SearchPlan.of(options.model_dump()), trials, WORK / "search.journal", shown)
    write_csv(TABLE, table)
    write_json(METRICS, optimism(table, params.summary.n_decimals))
    write_json(OUTPUT, outcome(list(params.variants), name, table))


if __name__ == "__main__":
    run_stage(main)

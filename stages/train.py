"""Trains one variant on every pair: `dvc repro train@VARIANT`."""

import json
from functools import partial
from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.config.recipes import Setting
from nnrobust.data.datasets import load_dataset
from nnrobust.networks.storage import save_networks
from nnrobust.runtime.cluster import training_machine
from nnrobust.runtime.machine import describe
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage, stage_item
from nnrobust.runtime.progress import shown
from nnrobust.runtime.store import WorkStore
from nnrobust.training.live import live_log
from nnrobust.training.outcomes import history, outcomes
from nnrobust.training.schedule import with_setting
from nnrobust.training.tasks import Task, TrainingSet, hold_out
from nnrobust.training.train import train_all, train_with_retry
from nnrobust.training.validation import Validation

METRICS, RECORDS = Path("metrics"), Path("data/records")


def main() -> dict[str, object]:
    name = stage_item()
    params, prepared = read_params("params.yaml"), load_dataset("data/prepared")
    variant, held = params.variants[name], params.validation
    machine = training_machine(params.compute, WorkStore.of_loaded_code(Path(".work").resolve()))
    problems = prepared.problems(variant.problem)
    data = TrainingSet.of(prepared, variant.recipe(), len(problems[0].class_ids()))
    recipes = dict.fromkeys(problems, variant.recipe())
    if name == params.searched:
        settings = json.loads(Path("metrics/search_settings.json").read_text(encoding="utf-8"))["settings"]
        recipes = {pair: with_setting(recipe, Setting(**settings[str(pair)])) for pair, recipe in recipes.items()}
    tasks = [Task(pair, *hold_out(pair, data.labels, held.fraction, held.seed), recipes[pair]) for pair in recipes]
    validation = Validation(params.epsilon.model_dump(), held.steps, held.every, held.seed)

    with live_log(METRICS / "live" / name) as watch:
        train = partial(train_all, data=data, validation=validation, machine=machine)
        trained, first_failures = train_with_retry(tasks, partial(train, progress=shown, watch=watch))
    stored = {
        str(task.pair): result.checkpoints for task, result in zip(tasks, trained, strict=True) if not result.failure
    }
    save_networks(stored, Path("models/trained") / f"{name}.safetensors")
    write_csv(RECORDS / "history" / f"{name}.csv", history(tasks, trained))
    write_csv(RECORDS / "training" / f"{name}.csv", outcomes(tasks, trained, first_failures))
    return {"training_seconds": [result.seconds for result in trained], "device": describe(machine.device)}


if __name__ == "__main__":
    run_stage(main)

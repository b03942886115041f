"""Networks trained and attacked one after the other into a few files that grow: the inside of `scripts/campaign.py`."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import pandas as pd
import torch

from nnrobust.attacks.batches import Source, attack_in_blocks
from nnrobust.attacks.pairs import PairSource, RestrictedSource, pair_inputs, problem_records
from nnrobust.bounds.records import Given, Proofs, problem_of, with_proofs
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import SPLITS, AllClasses, Dataset, Pair, Problem, channel_statistics
from nnrobust.errors import RecordError
from nnrobust.experiments.plan import Plan, Unit
from nnrobust.networks.architectures import build_network
from nnrobust.records import read_records, write_records
from nnrobust.runtime.machine import Machine, precision_of
from nnrobust.runtime.outputs import write_csv
from nnrobust.training.outcomes import history, outcomes
from nnrobust.training.schedule import shortened, validation_norms, with_setting
from nnrobust.training.tasks import Row, Task, Trained, TrainingSet, hold_out
from nnrobust.training.train import Watch, train_all, train_with_retry, unwatched


class BudgetSpentError(Exception):
    """Raised between two epochs, or between two attacks, when no time is left."""


class Campaign:
    """Trains and attacks units, and appends the results to the files in `out`."""

    def __init__(
        self,
        out: Path,
        dataset: Dataset,
        plan: Plan,
        machine: Machine,
        deadline: float,
        watch: Watch = unwatched,
    ) -> None:
        self.out, self.dataset, self.plan, self.machine, self.deadline = out, dataset, plan, machine, deadline
        self.watch = watch
        self.statistics = channel_statistics(dataset.train.images)
        self.precisions = {
            "training": machine.precision,
            "attack": precision_of(plan.attack_precision, machine.device),
        }

    def done(self) -> pd.DataFrame:
        """The table of what is done: a row for each variant (`classifier`) and problem (`pair`)."""
        path = self.out / "training.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame({"classifier": [], "pair": []})

    def missing(self, unit: Unit) -> Unit:
        """The unit less the problems that are done."""
        table = self.done()
        there = set(table.loc[table["classifier"] == unit.variant, "pair"])
        return replace(unit, problems=tuple(problem for problem in unit.problems if str(problem) not in there))

    def seconds_a_problem(self, unit: Unit, rates: Mapping[str, float]) -> tuple[float, float]:
        """Seconds to train for, after the search if any, and to attack a problem of the unit: as measured, else from forward
        passes a second.

        Those of training are measured too, once a network is done; else `rates` guesses them.
        """
        table = self.done()
        is_alike = (table["pair"] == str(unit.problems[0])) | isinstance(unit.problems[0], Pair) & (
            table["pair"] != "all"
        )
        mine = table[(table["classifier"] == unit.variant) & is_alike]
        if len(mine):
            return float(mine["seconds"].mean()), float((mine["attack_seconds"] + mine["bound_seconds"]).mean())
        training, attack = self._forwards(unit)
        return training / (self._training_rate() or rates["training"]), attack / rates["attack"]

    def _training_rate(self) -> float | None:
        """Forward passes of an image a second, over the networks of pairs that are done."""
        table = self.done()
        passes = seconds = 0.0
        for row in table[(table["pair"] != "all") & table["classifier"].isin(self.plan.recipes)].itertuples():
            if row.network == row.pair:
                passes += self._forwards(Unit(row.classifier, (problem_of(row.pair, self.dataset),)))[0]
                seconds += row.seconds
        return passes / seconds if seconds else None

    def _forwards(self, unit: Unit) -> tuple[float, float]:
        """The forward passes of an image that a problem takes to train and, if no image falls before the last step, to attack."""
        recipe, problem = self.plan.recipes[unit.variant], unit.problems[0]
        n_train = len(problem.indices(self.dataset.train.labels))
        inner = recipe.trades.perturbations if recipe.trades else ()
        step = 3 + 3 * len(inner) + sum(1 + 2 * p.steps for p in inner)
        n_held, norms = self.plan.fraction * n_train, len(validation_norms(recipe))
        checks = n_held * (1 + norms * (2 * self.plan.validation.steps + 1)) / self.plan.validation.every
        is_trained = unit.variant not in self.plan.of_all_classes or isinstance(problem, AllClasses)
        searched = self.plan.search_of(unit.variant)
        epochs = recipe.epochs + (searched.search.epochs_a_pair() if searched else 0)
        n_attacked = sum(
            len(pair_inputs(getattr(self.dataset, split), [problem], self.plan.n_attacked[split]).ids)
            for split in SPLITS
        )
        steps = sum(spec.steps * spec.restarts for spec in self.plan.attacks)
        attack = n_attacked * len(self.plan.threats) * 2 * steps
        return is_trained * epochs * (n_train * step + checks), attack

    def run(self, unit: Unit, attack_seconds: float) -> None:
        """Trains a unit, and attacks and keeps problem after problem; `attack_seconds` are those expected for an attack.

        Raises:
            BudgetSpentError: when the time is up; networks are in the machine's work store.
            RecordError: when a network of all classes, some of whose problems are done, came out otherwise this time.
        """
        whole = AllClasses(len(self.dataset.classes)) if unit.variant in self.plan.of_all_classes else None
        trained_on, start = (whole,) if whole else unit.problems, time.monotonic()
        recipes = self._recipes(unit.variant, trained_on)
        search_seconds = (time.monotonic() - start) / len(trained_on)
        tasks = [self._task(recipe, problem) for recipe, problem in zip(recipes, trained_on, strict=True)]
        trained, first_failures = train_with_retry(tasks, self._train)
        if whole and whole not in unit.problems:
            self._check_is_the_same(unit.variant, tasks[0], trained[0])
        is_bounded = unit.variant in self.plan.bounded
        proofs = [self._proofs(unit.variant, *one) for one in zip(tasks, trained, strict=True) if is_bounded]
        for number, problem in enumerate(unit.problems):
            self.check_time(attack_seconds)
            i, start = 0 if whole else number, time.monotonic()
            frames = self._attack(unit.variant, problem, tasks[i], trained[i])
            attacked = time.monotonic()
            if is_bounded:
                frames = [with_proofs(proofs[i], pd.concat(frames, ignore_index=True))]
            is_own = tasks[i].pair == problem
            row = outcomes([tasks[i]], [trained[i]], [first_failures[i]]).assign(
                network=str(tasks[i].pair),
                pair=str(problem),
                seconds=round(search_seconds + trained[i].seconds, 1) if is_own else 0.0,
                attack_seconds=round(attacked - start, 1),
                bound_seconds=round(time.monotonic() - attacked, 1),
            )
            if is_own:
                self._append("history.csv", history([tasks[i]], [trained[i]]), unit.variant, problem)
            self._append_records(frames, unit.variant, problem)
            self._append("training.csv", row, unit.variant, problem)

    def _recipes(self, variant: str, problems: tuple[Problem, ...]) -> list[Recipe]:
        """The recipe for each problem; those of a searched variant are chosen, and their trials kept, first."""
        recipe, searched = self.plan.recipes[variant], self.plan.search_of(variant)
        if searched is None:
            return [recipe] * len(problems)
        # Here, as a bare machine lacks Optuna.
        from nnrobust.training.search import choose, search, settings_of
        from nnrobust.training.trials import Trials

        tasks, test = [self._task(recipe, problem) for problem in problems], self.dataset.test
        split = {task.pair: (task.indices, task.held) for task in tasks}
        data = self._training_set(tasks[0])
        trials = Trials(recipe, data, split, test.images, test.labels, self.plan.validation, self.machine, self._watch)
        table = search(trials.keys(), searched.search, trials, searched.journal)
        for problem in problems:
            self._append("search_trials.csv", table[table["pair"] == str(problem)], variant, problem)
        settings = settings_of(choose(table))
        return [with_setting(recipe, settings[str(problem)]) for problem in problems]

    def _check_is_the_same(self, variant: str, task: Task, result: Trained) -> None:
        """Raises RecordError where `history.csv` has another training of the network: all its problems are those of one."""
        path = self.out / "history.csv"
        if not path.exists():
            return
        text = history([task], [result]).assign(classifier=variant).to_csv(index=False)
        table = pd.read_csv(path)
        before = table[(table["classifier"] == variant) & (table["pair"] == str(task.pair))].reset_index(drop=True)
        if len(before) and not before.equals(pd.read_csv(StringIO(text))[list(before.columns)]):
            raise RecordError(
                f"{self.out}: {variant}: expected the network that some of its problems are done with, got another, as another "
                "processor trains it; go on where its .work is, or into a new folder"
            )

    def _task(self, recipe: Recipe, problem: Problem) -> Task:
        split = hold_out(problem, self.dataset.train.labels, self.plan.fraction, self.plan.validation.seed)
        return Task(problem, *split, recipe)

    def compare_precisions(self, pair: Pair, variant: str, epochs: int, seeds: int) -> pd.DataFrame:
        """Accuracies on held-out images of networks of one short recipe, trained in float32 and in bfloat16, seed by seed."""
        short = replace(shortened(self.plan.recipes[variant], epochs), checkpoint="last")
        whole = self._task(self.plan.recipes[variant], pair)
        tasks, rows = [replace(whole, recipe=replace(short, seed=seed)) for seed in range(seeds)], []
        for name, precision in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            for seed, result in enumerate(self._train(tasks, precision)):
                about = {"precision": name, "seed": seed, "epochs": epochs}
                rows.append({**about, **result.rows[-1], "seconds": result.seconds})
        return pd.DataFrame(rows).round(4)

    def _train(self, tasks: list[Task], precision: torch.dtype | None = None) -> list[Trained]:
        machine = replace(self.machine, precision=precision or self.machine.precision)
        return train_all(tasks, self._training_set(tasks[0]), self.plan.validation, machine, watch=self._watch)

    def _training_set(self, task: Task) -> TrainingSet:
        return TrainingSet(self.dataset.train.images, self.dataset.train.labels, self._builder(task))

    def _builder(self, task: Task) -> partial:
        recipe, n_classes = task.recipe, len(task.pair.class_ids())
        shape = self.dataset.image_shape
        return partial(build_network, recipe.architecture, shape, *self.statistics, n_classes, recipe.width)

    def _watch(self, tasks: list[Task], epoch: int, rows: list[Row]) -> None:
        self.watch(tasks, epoch, rows)
        self.check_time()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self.deadline == -math.inf

    def stop(self) -> None:
        """Ends the campaign at the next check of the time."""
        self.deadline = -math.inf

    def check_time(self, needed: float = 0.0) -> None:
        """Raises `BudgetSpentError` when fewer seconds are left than are needed."""
        if time.monotonic() + needed > self.deadline:
            raise BudgetSpentError

    def _attack(self, variant: str, problem: Problem, task: Task, result: Trained) -> list[pd.DataFrame]:
        """The records of a problem, under attack on the network that `task` trained, which may tell more classes apart."""
        own = PairSource(self._builder(task), [result.state], self.precisions["attack"], self.plan.is_compiled)
        source: Source = own if task.pair == problem else RestrictedSource(own, problem.class_ids()[None])
        frames = []
        for split in SPLITS:
            inputs = pair_inputs(getattr(self.dataset, split), [problem], self.plan.n_attacked[split])
            about = {"dataset": self.dataset.name, "split": split, "classifier": variant}
            verdicts = None
            if not result.failure:
                verdicts = attack_in_blocks(source, inputs, self.plan.threats, self.plan.attacks, self.machine)
            frames += problem_records(about, inputs, [problem], verdicts, self.plan.threats)
        return frames

    def _proofs(self, variant: str, task: Task, result: Trained) -> Proofs:
        """What linear bounds prove of the network that `task` trained, on whichever problem."""
        network = self._builder(task)()
        if not result.failure:
            network.load_state_dict(result.state)
        networks = {str(task.pair): network.cpu().eval()}
        return Proofs(Given(variant, networks, self.dataset.image_shape), self.dataset)

    def _append(self, name: str, table: pd.DataFrame, variant: str, problem: Problem) -> None:
        path, table = self.out / name, table.assign(classifier=variant)
        if path.exists():
            table = pd.concat([_without(pd.read_csv(path), variant, problem), table], ignore_index=True)
        write_csv(path, table)

    def _append_records(self, frames: list[pd.DataFrame], variant: str, problem: Problem) -> None:
        path = self.out / f"{variant}.parquet"
        kept = [_without(read_records(path), variant, problem)] if path.exists() else []
        write_records([*kept, *frames], path)


def _without(table: pd.DataFrame, variant: str, problem: Problem) -> pd.DataFrame:
    """The table less the rows of this variant and problem, which a call that was killed while it wrote may have left."""
    is_mine = (table["classifier"] == variant) & (table["pair"] == str(problem))
    return table[~is_mine].reset_index(drop=True)

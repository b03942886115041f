"""Training of one network for each task: many side by side, as memory allows, resumed after a kill."""

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from nnrobust.config.recipes import Recipe
from nnrobust.errors import TrainingError
from nnrobust.runtime.machine import Local, Machine, plain_float32
from nnrobust.runtime.memory import is_out_of_memory
from nnrobust.runtime.progress import Progress, silent
from nnrobust.runtime.store import fingerprint
from nnrobust.runtime.timing import clock
from nnrobust.training.epoch import GroupRun
from nnrobust.training.schedule import slowed
from nnrobust.training.tasks import Row, Task, Trained, TrainingSet
from nnrobust.training.validation import Validation

SAVED_EVERY = 20
"""Groups under way are saved at the end of an epoch, so many times the seconds of a save after the last one: at most a twentieth
of the time goes into it, and little is lost when a run is killed."""
Group = list[int]
"""Positions of the tasks that are trained side by side."""
Watch = Callable[[list[Task], int, list[Row]], None]
"""Callback on each epoch (from 1) of each group, also of one that the store holds: its tasks, and a row for each."""


def unwatched(tasks: list[Task], epoch: int, rows: list[Row]) -> None:
    """Default callback: ignores every epoch."""


def train_all(
    tasks: list[Task],
    data: TrainingSet,
    validation: Validation,
    machine: Machine,
    progress: Progress = silent,
    watch: Watch = unwatched,
) -> list[Trained]:
    """The trained network of each task, in their order.

    Tasks of one shape are trained side by side, as many as `machine` says, or fewer where they do not fit into memory. A task's
    generator is seeded by its recipe's seed and its classes, so the networks trained beside it change its result by rounding
    only. With a store in `machine`, networks that it holds are not trained again, and a group that was under way goes on
    after the epoch that was saved last. A network that fails (`Trained.failure`) stops no other.

    Raises:
        TrainingError: when a single network does not fit into memory.
    """
    keys = fingerprints(tasks, data, validation, machine)
    results = {i: Trained(Recipe.of(kept.pop("recipe")), **kept) for i, kept in _kept(keys, machine)}
    groups = [
        group
        for group in _groups(tasks, list(range(len(tasks))), machine.group_size)
        if machine.store.has(_under_way(group, keys))
    ]
    begun = {i for group in groups for i in group}
    kept = _groups(tasks, [i for i in results if i not in begun], machine.group_size)
    groups += _groups(tasks, [i for i in range(len(tasks)) if i not in {*results, *begun}], machine.group_size)
    report = _Report(tasks, groups, progress, watch)
    for group in kept:
        report.kept(group, [results[i].rows for i in group])
    units = [groups[start : start + machine.n_streams] for start in range(0, len(groups), machine.n_streams)]
    is_here = isinstance(machine.engine, Local)
    workshop = _Workshop(tasks, keys, data, validation, replace(machine, engine=Local()))
    work = partial(workshop.train, report=report if is_here else _unreported)
    for number, trained in machine.engine.map(work, units):
        for group in units[number]:
            report(group, [trained[i].rows for i in group])
        results |= trained
    return [results[i] for i in range(len(tasks))]


def train_with_retry(
    tasks: list[Task], train: Callable[[list[Task]], list[Trained]]
) -> tuple[list[Trained], list[str | None]]:
    """The trained networks, those that failed tried once more at half the learning rate; and why each failed at first."""
    first = train(tasks)
    again = [i for i, result in enumerate(first) if result.failure]
    second = train([replace(tasks[i], recipe=slowed(tasks[i].recipe)) for i in again]) if again else []
    both = [replace(new, seconds=new.seconds + first[i].seconds) for i, new in zip(again, second, strict=True)]
    results = {**dict(enumerate(first)), **dict(zip(again, both, strict=True))}
    return [results[i] for i in range(len(tasks))], [result.failure for result in first]


def _unreported(group: Group, rows: list[list[Row]]) -> None:
    """Report of a worker elsewhere: none, as its result is reported here."""


class _Report:
    """Passes on each epoch of each group once, whoever tells of it first: the run itself, or its result."""

    def __init__(self, tasks: list[Task], groups: list[Group], progress: Progress, watch: Watch) -> None:
        self.tasks, self.watch = tasks, watch
        self.n_told = dict.fromkeys(range(len(tasks)), 0)
        n_epochs = sum(tasks[group[0]].recipe.epochs for group in groups)
        self.ticks: Iterator[int] = iter(progress(range(n_epochs), "train"))
        next(self.ticks, None)

    def kept(self, group: Group, rows: list[list[Row]]) -> None:
        """Tells the epochs of a group that was trained before; of those in it that failed early, fewer."""
        for epoch in range(max(map(len, rows))):
            there = [(self.tasks[i], mine[epoch]) for i, mine in zip(group, rows, strict=True) if epoch < len(mine)]
            self.watch([task for task, _ in there], epoch + 1, [row for _, row in there])

    def __call__(self, group: Group, rows: list[list[Row]]) -> None:
        members, n_epochs = [self.tasks[i] for i in group], len(rows[0])
        for epoch in range(self.n_told[group[0]], n_epochs):
            self.watch(members, epoch + 1, [row[epoch] for row in rows])
            next(self.ticks, None)
        self.n_told |= dict.fromkeys(group, n_epochs)


def fingerprints(tasks: list[Task], data: TrainingSet, validation: Validation, machine: Machine) -> list[str]:
    """The fingerprint of all that determines each task's network: recipe, validation, images and labels, code, how images are
    normalised (which other classes' images decide too), and how the device computes."""
    with torch.random.fork_rng(devices=[]):
        network = data.build()
    buffers = [part for name, value in network.named_buffers() for part in (name, value.numpy().tobytes())]
    how = fingerprint(machine.device.type, str(machine.precision), asdict(validation), machine.store.code, *buffers)
    keys = []
    for task in tasks:
        seen = np.concatenate([task.indices, task.held])
        pixels, labels = np.ascontiguousarray(data.images[seen]).tobytes(), data.labels[seen].tobytes()
        split = [len(task.held), *task.pair.class_ids().tolist()]
        keys.append(fingerprint(how, task.recipe.content(), split, pixels, labels))
    return keys


def _kept(keys: list[str], machine: Machine) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, key in enumerate(keys):
        found = machine.store.found(key)
        if found is not None:
            yield i, found


def _under_way(group: Group, keys: list[str]) -> str:
    return fingerprint([keys[i] for i in group])


def _groups(tasks: list[Task], chosen: list[int], group_size: int) -> list[Group]:
    """The chosen tasks, those of one shape together, at most `group_size` at once."""
    shapes = list(dict.fromkeys(tasks[i].shape for i in chosen))
    members = [[i for i in chosen if tasks[i].shape == shape] for shape in shapes]
    return [same[start : start + group_size] for same in members for start in range(0, len(same), group_size)]


@dataclass(frozen=True)
class _Workshop:
    """The inputs that all units of one call share, and their training."""

    tasks: list[Task]
    keys: list[str]
    data: TrainingSet
    validation: Validation
    machine: Machine

    def train(self, groups: list[Group], report: Callable[[Group, list[list[Row]]], None]) -> dict[int, Trained]:
        """The networks of these groups, trained at the same time; where they do not fit into memory, fewer at once."""
        try:
            with plain_float32():
                return self._together(groups, report)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(groups) == len(groups[0]) == 1:
                raise TrainingError(
                    f"pair {self.tasks[groups[0][0]].pair}: expected memory to train one network, got: {error}; lower batch_size"
                ) from error
        gc.collect()
        if self.machine.device.type == "cuda":
            torch.cuda.empty_cache()
        halves = _halves(groups) if len(groups) > 1 else [[half] for half in _halves(groups[0])]
        return {i: result for half in halves for i, result in self.train(half, report).items()}

    def _together(self, groups: list[Group], report: Callable[[Group, list[list[Row]]], None]) -> dict[int, Trained]:
        machine = self.machine
        results: dict[int, Trained] = {}
        pixels = torch.from_numpy(np.array(self.data.images)).to(machine.device)
        live = []
        for group in groups:
            run = GroupRun([self.tasks[i] for i in group], self.data, pixels, self.validation, machine)
            state = machine.store.found(_under_way(group, self.keys))
            if state is not None:
                run.restore(state)
                report(group, run.rows)
            live.append((group, run))
        now = clock(machine.device.type)
        cost, last = 0.0, time.monotonic()
        while live:
            start = now()
            for _ in zip_longest(*(run.steps() for _, run in live)):
                pass
            for _, run in live:
                run.end_epoch()
            share = (now() - start) / sum(len(group) for group, _ in live)
            for group, run in live:
                run.seconds += share * len(group)
                if run.is_over:
                    results |= self._finish(group, run)
            live_on = [(group, run) for group, run in live if not run.is_over]
            is_due = time.monotonic() - last >= SAVED_EVERY * cost
            if is_due:
                cost, last = self._keep(live_on)
            try:
                for group, run in live:
                    report(group, run.rows)
            except BaseException:
                if not is_due:
                    self._keep(live_on)
                raise
            live = live_on
        return results

    def _keep(self, live: list[tuple[Group, GroupRun]]) -> tuple[float, float]:
        """Saves the groups under way; the seconds that it took, and when it ended."""
        start = time.monotonic()
        for group, run in live:
            self.machine.store.save(_under_way(group, self.keys), run.state())
        return time.monotonic() - start, time.monotonic()

    def _finish(self, group: Group, run: GroupRun) -> dict[int, Trained]:
        done = dict(zip(group, run.trained(), strict=True))
        for i, result in done.items():
            self.machine.store.save(self.keys[i], {**vars(result), "recipe": result.recipe.content()})
        self.machine.store.drop(_under_way(group, self.keys))
        return done


def _halves(items: list) -> list[list]:
    return [items[: len(items) // 2], items[len(items) // 2 :]]

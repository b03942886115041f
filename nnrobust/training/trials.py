"""The trials of a search: a problem's network trained with each setting, judged on held-out images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import Problem
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import Machine
from nnrobust.training.schedule import shortened, validation_norms, with_setting
from nnrobust.training.search import Request, Score
from nnrobust.training.tasks import Task, Trained, TrainingSet
from nnrobust.training.train import Watch, fingerprints, train_all, unwatched
from nnrobust.training.validation import GroupImages, Validation, accuracies


@dataclass(frozen=True)
class Trials:
    """Trains and scores the requests of a search. `split` has the positions of each problem's training and held-out images.

    `watch` is told of each epoch, and may end the search by raising: it goes on from there.
    """

    recipe: Recipe
    data: TrainingSet
    split: dict[Problem, tuple[np.ndarray, np.ndarray]]
    test_images: np.ndarray
    test_labels: np.ndarray
    validation: Validation
    machine: Machine
    watch: Watch = unwatched

    def keys(self) -> dict[Problem, str]:
        """A fingerprint, for each problem, of all but the settings that decides its trials."""
        tasks = [self._task(pair, self.recipe) for pair in self.split]
        names = fingerprints(tasks, self.data, self.validation, self.machine)
        return dict(zip(self.split, names, strict=True))

    def __call__(self, requests: list[Request]) -> list[Score]:
        """Trains the networks asked for side by side; the accuracies are those of the checkpoint that the recipe keeps."""
        trained = train_all(self._tasks(requests), self.data, self.validation, self.machine, watch=self.watch)
        return [self._score(request, result) for request, result in zip(requests, trained, strict=True)]

    def forget(self, requests: list[Request]) -> None:
        """Drops the networks from the work store: some 850 for each pair of a search of 600 settings."""
        for key in fingerprints(self._tasks(requests), self.data, self.validation, self.machine):
            self.machine.store.drop(key)

    def _tasks(self, requests: list[Request]) -> list[Task]:
        return [self._task(r.pair, shortened(with_setting(self.recipe, r.setting), r.epochs)) for r in requests]

    def _task(self, pair: Problem, recipe: Recipe) -> Task:
        return Task(pair, *self.split[pair], recipe)

    def _score(self, request: Request, result: Trained) -> Score:
        row = result.row
        test: tuple[float | None, float | None] = (None, None)
        if request.is_last and not result.failure:
            test = self._test_accuracies(request.pair, result.state)
        return Score(row["clean_accuracy"] or 0.0, row["robust_accuracy"] or 0.0, *test, result.failure)

    def _test_accuracies(self, pair: Problem, state: dict[str, Tensor]) -> tuple[float, float]:
        stack, chosen = Stack.loaded(self.data.build, [state], self.machine.device), pair.indices(self.test_labels)
        pixels = torch.from_numpy(np.array(self.test_images[chosen])).to(self.machine.device)
        images = GroupImages.of(pixels, [np.arange(len(chosen))], [pair.targets(self.test_labels[chosen])])
        norms = validation_norms(self.recipe)
        clean, robust = accuracies(stack, images, norms, self.validation, self.machine.batch_size)
        return float(clean[0]), float(robust[0])

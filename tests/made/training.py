"""Recipes and tasks of seconds."""

from functools import partial

import torch

from nnrobust.config.recipes import Perturbation, Recipe, Trades
from nnrobust.data.datasets import Pair
from nnrobust.networks.architectures import build_network
from nnrobust.runtime.machine import Machine
from nnrobust.training.tasks import Task, TrainingSet, hold_out
from nnrobust.training.train import train_all
from nnrobust.training.validation import Validation

CPU = torch.device("cpu")
BUILD = partial(build_network, "small_cnn", (1, 8, 8), [0.4], [0.3], 2)
TRADES = Trades(6.0, "sum", (Perturbation("Linf", 0.05, 0.0125, 3),))
VALIDATION = Validation({"Linf": 0.05, "L2": 0.3}, 3, 1, 0)


def recipe(**changes):
    values = {
        "architecture": "small_cnn", "width": None, "epochs": 3, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9,
        "weight_decay": 5e-3, "schedule": "steps", "milestones": (2,), "decay": 0.1, "augment": False,
        "weight_averaging": None, "checkpoint": "last", "seed": 0, "trades": None,
    }  # fmt: skip
    return Recipe(**(values | changes))


def tasks_of(dataset, one):
    labels = dataset.train.labels
    return [Task(pair, *hold_out(pair, labels, 0.2, 0), one) for pair in (Pair(0, 1), Pair(0, 2), Pair(1, 2))]


def training_set(dataset, build=BUILD):
    return TrainingSet(dataset.train.images, dataset.train.labels, build)


def train(dataset, tasks, group_size=3, **more):
    return train_all(tasks, training_set(dataset), VALIDATION, Machine(CPU, group_size, 100, **more))

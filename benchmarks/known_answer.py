"""A known answer for the training: ResNet-18 with TRADES on ten-class CIFAR-10 reaches about 81 % clean and 51 % under PGD-20.

    python benchmarks/known_answer.py IMAGES [--epochs 110] [--device cuda] [--work .work]

IMAGES is a folder or tar of {train,test}/<class>/ images. Trains T_R's recipe of the profile `paper` on all ten classes, a tenth
held out for the choice of the checkpoint, and prints test accuracies, clean and under PGD of 20 steps at 8/255. Published by a
public re-run (LetheSec/Adversarial_Training_Pytorch, all 50,000 training images, checkpoint chosen on test images): 80.86 and
51.23 %. Work: 5 x that of a pair, 149 PFLOP at 110 epochs. A killed run goes on where it was.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from nnrobust.config.profiles import read_profile
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import AllClasses, channel_statistics
from nnrobust.data.sources import read_image_folder
from nnrobust.networks.architectures import build_network
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import machine, precision_of
from nnrobust.runtime.progress import shown
from nnrobust.runtime.store import WorkStore
from nnrobust.training.schedule import shortened
from nnrobust.training.tasks import Task, TrainingSet, hold_out
from nnrobust.training.train import train_all
from nnrobust.training.validation import GroupImages, Validation, accuracies

PROFILE = Path(__file__).parent.parent / "profiles" / "paper.yaml"
EPSILON = {"Linf": 8 / 255}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--epochs", type=int, default=110)
    parser.add_argument("--n-test", type=int, help="test images, spread over the classes; all unless given")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--work", default=".work")
    options = parser.parse_args()
    dataset = read_image_folder("cifar10", options.images, None)
    classes, train, test = AllClasses(len(dataset.classes)), dataset.train, dataset.test
    computer = machine(options.device, 1, 500)
    store = WorkStore.of_loaded_code(Path(options.work).resolve())
    computer = replace(computer, precision=precision_of("auto", computer.device), store=store)
    recipe = shortened(Recipe.of(read_profile(PROFILE)["variants"]["T_R"]), options.epochs)
    statistics = channel_statistics(train.images)
    build = partial(build_network, "resnet18", dataset.image_shape, *statistics, classes.n_classes, recipe.width)
    data = TrainingSet(train.images, train.labels, build)
    task = Task(classes, *hold_out(classes, train.labels, 0.1, 0), recipe)
    (result,) = train_all([task], data, Validation(EPSILON, 10, 1, 0), computer, shown)

    rows = np.arange(len(test.labels))[:: max(1, len(test.labels) // (options.n_test or len(test.labels)))]
    images = GroupImages.of(torch.from_numpy(test.images).to(computer.device), [rows], [test.labels[rows]])
    stack = Stack.loaded(build, [result.state], computer.device)
    clean, robust = accuracies(stack, images, ("Linf",), Validation(EPSILON, 20, 1, 0), 500)
    print(
        f"{result.failure or 'trained'}; epoch {result.epoch} of {len(result.rows)}, {result.seconds:.0f} s; {len(rows)} images:"
    )
    print(f"clean {100 * float(clean[0]):.2f} % (about 81), PGD-20 {100 * float(robust[0]):.2f} % (about 51)")


if __name__ == "__main__":
    main()

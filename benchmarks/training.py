"""TRADES training of a network: images a second, against the published code's loop in the same run.

    python benchmarks/training.py [--architecture cnn_a] [--images FOLDER_OR_TAR] [--n-images 256] [--groups 1 2] [--stacked 3 9]

Needs PyTorch and torchvision alone. One pair, ten inner steps. The published loop (github.com/yaodongyu/TRADES) is float32, takes
its images from a DataLoader with crop and flip on the CPU, and passes 39 times through the network for an image where the least
is 27: it computes f(x) anew at every inner step, and once more in the loss. Both sides see an epoch before the one that is timed.
Without --images the images are random: what they show does not change the time.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from nnrobust.config.recipes import Perturbation, Recipe, Trades
from nnrobust.data.datasets import Pair
from nnrobust.networks.architectures import build_network
from nnrobust.runtime.machine import Machine, describe, machine, plain_float32
from nnrobust.runtime.memory import is_out_of_memory
from nnrobust.training.epoch import GroupRun
from nnrobust.training.tasks import Task, TrainingSet
from nnrobust.training.validation import Validation

RECIPE = Recipe(
    architecture="resnet18", width=64, epochs=3, batch_size=128, learning_rate=0.1, momentum=0.9, weight_decay=5e-4,
    schedule="steps", milestones=(), decay=0.1, augment=True, weight_averaging=None, checkpoint="last", seed=0,
    trades=Trades(6.0, "sum", (Perturbation("Linf", 8 / 255, 2 / 255, 10),)),
)  # fmt: skip
FORWARDS = 27
"""Forward passes' worth of work for an image: 1 for f(x), 10 x 2 in the attack, 6 for the loss; a gradient costs as much as a
forward pass for the input, twice as much for input and weights."""
PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0}
"""Dense bfloat16 tensor-core peaks, by NVIDIA's data sheets."""


@dataclass(frozen=True)
class Load:
    """What both sides train: two-class networks that `build` makes, on images uint8 (n, c, h, w) with targets (n,)."""

    images: np.ndarray
    targets: np.ndarray
    batch_size: int
    architecture: str = "resnet18"

    def build(self) -> nn.Module:
        shape = self.images.shape[1:]
        return build_network(self.architecture, shape, [0.5] * shape[0], [0.25] * shape[0], 2)


class Augmented(Dataset):
    """One image at a time, as torchvision's CIFAR10 gives them to the published loop."""

    def __init__(self, images: np.ndarray, targets: np.ndarray) -> None:
        self.images, self.targets = images.transpose(0, 2, 3, 1), targets
        steps = [transforms.ToPILImage(), transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose([*steps, transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[i]), int(self.targets[i])


def published_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader, device: torch.device
) -> None:
    """One epoch as the published loop runs it."""
    trades = RECIPE.trades
    assert trades is not None
    (inner,) = trades.perturbations
    kl_sum = nn.KLDivLoss(reduction="sum")
    network.train()
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        network.eval()
        adversarial = x + 0.001 * torch.randn_like(x)
        for _ in range(inner.steps):
            adversarial.requires_grad_()
            loss = kl_sum(F.log_softmax(network(adversarial), dim=1), F.softmax(network(x), dim=1))
            (gradient,) = torch.autograd.grad(loss, [adversarial])
            adversarial = adversarial.detach() + inner.step_size * gradient.sign()
            adversarial = torch.min(torch.max(adversarial, x - inner.epsilon), x + inner.epsilon).clamp(0, 1)
        network.train()
        optimizer.zero_grad()
        natural = F.cross_entropy(network(x), y)
        robust = kl_sum(F.log_softmax(network(adversarial), dim=1), F.softmax(network(x), dim=1)) / len(x)
        (natural + trades.beta * robust).backward()
        optimizer.step()


def seconds_of(epoch: Callable[[], object], device: torch.device) -> float:
    """The time of the second call."""
    for _ in range(2):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        epoch()
        if device.type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def published(load: Load, device: torch.device) -> float:
    """Images a second of the published loop."""
    torch.manual_seed(0)
    network = load.build().to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    images = Augmented(load.images, load.targets)
    loader = DataLoader(images, load.batch_size, shuffle=True, num_workers=1, pin_memory=device.type == "cuda")
    return len(images) / seconds_of(lambda: published_epoch(network, optimizer, loader, device), device)


def ours(load: Load, computer: Machine, n_groups: int, n_stacked: int = 1) -> float:
    """Images a second of this engine, all groups together, with so many networks stacked in each."""
    positions = np.arange(len(load.images))
    tasks = [
        Task(Pair(0, 1), positions, positions[:2], replace(RECIPE, batch_size=load.batch_size, seed=seed))
        for seed in range(n_groups * n_stacked)
    ]
    groups = [tasks[start : start + n_stacked] for start in range(0, len(tasks), n_stacked)]
    pixels = torch.from_numpy(load.images).to(computer.device)
    data, validation = TrainingSet(load.images, load.targets, load.build), Validation({"Linf": 8 / 255}, 1, 100, 0)
    runs = [GroupRun(group, data, pixels, validation, computer) for group in groups]

    def epoch() -> None:
        with plain_float32():
            for _ in zip_longest(*(run.steps() for run in runs)):
                pass
            for run in runs:
                run.end_epoch()

    return len(tasks) * len(positions) / seconds_of(epoch, computer.device)


def flops_an_image(load: Load) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        load.build().eval()(torch.zeros(1, *load.images.shape[1:]))
    return FORWARDS * counter.get_total_flops()


def compare(
    load: Load, computer: Machine, groups: list[int], deadline: float = math.inf, stacked: Sequence[int] = ()
) -> pd.DataFrame:
    """One row for each way to train: images a second, ratio to the published loop, model FLOP utilisation, peak memory.

    In bfloat16 with each of these numbers of `groups` that share the device, in float32 with the first, and `stacked` networks.

    Ways that do not fit into memory, or would begin after `deadline` (of `time.monotonic`), have no row. This engine's float32 is
    without TF32, the published loop with PyTorch's own settings.
    """
    device, rows, flops = computer.device, [], flops_an_image(load)
    peak = next((value for name, value in PEAK_TFLOPS.items() if name in describe(device)), None)
    ways: list[tuple[str, int, Callable[[], float]]] = [("published loop, float32", 1, lambda: published(load, device))]
    for precision in (torch.float32, torch.bfloat16):
        for n in groups if precision == torch.bfloat16 else groups[:1]:
            fast = replace(computer, precision=precision)
            work = partial(ours, load, fast, n)
            ways.append((f"this engine, {str(precision).removeprefix('torch.')}", n, work))
    for n in stacked:
        ways.append(("this engine, float32, stacked", n, partial(ours, load, computer, 1, n)))
    for name, n, work in ways:
        if time.monotonic() > deadline:
            break
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            speed = work()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        rows.append(
            {
                "way": name,
                "n_pairs": n,
                "images_per_second": round(speed, 2),
                "ratio": round(speed / (rows[0]["images_per_second"] if rows else speed), 3),
                "model_tflops": round(speed * flops / 1e12, 4),
                "utilisation": round(speed * flops / 1e12 / peak, 4) if peak else None,
                "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if device.type == "cuda" else None,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="resnet18", choices=["resnet18", "cnn_a"])
    parser.add_argument("--images")
    parser.add_argument("--n-images", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--groups", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--stacked", type=int, nargs="+", default=[], help="networks side by side in one group, in float32"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    arguments = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (arguments.n_images, 3, 32, 32), dtype=np.uint8)
    if arguments.images:
        from nnrobust.data.sources import read_image_folder

        train = read_image_folder("images", arguments.images, None).train
        images = train.images[Pair(0, 1).indices(train.labels)][:: max(1, 10_000 // arguments.n_images)]
        images = np.ascontiguousarray(images[: arguments.n_images])
    load = Load(images, np.arange(len(images)) % 2, arguments.batch_size, arguments.architecture)
    computer = machine(arguments.device, 1, 512)
    print(f"{describe(computer.device)}, PyTorch {torch.__version__}, {len(images)} images, batches of {arguments.batch_size}; "
          f"an image takes {flops_an_image(load) / 1e9:.3g} GFLOP")  # fmt: skip
    print(compare(load, computer, arguments.groups, stacked=arguments.stacked).to_string(index=False))


if __name__ == "__main__":
    main()

"""APGD-CE against pyautoattack's: seconds, image passes and verdicts, on the same networks, images, steps and restarts.

    python benchmarks/attacks.py --archive CIFAR10.tar.xz [--network NET.pt] [--epochs 2] [--n-images 64] [--n-agree 1000]

Needs PyTorch, torchvision and pyautoattack. A two-class ResNet-18 and one of a quarter of its width, for which many images are
affordable, are trained for some epochs with this project's engine, by TRADES and as usual, and kept at --network. `speed.csv`
has the ways side by side on the ResNet-18, `agreement.csv` robust accuracies and verdicts on the small one over seeds.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nnrobust.attacks.attack import attack
from nnrobust.attacks.pairs import stack_victim
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.config.recipes import Perturbation, Recipe, Trades
from nnrobust.data.datasets import Dataset, Pair
from nnrobust.data.sources import read_image_folder
from nnrobust.networks.architectures import BasicBlock, Head, Normalize, build_network
from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import describe, machine, plain_float32
from nnrobust.runtime.outputs import finished_file, write_csv
from nnrobust.threat import ThreatModel
from nnrobust.training.tasks import Task, TrainingSet
from nnrobust.training.train import train_all
from nnrobust.training.validation import Validation

PAIRS = {"TRADES": Pair(0, 6), "standard": Pair(1, 9)}
"""Airplane and frog, which robust networks learn soon, and automobile and truck, which lie near each other."""
EPSILON = 8 / 255
THREATS = [ThreatModel("Linf", EPSILON), ThreatModel("L2", EPSILON * 3072**0.5)]
MEAN, STD = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]


def small_resnet() -> nn.Module:
    """A ResNet-18 of a quarter of the width: a sixteenth of the work."""
    widths = ((16, 1), (32, 2), (64, 2), (128, 2))
    stages, n_in = [], 16
    for n_out, stride in widths:
        stages += [BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out, 1)]
        n_in = n_out
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(Normalize(MEAN, STD), *stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(n_in, 2))


BUILDERS = {"ResNet-18": partial(build_network, "resnet18", (3, 32, 32), MEAN, STD, 2), "small ResNet": small_resnet}


def trained(
    build: Callable[[], nn.Module], dataset: Dataset, epochs: int, device: str, training: str
) -> dict[str, Tensor]:
    """The `state_dict` of a network of the pair, trained by TRADES or as usual, in bfloat16."""
    recipe = Recipe(
        architecture="resnet18", width=64, epochs=epochs, batch_size=128, learning_rate=0.05, momentum=0.9,
        weight_decay=5e-4, schedule="steps", milestones=(max(1, epochs - 1),), decay=0.1, augment=True, weight_averaging=None,
        checkpoint="last", seed=0,
        trades=Trades(3.0, "sum", (Perturbation("Linf", EPSILON, EPSILON / 2, 4),)) if training == "TRADES" else None,
    )  # fmt: skip
    computer = replace(machine(device, 1, 500), precision=torch.bfloat16)
    positions = PAIRS[training].indices(dataset.train.labels)
    task = Task(PAIRS[training], positions, positions[:20], recipe)
    data = TrainingSet(np.asarray(dataset.train.images), dataset.train.labels, build)
    (result,) = train_all([task], data, Validation({"Linf": EPSILON}, 2, epochs, 0), computer)
    return result.last


def reference(
    network: nn.Module, inputs: AttackInputs, threat: ThreatModel, spec: AttackSpec, device: torch.device
) -> np.ndarray:
    """Which images (n,) pyautoattack's APGD-CE fools, or are wrong already."""
    from pyautoattack.autopgd_base import APGDAttack

    x = (torch.from_numpy(inputs.images).float() / 255).to(device)
    y = torch.from_numpy(inputs.targets).to(device)
    effort = {"n_iter": spec.steps, "n_restarts": spec.restarts, "seed": spec.seed}
    adversary = APGDAttack(network, norm=threat.norm, eps=threat.epsilon, loss="ce", device=device, **effort)
    points = adversary.perturb(x, y)
    with torch.no_grad():
        return (network(points).argmax(dim=1) != y).cpu().numpy()


class Counted(nn.Module):
    """A network that counts the images passed through it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.n_images = network, 0

    def forward(self, x: Tensor) -> Tensor:
        self.n_images += len(x)
        return self.network(x)


def counted(victim: Victim) -> tuple[Victim, list[int]]:
    """The victim, and a list that grows by the images of each of its passes."""
    passes: list[int] = []

    def predict(images: Tensor, networks: Tensor) -> Tensor:
        passes.append(len(images))
        return victim.predict(images, networks)

    def search(images: Tensor, networks: Tensor) -> Tensor:
        passes.append(len(images))
        return victim.search(images, networks)

    return Victim(predict, predict if victim.is_exact else search), passes


def ways(build: Callable[[], nn.Module], state: dict[str, Tensor], device: torch.device) -> dict[str, Victim]:
    """The forms of one network that this project's attack runs on."""
    stack = Stack.loaded(build, [state], device).frozen()
    fast = stack_victim(stack, torch.bfloat16)
    plain = stack_victim(stack)
    return {
        "ours, float32, as given": Victim(plain.predict, plain.predict),
        "ours, float32": plain,
        "ours, bfloat16": fast,
    }


def loaded(build: Callable[[], nn.Module], state: dict[str, Tensor], device: torch.device) -> nn.Module:
    network = build()
    network.load_state_dict(state)
    return network.to(device).eval().requires_grad_(False)


def compare(
    name: str, states: dict[str, dict[str, Tensor]], dataset: Dataset, n: int, spec: AttackSpec, device: torch.device
) -> pd.DataFrame:
    """A row for each training, threat model and way: seconds, ratio to the reference, passes, verdicts that differ."""
    build, rows = BUILDERS[name], []
    for training, threat in product(PAIRS, THREATS):
        state = states[f"{name}, {training}"]
        network, inputs = loaded(build, state, device), first_images(dataset, PAIRS[training], n)
        results: dict[str, tuple[float, int, np.ndarray]] = {}
        with plain_float32():
            model = Counted(network)
            seconds, fooled = _timed(partial(reference, model, inputs, threat, spec, device), device)
            results["pyautoattack"] = seconds, model.n_images, fooled
            for way, victim in ways(build, state, device).items():
                model_under_attack, passes = counted(victim)
                work = partial(attack, model_under_attack, inputs, [threat], [spec], device)
                seconds, verdicts = _timed(work, device)
                results[way] = seconds, sum(passes), verdicts[threat.norm].is_fooled
        base = results["pyautoattack"]
        for way, (seconds, n_passes, fooled) in results.items():
            rows.append({
                "network": name, "training": training, "norm": threat.norm, "epsilon": round(threat.epsilon, 5),
                "way": way, "seed": spec.seed,
                "n": len(fooled), "seconds": round(seconds, 2), "speed": round(base[0] / seconds, 2), "image_forwards": n_passes,
                "robust_accuracy": round(1 - float(fooled.mean()), 4), "only_reference": int((base[2] & ~fooled).sum()),
                "only_ours": int((fooled & ~base[2]).sum()),
            })  # fmt: skip
        print(pd.DataFrame(rows[-len(results) :]).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def _timed(work: Callable, device: torch.device) -> tuple[float, object]:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def first_images(dataset: Dataset, pair: Pair, n: int) -> AttackInputs:
    """The first n test images of the pair, half of each class."""
    labels = dataset.test.labels
    ids = np.sort(np.concatenate([np.flatnonzero(labels == class_id)[: n // 2] for class_id in pair.class_ids()]))
    return AttackInputs(
        np.asarray(dataset.test.images[ids]), pair.targets(labels[ids]), np.zeros(len(ids), np.int64), ids
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", required=True, help="folder or tar of {train,test}/<class>/ images")
    parser.add_argument("--network", type=Path, default=Path(".work/benchmark_attacks.pt"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--n-images", type=int, default=64, help="of the comparison of speed; 0: none")
    parser.add_argument("--n-agree", type=int, default=1000, help="of the comparison of verdicts")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    device = machine(options.device, 1, 500).device
    dataset = read_image_folder("CIFAR-10", options.archive, None)
    states = torch.load(options.network, weights_only=True) if options.network.exists() else {}
    for name, training in product(BUILDERS, PAIRS):
        if f"{name}, {training}" not in states:
            states[f"{name}, {training}"] = trained(BUILDERS[name], dataset, options.epochs, options.device, training)
            with finished_file(options.network) as temporary:
                torch.save(states, temporary)
    print(describe(device), flush=True)
    spec = AttackSpec("apgd-ce", options.steps, 1, 0)
    if options.n_images:
        write_csv(options.out / "speed.csv", compare("ResNet-18", states, dataset, options.n_images, spec, device))
    seeds = [replace(spec, seed=seed) for seed in range(options.seeds)]
    if seeds:
        parts = [compare("small ResNet", states, dataset, options.n_agree, again, device) for again in seeds]
        write_csv(options.out / "agreement.csv", pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    main()

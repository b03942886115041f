"""Training of one two-class network for each pair, many pairs side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnrobust.compute import Machine
from nnrobust.datasets import Pair
from nnrobust.errors import TrainingError
from nnrobust.losses import TRADES_NOISE, InnerAttack, maximise_divergence, standard_loss, trades_loss
from nnrobust.params import Variant
from nnrobust.progress import Progress, silent
from nnrobust.stack import Stack
from nnrobust.store import fingerprint

CROP_PADDING = 4
"""Pixels of zero padding before the random crop. Source: arXiv 2010.00467, section 3."""
AS_IN_PARAMS = "as in params.yaml"
"""What the search's result says of a variant that is not searched."""


@dataclass(frozen=True)
class Task:
    """One network to train: its pair, the training images it may see (positions in the split), and its settings."""

    pair: Pair
    indices: np.ndarray
    variant: Variant

    @property
    def shape(self) -> tuple[object, ...]:
        """What tasks must share to be trained side by side; learning rate, weight decay, beta and epsilon may differ."""
        v = self.variant
        inner = v.trades and (v.trades.combine, tuple((p.norm, p.steps) for p in v.trades.perturbations))
        schedule = (v.architecture, v.epochs, v.batch_size, v.momentum, tuple(v.milestones), v.decay, v.augment)
        return (len(self.indices), *schedule, inner)


@dataclass(frozen=True)
class Trained:
    """A trained network's `state_dict`, and its mean training loss in each epoch."""

    state: dict[str, Tensor]
    losses: list[float]


def train_all(
    tasks: list[Task],
    images: np.ndarray,
    labels: np.ndarray,
    build: Callable[[], nn.Module],
    machine: Machine,
    progress: Progress = silent,
) -> list[Trained]:
    """The trained network of each task, in their order.

    Tasks of one shape are trained side by side, as many as `machine` says. A task's generator is seeded by its variant's
    seed and its pair, so what is trained beside it changes its result by rounding only. With a store in `machine`, networks
    that it holds are not trained again, and a group that was under way goes on after its last whole epoch.

    Args:
        images: uint8 (n, c, h, w), the training split.
        labels: class ids (n,).
        build: makes an untrained network from the current torch generator.

    Raises:
        TrainingError: when a loss is not finite.
    """
    store, first = machine.store, _buffers(build)
    keys = [fingerprint(first, _key(task, images, labels, machine.device)) for task in tasks]
    found = {i: store.load(key) for i, key in enumerate(keys)}
    results = {i: Trained(one["state"], one["losses"]) for i, one in found.items() if one is not None}
    pixels = torch.from_numpy(np.array(images)).to(machine.device)
    groups = _groups(tasks, [i for i in range(len(tasks)) if i not in results], machine.group_size)
    work = [(group, epoch) for group in groups for epoch in range(tasks[group[0]].variant.epochs)]
    run: _Run | None = None
    for group, epoch in progress(work, "train"):
        under_way = fingerprint([keys[i] for i in group])
        if epoch == 0:
            run = _Run([tasks[i] for i in group], pixels, labels, build, machine.device)
            state = store.load(under_way)
            if state is not None:
                run.restore(state)
        assert run is not None
        if epoch < len(run.losses):
            continue
        run.epoch(epoch)
        if epoch < tasks[group[0]].variant.epochs - 1:
            store.save(under_way, run.state())
            continue
        done = dict(zip(group, run.trained(), strict=True))
        for i, one in done.items():
            store.save(keys[i], {"state": one.state, "losses": one.losses})
        store.drop(under_way)
        results |= done
    return [results[i] for i in range(len(tasks))]


def _groups(tasks: list[Task], chosen: list[int], group_size: int) -> list[list[int]]:
    """The chosen tasks, those of one shape together, at most `group_size` at once."""
    shapes = list(dict.fromkeys(tasks[i].shape for i in chosen))
    members = [[i for i in chosen if tasks[i].shape == shape] for shape in shapes]
    return [one[start : start + group_size] for one in members for start in range(0, len(one), group_size)]


def _buffers(build: Callable[[], nn.Module]) -> str:
    """The fingerprint of what an untrained network has beside weights: how it normalises images, decided by other pairs' too."""
    with torch.random.fork_rng(devices=[]):
        network = build()
    return fingerprint(*(part for name, value in network.named_buffers() for part in (name, value.numpy().tobytes())))


def _key(task: Task, images: np.ndarray, labels: np.ndarray, device: torch.device) -> str:
    """The fingerprint of a task's settings, pair, images and labels, and of the kind of device."""
    seen = np.ascontiguousarray(images[task.indices]).tobytes()
    settings = task.variant.model_dump(mode="json")
    return fingerprint(settings, [task.pair.first, task.pair.second], device.type, seen, labels[task.indices].tobytes())


class _Run:
    """The state of one group's training."""

    def __init__(
        self,
        tasks: list[Task],
        pixels: Tensor,
        labels: np.ndarray,
        build: Callable[[], nn.Module],
        device: torch.device,
    ) -> None:
        self.tasks, self.pixels, self.device = tasks, pixels, device
        self.variant = tasks[0].variant
        self.generators = [_generator(task) for task in tasks]
        self.stack = Stack.of([_fresh(build, generator) for generator in self.generators], device)
        self.indices = torch.from_numpy(np.stack([task.indices for task in tasks]))
        self.targets = torch.from_numpy(np.stack([task.pair.targets(labels[task.indices]) for task in tasks]))
        self.momenta = {name: torch.zeros_like(value) for name, value in self.stack.parameters.items()}
        variants = [task.variant for task in tasks]
        self.learning_rates = self._of_each([v.learning_rate for v in variants])
        self.weight_decays = self._of_each([v.weight_decay for v in variants])
        trades = [v.trades for v in variants if v.trades is not None]
        self.betas = self._of_each([one.beta for one in trades])
        self.inner_attacks = [
            InnerAttack(
                inner[0].norm,
                inner[0].steps,
                self._of_each([one.epsilon for one in inner]),
                self._of_each([one.step_size for one in inner]),
            )
            for inner in zip(*(one.perturbations for one in trades), strict=True)
        ]
        self.losses: list[list[float]] = []

    def trained(self) -> list[Trained]:
        """Each network as it is now, with its losses so far."""
        losses = np.array(self.losses).T.tolist()
        return [Trained(state, one) for state, one in zip(self.stack.state_dicts(), losses, strict=True)]

    def state(self) -> dict[str, Any]:
        """All that a run which goes on from here needs."""
        both = {name: value.detach() for name, value in (self.stack.parameters | self.stack.buffers).items()}
        generators = [generator.get_state() for generator in self.generators]
        return {"networks": both, "momenta": self.momenta, "generators": generators, "losses": self.losses}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to what `state` returned."""
        for name, value in (self.stack.parameters | self.stack.buffers).items():
            value.copy_(state["networks"][name])
        for name, value in self.momenta.items():
            value.copy_(state["momenta"][name])
        for generator, one in zip(self.generators, state["generators"], strict=True):
            generator.set_state(one)
        self.losses = state["losses"]

    def _of_each(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self.device)

    def epoch(self, epoch: int) -> None:
        """Sees every image once, in an order that each network's generator draws."""
        n, batch_size = self.indices.shape[1], self.variant.batch_size
        rates = self.learning_rates * self.variant.decay ** sum(m <= epoch for m in self.variant.milestones)
        order = torch.stack([torch.randperm(n, generator=generator) for generator in self.generators])
        total = torch.zeros(len(self.tasks))
        for start in range(0, n, batch_size):
            chosen = order[:, start : start + batch_size]
            images = self.pixels[self.indices.gather(1, chosen).to(self.device)].float() / 255
            targets = self.targets.gather(1, chosen).to(self.device)
            if self.variant.augment:
                images = crop_and_flip(images, self.generators)
            loss = self._loss(images, targets)
            gradients = torch.autograd.grad(loss.sum(), list(self.stack.parameters.values()))
            self._descend(gradients, rates)
            total += loss.detach().cpu() * chosen.shape[1]
        if not bool(torch.isfinite(total).all()):
            pair = self.tasks[int((~torch.isfinite(total)).nonzero()[0])].pair
            raise TrainingError(f"pair {pair}, epoch {epoch + 1}: the training loss is not finite; lower learning_rate")
        self.losses.append((total / n).tolist())

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        if self.variant.trades is None:
            return standard_loss(self.stack, images, targets)
        adversarial = []
        for attack in self.inner_attacks:
            noise = TRADES_NOISE * torch.stack([torch.randn(images.shape[1:], generator=g) for g in self.generators])
            adversarial.append(maximise_divergence(self.stack, images, noise.to(self.device), attack))
        return trades_loss(self.stack, images, targets, adversarial, self.betas, self.variant.trades.combine)

    @torch.no_grad()
    def _descend(self, gradients: tuple[Tensor, ...], rates: Tensor) -> None:
        """One step of SGD with momentum and weight decay, as `torch.optim.SGD` takes it, at each network's own rates."""
        for (name, parameter), gradient in zip(self.stack.parameters.items(), gradients, strict=True):
            shape = (-1, *[1] * (parameter.dim() - 1))
            momentum = self.momenta[name]
            momentum.mul_(self.variant.momentum).add_(gradient + self.weight_decays.view(shape) * parameter)
            parameter.sub_(rates.view(shape) * momentum)


def _generator(task: Task) -> torch.Generator:
    entropy = np.random.SeedSequence([task.variant.seed, task.pair.first, task.pair.second]).generate_state(
        1, np.uint64
    )
    return torch.Generator().manual_seed(int(entropy[0] >> np.uint64(1)))


def _fresh(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """An untrained network whose weights `generator` decides; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        return build()


def crop_and_flip(images: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Each image (g, n, c, h, w) cropped at random out of its zero-padded self, and mirrored with probability 1/2."""
    g, n, _, height, width = images.shape
    draws = torch.stack([torch.rand(3, n, generator=generator) for generator in generators]).to(images.device)
    padded = F.pad(images, (CROP_PADDING,) * 4)
    top, left = (draws[:, :2] * (2 * CROP_PADDING + 1)).long().unbind(dim=1)
    rows = top[:, :, None] + torch.arange(height, device=images.device)
    columns = left[:, :, None] + torch.arange(width, device=images.device)
    columns = torch.where(draws[:, 2, :, None] < 0.5, columns.flip(-1), columns)
    g_index = torch.arange(g, device=images.device).view(g, 1, 1, 1)
    n_index = torch.arange(n, device=images.device).view(1, n, 1, 1)
    return padded.permute(0, 1, 3, 4, 2)[g_index, n_index, rows[..., None], columns[:, :, None]].permute(0, 1, 4, 2, 3)


def history(tasks: list[Task], trained: list[Trained]) -> pd.DataFrame:
    """The mean training loss of each pair in each epoch: columns pair, epoch (from 1), loss."""
    return pd.DataFrame(
        [
            {"pair": str(task.pair), "epoch": epoch, "loss": round(loss, 6)}
            for task, result in zip(tasks, trained, strict=True)
            for epoch, loss in enumerate(result.losses, start=1)
        ]
    )

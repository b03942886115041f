"""Networks trained side by side: their state, its epochs, and the results."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nnrobust.networks.stack import Stack
from nnrobust.runtime.machine import Machine
from nnrobust.training.losses import TRADES_NOISE, InnerAttack, maximise_divergence, standard_loss, trades_loss
from nnrobust.training.schedule import learning_rate_in, validation_norms
from nnrobust.training.tasks import Row, Task, Trained, TrainingSet
from nnrobust.training.validation import GroupImages, Validation, accuracies

CROP_PADDING = 4
"""Pixels of zero padding before the random crop. Source: arXiv 2010.00467, section 3."""
WARMUP_STEPS = 3
"""Steps before the capture, in which libraries choose their kernels. Source: PyTorch's notes on CUDA graphs."""

NOTES = ("rows", "failures", "best_epochs", "seconds")
"""The part of a run's state that is no tensor."""


@dataclass
class _Batch:
    """The inputs of one step, at the same place in memory each time: positions, and draws for augmentation and inner attacks."""

    chosen: Tensor
    draws: Tensor
    noises: list[Tensor]
    step: Callable[[], None]


class GroupRun:
    """Tasks of one shape under way. `pixels` are the training images, uint8 on the machine's device."""

    def __init__(
        self, tasks: list[Task], data: TrainingSet, pixels: Tensor, validation: Validation, machine: Machine
    ) -> None:
        self.tasks, self.recipe, self.validation, self.machine = tasks, tasks[0].recipe, validation, machine
        self.device = machine.device
        self.generators = [task.generator(self.device) for task in tasks]
        self.stack = Stack.of([task.fresh(data.build) for task in tasks], self.device, machine.precision)
        self.momenta = {name: torch.zeros_like(value) for name, value in self.stack.parameters.items()}
        self.best = {name: value.clone() for name, value in self._weights().items()}
        self.averages = {
            name: value.clone() for name, value in self.best.items() if self.recipe.weight_averaging is not None
        }
        self.images, self.held = (
            GroupImages.of(pixels, rows, [t.pair.targets(data.labels[i]) for t, i in zip(tasks, rows, strict=True)])
            for rows in ([task.indices for task in tasks], [task.held for task in tasks])
        )
        self.chance = self.held.majority_share()
        self._take_settings()
        self.rates, self.total = self._of_each([0.0] * len(tasks)), self._of_each([0.0] * len(tasks))
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        self.batches: dict[int, _Batch] = {}
        self.rows: list[list[Row]] = [[] for _ in tasks]
        self.failures: list[str | None] = [None] * len(tasks)
        self.best_epochs = [0] * len(tasks)
        self.seconds = 0.0

    def _take_settings(self) -> None:
        recipes = [task.recipe for task in self.tasks]
        self.weight_decays = self._of_each([r.weight_decay for r in recipes])
        trades = [r.trades for r in recipes if r.trades is not None]
        self.betas = self._of_each([t.beta for t in trades])
        self.attacks = [
            InnerAttack(
                inner[0].norm,
                inner[0].steps,
                self._of_each([p.epsilon for p in inner]),
                self._of_each([p.step_size for p in inner]),
            )
            for inner in zip(*(t.perturbations for t in trades), strict=True)
        ]

    def _of_each(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self.device)

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in (self.stack.parameters | self.stack.buffers).items()}

    def _kept_weights(self) -> dict[str, Tensor]:
        """Those that are validated and kept: of the networks under training, or their averages."""
        return self.averages or self._weights()

    @property
    def kept(self) -> Stack:
        """The networks with these weights."""
        weights = self._kept_weights()
        parameters, buffers = ({n: weights[n] for n in part} for part in (self.stack.parameters, self.stack.buffers))
        return Stack(self.stack.skeleton, parameters, buffers, self.machine.precision)

    @property
    def n_epochs_done(self) -> int:
        return len(self.rows[0])

    @property
    def is_over(self) -> bool:
        return self.n_epochs_done == self.recipe.epochs or all(self.failures)

    def state(self) -> dict[str, Any]:
        """The state that a run needs to go on from here."""
        generators = [generator.get_state() for generator in self.generators]
        return self._tensors() | {"generators": generators} | {name: getattr(self, name) for name in NOTES}

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        return {"weights": self._weights(), "momenta": self.momenta, "best": self.best, "averages": self.averages}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to an earlier `state`."""
        for part, mine in self._tensors().items():
            for name, value in mine.items():
                value.copy_(state[part][name])
        for generator, position in zip(self.generators, state["generators"], strict=True):
            generator.set_state(position.cpu())
        for name in NOTES:
            setattr(self, name, state[name])

    def trained(self) -> list[Trained]:
        """Each network, as it is now and as it was at its best."""
        last, best = self.kept.state_dicts(), Stack(self.stack.skeleton, self.best, {}).state_dicts()
        share = self.seconds / len(self.tasks)
        parts = zip(self.tasks, best, last, self.best_epochs, self.rows, self.failures, strict=True)
        return [Trained(task.recipe, b, la, epoch, rows, why, share) for task, b, la, epoch, rows, why in parts]

    def steps(self) -> Iterator[None]:
        """One epoch, in an order that each network's generator draws; yields whenever a step has been handed to the device."""
        n, size = len(self.images), self.recipe.batch_size
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with self._on_stream():
            rates = self._rates(range(0, n, size), n)
            self.total.zero_()
            order = torch.stack([torch.randperm(n, generator=g, device=self.device) for g in self.generators])
        for step, (start, rate) in enumerate(zip(range(0, n, size), rates, strict=True)):
            with self._on_stream():
                self.rates.copy_(rate)
                chosen = order[:, start : start + size]
                if chosen.shape[1] not in self.batches:
                    self.batches[chosen.shape[1]] = self._batch(chosen)
                batch = self.batches[chosen.shape[1]]
                batch.chosen.copy_(chosen)
                self._draw(batch)
                batch.step()
                self._average(self.n_epochs_done * len(rates) + step)
            yield

    def _average(self, n_steps: int) -> None:
        """Takes the weights after step `n_steps` (from 0) into their averages, if any: the mean of all so far, until the recipe's
        decay forgets more slowly. Running statistics are averaged too, counts are those of the weights. Source: arXiv 2010.03593.
        """
        now, decay = self._weights(), self.recipe.weight_averaging or 0.0
        for name, value in self.averages.items():
            if value.is_floating_point():
                value.lerp_(now[name], max(1 - decay, 1 / (n_steps + 1)))
            else:
                value.copy_(now[name])

    def _rates(self, starts: range, n: int) -> Tensor:
        """The learning rates (steps, g) of the epoch under way, each as in the middle of its step."""
        middles = [self.n_epochs_done + (start + min(start + starts.step, n)) / (2 * n) for start in starts]
        rates = [[learning_rate_in(task.recipe, middle) for task in self.tasks] for middle in middles]
        return torch.tensor(rates, device=self.device)

    def end_epoch(self) -> None:
        """Waits for the epoch's steps; notes its losses and, where due, the accuracies on held-out images."""
        with self._on_stream():
            losses = (self.total / len(self.images)).cpu().tolist()
            scores: list[tuple[float | None, float | None]] = [(None, None)] * len(self.tasks)
            is_due = self.validation.is_due(self.n_epochs_done, self.recipe.epochs)
            if is_due:
                clean, robust = accuracies(
                    self.kept, self.held, validation_norms(self.recipe), self.validation, self.machine.batch_size
                )
                scores = list(zip(clean.tolist(), robust.tolist(), strict=True))
        for i, (loss, (clean_accuracy, robust_accuracy)) in enumerate(zip(losses, scores, strict=True)):
            row: Row = {"loss": loss, "clean_accuracy": clean_accuracy, "robust_accuracy": robust_accuracy}
            self.rows[i].append(row)
            self.failures[i] = self.failures[i] or self._failure(self.rows[i])
            if is_due and self._is_best(self.rows[i]):
                self.best_epochs[i] = self.n_epochs_done
                for name, value in self._kept_weights().items():
                    self.best[name][i] = value[i]

    def _failure(self, rows: list[Row]) -> str | None:
        """The reason why a network fails: the loss of any epoch, or the first validation after a third of all epochs."""
        if not math.isfinite(rows[-1]["loss"] or 0.0):
            return f"the loss of epoch {len(rows)} is not finite"
        first = min(math.ceil(self.recipe.epochs / 3), self.recipe.epochs - 1)
        judged = [e for e in range(first, len(rows)) if rows[e]["clean_accuracy"] is not None]
        if judged and judged[0] == len(rows) - 1 and (rows[-1]["clean_accuracy"] or 0.0) <= self.chance:
            return f"no better than one answer for all held-out images after epoch {len(rows)}"
        return None

    @staticmethod
    def _is_best(rows: list[Row]) -> bool:
        """Whether no earlier epoch has a higher robust accuracy, or as high a one and a higher clean accuracy."""
        scores = [(r["robust_accuracy"], r["clean_accuracy"]) for r in rows if r["robust_accuracy"] is not None]
        return scores[-1] == max(scores)

    def _on_stream(self) -> AbstractContextManager:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def _batch(self, chosen: Tensor) -> _Batch:
        """The place for batches of this size, and the step on them: on a GPU one graph."""
        g, n = chosen.shape
        noise = torch.empty(g, n, *self.images.pixels.shape[1:], device=self.device)
        noises = [torch.zeros_like(noise) for _ in self.attacks]
        batch = _Batch(chosen.clone(), torch.zeros(g, 3, n, device=self.device), noises, lambda: None)
        batch.step = lambda: self._step(batch)
        if self.stream is not None:
            state = [*self.stack.parameters.values(), *self.stack.buffers.values(), *self.momenta.values(), self.total]
            batch.step = captured(batch.step, state, self.stream)
        return batch

    def _draw(self, batch: _Batch) -> None:
        for i, generator in enumerate(self.generators):
            if self.recipe.augment:
                batch.draws[i].uniform_(generator=generator)
            for noise in batch.noises:
                noise[i].normal_(std=TRADES_NOISE, generator=generator)

    def _step(self, batch: _Batch) -> None:
        images = self.images.pixels[self.images.positions.gather(1, batch.chosen)].float() / 255
        targets = self.images.targets.gather(1, batch.chosen)
        if self.recipe.augment:
            images = crop_and_flip(images, batch.draws)
        loss = self._loss(images, targets, batch.noises)
        gradients = torch.autograd.grad(loss.sum(), list(self.stack.parameters.values()))
        with torch.no_grad():
            self._descend(gradients)
            self.total += loss * batch.chosen.shape[1]

    def _loss(self, images: Tensor, targets: Tensor, noises: list[Tensor]) -> Tensor:
        if self.recipe.trades is None:
            return standard_loss(self.stack, images, targets)
        attacked = self.stack.folded()
        adversarial = [
            maximise_divergence(attacked, images, noise, attack)
            for noise, attack in zip(noises, self.attacks, strict=True)
        ]
        return trades_loss(self.stack, images, targets, adversarial, self.betas, self.recipe.trades.combine)

    def _descend(self, gradients: tuple[Tensor, ...]) -> None:
        """One step of SGD with momentum and weight decay, as `torch.optim.SGD` takes it, at each network's own rates."""
        for (name, parameter), gradient in zip(self.stack.parameters.items(), gradients, strict=True):
            shape = (-1, *[1] * (parameter.dim() - 1))
            momentum = self.momenta[name]
            momentum.mul_(self.recipe.momentum).add_(gradient).addcmul_(parameter, self.weight_decays.view(shape))
            parameter.addcmul_(momentum, self.rates.view(shape), value=-1)


def crop_and_flip(images: Tensor, draws: Tensor) -> Tensor:
    """Each image (g, n, c, h, w) cropped out of its zero-padded self, and mirrored with probability 1/2.

    `draws` (g, 3, n) are uniform in [0, 1): they decide top, left and mirror image of each.
    """
    g, n, _, height, width = images.shape
    padded = F.pad(images, (CROP_PADDING,) * 4)
    top, left = (draws[:, :2] * (2 * CROP_PADDING + 1)).long().unbind(dim=1)
    rows = top[:, :, None] + torch.arange(height, device=images.device)
    columns = left[:, :, None] + torch.arange(width, device=images.device)
    columns = torch.where(draws[:, 2, :, None] < 0.5, columns.flip(-1), columns)
    g_index = torch.arange(g, device=images.device).view(g, 1, 1, 1)
    n_index = torch.arange(n, device=images.device).view(1, n, 1, 1)
    return padded.permute(0, 1, 3, 4, 2)[g_index, n_index, rows[..., None], columns[:, :, None]].permute(0, 1, 4, 2, 3)


def captured(step: Callable[[], None], state: Iterable[Tensor], stream: torch.cuda.Stream) -> Callable[[], None]:
    """A function that does what `step` does, as one graph on `stream`.

    `step` reads and writes the same tensors each time and never waits for the device. `state` are the tensors that it
    changes: the warm-up leaves them as they were. cuDNN tries its kernels and takes the fastest.
    """
    kept = [(value, value.detach().clone()) for value in state]
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_STEPS):
                step()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
    finally:
        torch.backends.cudnn.benchmark = benchmark
    with torch.no_grad(), torch.cuda.stream(stream):
        for value, before in kept:
            value.copy_(before)
    return graph.replay

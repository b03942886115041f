"""The model under attack: its answers, its traits, and the gradients that an attack climbs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.errors import AttackError, AttackMemoryError
from nnrobust.runtime.memory import is_out_of_memory

Predictor = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, classes) of images (n, c, h, w), given the network that each image is for (n,)."""
Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The values (n,) that an attack raises, from logits (n, classes), the right output (n,) and the output aimed at (n,)."""
N_SAMPLES = 20
"""Passes that the gradient of a randomised model is averaged over, and that its answer is voted by. Source: as AutoAttack's
version `rand`, arXiv 2003.01690, section 5.2."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types that logits may have."""
SAME = 5e-5
"""Relative difference of logits up to which two passes count as the same: float32 sums in another order differ by some 1e-6, the
answers of the model of the zoo that does depend on its batch by 2.6e-4."""


@dataclass(frozen=True)
class DeviceBatch:
    """Images on a device, float32 (n, c, h, w) in [0, 1], and of each (n,): its `AttackInputs`, and the output aimed at.

    The id decides starting points. Untargeted attacks ignore the aim.
    """

    images: Tensor
    targets: Tensor
    networks: Tensor
    ids: Tensor
    aims: Tensor

    @classmethod
    def of(cls, inputs: AttackInputs, device: torch.device) -> "DeviceBatch":
        """The stored images on a device; each is aimed at its own output until an attack sets another."""
        images = torch.from_numpy(inputs.images).to(device).float() / (255 if inputs.images.dtype == np.uint8 else 1)
        numbers = (inputs.targets, inputs.networks, inputs.ids)
        targets, networks, ids = (torch.from_numpy(values).to(device) for values in numbers)
        return cls(images.contiguous(memory_format=torch.channels_last), targets, networks, ids, targets)

    def take(self, rows: Tensor) -> "DeviceBatch":
        return DeviceBatch(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class AttackSpec:
    """An attack as it is run: its `name` in `attacks.KINDS`, `steps` (square: queries), restarts, seed of starting points."""

    name: str
    steps: int
    restarts: int
    seed: int


@dataclass(frozen=True)
class Traits:
    """A model's traits, as `examined` finds them; each changes how the model is attacked."""

    n_classes: int = 0
    is_random: bool = False
    depends_on_batch: bool = False
    gives_probabilities: bool = False

    @property
    def notes(self) -> list[str]:
        """The traits in words, for the records."""
        words = {
            "randomised: gradients and answers over 20 passes": self.is_random,
            "an answer depends on its batch: batches kept whole": self.depends_on_batch,
            "probabilities: attacked through their logarithms": self.gives_probabilities,
        }
        return [text for text, holds in words.items() if holds]


@dataclass(frozen=True)
class Victim:
    """A model as it was given, and as it is searched.

    `predict` is the model itself, in float32 and eval mode: only its answers count. `search` gives attacks their losses and
    gradients: the same function, or a faster form of it, whose successes are asked of `predict` again.
    """

    predict: Predictor
    search: Predictor
    traits: Traits = Traits()

    @property
    def is_exact(self) -> bool:
        """Whether the search runs on the model itself."""
        return self.search is self.predict

    @property
    def n_passes(self) -> int:
        """The passes that one answer or gradient takes."""
        return N_SAMPLES if self.traits.is_random else 1

    @torch.no_grad()
    def answers(self, images: Tensor, networks: Tensor) -> Tensor:
        """The output (n,) that the model chooses; of a randomised model the one that most of its passes choose."""
        votes = [checked_logits(self.predict, images, networks).argmax(dim=1) for _ in range(self.n_passes)]
        return torch.stack(votes).mode(dim=0).values if self.traits.is_random else votes[0]

    def evaluate(
        self, points: Tensor, batch: DeviceBatch, objective: Objective, needs_gradient: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The objective (n,), its gradient at `points` (n, ...; empty unless needed), and which points seem to fool (n,)."""
        weight = torch.softmax if self.traits.is_random else _itself
        points = points.detach().requires_grad_(needs_gradient)
        value = gradient = score = torch.zeros((), device=points.device)
        for _ in range(self.n_passes):
            with torch.enable_grad():
                logits = self.as_logits(checked_logits(self.search, points, batch.networks))
                loss = objective(logits, batch.targets, batch.aims)
                if needs_gradient:
                    gradient = gradient + _gradient(loss, points)
            value, score = value + loss.detach(), score + weight(logits.detach(), 1)
        return value / self.n_passes, gradient / self.n_passes, score.argmax(dim=1) != batch.targets

    @torch.no_grad()
    def scores(self, images: Tensor, networks: Tensor) -> Tensor:
        """One pass of the model itself: logits (n, classes) in float32, of probabilities their logarithms."""
        return self.as_logits(checked_logits(self.predict, images, networks))

    def as_logits(self, outputs: Tensor) -> Tensor:
        """Outputs (n, classes) in float32; of probabilities, their logarithms."""
        logits = outputs.float()
        return logits.clamp(min=torch.finfo(logits.dtype).tiny).log() if self.traits.gives_probabilities else logits

    def confirmed(self, points: Tensor, batch: DeviceBatch, seems_fooled: Tensor) -> Tensor:
        """Which of the points that seem to fool the search fool the model itself (n,), a randomised one by vote."""
        if (self.is_exact and not self.traits.is_random) or not bool(seems_fooled.any()):
            return seems_fooled
        rows = torch.arange(len(points), device=points.device)
        rows = rows if self.traits.depends_on_batch else rows[seems_fooled]
        wrong = torch.zeros_like(seems_fooled)
        wrong[rows] = self.answers(points[rows], batch.networks[rows]) != batch.targets[rows]
        return wrong & seems_fooled


def _itself(logits: Tensor, dim: int) -> Tensor:
    return logits


def checked_logits(predict: Predictor, images: Tensor, networks: Tensor) -> Tensor:
    """Logits (n, classes) of the images, checked to be that.

    Raises:
        AttackError: when the model raises; gives anything but a dense tensor of `FLOATS` on the images' device; or logits
            of another shape, fewer than two classes, or a value that is not finite: such outputs run silently through attacks
            and look robust.
    """
    try:
        logits = predict(images, networks)
    except AttackError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(error, f"logits of float32 images {tuple(images.shape)} in [0, 1]") from error
    if not isinstance(logits, Tensor):
        raise AttackError(
            f"expected a tensor of logits (n, classes), got {_kind(logits)}; wrap the model, so that it returns its logits alone"
        )
    if logits.dtype not in FLOATS:
        raise AttackError(
            f"expected logits in floating point of 16 bits or more, got {logits.dtype}; return scores of the classes, not their "
            "numbers"
        )
    if logits.is_nested or logits.layout != torch.strided:
        raise AttackError("expected a dense tensor of logits, got a sparse or nested one; return logits.to_dense()")
    if logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
        raise AttackError(f"expected logits of shape ({len(images)}, classes >= 2), got {tuple(logits.shape)}")
    if logits.device != images.device:
        raise AttackError(f"expected logits on {images.device}, where the images are, got them on {logits.device}")
    if not bool(torch.isfinite(logits.detach().float()).all()):
        raise AttackError(
            "expected finite logits, got nan or infinity; the model is broken or was trained to divergence"
        )
    return logits


def _gradient(loss: Tensor, points: Tensor) -> Tensor:
    """The gradient (n, ...) of losses (n,).

    Raises:
        AttackError: when there is none, or it is not finite.
    """
    gradient = None
    if loss.requires_grad:
        try:
            (gradient,) = torch.autograd.grad(loss.sum(), points, allow_unused=True)
        except (Exception, SystemExit) as error:
            raise _broken(error, "a gradient of the logits") from error
    if gradient is None:
        raise AttackError(
            "expected logits with a gradient to the images, got some without, as of no_grad, detach or numpy; mend the model, or "
            "attack it by square alone, which needs no gradient"
        )
    if not bool(torch.isfinite(gradient).all()):
        raise AttackError(
            "expected a finite gradient, got nan or infinity, as of a square root or logarithm at 0; mend it, or attack it "
            "by square alone, which needs no gradient"
        )
    return gradient


def _broken(error: BaseException, wanted: str) -> AttackError:
    """What is raised where the model itself raised."""
    cause = " ".join(str(error).split())[:300]
    if isinstance(error, Exception) and is_out_of_memory(error):
        return AttackMemoryError(f"expected memory for {wanted}, got {cause}; attack fewer images at a time")
    return AttackError(f"expected {wanted}, got {type(error).__name__} from the model: {cause}; mend its forward pass")


def _kind(outputs: object) -> str:
    """What the outputs are, with the types inside, for an error."""
    if isinstance(outputs, tuple | list):
        return f"a {type(outputs).__name__} of ({', '.join(type(part).__name__ for part in outputs[:5])})"
    if isinstance(outputs, Mapping):
        return f"a {type(outputs).__name__} with the keys {list(outputs)[:5]}"
    return f"a {type(outputs).__name__}" if outputs is not None else "None"


@torch.no_grad()
def examined(victim: Victim, batch: DeviceBatch) -> Victim:
    """The victim with the traits that passes over `batch` show.

    Two passes that differ: randomised. Answers on the halves of the batch that differ from those on the whole: dependent on
    the batch. Rows that are positive and sum to one throughout: probabilities.
    """
    whole = checked_logits(victim.predict, batch.images, batch.networks)
    again = checked_logits(victim.predict, batch.images, batch.networks)
    is_random = _differ(whole, again)
    depends_on_batch = False
    if len(whole) > 1 and not is_random:
        parts = torch.arange(len(whole), device=whole.device).chunk(2)
        halves = [checked_logits(victim.predict, batch.images[part], batch.networks[part]) for part in parts]
        depends_on_batch = _differ(whole, torch.cat(halves))
    sums = whole.double().sum(dim=1)
    gives_probabilities = bool((whole >= 0).all()) and bool(((sums - 1).abs() < 1e-4).all())
    return replace(victim, traits=Traits(whole.shape[1], is_random, depends_on_batch, gives_probabilities))


def _differ(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        raise AttackError(
            f"expected as many classes in every pass, got {first.shape[1]} and {second.shape[1]}; mend the model"
        )
    return bool((first - second).abs().max() > SAME * first.abs().max().clamp(min=1))


def of_network(network: nn.Module, precision: torch.dtype = torch.float32, is_compiled: bool = False) -> Victim:
    """One network as a victim, searched in `precision` under autocast, and compiled if asked; its weights take no gradient.

    It gets a copy of the images, as it may work in place.

    Raises:
        AttackError: when it is no network, or a part of it is in training mode, in which answers depend on the batch and change
            the network.
    """
    if not isinstance(network, nn.Module):
        raise AttackError(f"expected a torch.nn.Module, got {type(network).__name__}; wrap the function in one")
    for name, module in network.named_modules():
        if module.training:
            raise AttackError(
                f"expected a network in eval mode, got {name or 'it'} in training mode; call .eval() on it"
            )
    network.requires_grad_(False)

    def predict(images: Tensor, networks: Tensor) -> Tensor:
        return network(images.clone())

    def cast(images: Tensor, networks: Tensor) -> Tensor:
        with torch.autocast(images.device.type, precision):
            return network(images.clone()).float()

    search = predict if precision == torch.float32 else cast
    return Victim(predict, torch.compile(search, dynamic=True) if is_compiled else search)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators inside the block, for models and libraries that draw from them, and restores them."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield

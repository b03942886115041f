"""Many networks of one architecture side by side: one forward pass for all of them, each on images of its own."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nnrobust.networks.roots import square_root


class Stack:
    """Networks of one architecture whose parameters and buffers are stacked along a first axis.

    Small networks leave a processor idle when they run one after another; stacked under `torch.func.vmap` they do not. A
    stack of one runs without vmap, which costs a ResNet-18 on a CPU 1.5 times its time, and with channels last. In
    `precision` bfloat16 a stack of one runs under autocast, with weights, batch statistics and logits in float32 all the same;
    several networks run in float32, since autocast does not reach convolutions under vmap.
    """

    def __init__(
        self,
        skeleton: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.skeleton = skeleton.to("meta")
        self.parameters = parameters
        self.buffers = buffers
        self.precision = precision

    @classmethod
    def of(
        cls, networks: list[nn.Module], device: torch.device | str = "cpu", precision: torch.dtype = torch.float32
    ) -> "Stack":
        """The stack of these networks, on `device`; their weights are copied."""
        parameters, buffers = stack_module_state(networks)
        place = _channels_last if len(networks) == 1 else Tensor.clone
        return cls(
            deepcopy(networks[0]),
            {name: place(value.detach().to(device)).requires_grad_() for name, value in parameters.items()},
            {name: value.detach().clone().to(device) for name, value in buffers.items()},
            precision,
        )

    @classmethod
    def loaded(
        cls,
        build: Callable[[], nn.Module],
        states: Iterable[Mapping[str, Tensor]],
        device: torch.device | str = "cpu",
    ) -> "Stack":
        """The stack of networks that `build` makes, each with the weights of a `state_dict`."""
        networks = []
        for state in states:
            networks.append(build())
            networks[-1].load_state_dict(state)
        return cls.of(networks, device)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def logits(self, x: Tensor, training: bool) -> Tensor:
        """Logits (g, n, classes) of images (g, n, c, h, w), network by network.

        With `training`, batch normalisation uses the batch and updates the running statistics; without, it uses those.
        """
        if self.precision == torch.float32 or len(self) > 1:
            return self._forward(x, training)
        # The cache would keep casts of weights that a captured graph goes on changing.
        with torch.autocast(x.device.type, self.precision, cache_enabled=False):
            return self._forward(x, training).float()

    def _forward(self, x: Tensor, training: bool) -> Tensor:
        self.skeleton.train(training)
        if len(self) == 1:
            state = {name: value[0] for name, value in (self.parameters | self.buffers).items()}
            return functional_call(self.skeleton, state, (x[0],))[None]

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
            return functional_call(self.skeleton, (parameters, buffers), (images,))

        return vmap(one)(self.parameters, self.buffers, x)

    def to(self, device: torch.device) -> "Stack":
        """The same networks on another device."""
        parameters = {name: value.to(device) for name, value in self.parameters.items()}
        buffers = {name: value.to(device) for name, value in self.buffers.items()}
        return Stack(self.skeleton, parameters, buffers, self.precision)

    def in_precision(self, precision: torch.dtype) -> "Stack":
        """The same networks, run in another precision."""
        return Stack(self.skeleton, self.parameters, self.buffers, precision)

    def state_dicts(self) -> list[dict[str, Tensor]]:
        """The `state_dict` of each network, on the CPU."""
        both = self.parameters | self.buffers
        return [
            {name: value[g].detach().cpu().contiguous().clone() for name, value in both.items()}
            for g in range(len(self))
        ]

    def frozen(self, members: Iterable[int] | None = None) -> "Stack":
        """The same networks, or those at `members`, for attacks: their weights take no gradient."""
        index = slice(None) if members is None else list(members)
        parameters = {name: value.detach()[index] for name, value in self.parameters.items()}
        buffers = {name: value[index] for name, value in self.buffers.items()}
        return Stack(self.skeleton, parameters, buffers, self.precision)

    @torch.no_grad()
    def folded(self) -> "Stack":
        """Frozen networks that give in eval mode what these give, each batch normalisation folded into its convolution.

        An attack passes through a network some twenty times between two steps of its weights; so folded, a pass of ResNet-18
        takes 0.70 of the time on a CPU (float32; 0.82 in bfloat16).
        """
        skeleton = deepcopy(self.skeleton)
        parameters = {name: value.detach() for name, value in self.parameters.items()}
        buffers = dict(self.buffers)
        for convolution, normalisation in _normalised_convolutions(self.skeleton):
            names = [f"{normalisation}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            weight, bias, mean, variance = (parameters.pop(n) if n in parameters else buffers.pop(n) for n in names)
            buffers.pop(f"{normalisation}.num_batches_tracked")
            layer = skeleton.get_submodule(normalisation)
            scale = weight / square_root(variance + layer.eps)
            kernel = parameters[f"{convolution}.weight"]
            parameters[f"{convolution}.weight"] = kernel * scale[(...,) + (None,) * 3]
            parameters[f"{convolution}.bias"] = bias - mean * scale
            skeleton.get_submodule(convolution).bias = nn.Parameter(torch.empty(bias.shape[1:], device="meta"))
            skeleton.set_submodule(normalisation, nn.Identity())
        return Stack(skeleton, parameters, buffers, self.precision)


def _normalised_convolutions(network: nn.Module) -> list[tuple[str, str]]:
    """The names of each convolution without a bias and of the batch normalisation that its module registers right after it."""
    found = []
    for prefix, module in network.named_modules():
        for (first, one), (second, two) in pairwise(module.named_children()):
            if isinstance(one, nn.Conv2d) and one.bias is None and isinstance(two, nn.BatchNorm2d):
                found.append((f"{prefix}.{first}".removeprefix("."), f"{prefix}.{second}".removeprefix(".")))
    return found


def _channels_last(stacked: Tensor) -> Tensor:
    """A copy of stacked parameters, each convolution's in the memory order (out, height, width, in)."""
    if stacked.ndim != 5:
        return stacked.clone()
    return stacked.permute(0, 1, 3, 4, 2).contiguous().clone().permute(0, 1, 4, 2, 3)


def predictor(stack: Stack) -> Callable[[Tensor, Tensor], Tensor]:
    """A function from images (n, c, h, w) and the network of each (n,) to logits (n, classes), in eval mode.

    Images are packed into as many rows as the busiest network has; networks without an image take no part.
    """
    frozen = stack.frozen()

    def logits_of(images: Tensor, network: Tensor) -> Tensor:
        if len(frozen) == 1:
            return frozen.logits(images[None], training=False)[0]
        counts = torch.bincount(network, minlength=len(frozen))
        present = counts.nonzero()[:, 0]
        order = network.argsort(stable=True)
        starts = counts.cumsum(0) - counts
        place = torch.empty_like(network)
        place[order] = torch.arange(len(network), device=network.device) - starts[network[order]]
        group = torch.empty(len(frozen), dtype=torch.long, device=network.device)
        group[present] = torch.arange(len(present), device=network.device)
        packed = images.new_zeros(len(present), int(counts.max()), *images.shape[1:])
        packed = packed.index_put((group[network], place), images)
        part = frozen if len(present) == len(frozen) else frozen.frozen(present.tolist())
        return part.logits(packed, training=False)[group[network], place]

    return logits_of


def classifier(stack: Stack) -> Callable[[np.ndarray], Tensor]:
    """A function from uint8 images (n, c, h, w) to the first network's logits (n, classes), both in this machine's memory."""
    frozen = stack.frozen([0])

    def logits_of(images: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(images).to(stack.device).float() / 255
        return frozen.logits(pixels[None], training=False)[0].cpu()

    return logits_of

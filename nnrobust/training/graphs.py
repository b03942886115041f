"""CUDA graphs: many small kernels, started at once."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

WARMUP_STEPS = 3
"""Steps before the capture, in which libraries choose their kernels. Source: PyTorch's notes on CUDA graphs."""


def captured(step: Callable[[], None], state: Iterable[Tensor], stream: torch.cuda.Stream) -> Callable[[], None]:
    """A function that does what `step` does, as one graph on `stream`.

    `step` reads and writes the same tensors each time and never waits for the device. `state` are the tensors that it
    changes: the warm-up leaves them as they were. cuDNN tries its kernels and takes the fastest.
    """
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        return _captured(step, state, stream)
    finally:
        torch.backends.cudnn.benchmark = benchmark


def _captured(step: Callable[[], None], state: Iterable[Tensor], stream: torch.cuda.Stream) -> Callable[[], None]:
    kept = [(value, value.detach().clone()) for value in state]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP_STEPS):
            step()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step()
    with torch.no_grad(), torch.cuda.stream(stream):
        for value, before in kept:
            value.copy_(before)
    return graph.replay

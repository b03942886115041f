"""The square root that is the same on every processor."""

from torch import Tensor


def square_root(x: Tensor) -> Tensor:
    """The square root of x, float32 or narrower, rounded correctly.

    In PyTorch's own, Intel's library rounds as the processor's maker has it; by way of float64 that is lost.
    """
    return x.double().sqrt().to(x.dtype)

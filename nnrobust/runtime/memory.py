"""Work on many rows, block by block, in as much memory as there is."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


def fitting(work: Callable[[np.ndarray], Result], rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, Result]]:
    """Blocks of `rows` and what `work` makes of them; where memory does not suffice, the blocks become smaller.

    Raises:
        MemoryError: when a block of one row does not fit.
    """
    start = 0
    while start < len(rows):
        block = rows[start : start + size]
        try:
            result = work(block)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(block) == 1:
                raise MemoryError(f"expected memory for one row at a time, got: {error}") from error
            size = len(block) // 2
            continue
        yield block, result
        start += len(block)


def is_out_of_memory(error: Exception) -> bool:
    """NumPy says so by a type; PyTorch and the libraries of a device, whose errors are RuntimeErrors, by a message."""
    messages = ("not enough memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(text in str(error) for text in messages)

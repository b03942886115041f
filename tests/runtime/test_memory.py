"""Blocks cover all rows, and become smaller where memory does not suffice; freed memory is kept."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from nnrobust.runtime.memory import fitting


@pytest.mark.parametrize("error", [
    MemoryError("too much"), torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    RuntimeError("CUDA error: out of memory"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
])  # fmt: skip
def test_a_block_that_does_not_fit_is_halved_until_it_does(error):
    sizes = []

    def work(rows):
        sizes.append(len(rows))
        if len(rows) > 3:
            raise error
        return rows.sum()

    found = list(fitting(work, np.arange(10), 8))
    assert np.concatenate([block for block, _ in found]).tolist() == list(range(10))
    assert sum(value for _, value in found) == 45
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


def test_one_row_that_does_not_fit_is_an_error_and_others_pass_through():
    def never(rows):
        raise MemoryError("too much")

    def wrong(rows):
        raise RuntimeError("shapes differ")

    with pytest.raises(MemoryError, match="one row at a time"):
        list(fitting(never, np.arange(3), 2))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(fitting(wrong, np.arange(3), 2))


FAULTS = """
import resource
import numpy as np
from nnrobust.runtime.memory import keep_freed_memory

def faults(size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(size, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

counts = [faults(size) for size in (2**24, 2**26)]
print(keep_freed_memory(), *(faults(size) < count / 5 for size, count in zip((2**24, 2**26), counts, strict=True)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux is asked to")
def test_freed_blocks_are_kept_unless_they_are_large():
    asked = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    if asked.stdout.startswith("False"):
        pytest.skip("another C library than glibc")
    assert asked.stdout.split() == ["True", "True", "False"]

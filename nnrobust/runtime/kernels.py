"""Kernels and threads, pinned before libraries are loaded, so that a stage gives the same bytes on other x86-64 processors."""

import os
import platform
from pathlib import Path

import yaml

PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # products of matrices in PyTorch: the one setting that Intel's library keeps on others' processors
    "MKL_DYNAMIC": "FALSE",
    "OPENBLAS_CORETYPE": "Haswell",  # those of NumPy and SciPy
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # exp, log and their like
    "FAISS_SIMD_LEVEL": "AVX2",
    "OMP_NUM_THREADS": "1",  # sums are split by threads
    "MKL_NUM_THREADS": "1",
}
"""Environment of a reproducible stage: what AVX2 gives, on one thread."""


def pin_kernels(params: Path) -> None:
    """Sets `PINNED` for this process and its children, where `compute.reproducible` of the workflow's params is true.

    It has no effect on libraries that are loaded already. A file that cannot be read is left to `read_params`, which says what is
    wrong with it.
    """
    try:
        compute = yaml.safe_load(params.read_bytes())["compute"]
        is_reproducible = compute["reproducible"] is True
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return
    if is_reproducible:
        os.environ.update(PINNED)


def kernels() -> str:
    """What this process computes with on the CPU, for provenance."""
    is_pinned = all(os.environ.get(name) == value for name, value in PINNED.items())
    if is_pinned and platform.machine().lower() in ("x86_64", "amd64"):
        return "of AVX2, one thread: equal bytes on x86-64 processors that have it"
    return "the processor's own: last digits may differ on another"

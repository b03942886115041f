"""Work spread over processes of this machine, each on as many threads as this one."""

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nnrobust.errors import ParamError
from nnrobust.runtime.machine import Local
from nnrobust.runtime.memory import keep_freed_memory
from nnrobust.runtime.process import die_with_parent

_THREADS = Path("/proc/self/task")
_HARMLESS = {"jemalloc_bg_thd"}
"""Native threads that need not be there in a copy: Arrow's allocator locks itself around a fork, and starts its own anew."""


@dataclass(frozen=True)
class Processes:
    """Maps over processes, which are kept for the next map and end with this one; a single item is mapped here.

    They compute with as many threads as this process, so that their results are equal to the bit.
    """

    n_workers: int

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The number of each item and what `work` makes of it, as they are finished.

        Raises:
            ParamError: when a process was killed, as for want of memory.
            Exception: what `work` raises, as it raised it.
        """
        items = list(items)
        if min(len(items), self.n_workers) < 2:
            yield from Local().map(work, items)
            return
        pool, shipped, n_threads = _pool(self.n_workers), pickle.dumps(work), torch.get_num_threads()
        waiting = {pool.submit(_call, shipped, item, n_threads): number for number, item in enumerate(items)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool as error:
            _pool.cache_clear()
            raise ParamError(
                f"compute.n_workers: expected {self.n_workers} processes that go on, got one that was killed, as for want "
                "of memory; run it again, with fewer or a smaller compute.group_size"
            ) from error
        finally:
            for other in waiting:
                other.cancel()


@cache
def _pool(n_workers: int) -> ProcessPoolExecutor:
    started = multiprocessing.get_context(_start_method())
    return ProcessPoolExecutor(n_workers, started, initializer=_begin, initargs=(os.getpid(),))


def _start_method() -> str:
    """`fork` on Linux, which saves each worker the seconds of its imports, while no other thread is there that a copy of this
    process would lack; else `spawn`.
    """
    names = {
        path.read_text(encoding="utf-8").strip()
        for path in _THREADS.glob("*/comm")
        if path.parent.name != str(os.getpid())
    }
    return "fork" if sys.platform == "linux" and names <= _HARMLESS else "spawn"


def _begin(parent: int) -> None:
    die_with_parent(parent)
    keep_freed_memory()


def _call(shipped: bytes, item: Any, n_threads: int) -> Any:
    return on_threads(pickle.loads(shipped), item, n_threads)


def on_threads(work: Callable[[Any], Any], item: Any, n_threads: int) -> Any:
    """What `work` makes of the item in a worker, with this many threads of PyTorch's."""
    torch.set_num_threads(n_threads)
    return work(item)

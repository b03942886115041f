"""Work spread over the workers of a Ray cluster, over all GPUs of one machine, or over its processes."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from nnrobust.errors import ParamError
from nnrobust.runtime.machine import Engine, Local, Machine, machine, precision_of
from nnrobust.runtime.processes import Processes, on_threads
from nnrobust.runtime.store import WorkStore


class Options(Protocol):
    """How to compute, as the block `compute` of params has it."""

    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def group_size(self) -> int: ...
    @property
    def n_streams(self) -> int: ...
    @property
    def engine(self) -> str: ...
    @property
    def n_workers(self) -> int | None: ...
    @property
    def gpus_per_worker(self) -> float: ...
    @property
    def batch_size(self) -> int: ...


MAX_RETRIES = 3
"""How often an item is tried anew when the worker that has it dies."""


@dataclass(frozen=True)
class Ray:
    """Maps over Ray workers, each with `gpus_per_worker` of a GPU (a fraction: several share one; 0: none).

    Ray's own rules say which cluster: that of the environment variable RAY_ADDRESS, else all of this machine. Workers compute
    with as many threads as this process, so that on a CPU their results are equal to the bit. Workers on other machines need
    the same environment, and the folder of the work store at the same path.
    """

    gpus_per_worker: float

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The number of each item and what `work` makes of it, as they are finished.

        Raises:
            ParamError: when Ray is not installed.
            Exception: what `work` raises, as it raised it.
        """
        try:
            import ray
        except ImportError as error:
            raise ParamError(
                "compute.engine: expected the package ray for 'ray', found none; `pip install .[cluster]`, or set it to local"
            ) from error
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        n_threads = torch.get_num_threads()
        # A worker with a GPU is held back by that alone.
        n_cpus = 1 if self.gpus_per_worker else n_threads
        options: dict[str, Any] = {"num_cpus": n_cpus, "num_gpus": self.gpus_per_worker, "max_retries": MAX_RETRIES}
        call, shared = ray.remote(**options)(on_threads), ray.put(work)
        waiting = {call.remote(shared, item, n_threads): number for number, item in enumerate(items)}
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            number = waiting.pop(done)
            try:
                yield number, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                for other in waiting:
                    ray.cancel(other)
                raise error.cause from error


def training_machine(options: Options, store: WorkStore) -> Machine:
    """The machine that networks are trained on, as params describe it.

    Raises:
        ParamError: when workers without a GPU are to use one.
    """
    here = attack_machine(options)
    n_streams = options.n_streams if here.device.type == "cuda" else 1
    return replace(here, n_streams=n_streams, precision=precision_of(options.precision, here.device), store=store)


def attack_machine(options: Options, group_size: int | None = None) -> Machine:
    """The machine that networks are attacked on, as params describe it; `group_size` in place of theirs where given.

    Raises:
        ParamError: when workers without a GPU are to use one.
    """
    here = machine(options.device, group_size or options.group_size, options.batch_size)
    return replace(here, engine=engine_of(options, here.device))


def engine_of(options: Options, device: torch.device) -> Engine:
    """What maps work on a device, as params have it: workers of Ray, processes unless a GPU does the work, or this one.

    Raises:
        ParamError: when workers without a GPU are to use one.
    """
    has_gpu = device.type == "cuda"
    if options.engine == "processes" and not has_gpu:
        return Processes(options.n_workers or os.cpu_count() or 1)
    if options.engine != "ray":
        return Local()
    if has_gpu and not options.gpus_per_worker:
        raise ParamError("compute.gpus_per_worker: expected more than 0 where workers use a GPU, got 0; "
                         "give each worker a part of one, or set compute.device to cpu")  # fmt: skip
    return Ray(options.gpus_per_worker if has_gpu else 0)

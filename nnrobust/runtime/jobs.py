"""Blocks of queries, spread over worker processes as scikit-learn's `n_jobs` says, with a line of progress."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky.process_executor import TerminatedWorkerError

from nnrobust.errors import SolverError
from nnrobust.runtime.progress import Line
from nnrobust.runtime.threads import on_one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")
_PART, _PARTS = 8, 64
"""Items of a part at least, and parts at most: each part is begun anew, which costs some time."""


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], n_jobs: int | None, report: "Report | None" = None
) -> list[Result]:
    """What `work` makes of each item, in their order: here, or in as many processes as joblib takes `n_jobs` for.

    Processes share large arrays, memory-mapped. One thread works on an item, so that results are equal to the bit for every
    `n_jobs`. `report` is told of each item.

    Raises:
        SolverError: when a process was killed.
        Exception: what `work` raises, as it raised it.
    """
    n_workers = min(effective_n_jobs(n_jobs), len(items))
    tell = report.one_more if report else _nothing
    found = []
    if n_workers < 2:
        for item in items:
            found.append(_alone(work, item))
            tell()
        return found
    try:
        for result in Parallel(n_workers, return_as="generator")(delayed(_alone)(work, item) for item in items):
            found.append(result)
            tell()
    except TerminatedWorkerError as error:
        raise SolverError(f"n_jobs: expected {n_workers} processes that go on, got one that was killed, as for want of memory; "
                          "give fewer, or less working_memory") from error  # fmt: skip
    return found


def checked_in_parts(
    work: Callable[[list[Item]], np.ndarray], items: list[Item], n_jobs: int | None, verbose: int
) -> np.ndarray:
    """What `work` says of items (n,), of all together, or of parts where there are several processes or progress is shown."""
    is_whole = n_jobs in (None, 1) and not verbose
    n_parts = 1 if is_whole else max(1, min(len(items) // _PART, _PARTS))
    parts = [[items[n] for n in rows] for rows in np.array_split(np.arange(len(items)), n_parts)]
    return np.concatenate(spread(work, parts, n_jobs, Report.of(verbose, "verify", n_parts)))


@on_one_thread
def _alone(work: Callable[[Item], Result], item: Item) -> Result:
    return work(item)


class Lazily(Sequence[Item]):
    """Items that are made when their turn comes, as all at once would take too much memory: `make` of each of `keys`."""

    def __init__(self, make: Callable[[Any], Item], keys: Sequence[Any]) -> None:
        self._make, self._keys = make, keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return Lazily(self._make, self._keys[number])
        return self._make(self._keys[number])


def _nothing() -> None:
    """What is told of an item unless somebody asks."""


class Report:
    """Says on standard error how many blocks are done, and how long the others may take."""

    def __init__(self, name: str, n_items: int) -> None:
        self.name, self.n_items, self.n_done, self.line = name, n_items, 0, Line()

    @classmethod
    def of(cls, verbose: Any, name: str, n_items: int) -> "Report | None":
        """One for `verbose` other than 0."""
        return cls(name, n_items) if verbose else None

    def one_more(self) -> None:
        """Says that one more is done, unless something was said a moment ago."""
        self.n_done += 1
        self.line.say(partial(self.line.share, self.name, self.n_done, self.n_items), self.n_done == self.n_items)

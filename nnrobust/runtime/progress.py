"""Progress of long loops: a bar on a terminal, plain lines elsewhere, nothing unless a stage asks for it."""

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[Collection[T], str], Iterable[T]]
SECONDS_BETWEEN_LINES = 15.0


def silent(items: Collection[T], description: str) -> Iterable[T]:
    """`items` as they are: the default of library functions."""
    return items


def shown(items: Collection[T], description: str) -> Iterable[T]:
    """`items`, with what is done, how many of how many, and the time left, on standard error."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        return tqdm(items, desc=description, dynamic_ncols=True)
    return _lines(items, description)


def _lines(items: Collection[T], description: str) -> Iterator[T]:
    start = last = time.monotonic()
    total = len(items)
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            left = (now - start) / done * (total - done)
            print(f"{description}: {done}/{total}, {now - start:.0f} s, {left:.0f} s left", file=sys.stderr, flush=True)
            last = now

"""Progress of long loops: a bar on a terminal, plain lines elsewhere, nothing unless a stage asks for it."""

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[Collection[T], str], Iterable[T]]
_SECONDS_BETWEEN_LINES, _SECONDS_ON_TERMINAL = 15.0, 0.2
_WIDTH = 78
"""Characters of a line on a terminal, which overwrites the one before."""


def silent(items: Collection[T], description: str) -> Iterable[T]:
    """`items` as they are: the default of library functions."""
    return items


def shown(items: Collection[T], description: str) -> Iterable[T]:
    """`items`, with what is done, how many of how many, and the time left, on standard error."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # without its thread, worker processes can be forked
        return tqdm(items, desc=description, dynamic_ncols=True)
    return _lines(items, description)


def _lines(items: Collection[T], description: str) -> Iterator[T]:
    line = Line()
    for done, item in enumerate(items, start=1):
        yield item
        line.say(partial(line.share, description, done, len(items)), is_last=done == len(items))


class Line:
    """A line on standard error for work that is no loop: it changes on a terminal; elsewhere a new one comes now and then."""

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.start = self.last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self.start

    def share(self, description: str, done: int, total: int) -> str:
        """What is done of how much, in which time, and how long the rest takes at that rate."""
        left = self.seconds / done * (total - done)
        return f"{description}: {done}/{total}, {self.seconds:.0f} s, {left:.0f} s left"

    def say(self, text: Callable[[], str], is_last: bool = False) -> None:
        """Writes the text, unless something was said a moment ago and this is not the last."""
        now, pause = time.monotonic(), _SECONDS_ON_TERMINAL if self.is_terminal else _SECONDS_BETWEEN_LINES
        if now - self.last < pause and not is_last:
            return
        self.last = now
        end = "" if self.is_terminal and not is_last else "\n"
        print(f"\r{text():<{_WIDTH}}" if self.is_terminal else text(), end=end, file=sys.stderr, flush=True)

"""Functions that travel to workers, which import them by name."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from nnrobust.errors import TrainingError
from nnrobust.nearest.dataset.by_class import Work


def square(x):
    return x * x


def killed_once(marker, x):
    if x == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return -x


@dataclass(frozen=True)
class KilledOnce(Work):
    """The bounds of a part, in a process that is killed at the first part that any has, if nothing marks that one was."""

    marker: Path = Path()

    def __call__(self, part):
        if not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(part)


def refused(x):
    raise TrainingError(f"expected nothing, got {x}")


def in_which_process(_):
    import time

    time.sleep(0.5)
    return os.getpid()

"""Work for processes, which import it by its name."""

import os
import signal

import numpy as np

from nnrobust.errors import DataError


def doubled(item):
    return 2 * item


def refused(item):
    raise DataError(f"item: expected another, got {item}")


def killed(item):
    os.kill(os.getpid(), signal.SIGKILL)


def are_odd(items):
    return np.array(items) % 2 == 1

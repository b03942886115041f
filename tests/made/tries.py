"""How often tests try things at random, and which things: NNROBUST_TRIES says how often, where the usual number is not enough."""

import os

from hypothesis import HealthCheck, settings


def n_tries(usual):
    return int(os.environ.get("NNROBUST_TRIES", usual))


def tries(usual):
    """Hypothesis' settings: the same examples in every run; with NNROBUST_TRIES as many as it says, and others each time.

    The deadline of an example, in milliseconds by the clock, is for what hangs, on a machine that does other work too.
    """
    is_usual = "NNROBUST_TRIES" not in os.environ
    return settings(
        max_examples=n_tries(usual), derandomize=is_usual, database=None, deadline=20_000, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

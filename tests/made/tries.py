"""How often a test that tries things at random does so: NNROBUST_TRIES says it, where the usual number is not enough."""

import os


def n_tries(usual):
    return int(os.environ.get("NNROBUST_TRIES", usual))

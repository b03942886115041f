"""Of tests that import a script into this process."""

import os
from unittest.mock import patch

import pytest


@pytest.fixture(autouse=True)
def own_environment():
    """Leaves the environment as it was: `publish.py` pins kernels in it, which processes of later tests would compute with."""
    with patch.dict(os.environ):
        yield

"""How many threads the linear algebra of NumPy takes."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager:
    """A context in which products and solutions take one thread: of small matrices more threads cost many times the time.

    The number from before is there again afterwards, also after an error.
    """
    found: AbstractContextManager = _controller().limit(limits=1, user_api="blas")
    return found

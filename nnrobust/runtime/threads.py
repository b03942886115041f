"""How many threads the linear algebra of NumPy takes."""

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def on_one_thread(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, during which products and solutions of NumPy and SciPy take one thread.

    Many small matrices, and products with few rows, take two threads several times the processor time of one. The number from
    before is there again afterwards, also after an error.
    """

    @wraps(work)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _controller().limit(limits=1, user_api="blas"):
            return work(*args, **kwargs)

    return limited

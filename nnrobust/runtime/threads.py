"""How many threads the linear algebra of NumPy takes."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Of the libraries that are loaded; looked for anew where more modules, and so perhaps libraries, are there than before."""
    return ThreadpoolController()


def on_one_thread(work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, during which products and solutions of NumPy and SciPy take one thread.

    Many small matrices, and products with few rows, take two threads several times the processor time of one. The number from
    before is there again afterwards, also after an error.
    """

    @wraps(work)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _controller(len(sys.modules)).limit(limits=1, user_api="blas"):
            return work(*args, **kwargs)

    return limited


def n_threads() -> int:
    """How many threads a product takes here."""
    return max(
        (one["num_threads"] for one in _controller(len(sys.modules)).info() if one["user_api"] == "blas"), default=1
    )


@on_one_thread
def in_threads(work: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """`work` on all parts side by side, a thread each, so that what comes between products is shared as they are.

    Raises:
        Exception: what `work` raises on the first part on which it does.
    """
    with ThreadPoolExecutor(len(parts)) as threads:
        list(threads.map(work, parts))

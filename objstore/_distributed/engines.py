"""What carries work out, seen as an executor of ``concurrent.futures``.

Process pools, loky, mpi4py and ipyparallel are such executors themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


class HasExecutor(Protocol):
    """Something that gives an executor over what it has: Dask's Client.

    Source: https://distributed.dask.org/en/stable/asynchronous.html
    """

    def get_executor(self) -> Executor:
        """Return it."""


ExecutorInput: TypeAlias = Executor | HasExecutor | Callable[[], Executor | HasExecutor]


def is_executor(given: object) -> bool:
    """Tell whether something is an executor or has one, and is no function that makes it: nor a class of them.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(given, type) and (hasattr(given, "submit") or hasattr(given, "get_executor")):
        return True
    if not callable(given):
        raise TypeError(
            f"executor = {given!r}: give what has submit(), as executors of concurrent.futures, Dask's Client and "
            "ipyparallel's client.executor(), or a function that makes one"
        )
    return False


def executor_of(given: Any) -> Executor:
    """Return something as an executor: the futures of Dask's Client are of another kind, those of its executor not."""
    executor: Executor = given.get_executor() if hasattr(given, "get_executor") else given
    return executor


class RayExecutor(Executor):
    """Ray's tasks as an executor: Ray gives out again what a lost worker had.

    Args:
        options: As of ``ray.remote``: ``num_cpus``, ``max_retries``, and so on.

    Source: https://docs.ray.io/en/latest/ray-core/api/doc/ray.remote.html
    """

    def __init__(self, **options: Any) -> None:
        import ray

        self._task: Any = ray.remote(**options)(_call) if options else ray.remote(_call)

    def submit(self, function: Callable[..., T], /, *arguments: Any, **keywords: Any) -> Future[T]:
        """Have a task carry a function out."""
        future: Future[T] = self._task.remote(function, arguments, keywords).future()
        return future


def _call(function: Callable[..., T], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> T:
    return function(*arguments, **keywords)

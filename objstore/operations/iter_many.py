"""Many objects and ranges as they come, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from objstore.operations.arguments import check_at_least
from objstore.operations.get_many import all_of
from objstore.operations.outcomes import OnError, check_on_error, in_flight_of
from objstore.operations.progress import news, tell
from objstore.operations.requested import read_requests
from objstore.operations.rest import Rests
from objstore.plans.run import arun, run

if TYPE_CHECKING:
    from objstore._core import Bytes
    from objstore.exceptions import BaseError
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Reads
    from objstore.plans.effects import Plan
    from objstore.types import Progress, Request

WINDOW = 256 << 20

ResultT = TypeVar("ResultT", covariant=True)


class ManyResults(Generic[ResultT]):
    """The results of many reads, as they come: ``(index, bytes)``, or ``(index, error)`` where errors are returned.

    Iterate it synchronously or asynchronously. Dropped early, it ends what is under way.
    """

    def __init__(
        self,
        store: BaseStore,
        reads: Reads,
        on_error: OnError,
        in_flight: int,
        window: int,
        progress: Progress | None,
    ) -> None:
        self._store = store
        self._reads = reads
        self._on_error = on_error
        self._in_flight = in_flight
        self._window = window
        self._progress = progress
        self._fetch: Fetch | None = None
        self._rests: Rests | None = None
        self._ready: list[int] = []
        self._begun: deque[int] = deque()
        self._failed: list[int] = []
        self._told: set[int] = set()
        self._closed = False

    def _next(self) -> Plan[tuple[int, Any] | None]:
        fetch, rests = yield from self._begin()
        if self._closed and not fetch.over:
            raise ValueError("These results have been closed: call iter_many again")
        while not (self._ready or self._failed):
            over = fetch.over  # asked first: what ends after this is among the finished of the next round
            tell(fetch, rests.progress)
            self._look(fetch)
            if self._ready or self._failed:
                break
            if self._begun:
                return (yield from self._large(fetch, rests, self._begun.popleft()))
            if over:
                return None
            yield from news(fetch, rests.progress)
        if self._failed:
            return self._failure(fetch, self._failed.pop())
        index = self._ready.pop()
        return index, fetch.take(index)

    def _begin(self) -> Plan[tuple[Fetch, Rests]]:
        """Return the reads, under way, and what reads the rests of large ones."""
        if self._fetch is None or self._rests is None:
            self._fetch = yield from self._store.provider.fetch(
                self._reads, most_in_flight=self._in_flight, each=True, window=self._window, beginnings=True
            )
            self._rests = Rests(self._store, self._reads, self._fetch, self._in_flight, self._progress)
        return self._fetch, self._rests

    def _look(self, fetch: Fetch) -> None:
        """Note what has come since the last time: what is small, in the order to pop it, and what has but begun."""
        finished = fetch.finished()
        if fetch.cuts:
            self._begun += [index for index in finished if fetch.rest(index) is not None]
            finished = [index for index in finished if fetch.rest(index) is None]
        self._ready = finished[::-1]
        self._failed = [index for index in fetch.errors if index not in self._told]
        self._told.update(self._failed)

    def _large(self, fetch: Fetch, rests: Rests, index: int) -> Plan[tuple[int, Any]]:
        """Read what is behind a beginning now that it is waited for: of any size, beside what fills the window."""
        meta = fetch.rest(index)
        assert meta is not None
        sums = fetch.sums(index)
        return index, (yield from all_of(rests, index, fetch.take(index), meta, sums, self._on_error))

    def _failure(self, fetch: Fetch, index: int) -> tuple[int, BaseError]:
        if self._on_error == "raise":
            raise fetch.errors[index]
        return index, fetch.errors[index]

    def close(self) -> None:
        """End what is under way."""
        self._closed = True
        if self._fetch is not None:
            self._fetch.close()

    def __iter__(self) -> Iterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while (result := run(self._next())) is not None:
                yield result
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while (result := await arun(self._next())) is not None:
                yield result
        finally:
            self.close()


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> ManyResults[Bytes]: ...


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> ManyResults[Bytes | BaseError]: ...


def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> ManyResults[Any]:
    """Get many objects or ranges, and give each as soon as it has come, in bounded memory.

    Args:
        store: Where they are.
        requests: A path each, or ``(path, start, end)`` in bytes; an `end` of None is the end of the object.
        on_error: ``"raise"``: the first error ends the iteration. ``"return"``: it comes in the place of the bytes.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        window: How many bytes may be in flight or have come and not been taken. Of what is larger than its share, the
            rest is read when it is waited for, beside the window.
        progress: Is called, while results are waited for, with how many requests are done, how many there are, and the
            bytes received.

    Returns:
        An iterable, and async iterable, of ``(index of the request, bytes)``.
    """
    check_on_error(on_error)
    check_at_least("window", window, 1)
    reads, in_flight = read_requests(store, requests), in_flight_of(max_concurrency)
    return ManyResults(store, reads, on_error, in_flight, window, progress)

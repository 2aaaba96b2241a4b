"""Many objects and ranges as they come, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from objstore.exceptions import BaseError
from objstore.operations.arguments import check_at_least
from objstore.operations.bars import called, end, shown
from objstore.operations.get_many import all_of
from objstore.operations.outcomes import OnError, check_on_error, in_flight_of, numbered
from objstore.operations.progress import news, onward, tell
from objstore.operations.requested import Asked
from objstore.operations.rest import Rests
from objstore.plans.run import arun, run

if TYPE_CHECKING:
    from objstore._core import Bytes
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import Progress, Request

WINDOW = 256 << 20

ResultT = TypeVar("ResultT", covariant=True)


class _Arriving:
    """Some of many reads, under way.

    Args:
        fetch: The reads.
        rests: Reads what is behind the beginnings of large ones.
        before: How many requests of the call came before these.
        checked: Whether some are to be of one version each.
    """

    def __init__(self, fetch: Fetch, rests: Rests, before: int, *, checked: bool) -> None:
        self.fetch = fetch
        self.before = before
        self._rests = rests
        self._is_checked = checked
        self._ready: list[int] = []
        self._begun: deque[int] = deque()
        self._failed: list[int] = []
        self._told: set[int] = set()

    def next(self) -> Plan[tuple[int, Bytes | BaseError] | None]:
        """Return the next that has come or failed, and which it is; None at the end."""
        fetch = self.fetch
        while not (self._ready or self._failed):
            over = fetch.over  # asked first: what ends after this is among the finished of the next round
            tell(fetch, self._rests.progress)
            self._look()
            if self._ready or self._failed:
                break
            if self._begun:
                return (yield from self._all_of(self._begun.popleft()))
            if over:
                return None
            yield from news(fetch, self._rests.progress)
        if self._failed:
            index = self._failed.pop()
            return index, numbered(fetch.errors[index], index)
        index = self._ready.pop()
        return (yield from self._all_of(index)) if self._is_checked else (index, fetch.take(index))

    def _look(self) -> None:
        """Note what has come since the last time: what is done, in the order to pop it, and what is not."""
        fetch = self.fetch
        finished = fetch.finished()
        if fetch.cuts or fetch.of_parts:
            begun = {index for index in finished if fetch.rest(index) is not None or fetch.whole(index) is not None}
            self._begun += [index for index in finished if index in begun]
            finished = [index for index in finished if index not in begun]
        self._ready = finished[::-1]
        self._failed = [index for index in fetch.errors if index not in self._told]
        self._told.update(self._failed)

    def _all_of(self, index: int) -> Plan[tuple[int, Bytes | BaseError]]:
        """Return what has come; what is behind a beginning is read now: of any size, beside what fills the window."""
        try:
            return index, (yield from all_of(self.fetch, self._rests, index))
        except BaseError as error:
            return index, numbered(error, index)


class ManyResults(Generic[ResultT]):
    """The results of many reads, as they come: ``(index, bytes)``, or ``(index, error)`` where errors are returned.

    Iterate it synchronously or asynchronously. Dropped early, it ends what is under way.
    """

    def __init__(
        self,
        store: BaseStore,
        asked: Asked,
        on_error: OnError,
        in_flight: int,
        window: int,
        progress: Progress | None,
    ) -> None:
        self._store = store
        self._asked = asked
        self._on_error = on_error
        self._in_flight = in_flight
        self._window = window
        self._told = progress
        self._arriving: _Arriving | None = None
        self._found: tuple[int, Any] | None = None
        self._closed = False
        self._done = self._size = 0

    @shown
    def _look(self) -> Plan[bool]:
        """Find the next one; return whether there is one."""
        self._found = yield from self._next()
        return self._found is not None

    def _taken(self) -> Any:
        """Return what was found, and keep nothing of it: the next one may need the room."""
        found, self._found = self._found, None
        return found

    def _next(self) -> Plan[tuple[int, Any] | None]:
        while (arriving := self._arriving) is not None or not self._asked.over:
            if self._closed and (arriving is None or not arriving.fetch.over):
                raise ValueError("These results have been closed: call iter_many again")
            if arriving is None:
                arriving = self._arriving = yield from self._begin()
            found = yield from arriving.next()
            if found is not None:
                return self._given(arriving, *found)
            self._end(arriving)
        return None

    def _begin(self) -> Plan[_Arriving]:
        """Begin the next reads."""
        reads = yield from self._asked.next()
        fetch = yield from self._store.provider.fetch(
            reads, most_in_flight=self._in_flight, each=True, window=self._window, beginnings=True
        )
        told = onward(self._told, self._done, self._size)
        rests = Rests(self._store, reads, fetch, self._in_flight, told)
        return _Arriving(fetch, rests, self._done, checked=reads.e_tags is not None)

    def _given(self, arriving: _Arriving, index: int, result: Bytes | BaseError) -> tuple[int, Bytes | BaseError]:
        """Return a result, or raise it."""
        if isinstance(result, BaseError):
            result.index = arriving.before + index
            if self._on_error == "raise":
                raise result
        return arriving.before + index, result

    def _end(self, arriving: _Arriving) -> None:
        """Let go of reads that are done."""
        self._done += arriving.fetch.total
        self._size += arriving.fetch.bytes_received
        arriving.fetch.close()
        self._arriving = None

    def close(self) -> None:
        """End what is under way."""
        self._closed = True
        if self._arriving is not None:
            self._arriving.fetch.close()
        end(self._told)

    def __iter__(self) -> Iterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while run(self._look()):
                yield self._taken()
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while await arun(self._look()):
                yield self._taken()
        finally:
            self.close()


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Bytes]: ...


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Bytes | BaseError]: ...


def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Any]:
    """Get many objects or ranges, and give each as soon as it has come, in bounded memory.

    Each request is a read of its own, as with `get_many`: ranges of one object are not compared with each other, nor
    with the checksum of the whole.

    Args:
        store: Where they are.
        requests: A path each, ``(path, start, end)`` or ``(path, start, end, e_tag)``, as of `get_many`. An iterator is
            read as its requests are sent, some thousands at a time.
        out: Where to put the bytes, as of `get_many`; an iterator is then read first. Without, memory of their own.
        on_error: ``"raise"``: the first error ends the iteration. ``"return"``: it comes in the place of the bytes.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        window: How many bytes may be in flight or have come and not been taken. Of what is larger than its share, the
            rest is read when it is waited for, beside the window.
        progress: True draws a bar; a function is called, while results are waited for, with how many requests are done,
            how many there are, and the bytes received.

    Returns:
        An iterable, and async iterable, of ``(index of the request, bytes)``.
    """
    check_on_error(on_error)
    check_at_least("window", window, 1)
    in_flight, asked = in_flight_of(max_concurrency), Asked(store, requests, out)
    return ManyResults(store, asked, on_error, in_flight, window, called(progress, "iter_many"))

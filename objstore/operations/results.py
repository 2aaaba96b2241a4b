"""What reads and listings give back: a result whose body may still be on its way, and streams of chunks and pages.

Each is sync and async at once: iterate it in either way, or call the method or its ``_async`` twin.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from objstore._core import Buffer, Bytes, Listing
from objstore.disk.held import Held
from objstore.interface.values import FIRST, Fetched, Range
from objstore.interface.versions import can_pin, pinned
from objstore.operations.ahead import LEAST_FIRST, READ_AHEAD
from objstore.operations.arguments import check_at_least
from objstore.operations.bars import end, shown
from objstore.operations.following import Following, flows_for, following
from objstore.operations.pieces import MOST_PIECES, is_cut_anew, parts_of, read_into, told_of, whole_of
from objstore.operations.progress import Found, onward
from objstore.plans.run import arun, both, run

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Self

    from arro3.core import RecordBatch  # noqa: F401

    from objstore.interface.provider import Provider
    from objstore.operations.formats import Form
    from objstore.operations.sums import Whole
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, ObjectMeta, Progress

T = TypeVar("T")

PART = 2 << 20
"""What one request of a stream brings, so that a slow reader holds little, and memory serves again. It is also the
least that one of any other large read does."""

LARGEST_PART = 10 << 20
"""How much one request brings of what is large."""


def part_size(size: int, most: int) -> int:
    """Return how much of so many bytes one request brings, which may bring no more than `most`."""
    return min(max(size // MOST_PIECES, PART), LARGEST_PART, most)


class GetResult:
    """The answer to a `get`: metadata, and a body that can be read once.

    A body of up to 4 MiB is here already. Of a larger one the beginning is, less of it where it comes slowly; the rest
    is fetched when it is read, as parallel ranges of the same version of the object: if it has been replaced meanwhile,
    reading raises ObjectChangedError. Where a server names no strong ETag, and no time that is a minute old, nothing
    would show that for sure: then all of it is read again, by one request, which a stream holds little of. Where the
    service tells the checksum of the object, all of it is compared with that before it is here as a whole, or in front
    of the last chunk.

    Attributes:
        meta: Path, size, time and ETag of the whole object.
        attributes: What was stored with it.
        range: Which bytes of the object the body is, half-open.
    """

    def __init__(
        self,
        provider: Provider,
        key: str,
        meta: ObjectMeta,
        first: Fetched,
        range: tuple[int, int],
        version: str | None,
        progress: Progress | None,
        read_ahead: int | None = None,
    ) -> None:
        self.meta = meta
        self.attributes: Attributes = first.attributes
        self.range = range
        self._provider = provider
        self._key = key
        self._conditions = pinned(first.seen, version)
        self._read_ahead = READ_AHEAD if read_ahead is None else read_ahead
        self._sums, self._is_told = first.sums, first.told
        is_whole = len(first.body) >= range[1] - range[0]
        self._first: Bytes | None = first.body if is_whole or can_pin(first.seen) else Bytes()
        here = len(self._first)
        self._held: object = None  # what counts the bytes that are here
        if not is_whole or here > FIRST:
            self._held = Held(here) if first.whole is None else first.whole
        self._told = progress
        self._progress = onward(progress, 1, here)
        if self._progress is not None:
            self._progress(0, len(parts_of(range[0] + here, range[1], self._part_size)), 0)

    def __repr__(self) -> str:
        """Return the path, the size and the range."""
        return f"GetResult(path={self.meta['path']!r}, size={self.meta['size']}, range={self.range})"

    @property
    def _part_size(self) -> int:
        """How much of what is not here one request brings, in bytes."""
        size, expected = self.range[1] - self.range[0], self._conditions.expected
        assert expected is not None
        if flows_for(self._provider, self._key, expected) is None:
            return part_size(size, self._provider.most_compared)
        return max(size, 1)

    def _consume(self) -> Bytes:
        """Return what is here, once."""
        first, self._first = self._first, None
        if first is None:
            raise ValueError("The body of this result has been read already: get the object again")
        return first

    def _take_held(self) -> object:
        """Return what counts the bytes that are here, and have it no more."""
        held, self._held = self._held, None
        return held

    @shown
    def _bytes(self) -> Plan[Bytes]:
        """Return the whole body, as one buffer that nobody copied."""
        first = self._consume()
        self._take_held()
        start, end = self.range
        sum_of_all = yield from self._whole(first)
        if sum_of_all is not None and (yield from self.is_cut_anew(sum_of_all)):
            sum_of_all.add(0, sum_of_all.digest(0, first, None))
        if sum_of_all is not None and sum_of_all.is_damaged:
            sum_of_all.forget()
            first = Bytes()
        elif len(first) >= end - start:
            return first
        buffer, whole = Buffer.allocate(end - start)
        memoryview(buffer)[: len(first)] = first
        yield from read_into(
            self._provider,
            self._key,
            start,
            buffer,
            len(first),
            self._part_size,
            self._conditions,
            self.meta["path"],
            self._progress,
            sum_of_all,
        )
        return whole

    bytes, bytes_async = both(_bytes)
    buffer, buffer_async = bytes, bytes_async

    def _whole(self, first: Bytes) -> Plan[Whole | None]:
        """Return what the pieces are to add up to, where they are all of the object and its checksum is known."""
        if self.range != (0, self.meta["size"]) or not self.meta["size"]:
            return None
        path = self.meta["path"]
        if self._is_told:
            whole = yield from told_of(self._provider, self._key, path, self._conditions, self._sums)
        else:
            whole = yield from whole_of(self._provider, self._key, path, self._conditions, self._sums)
        if whole is not None and len(first):
            whole.add(0, whole.digest(0, first, self._sums))
        return whole

    def _following(self, start: int, size: int) -> Following:
        """Return what is not here, in parts of one version of the object."""
        path, span = self.meta["path"], Range(start, self.range[1])
        return following(
            self._provider, self._key, path, self._conditions, span, size, self._read_ahead, self._progress
        )

    def is_cut_anew(self, whole: Whole) -> Plan[bool]:
        """Tell whether the object is made of other parts than it was added up by."""
        return is_cut_anew(self._provider, self._key, self._conditions, whole)

    def stream(self, min_chunk_size: int = PART) -> BytesStream:
        """Return the body as a stream of chunks, in bounded memory: what its reader takes while more comes.

        Args:
            min_chunk_size: The least size of every chunk but the last, in bytes.

        Raises:
            ValueError: The body has been read already, or the size is negative.
        """
        least = check_at_least("min_chunk_size", min_chunk_size, 0)
        return BytesStream(self, self._consume(), max(least, 1))

    def _streamed(self, least: int, read_ahead: int) -> BytesStream:
        """Return the body as a stream that fetches so many bytes at the most before they are asked for."""
        self._read_ahead = read_ahead
        return self.stream(least)

    def __iter__(self) -> Iterator[builtins.bytes]:
        """Iterate over the body in chunks."""
        return iter(self.stream())

    def __aiter__(self) -> AsyncIterator[builtins.bytes]:
        """Iterate over the body in chunks."""
        return aiter(self.stream())


class Stream(Generic[T]):
    """What comes one after the other. Iterate it synchronously or asynchronously, even in turns.

    A subclass says in `next_item` how the next one is got.
    """

    def next_item(self) -> Plan[T | None]:
        """Return the next one; None at the end."""
        raise NotImplementedError

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next one."""
        item = run(self.next_item())
        if item is None:
            raise StopIteration
        return item

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Return the next one."""
        item = await arun(self.next_item())
        if item is None:
            raise StopAsyncIteration
        return item


class BytesStream(Stream[bytes]):
    """The chunks of a body, in order: ``bytes`` of Python, as web frameworks and the like insist on."""

    def __init__(self, result: GetResult, first: Bytes, least: int) -> None:
        self._result = result
        self._told = result._told
        self._least = least
        part_size = max(PART, least)
        held = result._take_held()
        if len(first) <= LEAST_FIRST and len(first) < result.range[1] - result.range[0]:
            first, held = Bytes(), None  # read again, so that chunks are of one size, however short memory was
        self._here = deque(first[at : at + part_size] for at in range(0, len(first), part_size))
        self._rest = result._following(result.range[0] + len(first), part_size)
        self._first = first
        self._held = held
        self._whole: Whole | None = None
        self._asked = self._closed = False

    def next_item(self) -> Plan[bytes | None]:
        """Return the next chunk; None at the end."""
        return b"".join((yield from self.next_pieces())) or None

    @shown
    def next_pieces(self) -> Plan[list[Bytes]]:
        """Return what makes up the next chunk, without a copy; nothing at the end."""
        while sum(map(len, self._here)) < self._least and self._rest.at < self._rest.end:
            self._here.append((yield from self._part()))
        if len(self._first) and self._rest.at == self._rest.end:
            yield from self._ask()
        if self._whole is not None:
            yield from self._result.is_cut_anew(self._whole)  # if so, what has been given cannot be added up again
            self._whole.check()
        pieces: list[Bytes] = []
        while self._here and sum(map(len, pieces)) < self._least:
            pieces.append(self._here.popleft())
        if not self._here:
            self._held = None
        return pieces

    def _part(self) -> Plan[Bytes]:
        """Return the next part, waiting for it."""
        if self._closed:
            raise ValueError("This stream has been closed: get the object again")
        if not self._asked:
            yield from self._ask()
        return (yield from self._rest.part(self._whole))

    def _ask(self) -> Plan[None]:
        """Find out what all of it is to add up to, once."""
        self._asked = True
        self._whole, self._first = (yield from self._result._whole(self._first)), Bytes()

    def close(self) -> None:
        """Stop what is still under way."""
        self._closed = True
        self._here.clear()
        self._held = None
        self._rest.close()
        end(self._told)


class Rows(NamedTuple):
    """The rows of a page that belong to a listing: its first `size`."""

    page: Listing
    size: int


class ListStream(Stream[T]):
    """The pages of a listing. Iterate them, or collect the rest."""

    def __init__(
        self,
        pages: Callable[[], Plan[Rows | None]],
        prefix: str,
        chunk: int,
        form: Form[T, Any],
        progress: Progress | None = None,
    ) -> None:
        self._pages = pages
        self._told = progress
        self._found = Found(progress)
        self._prefix = prefix
        self._chunk = max(chunk, 1)
        self._form = form
        self._rows = Rows(Listing.of(()), 0)
        self._at = 0
        self._pieces: list[T] = []
        self._missing = self._chunk

    @shown
    def _take(self, most: int) -> Plan[int]:
        """Add up to so many objects to the pieces, of one page; return how many, 0 where the listing ends."""
        while self._at == self._rows.size:
            rows = yield from self._pages()
            if rows is None:
                return 0
            self._rows, self._at = rows, 0
            self._found.add(rows.size)
        start, self._at = self._at, min(self._at + most, self._rows.size)
        self._pieces.append(self._form.cut(self._rows.page, self._prefix, start, self._at))
        return self._at - start

    def _taken(self) -> list[T]:
        pieces, self._pieces = self._pieces, []
        self._missing = self._chunk
        return pieces

    def next_item(self) -> Plan[T | None]:
        """Return the next page; None at the end."""
        taken = 1
        while self._missing > 0 and taken:
            taken = yield from self._take(self._missing)
            self._missing -= taken
        pieces = self._taken()
        return self._form.join(pieces) if pieces else None

    def _rest(self) -> Plan[list[T]]:
        """Return all that is left of the listing, in pieces."""
        while (yield from self._take(sys.maxsize)):
            pass
        return self._taken()

    def _collect(self) -> Plan[T]:
        """Return all that is left of the listing, as one page."""
        return self._form.join((yield from self._rest()))

    collect, collect_async = both(_collect)


class ArrowListStream(ListStream["RecordBatch"]):
    """A listing as Arrow record batches; what reads Arrow streams can take it as it is, as one table."""

    def __arrow_c_schema__(self) -> object:
        """Return the schema of the listing by the Arrow PyCapsule interface."""
        return Listing.of(()).arrow().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return what is left of the listing by the Arrow PyCapsule interface."""
        return self._form.gather(run(self._rest())).__arrow_c_stream__(requested_schema)

"""Which bytes of which objects there are to read, as callers tell it, and how they are cut into pieces by size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from objstore.operations.arguments import check_at_least

AT_A_TIME = 1000
"""How many objects are planned at a time."""

MOST_SLICES = 10_000
"""How many objects a piece has at the most, however small they are: it is to stay small itself."""

UNKNOWN = -1
"""The size of an object that nobody has told."""


class Slice(NamedTuple):
    """Some bytes of an object.

    Attributes:
        path: Its path.
        start: The first byte.
        end: Behind the last byte.
        e_tag: The ETag of the version that is meant; None: nobody knows it.
        size: The size of the object; -1: nobody knows it.
    """

    path: str
    start: int
    end: int
    e_tag: str | None = None
    size: int = UNKNOWN


# --- what there is to read


def in_groups(slices: Iterator[Slice]) -> Iterator[list[Slice]]:
    while group := [each for _, each in zip(range(AT_A_TIME), slices, strict=False)]:
        yield group


def given(requests: Any) -> Iterator[Slice]:
    if hasattr(requests, "__arrow_c_stream__") or hasattr(requests, "__arrow_c_array__"):
        return _of_arrow(requests)
    return map(_of_request, requests)


def _of_request(request: Any) -> Slice:
    if isinstance(request, Slice):
        return request
    if isinstance(request, Mapping):
        return of_meta(request)
    if isinstance(request, tuple) and len(request) == 2:
        return Slice(request[0], 0, check_at_least("size", request[1], 0), None, request[1])
    if isinstance(request, tuple) and len(request) == 3:
        path, start, end = request
        start = check_at_least("start", start, 0)
        return Slice(path, start, check_at_least("end", end, start + 1))
    raise ValueError(
        f"{request!r} tells no size: give what list or head_many returns, (path, size), or (path, start, end)"
    )


def of_meta(meta: Mapping[str, Any]) -> Slice:
    return Slice(meta["path"], 0, meta["size"], meta["e_tag"], meta["size"])


def _of_arrow(data: Any) -> Iterator[Slice]:
    for batch in _batches(data):
        for start in range(0, batch.num_rows, AT_A_TIME):
            some = batch.slice(start, min(AT_A_TIME, batch.num_rows - start))
            names = [name for name in _COLUMNS if name in some.schema.names]
            yield from _rows({name: some.column(name).to_pylist() for name in names}, some.num_rows)


def _batches(data: Any) -> Iterator[Any]:
    """Yield the batches of Arrow data, of a stream one after the other."""
    from arro3.core import RecordBatch, RecordBatchReader

    if hasattr(data, "__arrow_c_stream__"):
        yield from RecordBatchReader.from_arrow(data)
    else:
        yield RecordBatch.from_arrow(data)


_COLUMNS = ("path", "size", "offset", "length", "e_tag")


def _rows(columns: dict[str, list[Any]], count: int) -> Iterator[Slice]:
    nothing = [None] * count
    for name in ("path", *(() if "size" in columns else ("offset", "length"))):
        if name not in columns:
            raise ValueError(f"the table has no column {name!r}: it needs path, and size or offset and length")
    sizes, offsets, lengths = (columns.get(name, nothing) for name in ("size", "offset", "length"))
    for path, size, offset, length, e_tag in zip(
        columns["path"], sizes, offsets, lengths, columns.get("e_tag", nothing), strict=True
    ):
        start = 0 if offset is None else check_at_least("offset", offset, 0)
        end = size if length is None else start + check_at_least("length", length, 1)
        yield Slice(path, start, check_at_least("size", end, start), e_tag, UNKNOWN if size is None else size)


# --- into pieces


class Cutter:
    """Puts slices together to pieces of a size.

    Args:
        most: How many bytes a piece has at the most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._piece: list[Slice] = []
        self._size = 0

    def add(self, slices: Iterable[Slice]) -> Iterator[tuple[Slice, ...]]:
        """Take some more slices; yield the pieces that they fill."""
        for each in slices:
            yield from self._add(each)

    def _add(self, slice: Slice) -> Iterator[tuple[Slice, ...]]:
        raise NotImplementedError

    def _put(self, slice: Slice) -> Iterator[tuple[Slice, ...]]:
        self._piece.append(slice)
        self._size += slice.end - slice.start
        if len(self._piece) >= MOST_SLICES:
            yield from self.end()

    def end(self) -> Iterator[tuple[Slice, ...]]:
        """Yield the piece that has begun, if one has."""
        if self._piece:
            piece, self._piece, self._size = tuple(self._piece), [], 0
            yield piece


class Grouping(Cutter):
    """Cuts only what is larger than a piece."""

    def _add(self, slice: Slice) -> Iterator[tuple[Slice, ...]]:
        size = slice.end - slice.start
        if self._size + size > self._most:
            yield from self.end()
        for part in _in_parts(slice, -(-size // self._most)):
            if self._size + part.end - part.start > self._most:
                yield from self.end()
            yield from self._put(part)


def _in_parts(slice: Slice, count: int) -> Iterator[Slice]:
    size = slice.end - slice.start
    for number in range(max(count, 1)):
        start, end = (slice.start + size * at // max(count, 1) for at in (number, number + 1))
        yield slice._replace(start=start, end=end)


class Exact(Cutter):
    """Fills each piece to its last byte; how many slices it has does not count."""

    def _add(self, slice: Slice) -> Iterator[tuple[Slice, ...]]:
        while self._size + slice.end - slice.start > self._most:
            cut = slice.start + self._most - self._size
            if cut > slice.start:
                self._piece.append(slice._replace(end=cut))
            yield from self.end()
            slice = slice._replace(start=cut)
        self._piece.append(slice)
        self._size += slice.end - slice.start

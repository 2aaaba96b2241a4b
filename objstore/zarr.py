"""The door for zarr-python: any of the stores as a `zarr.abc.store.Store`, synchronous and asynchronous.

It uses what everybody can use of the library, and zarr 3.4 or later. What zarr asks for many at once goes out as one
batch, and what comes back is wrapped where it lies.

Its one invariant: a key that does not exist is None, and bytes behind the end of one are an empty buffer; every other
error of a store is raised as it is.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, TypedDict

from objstore.exceptions import AlreadyExistsError, BaseError, InvalidRangeError
from objstore.settings.extras import missing

try:
    from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
    from zarr.abc.store import Store as ZarrStore
    from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
except ImportError as error:
    raise missing("objstore.zarr needs zarr 3.4 (Python 3.12) or later", "zarr") from error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
    from typing import Self

    from objstore._core import Bytes
    from objstore.store import Store as ObjectStore
    from objstore.types import Buffer as BytesLike
    from objstore.types import GetOptions, ObjectMeta, Request

__all__ = ["Store"]

PAGE = 1000
"""How many keys of a listing are looked at together: as many as a service gives by one request."""

DELETED_TOGETHER = 20_000
"""How many keys are deleted by one call: S3 takes a thousand by one request, and twenty of those are in flight."""


class Store(ZarrStore):
    """The arrays and groups of zarr in an object store.

    Args:
        store: Where they are; its prefix is the root of the hierarchy.
        read_only: Refuse to write and to delete.

    Source: https://zarr.readthedocs.io/en/stable/api/zarr/abc/store/
    """

    supports_writes = True
    supports_deletes = True
    supports_listing = True

    def __init__(self, store: ObjectStore, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.store = store

    def __eq__(self, other: object) -> bool:
        """Tell whether two are the same place with the same rights."""
        return isinstance(other, Store) and self.store == other.store and self.read_only == other.read_only

    def __str__(self) -> str:
        """Return what zarr shows in front of paths."""
        return f"objstore://{self.store!r}"

    def __repr__(self) -> str:
        """Return the class and the store."""
        return f"{type(self).__name__}('{self}')"

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return the same place with other rights."""
        return type(self)(self.store, read_only=read_only)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return an object or a range of it; None if there is no such object."""
        options = _options(byte_range)
        try:
            if options is None:
                await self.store.head_async(key)
                return prototype.buffer.create_zero_length()
            result = await self.store.get_async(key, options=options)
            return _wrapped(await result.bytes_async(), prototype)
        except BaseError as error:
            return _in_place_of(error, prototype)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return an object or a range of it; None if there is no such object."""
        prototype, options = prototype or default_buffer_prototype(), _options(byte_range)
        try:
            if options is None:
                self.store.head(key)
                return prototype.buffer.create_zero_length()
            return _wrapped(self.store.get(key, options=options).bytes(), prototype)
        except BaseError as error:
            return _in_place_of(error, prototype)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return objects and ranges, in the order asked for; None for what does not exist."""
        return await self._read([(key, prototype, byte_range) for key, byte_range in key_ranges])

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        """Yield the key and the bytes of each request."""
        wanted = [*requests]
        for (key, _, _), buffer in zip(wanted, await self._read(wanted), strict=True):
            yield key, buffer

    async def _read(self, wanted: Sequence[tuple[str, BufferPrototype, ByteRequest | None]]) -> list[Buffer | None]:
        """Read objects and ranges as one batch, and beside it, one by one, what a batch cannot ask for."""
        requests = [_request(key, byte_range) for key, _, byte_range in wanted]
        batch = self.store.get_many_async([request for request in requests if request is not None], on_error="return")
        alone = [self.get(*one) for one, request in zip(wanted, requests, strict=True) if request is None]
        bodies, others = await asyncio.gather(batch, asyncio.gather(*alone))
        came, other = iter(bodies), iter(others)
        return [
            next(other) if request is None else _buffer(next(came), prototype)
            for (_, prototype, _), request in zip(wanted, requests, strict=True)
        ]

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_gap_bytes: int = 1 << 20,
        **limits: int,
    ) -> AsyncGenerator[Sequence[tuple[int, Buffer | None]], None]:
        """Yield ranges of one object with their indexes; neighbours are read together where that costs less.

        How many requests there are at a time, and how much one reads, is up to the store. The other limits are for
        what is left to zarr: ranges that are open, empty, or behind the end.

        Raises:
            ExceptionGroup: There is no such object, or it could not be read.
        """
        spans, bodies = _spans(byte_ranges), None
        if spans is not None:
            with _grouped():
                bodies = await self.store.get_ranges_async(key, **spans, coalesce=max_gap_bytes)
        if bodies is not None:
            yield _numbered(bodies, prototype)
            return
        async for group in super().get_ranges(
            key, byte_ranges, prototype=prototype, max_gap_bytes=max_gap_bytes, **limits
        ):
            yield group

    def get_ranges_sync(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_gap_bytes: int = 1 << 20,
        **limits: int,
    ) -> Sequence[tuple[int, Buffer | None]]:
        """Return ranges of one object with their indexes, as `get_ranges` yields them.

        Raises:
            ExceptionGroup: There is no such object, or it could not be read.
        """
        spans = _spans(byte_ranges)
        if spans is not None:
            with _grouped():
                return _numbered(self.store.get_ranges(key, **spans, coalesce=max_gap_bytes), prototype)
        return super().get_ranges_sync(key, byte_ranges, prototype=prototype, max_gap_bytes=max_gap_bytes, **limits)

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.store.head_async(key)
        except FileNotFoundError:
            return False
        return True

    async def getsize(self, key: str) -> int:
        """Return the size of an object in bytes.

        Raises:
            FileNotFoundError: There is no such object.
        """
        return (await self.store.head_async(key))["size"]

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all objects below a prefix, in bytes."""
        return sum([sum(meta["size"] for meta in page) async for page in self._pages(_folder(prefix))])

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        self._check_writable()
        await self.store.put_async(key, _contents(value))

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write an object."""
        self._check_writable()
        self.store.put(key, _contents(value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object unless there is one; of several that try at once, one does."""
        self._check_writable()
        with suppress(AlreadyExistsError):
            await self.store.put_async(key, _contents(value), mode="create")

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        """Write objects as one batch."""
        self._check_writable()
        await self.store.put_many_async([(key, _contents(value)) for key, value in values])

    async def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        self._check_writable()
        with suppress(FileNotFoundError):
            await self.store.delete_async(key)

    def delete_sync(self, key: str) -> None:
        """Delete an object, if there is one."""
        self._check_writable()
        with suppress(FileNotFoundError):
            self.store.delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Delete all objects below a prefix."""
        self._check_writable()
        async for page in self._pages(_folder(prefix), DELETED_TOGETHER):
            paths = [meta["path"] for meta in page]
            try:
                await self.store.delete_async(paths)
            except FileNotFoundError:  # another call was first; of the others, what could be deleted has been
                await asyncio.gather(*map(self.delete, paths))

    async def is_empty(self, prefix: str) -> bool:
        """Tell whether there is nothing below a prefix."""
        return await anext(self._pages(_folder(prefix)), None) is None

    async def list(self) -> AsyncGenerator[str, None]:
        """Yield all keys."""
        async for page in self._pages(""):
            for meta in page:
                yield meta["path"]

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """Yield the keys that begin with a prefix."""
        async for page in self.store.list_async(prefix, by="string", chunk_size=PAGE):
            for meta in page:
                yield meta["path"]

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Yield the names of what is right below a prefix, objects and prefixes alike."""
        folder = _folder(prefix)
        level = await self.store.list_with_delimiter_async(folder)
        for path in dict.fromkeys(chain(level["common_prefixes"], (meta["path"] for meta in level["objects"]))):
            yield path.removeprefix(folder)

    def _pages(self, folder: str, size: int = PAGE) -> AsyncIterator[Sequence[ObjectMeta]]:
        return aiter(self.store.list_async(folder, chunk_size=size))


def _options(byte_range: ByteRequest | None) -> GetOptions | None:
    """Return a range as `get` takes it; None for an empty one, of which only whether the object exists is asked.

    Raises:
        ValueError: It is none, or negative.
    """
    match byte_range:
        case None:
            return {}
        case RangeByteRequest(start, end) if min(start, end) >= 0:
            return {"range": (start, end)} if start < end else None
        case OffsetByteRequest(offset) if offset >= 0:
            return {"range": {"offset": offset}}
        case SuffixByteRequest(suffix) if suffix >= 0:
            return {"range": {"suffix": suffix}} if suffix else None
    raise ValueError(f"Unexpected byte_range, got {byte_range!r}: give a ByteRequest of zarr, nowhere negative")


def _request(key: str, byte_range: ByteRequest | None) -> Request | None:
    """Return what a bulk read has for it; None for the last bytes of an object, and for an empty range."""
    match _options(byte_range):
        case None | {"range": {"suffix": _}}:
            return None
        case {"range": (int(start), int(end))}:
            return key, start, end
        case {"range": {"offset": int(offset)}}:
            return key, offset, None
    return key


class _Spans(TypedDict):
    starts: list[int]
    ends: list[int]


def _spans(byte_ranges: Sequence[ByteRequest | None]) -> _Spans | None:
    """Return ranges as `get_ranges` takes them; None if there is none, or one has no such form or is empty."""
    plain = [part for part in byte_ranges if isinstance(part, RangeByteRequest) and 0 <= part.start < part.end]
    if not plain or len(plain) < len(byte_ranges):
        return None
    return {"starts": [part.start for part in plain], "ends": [part.end for part in plain]}


@contextmanager
def _grouped() -> Iterator[None]:
    """Raise errors in a group, as `get_ranges` of zarr does, and pass over that a range begins behind the end.

    What is passed over, zarr's own `get_ranges` then reads range by range.
    """
    try:
        yield
    except InvalidRangeError:
        return
    except BaseError as error:
        raise ExceptionGroup("the ranges could not be read", [error]) from None


def _numbered(bodies: Sequence[Bytes], prototype: BufferPrototype) -> list[tuple[int, Buffer | None]]:
    return [(index, _wrapped(body, prototype)) for index, body in enumerate(bodies)]


def _buffer(body: Bytes | BaseError, prototype: BufferPrototype) -> Buffer | None:
    """Return one of the results of a bulk read as zarr takes it."""
    return _in_place_of(body, prototype) if isinstance(body, BaseError) else _wrapped(body, prototype)


def _wrapped(body: Bytes, prototype: BufferPrototype) -> Buffer:
    return prototype.buffer.from_bytes(memoryview(body))


def _in_place_of(error: BaseError, prototype: BufferPrototype) -> Buffer | None:
    """Return what zarr takes in the place of an error: None for a missing object, nothing for bytes behind its end."""
    if isinstance(error, FileNotFoundError):
        return None
    if isinstance(error, InvalidRangeError):
        return prototype.buffer.create_zero_length()
    raise error


def _contents(value: Buffer) -> BytesLike:
    """Return the bytes of a buffer where they lie.

    Raises:
        TypeError: It is no buffer of zarr.
    """
    if not isinstance(value, Buffer):
        raise TypeError(f"the value is a {type(value).__name__}: give a zarr Buffer (prototype.buffer.from_bytes)")
    return value.as_buffer_like()


def _folder(prefix: str) -> str:
    """Return a prefix that is a whole path: empty, or with a slash at its end."""
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"

"""Objects in the memory of this process: the primitive operations on a dict.

Its one invariant: an object is replaced as a whole, under the lock; a body that was given out never changes.
"""

from __future__ import annotations

import secrets
import threading
from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from objstore._core import Buffer, Bytes, Gathered, Listing
from objstore.disk.descriptors import cut_short, read_into
from objstore.exceptions import BaseError, NotFoundError, NotSupportedError
from objstore.interface.values import (
    ANY,
    ANY_SIZE,
    AT_HAND,
    FIRST_BYTE,
    WHOLE,
    Conditions,
    Fetched,
    ListQuery,
    Page,
    Range,
    Reads,
    Source,
    WriteOptions,
    no_requests,
)
from objstore.plans.work import AT_ONCE, at_once, gather, in_steps
from objstore.providers.pages import OneByOne
from objstore.providers.preconditions import changed_part, check_conditions, check_mode, ended_upload, resolve
from objstore.providers.sequential import Sequential, SequentialParts
from objstore.providers.sorted_keys import SortedKeys, first_behind
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.provider import Provider, Share
    from objstore.interface.values import Seen, UrlTerms
    from objstore.plans.effects import Plan
    from objstore.plans.work import Work
    from objstore.types import Buffer as BufferLike
    from objstore.types import ObjectMeta, PutMode, PutResult, StoreStats

PAGE = 1000
STORE = "MemoryStore"


class _Object(NamedTuple):
    """An object as it is stored."""

    body: Bytes
    e_tag: str
    modified: datetime
    attributes: dict[str, str]


class Memory:
    """A bucket in memory."""

    most_parts = 10_000
    smallest_part = 1 << 20
    lists_from_anywhere = False
    lists_in_order = True
    lists_by_bytes = True
    lists_any_prefix = True
    has_outer_slashes = True
    buckets = None
    tags = None
    forms = None
    has_locks = False
    versions = None
    parts = None
    flows = None
    asks_for_checksums = False
    tells_of_wholes = False
    most_compared = ANY_SIZE
    pace = AT_HAND

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._keys = SortedKeys()
        self._written = 0
        self.uploads: dict[str, dict[int, tuple[str, Bytes]]] = {}
        self.name = secrets.token_hex(16)
        _memories[self.name] = self

    @property
    def address(self) -> str:
        """What stands in front of its keys."""
        return f"memory:{self.name}/"

    def stats(self) -> StoreStats:
        """Return what its requests have come to: there are none."""
        return no_requests()

    # --- reading

    def _find(self, key: str, conditions: Conditions) -> _Object:
        found = self._objects.get(key)
        if found is None:
            raise NotFoundError(f"{key!r} does not exist", store=STORE, path=key)
        check_conditions(STORE, key, found.e_tag, found.modified, conditions)
        return found

    def _meta(self, key: str, found: _Object) -> ObjectMeta:
        return {
            "path": key,
            "last_modified": found.modified,
            "size": len(found.body),
            "e_tag": found.e_tag,
            "version": None,
        }

    def read(self, key: str, range: Range, conditions: Conditions) -> Fetched:
        """Return an object, or a range of it."""
        found = self._find(key, conditions)
        start, end = resolve(STORE, key, range, len(found.body))
        return Fetched(self._meta(key, found), dict(found.attributes), (start, end), found.body[start:end])

    def fetch_one(self, key: str, range: Range, conditions: Conditions, *, brief: bool = False) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        return self.read(key, range, conditions)
        yield

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""
        return self.read(key, WHOLE, conditions)._replace(body=Bytes())
        yield

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read; its bytes are near enough."""
        return self.head(key, conditions)

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[Sequential]:
        """Read what is known about many objects."""
        return Sequential(lambda index: self.read(keys[index], WHOLE, ANY).meta, len(keys), quick=True)
        yield

    look_many = head_many

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
        beginnings: bool = False,
    ) -> Plan[_Reading]:
        """Read many objects or ranges."""
        return _Reading(self, reads, conditions)
        yield

    # --- writing

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object."""
        return self.write(key, (yield from _content(source)), options)

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[Sequential]:
        """Write many objects."""
        return Sequential(
            lambda index: self._put_at_once(*items[index], options),
            len(items),
            [source.size for _, source in items],
            quick=all(_is_quick(source) for _, source in items),
        )
        yield

    def _put_at_once(self, key: str, source: Source, options: WriteOptions) -> PutResult:
        return self.write(key, at_once(_read(source)), options)

    def write(self, key: str, body: Bytes, options: WriteOptions) -> PutResult:
        """Store an object, if its mode allows it."""
        with self._lock:
            return self._store(key, body, options)

    def _store(self, key: str, body: Bytes, options: WriteOptions) -> PutResult:
        """Store an object, if its mode allows it; whoever calls holds the lock."""
        found = self._objects.get(key)
        check_mode(STORE, key, found and found.e_tag, options.mode)
        self._written += 1
        if found is None:
            self._keys.add(key)
        e_tag = f'"{self._written - 1}"'
        self._objects[key] = _Object(body, e_tag, datetime.now(UTC), dict(options.attributes))
        return {"e_tag": e_tag, "version": None}

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[_Parts]:
        """Begin to write an object in parts."""
        return _Parts(self, key, options)
        yield

    def parts_of(self, key: str, upload_id: str) -> dict[int, tuple[str, Bytes]]:
        """Return the parts of an upload that has not ended."""
        try:
            return self.uploads[upload_id]
        except KeyError:
            raise ended_upload(STORE, key) from None

    def told_parts(self, key: str, upload_id: str, parts: Sequence[UploadPart]) -> list[Bytes]:
        """Return the bytes of parts, which must be as they were when they were sent."""
        there = self.parts_of(key, upload_id)
        return [_as_told(key, there, part) for part in parts]

    def end_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadPart], body: Bytes, options: WriteOptions
    ) -> PutResult:
        """Store an object of parts and end their upload, in one step, if they are what they were."""
        with self._lock:
            self.told_parts(key, upload_id, parts)
            result = self._store(key, body, options)
            self.uploads.pop(upload_id, None)
        return result

    @property
    def shared_uploads(self) -> _SharedUploads:
        """The uploads by many hands."""
        return _SharedUploads(self)

    # --- the rest

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; one that does not exist counts as deleted."""
        with self._lock:
            for key in keys:
                if self._objects.pop(key, None) is not None:
                    self._keys.remove(key)
        return {}
        yield

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one."""
        with self._lock:
            self._find(key, Conditions(if_match=e_tag))
            del self._objects[key]
            self._keys.remove(key)
        return
        yield

    def remove_directories(self, prefix: str) -> Plan[None]:
        """Do nothing: there are no directories beside objects."""
        return
        yield

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a memory too."""
        return isinstance(origin, Memory)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object."""
        assert isinstance(origin, Memory)
        self._copy(origin._find(source, ANY), target, mode)
        return
        yield

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Copy an object, if its ETag is still this one."""
        assert isinstance(origin, Memory)
        self._copy(origin._find(source, Conditions(if_match=e_tag)), target, mode)
        return
        yield

    def _copy(self, found: _Object, target: str, mode: PutMode) -> None:
        self.write(target, found.body, WriteOptions(found.attributes, mode=mode))

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Give an object another key, in one step."""
        with self._lock:
            found = self._find(source, ANY)
            self._store(target, found.body, WriteOptions(found.attributes, mode=mode))
            del self._objects[source]
            self._keys.remove(source)
        return
        yield

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Refuse: nobody else can reach this memory."""
        raise NotSupportedError("A MemoryStore has no URLs", hint="Sign with a store that others can reach.")
        yield

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""
        with self._lock:
            return self._page(self._keys.in_order(), query)
        yield

    def list_many(self, *, most_in_flight: int) -> Plan[OneByOne]:
        """Begin to read pages of listings."""
        return OneByOne(self.list_page)
        yield

    def _page(self, keys: list[str], query: ListQuery) -> Page:
        objects: list[ObjectMeta] = []
        prefixes: list[str] = []
        skip = len(query.prefix)
        after = max(query.offset, query.token)
        at = max(bisect_left(keys, query.prefix), bisect_left(keys, after + "\0") if after else 0)
        while at < len(keys) and keys[at].startswith(query.prefix):
            key = keys[at]
            if len(objects) == PAGE:
                return Page(Listing.of(objects), prefixes, keys[at - 1])
            below = key.find(query.delimiter, skip) if query.delimiter else -1
            if below >= 0:
                prefixes.append(key[: below + 1])
                at = first_behind(keys, prefixes[-1], at)
            else:
                objects.append(self._meta(key, self._objects[key]))
                at += 1
        return Page(Listing.of(objects), prefixes, "")


_memories: WeakValueDictionary[str, Memory] = WeakValueDictionary()


def memory_of(name: str) -> Memory:
    """Return the memory of this process that has a name.

    Raises:
        NotSupportedError: It is in another process, or gone.
    """
    memory = _memories.get(name)
    if memory is None:
        raise NotSupportedError(
            "The objects of this MemoryStore are in another process, or gone",
            hint="Give other processes a store that they can reach.",
        )
    return memory


def _content(source: Source) -> Plan[Bytes]:
    """Return the bytes of a source in memory of their own; a file is read in steps, and so is much memory."""
    if _is_quick(source):
        return at_once(_read(source))
    return (yield from in_steps(_read(source)))


def _is_quick(source: Source) -> bool:
    return source.size <= AT_ONCE and not isinstance(source.data, tuple)


def _read(source: Source) -> Work[Bytes]:
    if _is_quick(source):
        return Bytes(bytes(source.data))
    if not isinstance(source.data, tuple):
        return (yield from _gathered([source.data]))
    descriptor, offset, length = source.data
    buffer, content = Buffer.of_bytes(length)
    if (yield from read_into(descriptor, memoryview(buffer), offset)) < length:
        raise cut_short()
    source.check()
    return Bytes(content)


def _gathered(pieces: Sequence[BufferLike]) -> Work[Bytes]:
    """Return a copy of bytes, one behind the other."""
    body = Gathered(sum(memoryview(piece).nbytes for piece in pieces))
    for piece in pieces:
        yield from gather(body, piece)
    return body.take()


class _Reading(Sequential):
    """Many reads under way.

    Args:
        memory: Where the objects are.
        reads: What to read.
        conditions: What must hold for each.
    """

    def __init__(self, memory: Memory, reads: Reads, conditions: Conditions) -> None:
        self._told: dict[int, Seen] = {}

        def deliver(index: int) -> Bytes:
            read = reads[index]
            found = memory.read(read.key, read.range, conditions)
            if reads.told:
                self._told[index] = found.seen
            return found.body if read.target is None else read.target.fill(found.body)

        super().__init__(deliver, len(reads), quick=True)

    def told(self, index: int) -> Seen:
        """Return what was known about the object when it was read."""
        return self._told[index]


class _Parts(SequentialParts):
    """The parts of an object to be, each copied behind those before it."""

    def __init__(self, memory: Memory, key: str, options: WriteOptions) -> None:
        super().__init__(self._take_part)
        self._memory = memory
        self._key = key
        self._options = options
        self._body = Gathered()

    def _take_part(self, part: Source, at: int) -> Work[None]:
        data = (yield from _read(part)) if isinstance(part.data, tuple) else part.data
        yield from gather(self._body, memoryview(data)[len(self._body) - at :])  # none twice, if it was interrupted

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts."""
        return self._memory.write(self._key, self._body.take(), self._options)
        yield

    def abort(self) -> Plan[None]:
        """Drop the parts."""
        self._body.take()
        return
        yield

    def close(self) -> None:
        """Nothing is under way."""


class _SharedUploads:
    """The uploads by many hands: of threads, as memory has no other."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload."""
        upload_id = secrets.token_hex(8)
        self._memory.uploads[upload_id] = {}
        return upload_id
        yield

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Take a part."""
        body = yield from in_steps(_read(part))
        part.check()
        tag = f'"{secrets.token_hex(8)}"'
        self._memory.parts_of(key, upload_id)[number] = (tag, body)
        return UploadPart(number, tag, part.size)

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Return the parts that are there."""
        there = sorted(self._memory.parts_of(key, upload_id).items())
        return [UploadPart(number, tag, len(body)) for number, (tag, body) in there]
        yield

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts."""
        body = yield from in_steps(_gathered(self._memory.told_parts(key, upload_id, parts)))
        return self._memory.end_upload(key, upload_id, parts, body, options)

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Drop an upload."""
        self._memory.uploads.pop(upload_id, None)
        return
        yield


def _as_told(key: str, there: dict[int, tuple[str, Bytes]], part: UploadPart) -> Bytes:
    """Return the bytes of a part, which must be as it was when it was sent."""
    tag, body = there.get(part.number, ("", Bytes()))
    if (tag, len(body)) != (part.e_tag, part.size):
        raise changed_part(STORE, key, part.number)
    return body

"""Objects in the memory of this process: the primitive operations on a dict.

Its one invariant: an object is replaced as a whole, under the lock; a body that was given out never changes.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from objstore import exceptions as errors
from objstore._core import Bytes, Listing
from objstore._effects import Plan
from objstore.exceptions import BaseError
from objstore.providers.provider import (
    ANY,
    WHOLE,
    Conditions,
    Fetched,
    ListQuery,
    Page,
    Provider,
    Range,
    Read,
    Source,
    WriteOptions,
)
from objstore.types import ObjectMeta, PutResult

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
    smallest_part = 1
    latency = 0.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._written = 0

    # --- reading

    def _find(self, key: str, conditions: Conditions) -> _Object:
        found = self._objects.get(key)
        if found is None:
            raise errors.NotFoundError(f"{key!r} does not exist", store=STORE, path=key)
        _check_conditions(key, found, conditions)
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
        start, end = _resolve(key, range, len(found.body))
        return Fetched(self._meta(key, found), dict(found.attributes), (start, end), found.body[start:end])

    def fetch_one(self, key: str, range: Range, conditions: Conditions) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        return self.read(key, range, conditions)
        yield

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""
        return self.read(key, WHOLE, conditions)._replace(body=Bytes())
        yield

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[_Done]:
        """Read what is known about many objects."""
        return _Done([lambda key=key: self.read(key, WHOLE, ANY).meta for key in keys])  # type: ignore[misc]
        yield

    def fetch(
        self,
        reads: Sequence[Read],
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
    ) -> Plan[_Done]:
        """Read many objects or ranges."""
        return _Done([lambda read=read: self._deliver(read, conditions) for read in reads])  # type: ignore[misc]
        yield

    def _deliver(self, read: Read, conditions: Conditions) -> Bytes:
        body = self.read(read.key, read.range, conditions).body
        return body if read.target is None else read.target.fill(body)

    # --- writing

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object."""
        return self.write(key, _content(source), options)
        yield

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[_Done]:
        """Write many objects."""
        done = _Done(
            [lambda key=key, source=source: self.write(key, _content(source), options) for key, source in items]  # type: ignore[misc]
        )
        done.bytes_sent = sum(source.size for index, (_, source) in enumerate(items) if index not in done.errors)
        return done
        yield

    def write(self, key: str, content: bytes, options: WriteOptions) -> PutResult:
        """Store an object, if its mode allows it."""
        with self._lock:
            self._check_mode(key, options)
            self._written += 1
            e_tag = f'"{self._written - 1}"'
            self._objects[key] = _Object(Bytes(content), e_tag, datetime.now(UTC), dict(options.attributes))
        return {"e_tag": e_tag, "version": None}

    def _check_mode(self, key: str, options: WriteOptions) -> None:
        found, mode = self._objects.get(key), options.mode
        if mode == "create" and found is not None:
            raise errors.AlreadyExistsError(f"{key!r} exists already", store=STORE, path=key)
        if not isinstance(mode, str) and not mode.get("e_tag"):
            raise errors.NotSupportedError("An update needs the ETag it replaces", hint="Give mode={'e_tag': ...}.")
        if not isinstance(mode, str) and (found is None or found.e_tag != mode.get("e_tag")):
            now = "does not exist" if found is None else f"has the ETag {found.e_tag}"
            raise errors.PreconditionError(f"{key!r} {now}, not {mode.get('e_tag')}", store=STORE, path=key)

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[_Parts]:
        """Begin to write an object in parts."""
        return _Parts(self, key, options)
        yield

    # --- the rest

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; one that does not exist counts as deleted."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)
        return {}
        yield

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a memory too."""
        return isinstance(origin, Memory)

    def copy(self, source: str, target: str, *, overwrite: bool, origin: Provider) -> Plan[None]:
        """Copy an object."""
        assert isinstance(origin, Memory)
        found = origin._find(source, ANY)
        self.write(
            target, bytes(found.body), WriteOptions(found.attributes, mode="overwrite" if overwrite else "create")
        )
        return
        yield

    def rename(self, source: str, target: str, *, overwrite: bool) -> Plan[None]:
        """Copy an object and drop the old one."""
        yield from self.copy(source, target, overwrite=overwrite, origin=self)
        yield from self.delete([source], most_in_flight=1)

    def sign(
        self, method: str, keys: Sequence[str], expires_in: timedelta, response_headers: Mapping[str, str]
    ) -> Plan[list[str]]:
        """Refuse: nobody else can reach this memory."""
        raise errors.NotSupportedError("A MemoryStore has no URLs", hint="Sign with a store that others can reach.")
        yield

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(query.prefix))
        after = max(query.offset, query.token)
        keys = keys[bisect_left(keys, after + "\0") :] if after else keys
        return self._page(keys, query)
        yield

    def _page(self, keys: list[str], query: ListQuery) -> Page:
        objects: list[ObjectMeta] = []
        prefixes: dict[str, None] = {}
        skip = len(query.prefix)
        for index, key in enumerate(keys):
            below = key.find(query.delimiter, skip) if query.delimiter else -1
            if below >= 0:
                prefixes[key[: below + 1]] = None
            elif (found := self._objects.get(key)) is not None:
                objects.append(self._meta(key, found))
            if len(objects) == PAGE and index + 1 < len(keys):
                return Page(Listing.of(objects), [*prefixes], key)
        return Page(Listing.of(objects), [*prefixes], "")


def _check_conditions(key: str, found: _Object, conditions: Conditions) -> None:
    """Raise if a condition does not hold; If-Match comes before times (RFC 9110, section 13.2.2)."""
    modified = found.modified.replace(microsecond=0)
    if conditions.if_match is not None:
        refused = not _matches(found.e_tag, conditions.if_match)
    else:
        refused = conditions.if_unmodified_since is not None and modified > conditions.if_unmodified_since
    if refused:
        raise errors.PreconditionError(f"{key!r} is not what was expected", store=STORE, path=key)
    if conditions.if_none_match is not None:
        same = _matches(found.e_tag, conditions.if_none_match)
    else:
        same = conditions.if_modified_since is not None and modified <= conditions.if_modified_since
    if same:
        raise errors.NotModifiedError(f"{key!r} has not been modified", store=STORE, path=key)


def _matches(e_tag: str, wanted: str) -> bool:
    return wanted.strip() == "*" or e_tag in [each.strip() for each in wanted.split(",")]


def _resolve(key: str, range: Range, size: int) -> tuple[int, int]:
    """Return which bytes of an object of `size` bytes a range means."""
    if range.start >= 0 and range.start >= size:
        raise errors.InvalidRangeError(
            f"the range of {key!r} begins at {range.start}, the object has {size} bytes", store=STORE, path=key
        )
    return range.within(size)


def _content(source: Source) -> bytes:
    if isinstance(source.data, tuple):
        descriptor, offset, length = source.data
        return os.pread(descriptor, length, offset)
    return bytes(source.data)


class _Done:
    """Many operations, done one after the other before anybody can wait for them."""

    def __init__(self, works: Sequence[Callable[[], object]]) -> None:
        self.errors: dict[int, BaseError] = {}
        self._results: list[object] = []
        for index, work in enumerate(works):
            try:
                self._results.append(work())
            except BaseError as error:
                self.errors[index] = error
                self._results.append(None)
        self.total = self.settled = len(works)
        self.over = True
        self.mixed = False
        self.bytes_received = sum(len(result) for result in self._results if isinstance(result, Bytes))
        self.bytes_sent = 0
        self._untold = [index for index in range(self.total) if index not in self.errors]

    def news(self, within: float | None = None) -> Plan[None]:
        """There is nothing to wait for."""
        return
        yield

    def finished(self) -> list[int]:
        """Return all that ended well, once."""
        indexes, self._untold = self._untold, []
        return indexes

    def take(self, index: int) -> Bytes:
        """Return a body."""
        body = self._results[index]
        assert isinstance(body, Bytes)
        return body

    def bodies(self) -> list[Bytes | None]:
        """Return the bodies in order."""
        return [*self._results]  # type: ignore[list-item]

    def metas(self) -> list[ObjectMeta | None]:
        """Return the metadata in order."""
        return [*self._results]  # type: ignore[list-item]

    def results(self) -> list[PutResult | None]:
        """Return the results of the writes in order."""
        return [*self._results]  # type: ignore[list-item]

    def close(self) -> None:
        """Nothing is under way."""


class _Parts:
    """The parts of an object to be."""

    def __init__(self, memory: Memory, key: str, options: WriteOptions) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = self.settled = self.unsettled = self.bytes_received = self.bytes_sent = 0
        self.over = True
        self._memory = memory
        self._key = key
        self._options = options
        self._parts: list[bytes] = []

    def add_part(self, part: Source) -> None:
        """Take one more part."""
        self._parts.append(_content(part))
        self.total = self.settled = len(self._parts)
        self.bytes_sent += part.size

    def seal(self) -> None:
        """It was the last."""

    def news(self, within: float | None = None) -> Plan[None]:
        """There is nothing to wait for."""
        return
        yield

    def finished(self) -> list[int]:
        """Return nothing: no part keeps memory that could be let go."""
        return []

    def take(self, index: int) -> Bytes:
        """Return a part."""
        return Bytes(self._parts[index])

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts."""
        return self._memory.write(self._key, b"".join(self._parts), self._options)
        yield

    def abort(self) -> Plan[None]:
        """Drop the parts."""
        self._parts.clear()
        return
        yield

    def close(self) -> None:
        """Nothing is under way."""

"""The primitive operations that all stores on HTTP share: reads, writes in one request, deletes one by one.

What differs between services is in the `Dialect` and the `Service`. This module and those built on it are the only ones
that make requests to an object store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from objstore._core import Bytes, Reply, encode_path
from objstore.exceptions import (
    BaseError,
    CorruptResponseError,
    InvalidRangeError,
    NotFoundError,
    PreconditionError,
)
from objstore.http.client import parse_http_date
from objstore.http.exchange import Exchange, sums_of
from objstore.http.shape import Shape
from objstore.interface.provider import OutOfReachError
from objstore.interface.values import (
    ANY,
    ANY_SIZE,
    EPOCH,
    FIRST,
    FIRST_BYTE,
    LOCKS,
    RESERVED,
    WHOLE,
    WITH_HEDGE,
    Conditions,
    Fetched,
    Pace,
    Range,
    Reads,
    Seen,
    Source,
    Sums,
    WriteOptions,
)
from objstore.interface.versions import can_pin
from objstore.providers.conditional_headers import IF_MATCH, read_headers, unconditional, write_headers
from objstore.providers.flow import Flow
from objstore.providers.many import HeadMany, LookMany, PutMany, ReadMany, seen_by, tells_size
from objstore.providers.one_version import Conditional, OneVersion
from objstore.providers.preconditions import matches
from objstore.signing.sigv4 import UNSIGNED_PAYLOAD, canonical_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from objstore.http.service import Service
    from objstore.interface.provider import Buckets, Fetch, Flows, Forms, Parts, Provider, Share, Tags, Versions
    from objstore.interface.provider import PutMany as Puts
    from objstore.plans.effects import Plan
    from objstore.types import CredentialInfo, ObjectMeta, PutMode, PutResult, StoreStats

ADDED_AT_ONCE = 4096
"""How many reads are added before the first are sent: of more, the rest is added while those are under way."""


LARGE = 32 << 20
"""What is larger is read by several requests; to stop after its beginning costs a connection."""

LEAST_LARGE, LONG_S = 8 << 20, 0.25
"""The same, where one connection takes so many seconds for it, for each of the reads."""

MOST_LARGE = 256 << 20
"""The same, where many others are read beside it: they keep the line busy. The engine cuts what comes slowly behind
them."""

MEASURED = 2 << 20
"""How much of an object comes at a time that has to be read to its end for its size."""


class Requests:
    """The objects below one path of a service.

    Args:
        service: Where they are, and how requests for them are signed and judged.
        base: The path in front of their keys, percent-encoded, without a trailing slash.
        query: What every request has as its query, percent-encoded.
        read_headers: Headers of every request that reads an object.
        get_headers: More headers of those that read its bytes.
        write_headers: Headers of every request that creates one (encryption and the like).
        change_headers: Headers of every request that neither reads an object nor creates one.
        tagging: Whether the service takes tags; else they are left out.
    """

    lists_from_anywhere = False
    lists_in_order = True
    lists_by_bytes = False
    lists_any_prefix = True
    has_outer_slashes = False
    most_compared = ANY_SIZE
    one_version: Callable[..., OneVersion] = OneVersion

    def __init__(
        self,
        service: Service,
        base: str,
        *,
        query: str = "",
        read_headers: Mapping[str, str] | None = None,
        get_headers: Mapping[str, str] | None = None,
        write_headers: Mapping[str, str] | None = None,
        change_headers: Mapping[str, str] | None = None,
        tagging: bool = False,
    ) -> None:
        self.service = service
        self.asks_for_checksums = self.tells_of_wholes = False
        self.has_locks = LOCKS[0] in service.dialect.attributes
        self.most_parts = service.dialect.most_parts
        self.smallest_part = service.dialect.smallest_part
        self.base = base.encode()
        self.read_headers = dict(read_headers or {})
        self.get_headers = dict(get_headers or {})
        self.write_headers = dict(write_headers or {})
        self.change_headers: Mapping[str, str] = dict(change_headers or {})
        self._query = query
        self._tagging = tagging
        self._plain_reads: dict[str, tuple[Shape, bytes]] = {}

    @property
    def address(self) -> str:
        """What stands in front of its keys."""
        return f"{self.service.origin}{self.base.decode()}/"

    @property
    def pace(self) -> Pace:
        """What the network to the service was lately seen to do."""
        return self.service.pace

    def stats(self) -> StoreStats:
        """Return what its requests have come to."""
        return self.service.stats.report(self.service.origin)

    @property
    def buckets(self) -> Buckets | None:
        """The buckets of the account: none that could be made or listed, unless a service has its own."""
        return None

    @property
    def tags(self) -> Tags | None:
        """The tags of objects: none, unless a service keeps some."""
        return None

    @property
    def forms(self) -> Forms | None:
        """The forms by which browsers may write: none, unless a service takes some."""
        return None

    @property
    def versions(self) -> Versions | None:
        """The versions of objects: none, unless a service keeps some."""
        return None

    @property
    def parts(self) -> Parts | None:
        """The parts that objects were made of: nothing is known of them, unless a service tells."""
        return None

    @property
    def flows(self) -> Flows | None:
        """What reads objects of which nothing tells the version."""
        return self

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""
        return self.service.identity.credential_info()

    # --- reading

    def fetch_one(
        self, key: str, range: Range, conditions: Conditions, *, brief: bool = False, measured: bool = True
    ) -> Plan[Fetched]:
        """Read one object, or a range of it; all of it, where the server tells its size in no other way."""
        told = range == WHOLE and self.tells_of_wholes
        reply = yield from self.read_one("GET", key, range, conditions, brief=brief)
        size, body = _size(reply, range), reply.body
        all_of_it = None
        if size < 0 and measured:
            size, all_of_it = yield from self._measure(key, conditions, reply, keep=range != FIRST_BYTE)
            body = body if all_of_it is None else all_of_it[range.within(size)[0] :]
        meta, attributes = self.meta(key, reply, size), self._attributes(reply)
        sums = self.sums(reply)
        span = range.within(size)
        return Fetched(meta, attributes, span, body, sums, told=told, settled=reply.settled, whole=all_of_it)

    def _measure(self, key: str, conditions: Conditions, begun: Reply, *, keep: bool) -> Plan[tuple[int, Bytes | None]]:
        """Return the size of an object that no reply tells, by reading all of it, and that, if it is to be kept.

        Raises:
            ObjectChangedError: It is not the one of which something has come.
        """
        flow = yield from self.flow(key, WHOLE, conditions, piece=MEASURED, window=2 * MEASURED)
        try:
            return (yield from flow.measure(seen_by(begun, key, self.meta), keep=keep))
        finally:
            flow.close()

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object; by a GET, where HEAD does not tell the size."""
        reply = yield from self.read_one("HEAD", key, WHOLE, conditions)
        if not tells_size(reply):
            return (yield from self.look_by_get(key, conditions))
        return self.fetched_head(key, reply)

    def fetched_head(self, key: str, reply: Reply) -> Fetched:
        """Return what the reply to a HEAD tells, which names the size."""
        meta = self.meta(key, reply, reply.content_length)
        span, sums = (0, meta["size"]), self.sums(reply)
        return Fetched(meta, self._attributes(reply), span, reply.body, sums, settled=reply.settled)

    def sums(self, reply: Reply) -> Sums | None:
        """Return what a reply tells of checksums: those that the engine knows, unless a service has others."""
        return sums_of(reply)

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read: HEAD may tell another size than GET."""
        return (yield from self.look_by_get(key, conditions, piece, measured=measured))

    def look_by_get(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object by a GET of a piece of it."""
        try:
            fetched = yield from self.fetch_one(key, piece, conditions, measured=measured)
        except InvalidRangeError:
            fetched = yield from self.fetch_one(key, WHOLE, conditions)
        size, body = fetched.meta["size"], fetched.body
        start, end = piece.within(max(size, len(body)))
        if len(body) > end - start:  # of a server without ranges; a slice would hold all of it
            body = Bytes(bytes(body[: end - start]))
        return fetched._replace(range=(0, size), body=body)

    def read_one(
        self, method: str, key: str, range: Range, conditions: Conditions, *, brief: bool = False
    ) -> Plan[Reply]:
        """Send one request that reads; where the server refuses its condition, send it without, and look instead."""
        yield from self.service.refresh()
        shape, tail = self._reading(method, conditions, [range])
        return (yield from self.read_by(shape, tail, key, range, conditions, brief=brief))

    def read_by(
        self, shape: Shape, tail: bytes, key: str, range: Range, conditions: Conditions, *, brief: bool = False
    ) -> Plan[Reply]:
        """The same, by a request of this shape and with this query."""
        kind = Conditional if IF_MATCH in shape.headers else Exchange
        beginning = brief and range == WHOLE
        sums = "" if beginning or range.start == 0 else None  # it may be the first of pieces that are going to be all
        exchange = kind(
            self.service,
            shape,
            lambda _: key,
            keep_head=True,
            most_in_flight=WITH_HEDGE,
            sums=sums,
            cut_over=FIRST if beginning else 0,
            brief=brief,
            hedged=True,
        )
        exchange.add(self.path(key) + tail, range)
        reply = yield from exchange.only()
        if not self.service.takes_if_match:
            self._check_match(key, reply, conditions)
        return reply

    def _check_match(self, key: str, reply: Reply, conditions: Conditions) -> None:
        """Raise if a reply is not of the version that is meant, as a server that takes conditions would have said."""
        wanted = conditions.if_match
        if wanted is not None and not matches(self.meta(key, reply, -1)["e_tag"], wanted):
            path = self.service.path(key)
            raise PreconditionError(f"{key!r} is not what was expected", store=self.service.dialect.store, path=path)

    def is_needed(self, key: str, seen: Seen) -> bool:
        """Tell whether an object has to be read by one request."""
        return not can_pin(seen)

    def gives_only_wholes(self, reads: Reads, conditions: Conditions) -> Plan[bool]:
        """Tell whether all of an object comes, whichever of these ranges of it are asked for: no service does that."""
        yield from ()
        return False

    def flow(self, key: str, range: Range, conditions: Conditions, *, piece: int, window: int) -> Plan[Flow]:
        """Begin to read an object or a range, to be taken while it comes."""
        yield from self.service.refresh()
        shape, tail = self._reading("GET", conditions, [range])
        flow = Flow(self.service, shape, key, self.meta, piece=piece, window=window)
        flow.add(self.path(key) + tail, range)
        flow.seal()
        return flow

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
        beginnings: bool = False,
    ) -> Plan[Fetch]:
        """Begin many reads; their replies are compared where they are to be of one version."""
        yield from self.service.refresh()
        shape, tail = self._reading("GET", conditions, reads.ranges)
        count = len(reads.keys)
        cut_over = self._cut_over(reads.ranges) if beginnings else 0
        exchange: OneVersion | ReadMany
        if reads.one_object and (count > 1 or conditions.expected is not None):
            exchange = self.one_version(
                self.service,
                shape,
                reads,
                conditions,
                self.meta,
                each=each,
                most_in_flight=most_in_flight,
                window=window,
                cut_over=cut_over,
            )
        else:
            exchange = ReadMany(  # by position: in half the time, and this is at every call
                self.service,
                shape,
                reads.keys,
                self.meta,
                self.sums,
                reads.told,
                each,
                most_in_flight,
                window,
                cut_over,
            )
        base = self.path_above(reads.keys)
        try:
            if count > ADDED_AT_ONCE:
                first = max(2 * most_in_flight, ADDED_AT_ONCE)
                exchange.add_reads(base, reads[:first], tail)
                yield from exchange.begin()
                reads = reads[first:]
            exchange.add_reads(base, reads, tail)
        except BaseException:
            exchange.close()
            raise
        exchange.seal()
        return exchange

    def _cut_over(self, ranges: Sequence[Range]) -> int:
        """Return beyond how many bytes a read is too large for one request, beside the others."""
        most = min(LARGE * max(len(ranges) // 8, 1), MOST_LARGE)
        if all(end >= 0 for _, end in ranges):
            most = min(most, max(LARGE, sum(end - max(start, 0) for start, end in ranges) // 8))
            if all(end - start <= LEAST_LARGE for start, end in ranges):
                return most
        alone = self.service.pace.alone
        return most if alone is None else int(min(most, max(alone * LONG_S * len(ranges), LEAST_LARGE)))

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[HeadMany]:
        """Begin to read what is known about many objects."""
        yield from self.service.refresh()
        exchange = self._head_many(keys, most_in_flight)
        for key in keys:
            exchange.add(self.target(key))
        exchange.seal()
        return exchange

    def look_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[HeadMany]:
        """Begin to read what is known about many objects by GETs."""
        yield from self.service.refresh()
        shape, tail = self._reading("GET", ANY, [FIRST_BYTE])
        exchange = LookMany(self.service, shape, keys, self.meta, self.look, most_in_flight)
        for key in keys:
            exchange.add(self.path(key) + tail, FIRST_BYTE)
        exchange.seal()
        return exchange

    def _head_many(self, keys: Sequence[str], most_in_flight: int) -> HeadMany:
        shape = Shape("HEAD", self.read_headers)
        return HeadMany(self.service, shape, keys, self.meta, self.look, most_in_flight)

    def _reading(self, method: str, conditions: Conditions, ranges: Sequence[Range]) -> tuple[Shape, bytes]:
        """Return the shape of requests that read ranges, and the query of their targets."""
        if conditions is not ANY:
            return self._conditional(method, conditions)
        if method not in self._plain_reads:
            self._plain_reads[method] = self._conditional(method, ANY)
        return self._plain_reads[method]

    def _conditional(self, method: str, conditions: Conditions) -> tuple[Shape, bytes]:
        """Return the same, made anew."""
        version = self.version_query(conditions.version) if conditions.version else []
        more = self.get_headers if method == "GET" else {}
        shape = Shape(method, {**self.read_headers, **more, **read_headers(conditions)})
        return shape if self.service.takes_if_match else unconditional(shape), self._tail(version)

    def version_query(self, version: str) -> list[tuple[str, str]]:
        """Return what a request has in its query that is for a version of an object."""
        return [(self.service.dialect.version_query, version)]

    def meta(self, key: str, reply: Reply, size: int) -> ObjectMeta:
        """Return the metadata of an object of a size."""
        headers = reply.headers
        return {
            "path": key,
            "last_modified": parse_http_date(headers.get("last-modified", "")) or EPOCH,
            "size": size,
            "e_tag": headers.get("etag") or None,
            "version": headers.get(self.service.dialect.version_header),
        }

    def _attributes(self, reply: Reply) -> dict[str, str]:
        dialect = self.service.dialect
        names = {self._header(name).lower(): name for name in {*RESERVED, *dialect.attributes}}
        found = {names[name]: value for name, value in reply.headers.items() if name in names}
        if not dialect.metadata:
            return found
        skip = len(dialect.metadata)
        own = {name[skip:]: value for name, value in reply.headers.items() if name.startswith(dialect.metadata)}
        return {**found, **own}

    def _header(self, attribute: str) -> str:
        """Return the header that carries a reserved attribute."""
        return self.service.dialect.attributes.get(attribute, attribute)

    # --- writing

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object in one request."""
        return (yield from only_put((yield from self.put_many([(key, source)], options, most_in_flight=1)), source))

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[Puts]:
        """Begin to write many objects, each in one request."""
        yield from self.service.refresh()
        shared = self.put_shape(self.put_headers(options))
        exchange = PutMany(self.service, shared, items, options, self.put_result, self.now_at, most_in_flight)
        for key, source in items:
            exchange.add(self.target(key), shape=self.own_shape(shared, source), body=source.data)
        exchange.seal()
        return exchange

    def now_at(self, key: str) -> Plan[Fetched]:
        """Read what is known about an object that may just have been written."""
        return self.head(key, ANY)

    def put_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers of a write."""
        return {**self.object_headers(options), **write_headers(options)}

    def object_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers with what is stored beside the bytes."""
        dialect = self.service.dialect
        headers = dict(self.write_headers)
        for name, value in options.attributes.items():
            if not value.isascii():
                raise ValueError(f"the attribute {name!r} = {value!r} is not ASCII, and services mangle it: encode it")
            set_by = dialect.written.get(name) or self._header(name)
            is_known = name in RESERVED or name in dialect.attributes
            headers[set_by if is_known else dialect.metadata + name] = value
        return {**headers, **self.tag_headers(options)}

    def tag_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the header with the tags of what is written, where there are some."""
        if not (options.tags and self._tagging):
            return {}
        return {self.service.dialect.tags: urlencode(options.tags, quote_via=quote)}

    def put_shape(self, headers: Mapping[str, str]) -> Shape:
        """Return the shape of PUTs with bodies."""
        return Shape("PUT", headers, UNSIGNED_PAYLOAD)

    def own_shape(self, shared: Shape, source: Source) -> Shape | None:
        """Return the shape that the PUT of a body has in place of the shared one; None for no other."""
        return None

    def put_result(self, reply: Reply) -> PutResult:
        """Return the result of a write."""
        return {"e_tag": self.written_tag(reply), "version": reply.headers.get(self.service.dialect.version_header)}

    def written_tag(self, reply: Reply) -> str | None:
        """Return the ETag of what was written, an object or a part of one.

        Raises:
            CorruptResponseError: The service always tells it, and the reply does not.
        """
        tag = reply.headers.get("etag") or None
        if tag is None and self.service.dialect.tells_written:
            raise untold(self.service.dialect.store)
        return tag

    def delete_singly(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects, each by a request of its own; return what failed, by key."""
        yield from self.service.refresh()
        exchange = Exchange(
            self.service, Shape("DELETE", self.change_headers), lambda index: keys[index], most_in_flight=most_in_flight
        )
        for key in keys:
            exchange.add(self.target(key))
        yield from exchange.finish()
        return {keys[index]: error for index, error in exchange.errors.items() if not is_gone(error)}

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one."""
        yield from self.delete_on_condition(key, self.target(key), {IF_MATCH: e_tag})

    def delete_on_condition(self, key: str, target: bytes, headers: Mapping[str, str]) -> Plan[None]:
        """Delete what a target names, by one request: once its answer is lost, another may have written the same."""
        yield from self.service.refresh()
        shape = Shape("DELETE", {**self.change_headers, **headers})
        exchange = Exchange(self.service, shape, lambda _: key, safe=False)
        exchange.add(target)
        yield from exchange.only()

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Leave it to whoever asked to read the version that is meant, unless a service has its own way."""
        raise OutOfReachError
        yield

    def remove_directories(self, prefix: str) -> Plan[None]:
        """Do nothing: there are no directories beside objects."""
        return
        yield

    def target(self, key: str, query: Sequence[tuple[str, str]] = ()) -> bytes:
        """Return path and query of a key; of the bucket itself, where there is none."""
        return self.path(key) + self._tail(query)

    def path(self, key: str) -> bytes:
        """Return the path of a key, percent-encoded; of the bucket itself, where there is none."""
        return self.base + b"/" + encode_path(key) if key else self.base or b"/"

    def path_above(self, keys: Sequence[str]) -> bytes:
        """Return what the paths of keys that are read have in front."""
        return self.base + b"/"

    def _tail(self, query: Sequence[tuple[str, str]]) -> bytes:
        """Return the query of a request, with its question mark: the one that all have, and its own."""
        if not (self._query or query):
            return b""
        text = "&".join(part for part in (self._query, canonical_query(query)) if part)
        return b"?" + text.encode()


def only_put(exchange: Puts, source: Source) -> Plan[PutResult]:
    """Wait for the one write that is under way, and return its result."""
    try:
        while not exchange.over:
            yield from exchange.news()
    finally:
        exchange.close()
    for error in exchange.errors.values():
        raise error
    source.check()
    (result,) = exchange.results()
    if result is None:
        raise exchange.errors[0]
    return result


def untold(store: str) -> CorruptResponseError:
    """Return the error for a write whose answer says that it was done, and does not say what was written."""
    return CorruptResponseError(
        "The write was answered as if it had been done, without a word of what was written",
        hint="Whoever answered may not be the service: read it to find out.",
        store=store,
        maybe_applied=True,
    )


def is_gone(error: BaseError) -> bool:
    """Tell whether a delete whose answer was lost has been carried out: asked again, nothing is there."""
    return error.maybe_applied and isinstance(error, NotFoundError)


def _size(reply: Reply, range: Range) -> int:
    """Return the size of the object that a reply is of, -1 where it does not tell."""
    if range == WHOLE:
        return max(len(reply.body), reply.content_length)  # but the beginning, or after that only the rest
    if reply.start >= 0:
        return reply.total
    if reply.content_length >= 0:
        return reply.content_length
    begun = range.start >= 0
    cut = range.end >= 0 and len(reply.body) >= range.end - range.start
    return range.start + len(reply.body) if begun and not cut else -1

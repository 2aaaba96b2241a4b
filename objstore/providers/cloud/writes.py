"""How objects of a bucket come to be, beside the bytes of one request: by uploads in parts, and as copies.

Its one invariant: a copy that is to replace nothing is made only where the service itself sees to that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import encode_path
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
)
from objstore.http.shape import Shape
from objstore.interface.provider import alone
from objstore.interface.values import ANY, WHOLE, Fetched, WriteOptions, carried
from objstore.providers.cloud.checksums import told_sums
from objstore.providers.cloud.copied_parts import CopiedParts
from objstore.providers.cloud.proved_writes import ProvedWrites
from objstore.providers.cloud.s3_objects import check_locks, restore_state
from objstore.providers.cloud.shared_uploads import SharedUploads
from objstore.providers.cloud.tags import Tags
from objstore.providers.cloud.upload import NAMESPACE, Begun, Upload, begin
from objstore.providers.conditional_headers import as_kind, look_after, write_error, write_headers
from objstore.providers.preconditions import check_one_version, matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply
    from objstore.http.service import Service
    from objstore.interface.provider import Provider, Share
    from objstore.interface.values import Sums
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.checksums import Algorithm
    from objstore.types import PutMode

COPY_AT_ONCE = 5 << 30
"""The most that one request copies, in bytes (CopyObject, and each UploadPartCopy)."""

FAR_BELOW = 1 << 30
"""What was listed as no more than this is not more than COPY_AT_ONCE by now."""

TOO_LARGE = (400, 413)
"""How a service may refuse a larger one; it may do so for another reason."""

NO_GUARD = (
    "Say by the setting copy_if_not_exists what it has: multipart, header:NAME:VALUE or "
    "header-with-status:NAME:VALUE:STATUS."
)
NO_MATCH = (
    "Give copy_if_not_exists='multipart' if the end of an upload is conditional there; or read it, and put it with "
    "mode={'e_tag': ...}."
)

PARTS_IN_FLIGHT = 12
"""How many parts of one object are copied at a time, at the most."""

COPIED_PART = 512 << 20
"""The size of the parts in which more is copied."""


class Guard(NamedTuple):
    """How a service is kept from replacing an object by a copy.

    Args:
        headers: What it is told with the copy; nothing: the copy is made in parts, whose end may be conditional.
        status: How it answers that there is an object, where not by 412.
        compares: Whether the copy may say by If-Match which version it replaces.
    """

    headers: Mapping[str, str]
    status: int = 412
    compares: bool = False


class Writes(ProvedWrites):
    """The objects of a bucket, and what makes them.

    Args:
        service: Where it is, and how requests to it are signed and judged.
        base: The path of the bucket, percent-encoded, without a trailing slash; empty where the host names it.
        copied_from: What its objects' keys stand behind where they are the source of a copy, and a slash.
        guard: How a copy is kept from replacing an object; None: the service has no way.
        bounds_copies: Whether it is known to refuse at once what is more than COPY_AT_ONCE.
        read_headers: Headers of every request that reads an object.
        get_headers: More headers of those that read its bytes.
        write_headers: Headers of every request that creates an object (encryption and the like).
        change_headers: Headers of every request that does neither.
        tagging: Whether the service takes tags.
        checksum: Which checksum of what is written to send with it.
        conditional_writes: Whether the service has conditional writes; None: it has to prove it.
    """

    def __init__(
        self,
        service: Service,
        base: str,
        copied_from: str,
        *,
        guard: Guard | None,
        bounds_copies: bool,
        write_headers: Mapping[str, str],
        read_headers: Mapping[str, str],
        get_headers: Mapping[str, str],
        change_headers: Mapping[str, str],
        tagging: bool,
        checksum: Algorithm | None,
        conditional_writes: bool | None,
    ) -> None:
        super().__init__(
            service,
            base,
            read_headers=read_headers,
            get_headers=get_headers,
            write_headers=write_headers,
            change_headers=change_headers,
            tagging=tagging,
            conditional_writes=conditional_writes,
        )
        self.copied_from = copied_from
        self._guard = guard
        self._bounds_copies = bounds_copies
        self._checksum = checksum

    def fetched_head(self, key: str, reply: Reply) -> Fetched:
        """Return what the reply to a HEAD tells: how far an archived object is restored, too."""
        fetched, state = super().fetched_head(key, reply), reply.headers.get("x-amz-restore")
        return fetched if state is None else fetched._replace(restore=restore_state(state))

    def sums(self, reply: Reply) -> Sums | None:
        """Return what a reply tells of checksums; those of parts and hashes, where it is of the whole object."""
        sums = super().sums(reply)
        if sums is None and reply.status == 200 and reply.start < 0:
            return told_sums(reply.headers, reply.content_length)
        return sums

    def object_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers with what is stored beside the bytes."""
        check_locks(options.attributes, summed=self._checksum is not None)
        return super().object_headers(options)

    # --- uploads

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Upload]:
        """Begin a multipart upload (CreateMultipartUpload)."""
        begun = yield from self._begin_summed(key, options)
        algorithm, sums_whole = self._checksum, begun.sums_whole
        return Upload(self, key, begun.id, options, most_in_flight, algorithm=algorithm, sums_whole=sums_whole)

    def start_upload(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin a multipart upload, and return its id."""
        return (yield from self._begin_summed(key, options)).id

    def _begin_summed(self, key: str, options: WriteOptions) -> Plan[Begun]:
        """Begin a multipart upload whose parts come with checksums, where that is wanted."""
        algorithm = self._checksum
        return self._begin(key, options, {} if algorithm is None else algorithm.announcement())

    @property
    def tags(self) -> Tags | None:
        """The tags of its objects, where the service keeps some."""
        return _tags_of(self) if self._tagging else None

    @property
    def shared_uploads(self) -> SharedUploads:
        """The uploads by many hands."""
        return SharedUploads(self, self.start_upload, self._checksum)

    def _begin(self, key: str, options: WriteOptions, headers: Mapping[str, str]) -> Plan[Begun]:
        """Begin a multipart upload."""
        self.check_condition(options, in_parts=True)
        return begin(self, key, {**self.object_headers(options), **headers})

    # --- copies

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a bucket of the same service, for the same account."""
        if not isinstance(origin, Writes):
            return False
        mine, theirs, home = self.service, origin.service, self._home()
        is_beside = home is not None and home == origin._home() and mine.identity.is_same_as(theirs.identity)
        return mine.is_same_as(theirs) or is_beside

    def _home(self) -> str | None:
        """Return where the service is whose hosts begin with its buckets; None where that of the bucket does not.

        By Transfer Acceleration there is one for all regions, between which it does not copy.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html
        """
        scheme, _, host = self.service.origin.partition("://")
        home = host.removeprefix(f"{self.service.bucket}.")
        is_here = not self.base and home != host and not home.startswith("s3-accelerate.")
        return f"{scheme}://{home}" if is_here else None

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here: by one request, or in parts where that is too much for one, or has to be conditional."""
        small = size is not None and size <= FAR_BELOW
        yield from self._copy(source, target, mode, origin, None, share, bounded=small or self._bounds_copies)

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Copy an object here, if its ETag is still this one; some services ignore that, so we look before and after.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        try:
            yield from self._copy(source, target, mode, origin, e_tag, share, bounded=False)
        except (AlreadyExistsError, PreconditionError):
            yield from _check_is(origin, source, e_tag)  # which of the two conditions it was, no answer tells
            raise
        try:
            yield from _check_is(origin, source, e_tag)
        except BaseError as error:
            error.maybe_applied = True
            raise

    def _copy(
        self,
        source: str,
        target: str,
        mode: PutMode,
        origin: Provider,
        e_tag: str | None,
        share: Share,
        *,
        bounded: bool,
    ) -> Plan[None]:
        """Copy an object; one that is `bounded` is not cut short in silence, if it is too large for one request."""
        assert isinstance(origin, Writes)
        options = WriteOptions(mode=mode)
        guard = self._guard_of(source, target, options)
        conditional = mode != "overwrite" and not guard.headers
        needed = conditional or e_tag is not None or not isinstance(mode, str)
        try:
            if bounded and not needed:
                yield from self._copy_unseen(origin, source, target, guard, options, share)
                return
            head = yield from _head(origin, source, needed=needed)
            if e_tag is not None and head is not None:
                _compare(origin, source, origin.fetched_head(source, head), e_tag)
            if head is not None and (conditional or head.content_length > COPY_AT_ONCE):
                copied = self._copy_in_parts(origin, source, target, head, options, share)
                # that the end of an upload may replace nothing, the setting has said; of one version it says nothing
                yield from copied if isinstance(mode, str) else self.ended(target, options, copied)
            else:
                yield from self._copy_at_once(origin, source, target, guard, options, e_tag)
        except NotFoundError as error:
            if error.code != "NoSuchBucket":
                error.path = origin.service.path(source)
            raise

    def _copy_unseen(
        self, origin: Writes, source: str, target: str, guard: Guard, options: WriteOptions, share: Share
    ) -> Plan[None]:
        """Copy an object by one request; in parts, if that is refused and it proves to be too large."""
        try:
            yield from self._copy_at_once(origin, source, target, guard, options, None)
            return
        except BaseError as error:
            refusal = error
        head = (yield from _head(origin, source, needed=False)) if refusal.status in TOO_LARGE else None
        if head is None or head.content_length <= COPY_AT_ONCE:
            raise refusal
        yield from self._copy_in_parts(origin, source, target, head, options, share)

    def _guard_of(self, source: str, target: str, options: WriteOptions) -> Guard:
        """Return how a copy is kept from replacing an object, or another version of it than the one that is named."""
        condition, guard = write_headers(options), self._guard
        if not condition:
            return Guard({})
        if guard is not None and (options.mode == "create" or not guard.headers):
            return guard
        if guard is not None and guard.compares:
            return Guard(condition)
        what, hint = ("nothing is there", NO_GUARD) if options.mode == "create" else ("that is one version", NO_MATCH)
        raise NotSupportedError(
            f"{source!r} cannot be copied to {target!r} only if {what}: the service has no known way to see to that",
            hint=hint,
            store=self.service.dialect.store,
            path=self.service.path(target),
        )

    def _copy_at_once(
        self, origin: Writes, source: str, target: str, guard: Guard, options: WriteOptions, e_tag: str | None
    ) -> Plan[None]:
        """Copy an object by one request (CopyObject)."""
        safe = options.mode == "overwrite"
        named = self._copy_source(origin, source, e_tag)
        shape = Shape("PUT", {**self.write_headers, **named, **guard.headers})
        try:
            yield from self.document(
                shape,
                self.target(target),
                target,
                ("CopyObjectResult",),
                safe=safe,
                patient=True,
                detail=f" from {source!r}",
            )
        except BaseError as error:
            if error.code == "NoSuchBucket":
                raise
            if options.mode == "create" and error.status == guard.status:
                raise as_kind(AlreadyExistsError, error) from None
            raise (yield from look_after(write_error(error, options), options, self.now_at(target))) from None

    def _copy_in_parts(
        self, origin: Writes, source: str, target: str, head: Reply, options: WriteOptions, share: Share
    ) -> Plan[None]:
        """Copy an object in the parts of an upload, with what is stored beside it."""
        found, tags = origin.fetched_head(source, head), (yield from _tags(origin, source, head))
        written = WriteOptions(carried(found.attributes), tags, options.mode)
        expires = {"Expires": head.headers["expires"]} if "expires" in head.headers else {}
        headers = self._copy_source(origin, source, found.meta["e_tag"])
        ranges = _cut(found.meta["size"], self.most_parts)
        if ranges:
            check_one_version(origin.service.dialect.store, source, origin.service.path(source), found.seen)
        with share(found.meta["size"], PARTS_IN_FLIGHT) as most:
            upload_id = (yield from self._begin(target, written, expires)).id
            parts = CopiedParts(self, target, upload_id, options, source, headers, most)
            yield from self._copy_parts(parts, origin, source, found, ranges)

    def _copy_parts(
        self, parts: CopiedParts, origin: Writes, source: str, found: Fetched, ranges: Sequence[tuple[int, int]]
    ) -> Plan[None]:
        """Have the parts copied, and make an object of them."""
        try:
            for start, end in ranges:
                parts.add_range(start, end)
            if not parts.total:
                parts.add_whole()
            yield from parts.settle()
            if parts.total > 1:
                yield from _check_unchanged(origin, source, found)
            yield from parts.complete()
            parts.close()
        except BaseException:
            parts.close()
            with suppress(BaseError):
                yield from parts.abort()
            raise

    def copy_onto_itself(self, key: str, options: WriteOptions) -> Plan[None]:
        """Copy an object onto itself in the parts of an upload."""
        head = yield from self.read_one("HEAD", key, WHOLE, ANY)
        yield from self._copy_in_parts(self, key, key, head, options, alone)

    def _copy_source(self, origin: Writes, source: str, e_tag: str | None) -> dict[str, str]:
        """Return the headers that name the object to be copied, its version, the key that it is encrypted with, and who
        pays for reading it.
        """
        dialect = self.service.dialect
        payer = {name: value for name, value in origin.change_headers.items() if name not in self.change_headers}
        named = {dialect.copy_source: encode_path(f"{origin.copied_from}/{source}").decode()}
        named |= {f"{dialect.copy_source}-if-match": e_tag} if e_tag else {}
        read = {dialect.source_headers.get(name): value for name, value in origin.read_headers.items()}
        return payer | named | {name: value for name, value in read.items() if name is not None}


def _cut(size: int, most_parts: int) -> list[tuple[int, int]]:
    """Return the ranges in which an object is copied, of equal size but the last; none: it is copied whole."""
    if size <= COPY_AT_ONCE:
        return []
    step = max(min(COPIED_PART, COPY_AT_ONCE), -(-size // most_parts))
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def _head(origin: Writes, source: str, *, needed: bool) -> Plan[Reply | None]:
    """Ask how large an object is; None where that is refused, and not needed: the copy will be told why, and this not.

    The reply to a HEAD has no body that could say so.
    """
    try:
        return (yield from origin.read_one("HEAD", source, WHOLE, ANY))
    except NotFoundError:
        raise
    except BaseError as error:
        if needed or error.status is None or error.status >= 500:
            raise
        return None


def _tags(origin: Writes, source: str, head: Reply) -> Plan[dict[str, str]]:
    """Return the tags of an object, which a copy in parts would leave behind."""
    if head.headers.get("x-amz-tagging-count", "0") == "0":
        return {}
    return (yield from _tags_of(origin).get(source))


def _tags_of(bucket: Writes) -> Tags:
    return Tags(bucket, ("tagging", ""), "Tagging", namespace=NAMESPACE, deletes=True)


def _check_is(origin: Provider, source: str, e_tag: str) -> Plan[None]:
    """Raise if an object is another version by now."""
    assert isinstance(origin, Writes)
    _compare(origin, source, (yield from origin.head(source, ANY)), e_tag)


def _compare(origin: Writes, source: str, found: Fetched, e_tag: str) -> None:
    if not matches(found.meta["e_tag"], e_tag):
        raise PreconditionError(
            f"{source!r} is not what was to be copied: it has the ETag {found.meta['e_tag']}, not {e_tag}",
            store=origin.service.dialect.store,
            path=origin.service.path(source),
        )


def _check_unchanged(origin: Writes, source: str, found: Fetched) -> Plan[None]:
    """Raise if the object was replaced while its parts were copied: some services ignore which version is meant."""
    now = (yield from origin.head(source, ANY)).meta
    if (now["e_tag"], now["size"], now["last_modified"]) != tuple(
        found.meta[name] for name in ("e_tag", "size", "last_modified")
    ):
        raise ObjectChangedError(
            f"{source!r} was replaced while it was copied",
            hint="Copy it again.",
            store=origin.service.dialect.store,
            path=origin.service.path(source),
        )

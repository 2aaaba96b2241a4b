"""The primitive operations on a bucket in S3's dialect or one near it, beside those that all stores on HTTP share.

What every operation shares (ranges, parts, batches) is above, in `operations`.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from objstore._core import Buffer, Bytes, Listing, Reply
from objstore.exceptions import (
    BaseError,
    CorruptResponseError,
    GenericError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
)
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.retry import Row
from objstore.http.shape import Shape
from objstore.http.xml import build, can_hold, parse
from objstore.interface.provider import alone
from objstore.interface.values import FIRST_BYTE, WHOLE, Conditions, Fetched, ListQuery, Page, Range, Source
from objstore.providers.cloud.checksums import Algorithm, is_trailed, sha256, with_trailer
from objstore.providers.cloud.deletes import Undeleted, delete_again
from objstore.providers.cloud.documents import Sent
from objstore.providers.cloud.list_many import ListMany
from objstore.providers.cloud.listed import checked
from objstore.providers.cloud.s3_objects import ARCHIVED, restored
from objstore.providers.cloud.s3_parts import Parts
from objstore.providers.cloud.signed import check_url
from objstore.providers.cloud.upload import NAMESPACE
from objstore.providers.cloud.versions import Versions, s3_versions
from objstore.providers.cloud.writes import Guard, Writes
from objstore.providers.many import tells_size
from objstore.signing.sigv4 import UNSIGNED_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from objstore.http.retry import Failure
    from objstore.http.service import Service
    from objstore.interface.provider import Buckets, Forms
    from objstore.interface.values import UrlTerms
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutMode


ONE_PAGE = "A service without ListObjectsV2 lists one page: no more than it returns can be listed there."

NOT_DELETED = Row(GenericError, "the server did not delete it")


class Bucket(Writes):
    """A bucket of a service that speaks S3's dialect of HTTP and XML.

    Args:
        service: Where it is, and how requests to it are signed and judged.
        base: The path of the bucket, percent-encoded, without a trailing slash; empty where the host names it.
        copied_from: What its objects' keys stand behind where they are the source of a copy, and a slash.
        guard: How a copy is kept from replacing an object; None: the service has no way.
        bounds_copies: Whether it is known to refuse at once to copy more by one request than such take.
        read_headers: Headers of every request that reads an object.
        get_headers: More headers of those that read its bytes: they ask for checksums.
        write_headers: Headers of every request that creates an object (encryption and the like).
        change_headers: Headers of every request that does neither.
        sign_payload: Whether to sign the bodies of objects: it takes a hash of every byte.
        tagging: Whether the service takes tags.
        bulk_delete: Whether the service deletes many objects by one request.
        checksum: Which checksum of every body to send, for the service to check.
        trailers: Whether it may come behind a body.
        conditional_writes: Whether the service takes writes with a condition; None: it has to prove it.
        conditional_deletes: Whether it is known to take deletes with one.
        asks_for_checksums: Whether it is worth a request to learn the checksum of what is going to be read in pieces.
        tells_of_wholes: Whether replies to requests for all of an object tell its checksum, and those to others do not.
        buckets: Makes of this the buckets of the account; None: it is an access point.
        forms: Makes of this the forms of browsers; None: it is an access point.
    """

    lists_from_anywhere = True
    lists_by_bytes = True
    has_outer_slashes = True

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
        sign_payload: bool,
        tagging: bool,
        bulk_delete: bool,
        checksum: Algorithm | None,
        trailers: bool,
        conditional_writes: bool | None,
        conditional_deletes: bool,
        asks_for_checksums: bool,
        tells_of_wholes: bool,
        buckets: Callable[[Documents], Buckets] | None = None,
        forms: Callable[[Documents], Forms] | None = None,
    ) -> None:
        super().__init__(
            service,
            base,
            copied_from,
            guard=guard,
            bounds_copies=bounds_copies,
            read_headers=read_headers,
            get_headers=get_headers,
            write_headers=write_headers,
            change_headers=change_headers,
            tagging=tagging,
            checksum=checksum,
            conditional_writes=conditional_writes,
        )
        self._sign_payload = sign_payload
        self._trailers = trailers
        self._bulk_delete = bulk_delete
        self._conditional_deletes = conditional_deletes
        self.asks_for_checksums = asks_for_checksums
        self.tells_of_wholes = tells_of_wholes
        self._buckets = buckets
        self._forms = forms

    @property
    def buckets(self) -> Buckets | None:
        """The bucket as such, and those beside it."""
        return None if self._buckets is None else self._buckets(self)

    @property
    def versions(self) -> Versions | None:
        """The versions of its objects."""
        return s3_versions(self)

    def put_shape(self, headers: Mapping[str, str]) -> Shape:
        """Return the shape of PUTs with bodies, whose checksums the engine makes where it can."""
        return Shape("PUT", headers, UNSIGNED_PAYLOAD, None if self._checksum is None else self._checksum.by_engine)

    def own_shape(self, shared: Shape, source: Source) -> Shape | None:
        """Return the shape of a PUT whose hash is signed, or whose checksum is made here, or told behind the body."""
        if self._trailers and shared.body_sum is not None and is_trailed(source):
            return with_trailer(shared, shared.body_sum)
        told = {} if self._checksum is None or shared.body_sum is not None else self._checksum.told(source)
        if not (told or self._sign_payload):
            return None
        payload_hash = sha256(source) if self._sign_payload else UNSIGNED_PAYLOAD
        return replace(shared, headers={**shared.headers, **told}, payload_hash=payload_hash)

    # --- reading

    @property
    def parts(self) -> Parts:
        """The parts that its objects were made of."""
        return Parts(self)

    def fetch_one(
        self, key: str, range: Range, conditions: Conditions, *, brief: bool = False, measured: bool = True
    ) -> Plan[Fetched]:
        """Read one object, or a range of it; of an archived one, find out how far it is restored."""
        try:
            return (yield from super().fetch_one(key, range, conditions, brief=brief, measured=measured))
        except PermissionDeniedError as error:
            if error.code == ARCHIVED:
                yield from self._tell_restored(key, conditions, error)
            raise

    def _tell_restored(self, key: str, conditions: Conditions, error: BaseError) -> Plan[None]:
        """Add to the error of an archived object how far it is restored, which only a HEAD tells."""
        with suppress(BaseError):
            state = (yield from self.head(key, conditions)).restore
            error.args = (f"{error} {restored(state)}",)

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read."""
        told = (yield from self._told_by_head(key, conditions)) if self.get_headers else None
        return told or (yield from super().look(key, conditions, piece, measured=measured))

    def _told_by_head(self, key: str, conditions: Conditions) -> Plan[Fetched | None]:
        """Read what a HEAD tells that is asked for checksums, which S3 tells of a whole object alone.

        None where it does not tell enough: of what is refused, or not there, a GET tells why.
        """
        yield from self.service.refresh()
        shape, tail = self._reading("HEAD", conditions, [WHOLE])
        shape = replace(shape, headers={**shape.headers, **self.get_headers})
        try:
            reply = yield from self.read_by(shape, tail, key, WHOLE, conditions)
        except (NotFoundError, PermissionDeniedError):
            return None
        return self.fetched_head(key, reply) if tells_size(reply) else None

    # --- the rest

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects (DeleteObject, DeleteObjects); return what failed, by key."""
        if len(keys) == 1 or not self._bulk_delete:
            return (yield from self.delete_singly(keys, most_in_flight))
        send = partial(self._delete_groups, most_in_flight=most_in_flight)
        failed = yield from delete_again(self.service.policy, [key for key in keys if can_hold(key)], send)
        if rest := [key for key in keys if not can_hold(key)]:
            failed |= yield from self.delete_singly(rest, most_in_flight)
        return failed

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one (DeleteObject).

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
        """
        if not self._conditional_deletes:
            raise NotSupportedError(
                f"{key!r} cannot be deleted only if its ETag is {e_tag}: the service is not known to see to that, and "
                "many ignore the condition",
                hint="Give conditional_delete='etag' if the service has conditional deletes.",
                store=self.service.dialect.store,
                path=self.service.path(key),
            )
        yield from super().delete_if(key, e_tag)

    def _delete_groups(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, Undeleted]]:
        yield from self.service.refresh()
        size = self.service.dialect.delete_batch
        groups = [keys[i : i + size] for i in range(0, len(keys), size)]
        exchange = Exchange(
            self.service,
            Shape("POST", self.change_headers),
            lambda index: groups[index][0],
            detail=lambda index: f" and {len(groups[index]) - 1} more",
            most_in_flight=most_in_flight,
        )
        for group in groups:
            body = build("Delete", [*_objects(group), ("Quiet", "true")], namespace=NAMESPACE)
            headers = {**self.change_headers, **self.proof(body), "Content-Type": "application/xml"}
            shape = Shape("POST", headers, hashlib.sha256(body).hexdigest())
            exchange.add(self.target("", [("delete", "")]), shape=shape, body=Buffer(body))
        yield from exchange.finish()
        errors = {index: _hinted(error) for index, error in exchange.errors.items()}
        failed = {key: Undeleted(error) for index, error in errors.items() for key in groups[index]}
        for index, group in enumerate(groups):
            if index not in exchange.errors:
                failed |= self._undeleted(exchange.reply(index), group)
        return failed

    def proof(self, body: bytes) -> dict[str, str]:
        """Return the header that vouches for the body of a DeleteObjects, which takes none without."""
        return {"Content-MD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}

    def _undeleted(self, reply: Reply, keys: Sequence[str]) -> dict[str, Undeleted]:
        """Return what a DeleteObjects result says that was not deleted: all, where it is none."""
        try:
            root = parse(bytes(reply.body), "DeleteResult")
        except CorruptResponseError as error:
            failure = self.failure_in(reply, "DeleteResult")
            if failure is None:
                error.maybe_applied = True
                return dict.fromkeys(keys, Undeleted(error))
            return {key: self._why(reply, key, failure) for key in keys}
        failures = {item.find_text("Key"): self.failure_of(item, NOT_DELETED) for item in root.find_all("Error")}
        other = next((key for key in failures if key not in set(keys)), None)
        if other is not None:  # which of ours was not deleted, nobody can say
            broken = CorruptResponseError(f"The service was not asked to delete {other!r}, and says that it failed")
            broken.maybe_applied = True
            return dict.fromkeys(keys, Undeleted(broken))
        return {key: self._why(reply, key, failure) for key, failure in failures.items()}

    def _why(self, reply: Reply, key: str, failure: Failure) -> Undeleted:
        """Return why an object was not deleted, or may not have been."""
        left = failure.row.leaves_open
        return Undeleted(self.service.error(reply, failure, "DELETE", key, maybe_applied=left), failure)

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Copy an object and delete the old one: the service cannot rename."""
        yield from self.copy(source, target, mode=mode, origin=self, share=alone, size=None)
        for error in (yield from self.delete([source], most_in_flight=1)).values():
            raise error

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Return a URL for each key that carries its own signature."""
        check_url(self, terms)
        yield from self.service.refresh()
        bound = {name.lower() for name in terms.headers}
        query = terms.parameters() + [pair for pair in self.change_headers.items() if pair[0] not in bound]
        return [self.service.signed_url(self.path(key).decode(), query, terms) for key in keys]

    @property
    def forms(self) -> Forms | None:
        """The forms by which browsers may write."""
        return None if self._forms is None else self._forms(self)

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing (ListObjectsV2), the first answer to which may be here."""

        def send() -> Plan[Sent]:
            yield from self.service.refresh()
            shape = Shape("GET", self.change_headers)
            exchange = Exchange(self.service, shape, lambda _: query.prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(self.list_target(query))
            return Sent((yield from exchange.only()))

        def read(reply: Reply) -> Page:
            return _page(reply.body, query)

        return (yield from self.answer(send, read, ("ListBucketResult",), "GET", query.prefix, safe=True, first=first))

    def list_many(self, *, most_in_flight: int) -> Plan[ListMany]:
        """Begin to read pages of listings, asked for one by one."""
        yield from self.service.refresh()
        return ListMany(self, most_in_flight)

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""
        parameters = [("list-type", "2"), ("encoding-type", "url"), ("prefix", query.prefix)]
        named = {"delimiter": query.delimiter, "start-after": query.offset, "continuation-token": query.token}
        named["max-keys"] = query.limited
        parameters += [(name, value) for name, value in named.items() if value]
        return self.target("", parameters)


def _hinted(error: BaseError) -> BaseError:
    """Add to the error of a service that lacks DeleteObjects which setting does without."""
    hint = "Give disable_bulk_delete=True: then objects are deleted one by one."
    if error.status in (405, 501) and hint not in str(error):  # it is the error of every key of a request
        error.args = (f"{error}. {hint}",)
    return error


def _objects(keys: Sequence[str]) -> list[tuple[str, Any]]:
    return [("Object", [("Key", key)]) for key in keys]


def _page(body: Bytes, query: ListQuery) -> Page:
    """Read a ListBucketResult."""
    try:
        listing = Listing(body)
    except ValueError as reason:
        hint = ONE_PAGE if "NextContinuationToken" in str(reason) else None
        raise CorruptResponseError(
            f"Expected a listing of {query.prefix!r}, got {bytes(body[:80])!r}: {reason}", hint=hint, path=query.prefix
        ) from None
    return checked(Page(listing, listing.common_prefixes, listing.token), query)

"""A bucket of Google Cloud Storage: its listings, deletes and copies, and uploads in parts.

https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from objstore._core import Buffer, Listing, Reply
from objstore.exceptions import BaseError, CorruptResponseError, NotFoundError, NotSupportedError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.retry import Failure, Row, by_status
from objstore.http.shape import Shape
from objstore.http.words import read_words
from objstore.interface.provider import alone
from objstore.interface.succession import Marks
from objstore.interface.values import ListQuery, Page, WriteOptions
from objstore.providers.cloud.deletes import Undeleted, delete_again
from objstore.providers.cloud.gcs_batch import Answer, read_batch, write_batch
from objstore.providers.cloud.gcs_buckets import GoogleBuckets
from objstore.providers.cloud.gcs_composed_upload import ComposedUpload
from objstore.providers.cloud.gcs_parts import hidden
from objstore.providers.cloud.gcs_resource import (
    FIELDS,
    generation_match,
    generation_named,
    items_of,
    meta_of,
    read_document,
    with_generation,
)
from objstore.providers.cloud.gcs_session import Session
from objstore.providers.cloud.gcs_shared_uploads import GoogleUploads
from objstore.providers.cloud.gcs_signed import Signed
from objstore.providers.cloud.gcs_versions import Generations
from objstore.providers.cloud.gcs_xml_upload import XmlUpload
from objstore.providers.cloud.list_many import ListMany
from objstore.providers.cloud.listed import checked
from objstore.providers.conditional_headers import look_after, write_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.interface.provider import Buckets, Provider, Share, Upload, Versions
    from objstore.plans.effects import Plan
    from objstore.types import PutMode

NEEDED = [("permissions", f"storage.objects.{name}") for name in ("create", "delete", "get", "list")]
"""What an upload takes whose parts are objects."""

UNANSWERED = Row(CorruptResponseError, "the reply to many has no answer to it", "safe")

REFUSED_AS_A_WHOLE = (403, 413)
"""How batches are refused that may be taken another time: what is wrong with one object is told inside a 200."""

UNKNOWN_HERE = (400, 404, 405, 501)
"""How servers answer that know no such request."""


class GoogleBucket(Signed):
    """A bucket of Google Cloud Storage, or of an emulator of it."""

    lists_from_anywhere = True
    lists_by_bytes = True
    has_outer_slashes = True
    _takes_xml_uploads = True  # until the server says that it knows none, as emulators do
    _takes_batches = True
    _composes: bool | None = None  # nobody has asked yet whether we may

    project: str = ""
    """The project whose buckets are made and listed."""

    @property
    def buckets(self) -> Buckets | None:
        """The bucket as such, and those beside it."""
        return GoogleBuckets(self, self.project)

    # --- listing

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""
        named = {
            "prefix": query.prefix,
            "delimiter": query.delimiter,
            "startOffset": query.offset,
            "pageToken": query.token,
            "maxResults": query.limited,
            "includeFoldersAsPrefixes": "true" if query.delimiter == "/" else "",
        }
        parameters = [("fields", f"items({FIELDS}),kind,nextPageToken,prefixes")]
        return self.object_target("", parameters + [(name, value) for name, value in named.items() if value])

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing, the answer to which may be here."""
        if first is None:
            yield from self.service.refresh()
            exchange = Exchange(self.service, Shape("GET", {}), lambda _: query.prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(self.list_target(query))
            first = yield from exchange.only()
        document = read_document(bytes(first.body), f"a listing of {query.prefix!r}")
        return _page(document, query)

    def list_many(self, *, most_in_flight: int) -> Plan[ListMany]:
        """Begin to read pages of listings, asked for one by one."""
        yield from self.service.refresh()
        return ListMany(self, most_in_flight)

    # --- deletes

    @property
    def versions(self) -> Versions | None:
        """The generations of its objects."""
        return Generations(self)

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; return what failed, by key. What is not there is deleted, as with S3."""
        if len(keys) > 1 and self._takes_batches:
            try:
                send = partial(self._delete_groups, most_in_flight=most_in_flight)
                return (yield from delete_again(self.service.policy, keys, send))
            except NotSupportedError as error:
                self._takes_batches = error.status in REFUSED_AS_A_WHOLE
        return (yield from self.delete_singly(keys, most_in_flight))

    def delete_singly(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects, each by a request of its own; return what failed, by key."""
        yield from self.service.refresh()
        exchange = Exchange(self.service, Shape("DELETE", {}), lambda index: keys[index], most_in_flight=most_in_flight)
        for key in keys:
            exchange.add(self.object_target(key))
        yield from exchange.finish()
        return {keys[index]: error for index, error in exchange.errors.items() if not _is_missing(error)}

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one: its generation."""
        condition = [("ifGenerationMatch", generation_named(e_tag))]
        yield from self.delete_on_condition(key, self.object_target(key, condition), {})

    def _delete_groups(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, Undeleted]]:
        """Delete objects, many by each request.

        Raises:
            NotSupportedError: The server has no such requests.
        """
        yield from self.service.refresh()
        size = self.service.dialect.delete_batch
        groups = [keys[i : i + size] for i in range(0, len(keys), size)]
        boundary = secrets.token_hex(16)
        exchange = Exchange(
            self.service,
            Shape("POST", {"Content-Type": f"multipart/mixed; boundary={boundary}"}),
            lambda index: groups[index][0],
            detail=lambda index: f" and {len(groups[index]) - 1} more",
            keep_head=True,
            most_in_flight=most_in_flight,
        )
        for group in groups:
            lines = [f"DELETE {self.object_target(key).decode()}" for key in group]
            exchange.add(f"{self.api}/batch/storage/v1".encode(), body=Buffer(write_batch(boundary, lines)))
        yield from exchange.finish()
        failed: dict[str, Undeleted] = {}
        for index, group in enumerate(groups):
            failed |= self._undeleted(exchange, index, group)
        return (yield from self._mended(failed))

    def _mended(self, failed: dict[str, Undeleted]) -> Plan[dict[str, Undeleted]]:
        """Have another credential, where answers in a batch refuse this one; where there is none, that is the end."""
        refused = {key: each for key, each in failed.items() if _refuses_credential(each)}
        if not refused:
            return failed
        (*_, (_, failure)) = refused.values()
        mended = failure is not None and (yield from self.service.recover(failure))
        again = Failure(UNANSWERED, None, "") if mended else None
        return {key: each._replace(failure=again) if key in refused else each for key, each in failed.items()}

    def _undeleted(self, exchange: Exchange, index: int, keys: Sequence[str]) -> dict[str, Undeleted]:
        """Return what a reply says that was not deleted: all, where it is none."""
        if (failed := exchange.errors.get(index)) is not None:
            if failed.status in (*UNKNOWN_HERE, *REFUSED_AS_A_WHOLE):
                raise NotSupportedError(str(failed), status=failed.status) from failed
            return dict.fromkeys(keys, Undeleted(failed))
        reply = exchange.reply(index)
        try:
            answers = read_batch(reply.headers, bytes(reply.body), len(keys))
        except CorruptResponseError as error:
            error.maybe_applied = True
            return dict.fromkeys(keys, Undeleted(error))
        if not answers:
            raise NotSupportedError("The reply to a batch has no answers that can be read")
        found = {key: self._why_not(reply, key, answers.get(number)) for number, key in enumerate(keys)}
        return {key: why for key, why in found.items() if why is not None}

    def _why_not(self, reply: Reply, key: str, answer: Answer | None) -> Undeleted | None:
        """Return why an object was not deleted; None where it was, or is missing."""
        if answer is None:
            failure = Failure(UNANSWERED, None, "")
            return Undeleted(self.service.error(reply, failure, "DELETE", key, maybe_applied=True), failure)
        if answer.status in self.service.dialect.successes["DELETE"]:
            return None
        words = read_words(answer.body)
        row = self.service.dialect.codes.get(words.code or "", by_status(answer.status))
        failure = Failure(row, words.code, words.message)
        error = self.service.error(reply, failure, "DELETE", key, maybe_applied=row.leaves_open)
        error.status = answer.status
        return None if _is_missing(error) else Undeleted(error, failure)

    # --- copies

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a bucket of the same service, for the same account."""
        return isinstance(origin, GoogleBucket) and self.service.is_same_as(origin.service)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here (objects.rewrite): the service may do a part of it at a time."""
        assert isinstance(origin, GoogleBucket)
        options = with_generation(WriteOptions(mode=mode))
        headers = {**self.key_headers, **origin.source_headers()}
        to = f"/rewriteTo/b/{quote(self.bucket, safe='')}/o/{quote(target, safe='')}"
        query = [("fields", "done,rewriteToken,totalBytesRewritten"), *generation_match(options)]
        query += [(f"destination{name[0].upper()}{name[1:]}", value) for name, value in self.kms_query]
        token, tokens = "", Marks()
        while True:
            said = [*query, ("rewriteToken", token)] if token else query
            try:
                document = yield from self.ask(
                    "POST",
                    origin.object_target(source, said, to),
                    target,
                    headers=headers,
                    safe=mode == "overwrite",
                    detail=f" from {source!r}",
                )
            except NotFoundError as error:
                error.path = origin.service.path(source)
                raise
            except BaseError as error:
                raise (yield from look_after(write_error(error, options), options, self.now_at(target))) from None
            token = _next_token(document)
            if not token:
                return
            if tokens.is_met(f"{token} {document.get('totalBytesRewritten')}"):
                raise CorruptResponseError(f"The copy of {source!r} to {target!r} does not go on", maybe_applied=True)

    def source_headers(self) -> dict[str, str]:
        """Return the headers with the key that the source of a copy is encrypted with."""
        own, copied = "x-goog-encryption-", "x-goog-copy-source-encryption-"
        return {name.replace(own, copied): value for name, value in self.key_headers.items()}

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Copy an object and delete the old one."""
        yield from self.copy(source, target, mode=mode, origin=self, share=alone, size=None)
        for error in (yield from self.delete([source], most_in_flight=1)).values():
            raise error

    # --- uploads

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Upload]:
        """Begin an upload in parts: at once where nothing must hold of the object, else composed, or in a session.

        The service has no conditions for the first (https://cloud.google.com/storage/docs/multipart-uploads).
        """
        options = with_generation(options)
        self.check(options.attributes)
        if options.mode == "overwrite":
            upload_id = yield from self._start_by_xml(key, options)
            if upload_id is not None:
                return XmlUpload(self, key, upload_id, options, most_in_flight)
        elif most_in_flight > 1 and (yield from self.may_compose()):
            return ComposedUpload(self, key, options, most_in_flight)
        return (yield from self.one_by_one(key, options))

    def _start_by_xml(self, key: str, options: WriteOptions) -> Plan[str | None]:
        """Begin an upload by the XML API, and return its id; None where the server knows none, as emulators do."""
        if not self._takes_xml_uploads:
            return None
        try:
            return (yield from self.begin_by_xml(key, options))
        except BaseError as error:
            if error.status not in UNKNOWN_HERE or isinstance(error, NotFoundError):
                raise
            self._takes_xml_uploads = False
            return None

    def one_by_one(self, key: str, options: WriteOptions) -> Plan[Upload]:
        """Begin an upload whose parts go one after the other."""
        session = Session(self, key, options)
        yield from session.begin()
        return session

    def may_compose(self) -> Plan[bool]:
        """Tell whether we may do all that it takes to make an object of others, and to delete those.

        https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
        """
        if self._composes is None:
            target = self.object_target("").removesuffix(b"/o") + b"/iam/testPermissions" + self._tail(NEEDED)
            try:
                held = (yield from self.ask("GET", target, "")).get("permissions")
            except BaseError:
                held = None
            self._composes = isinstance(held, list) and all(name in held for _, name in NEEDED)
        return self._composes

    @property
    def shared_uploads(self) -> GoogleUploads:
        """The uploads by many hands."""
        return GoogleUploads(self, self._start_shared)

    def _start_shared(self, key: str, options: WriteOptions) -> Plan[str | None]:
        """Begin an upload by the XML API; None where something must hold of the object, or there is no such API."""
        self.check(options.attributes)
        return (yield from self._start_by_xml(key, options)) if options.mode == "overwrite" else None


def _page(document: Mapping[str, Any], query: ListQuery) -> Page:
    """Return the page that a document is; the service begins with the offset itself."""
    try:
        items = [item for item in items_of(document) if not hidden(item["name"])]
        rows = Listing.of([meta_of(item) for item in items if item["name"] != query.offset])
        prefixes = [str(prefix) for prefix in document.get("prefixes") or ()]
        "".join(prefixes).encode()  # JSON can name half a character
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptResponseError(f"The listing of {query.prefix!r} cannot be read: {error!r}") from None
    return checked(Page(rows, prefixes, str(document.get("nextPageToken") or "")), query)


def _next_token(document: Mapping[str, Any]) -> str:
    """Return what asks for the next part of a copy; nothing, where it is done."""
    if document.get("done") is True:
        return ""
    token = str(document.get("rewriteToken") or "")
    if not token:
        raise CorruptResponseError(
            "The service does not say that the copy is done, nor how it goes on", store="GCSStore", maybe_applied=True
        )
    return token


def _refuses_credential(undeleted: Undeleted) -> bool:
    return undeleted.failure is not None and undeleted.failure.row.again == "credential"


def _is_missing(error: BaseError) -> bool:
    """Tell whether a delete failed because there is no such object: not because there is no such bucket."""
    return isinstance(error, NotFoundError) and "bucket does not exist" not in str(error)

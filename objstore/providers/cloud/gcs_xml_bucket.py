"""A bucket of Google Cloud Storage by the XML API alone: HMAC keys are nothing to the JSON API.

What that API lacks is refused: conditions of uploads in parts.

https://cloud.google.com/storage/docs/xml-api/overview, https://cloud.google.com/storage/docs/authentication/hmackeys
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from objstore._core import Listing, encode_path
from objstore.credentials.sigv4 import SigV4
from objstore.exceptions import BaseError, CorruptResponseError, NotFoundError, NotSupportedError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape
from objstore.http.xml import parse
from objstore.interface.values import ListQuery, Page, WriteOptions
from objstore.providers.cloud.documents import Documents, Sent
from objstore.providers.cloud.gcs_bucket import GoogleBucket
from objstore.providers.cloud.gcs_parts import hidden
from objstore.providers.cloud.gcs_resource import e_tag, generation_match, generation_named, meta_of, with_generation
from objstore.providers.cloud.listed import checked
from objstore.providers.conditional_headers import look_after, write_error
from objstore.signing.sigv4 import GOOGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from objstore._core import Reply
    from objstore.http.xml import Element
    from objstore.interface.provider import Provider, PutMany, Share, Upload
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.signing.forms import Form
    from objstore.types import ObjectMeta, PutMode, PutResult

_MATCH = "x-goog-if-generation-match"


class XmlBucket(GoogleBucket):
    """A bucket for who has an HMAC key."""

    _takes_batches = False
    _algorithm = GOOGLE.algorithm

    buckets = None  # projects are the JSON API's

    def object_target(self, key: str, query: Sequence[tuple[str, str]] = (), tail: str = "") -> bytes:
        """Return path and query of an object: this API has one path for all that is asked of it."""
        return self.target(key, query)

    def signed_form(self, form: Form, expires_in: timedelta | None) -> Plan[dict[str, str]]:
        """Return the fields of a form that carries its own signature."""
        assert isinstance(self.service.identity, SigV4)
        return (yield from self.service.identity.signed_form(form, expires_in))

    # --- writing

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request (PUT Object), which tells its checksum."""
        options = with_generation(options)
        self.check(options.attributes)
        return (yield from Documents.put_many(self, items, options, most_in_flight=most_in_flight))

    def put_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers of a write."""
        headers = self.object_headers(options)
        for _, generation in generation_match(options):
            headers[_MATCH] = generation
        return headers

    def put_result(self, reply: Reply) -> PutResult:
        """Return the result of a write: the service's ETag is none of ours."""
        written = Documents.put_result(self, reply)
        return {**written, "e_tag": e_tag(written["version"])} if written["version"] else written

    def one_by_one(self, key: str, options: WriteOptions) -> Plan[Upload]:
        """Refuse: sessions with conditions are the JSON API's."""
        raise self._needs_json("an upload in parts that may replace nothing, or one version only")
        yield

    def _start_shared(self, key: str, options: WriteOptions) -> Plan[str | None]:
        """Begin an upload by many hands; refuse it where something must hold of the object."""
        if options.mode != "overwrite":
            raise self._needs_json("an upload by many hands under a condition")
        self.check(options.attributes)
        return (yield from self.begin_by_xml(key, options))

    def _start_by_xml(self, key: str, options: WriteOptions) -> Plan[str | None]:
        """Begin an upload: there is no other way than this API's."""
        return (yield from self.begin_by_xml(key, options))

    def may_compose(self) -> Plan[bool]:
        """Return that nothing is composed here."""
        return False
        yield

    def _needs_json(self, what: str) -> NotSupportedError:
        return NotSupportedError(
            f"An HMAC key cannot make {what}: it needs the JSON API, which takes no such keys",
            hint="Give a service account, or write the object in one request (use_multipart=False).",
            store=self.service.dialect.store,
        )

    # --- copies and listings

    @property
    def versions(self) -> None:
        """Nobody lists them here: that is the JSON API's."""

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one: its generation."""
        yield from self.delete_on_condition(key, self.target(key), {_MATCH: generation_named(e_tag)})

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here by one request (PUT Object with x-goog-copy-source)."""
        assert isinstance(origin, GoogleBucket)
        options = with_generation(WriteOptions(mode=mode))
        headers = {**self.put_headers(options), **origin.source_headers()}
        headers[self.service.dialect.copy_source] = encode_path(f"{origin.bucket}/{source}").decode()
        shape, detail, safe = Shape("PUT", headers), f" from {source!r}", mode == "overwrite"
        try:
            yield from self.document(
                shape, self.target(target), target, ("CopyObjectResult",), safe=safe, patient=True, detail=detail
            )
        except NotFoundError as error:
            error.path = origin.service.path(source)
            raise
        except BaseError as error:
            raise (yield from look_after(write_error(error, options), options, self.now_at(target))) from None

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""
        named = {"delimiter": query.delimiter, "start-after": query.offset, "continuation-token": query.token}
        named["max-keys"] = query.limited
        parameters = [("list-type", "2"), ("encoding-type", "url"), ("prefix", query.prefix)]
        return self.target("", parameters + [(name, value) for name, value in named.items() if value])

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing (GET Bucket), the answer to which may be here."""

        def send() -> Plan[Sent]:
            yield from self.service.refresh()
            exchange = Exchange(self.service, Shape("GET", {}), lambda _: query.prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(self.list_target(query))
            return Sent((yield from exchange.only()))

        def read(reply: Reply) -> Page:
            return _page(parse(bytes(reply.body), "ListBucketResult"), query)

        return (yield from self.answer(send, read, ("ListBucketResult",), "GET", query.prefix, safe=True, first=first))


def _page(root: Element, query: ListQuery) -> Page:
    """Return the page that a document is."""
    decoded = partial(unquote_plus, errors="strict") if root.find_text("EncodingType") == "url" else str
    try:
        metas = [_meta(item, decoded) for item in root.find_all("Contents")]
        prefixes = [decoded(item.find_text("Prefix")) for item in root.find_all("CommonPrefixes")]
        token = _token(root)
    except ValueError as error:
        raise CorruptResponseError(f"The listing of {query.prefix!r} cannot be read: {error!r}") from None
    shown = [meta for meta in metas if not hidden(meta["path"])]
    return checked(Page(Listing.of(shown), prefixes, token), query)


def _token(root: Element) -> str:
    """Return what asks for the next page; nothing, where there is none.

    Raises:
        ValueError: There is one, and nothing to ask for it by; or nobody knows.
    """
    truncated, token = root.find_text("IsTruncated"), root.find_text("NextContinuationToken")
    if truncated not in ("true", "false", "") or (truncated == "true" and not token):
        raise ValueError(f"IsTruncated is {truncated!r}, NextContinuationToken is {token!r}")
    return "" if truncated == "false" else token


def _meta(item: Element, decoded: Callable[[str], str]) -> ObjectMeta:
    told = {"name": decoded(item.find_text("Key")), "size": item.find_text("Size")}
    named = {"generation": item.find_text("Generation"), "etag": item.find_text("ETag") or None}
    return meta_of({**told, **named, "updated": item.find_text("LastModified")})

"""The primitive operations on a container of Azure Blob Storage, beside those on its blobs one by one.

What Azure adds: uploads are made of blocks, deletes go many in one request of many parts, the service may copy after it
has answered, and some accounts have directories.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from objstore.credentials.token import AccessToken
from objstore.exceptions import BaseError, NotSupportedError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape
from objstore.interface.provider import alone
from objstore.interface.succession import Succession
from objstore.interface.values import ListQuery, Page, WriteOptions
from objstore.providers.cloud.azure_batch import delete_batches
from objstore.providers.cloud.azure_blobs import Blobs
from objstore.providers.cloud.azure_containers import Containers
from objstore.providers.cloud.azure_copy import copy
from objstore.providers.cloud.azure_delegation import DelegationKeys
from objstore.providers.cloud.azure_directories import Directories
from objstore.providers.cloud.azure_documents import read_page
from objstore.providers.cloud.azure_shared_uploads import SharedUploads
from objstore.providers.cloud.azure_upload import BlockUpload
from objstore.providers.cloud.azure_versions import azure_versions
from objstore.providers.cloud.documents import Sent
from objstore.providers.cloud.list_many import ListMany
from objstore.providers.cloud.signed import encrypting
from objstore.providers.cloud.versions import Versions
from objstore.providers.conditional_headers import write_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply
    from objstore.credentials.storage_account import StorageAccount
    from objstore.http.service import Service
    from objstore.interface.provider import Provider, Share
    from objstore.interface.values import UrlTerms
    from objstore.plans.effects import Plan
    from objstore.types import PutMode


class Container(Blobs):
    """A container of a storage account.

    Args:
        service: Where it is, and how requests to it are signed and judged.
        above: The path of the account below its origin, as emulators have it; else empty.
        name: The container's name, percent-encoded.
        identity: Who we are, as the service knows it.
        key_headers: The headers with the caller's own encryption key.
        default_type: The Content-Type of what is written without one.
        tagging: Whether the account takes tags.
        checksum: Which checksum to send with what is written, and to ask for of what is read; None for none.
        lists_from: Whether the service is known to begin a listing where it is told to.
        files: The account's interface for files; None where nobody knows it.
    """

    def __init__(
        self,
        service: Service,
        above: str,
        name: str,
        identity: StorageAccount,
        *,
        key_headers: Mapping[str, str],
        default_type: str | None,
        tagging: bool,
        checksum: str | None,
        lists_from: bool,
        files: Service | None,
    ) -> None:
        base = f"{above}/{name}"
        super().__init__(
            service,
            base,
            identity,
            key_headers=key_headers,
            default_type=default_type,
            tagging=tagging,
            checksum=checksum,
        )
        self._above = above
        self._directories = Directories(self, self.list_target, above, files)
        self._lists_from = lists_from
        self._delegation = DelegationKeys(service, above)

    # --- writing

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[BlockUpload]:
        """Begin an upload in blocks; nothing is sent yet."""
        write_headers(options)
        self.object_headers(options)
        return BlockUpload(self, key, options, most_in_flight)
        yield

    @property
    def shared_uploads(self) -> SharedUploads:
        """The uploads by many hands."""
        return SharedUploads(self)

    # --- the rest

    @property
    def buckets(self) -> Containers:
        """The container as such, and those beside it."""
        return Containers(self, self._above)

    @property
    def versions(self) -> Versions:
        """The versions and snapshots of its blobs."""
        return azure_versions(self)

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects, many by one request where that is possible; return what failed, by key."""
        failed: dict[str, BaseError] = {}
        left = keys
        if len(keys) > 1 and self.takes_batches:
            failed, left = yield from delete_batches(self, keys, most_in_flight)
        if left:
            failed |= yield from self.delete_singly(left, most_in_flight)
        return failed

    def remove_directories(self, prefix: str) -> Plan[None]:
        """Delete the directories that begin with a prefix, which its objects have left behind."""
        yield from self._directories.remove(prefix)

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a container that the service can be let read.

        It is reached by its URL, but for one of the same account that is known by the same credential: so it has to be
        one that is found by others.
        """
        if not isinstance(origin, Container):
            return False
        public = all(each.service.origin.startswith("https:") for each in (self, origin))
        return public or self.service.is_same_as(origin.service)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here (Copy Blob)."""
        assert isinstance(origin, Container)
        yield from copy(self, source, target, mode=mode, origin=origin, share=share)

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Rename a file or a directory in one step where the account has directories; else copy the object.

        The blob service cannot rename: then the old object is deleted.
        """
        if (yield from self._directories.rename(source, target, mode=mode)):
            return
        yield from self.copy(source, target, mode=mode, origin=self, share=alone, size=None)
        for error in (yield from self.delete([source], most_in_flight=1)).values():
            raise error

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Return a URL for each key that carries its own signature: by the account's key, or one of delegation."""
        self._check_terms(terms)
        yield from self.service.refresh()
        answers = [*terms.response_headers.items()]
        paths = [self.path(key).decode() for key in keys]
        if not isinstance(self.identity.credentials.current, AccessToken):
            return [self.service.signed_url(path, answers, terms) for path in paths]
        method, expires_in = terms.method, terms.expires_in
        key = yield from self._delegation.key(expires_in)
        scheme = self.service.origin.partition(":")[0]
        host = self.service.host
        return [self.identity.delegated_url(method, scheme, host, path, answers, expires_in, key) for path in paths]

    def _check_terms(self, terms: UrlTerms) -> None:
        """Raise if a URL cannot be bound to what is asked for: Azure signs neither headers nor parameters."""
        for what, names in (("header", terms.headers), ("parameter", terms.query)):
            if names:
                raise NotSupportedError(
                    f"A signed URL of Azure cannot be bound to the {what} {', '.join(names)}",
                    hint=f"Leave it out of {'query' if what == 'parameter' else 'headers'}: whoever uses the URL may "
                    "add it, and need not.",
                    store=self.service.dialect.store,
                )
        if terms.method == "PUT" and (needed := encrypting(self, self.write_headers)):
            raise NotSupportedError(
                f"A signed URL of Azure cannot be bound to the header {', '.join(needed)}, and the object would be "
                "written without encryption_key",
                hint="Sign by a store without it.",
                store=self.service.dialect.store,
            )

    # --- listing

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing (List Blobs), the first answer to which may be here."""
        query = _with_offset(query)

        def send() -> Plan[Sent]:
            yield from self.service.refresh()
            exchange = Exchange(self.service, Shape("GET", {}), lambda _: query.prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(self.list_target(query))
            return Sent((yield from exchange.only()))

        def read(reply: Reply) -> Page:
            page, directories = read_page(reply.body, query)
            self._directories.seen |= directories
            return page

        roots = ("EnumerationResults",)
        page = yield from self.answer(send, read, roots, "GET", query.prefix, safe=True, first=first)
        if not query.offset:
            return page
        prefixes = []
        for prefix in page.common_prefixes:
            if prefix > query.offset or (
                query.offset.startswith(prefix) and (yield from self._goes_on(prefix, query.offset))
            ):
                prefixes.append(prefix)
        return page._replace(common_prefixes=prefixes, token=page.token and f"{page.token}\0{query.offset}")

    def _goes_on(self, prefix: str, offset: str) -> Plan[bool]:
        """Tell whether keys of a prefix come behind an offset that is one of them."""
        query, succession = ListQuery(prefix, offset=offset), Succession(prefix)
        while True:
            page = succession.take((yield from self.list_page(query)))
            if len(page.objects) or not page.token:
                return bool(len(page.objects))
            query = ListQuery(prefix, token=page.token)

    def list_many(self, *, most_in_flight: int) -> Plan[ListMany]:
        """Begin to read pages of listings, asked for one by one."""
        yield from self.service.refresh()
        return ListMany(self, most_in_flight)

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""
        query = _with_offset(query)
        named = {
            "comp": "list",
            "delimiter": query.delimiter,
            "include": "metadata",
            "marker": query.token,
            "maxresults": query.limited,
            "prefix": query.prefix,
            "restype": "container",
            "startFrom": query.offset if self._lists_from and not query.token else "",
        }
        return self.target("", [(name, value) for name, value in named.items() if value])


def _with_offset(query: ListQuery) -> ListQuery:
    """Return a query whose offset goes with its token: not every service begins where it is told to.

    What stands between them is the one character that XML, and so a marker, cannot have.
    """
    marker, _, offset = query.token.partition("\0")
    return replace(query, offset=query.offset or offset, token=marker)

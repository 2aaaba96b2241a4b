"""Objects on a WebDAV server: files, with the folders above them made when they are needed (RFC 4918).

Its one invariant: a folder is never replaced, moved or deleted in the place of an object, for all that is in it would
go with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from objstore._core import Listing, Reply, encode_path
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    CorruptResponseError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
)
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.provider import OutOfReachError
from objstore.interface.values import EPOCH, PACED, Conditions, ListQuery, Page, Range, Source, WriteOptions
from objstore.plans.once import Once
from objstore.providers.conditional_headers import as_kind, look_after
from objstore.providers.many import PutMany
from objstore.providers.pages import OneByOne
from objstore.providers.spared_puts import SparedPuts, misfits
from objstore.providers.web.multistatus import Entry, read_multistatus
from objstore.providers.web.questions import ask
from objstore.providers.web.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.provider import Provider, Share, Upload
    from objstore.interface.provider import PutMany as Puts
    from objstore.interface.values import UrlTerms
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, PutMode

NO_WEBDAV = (405, 501)
"""How servers say that they do not know a method."""

NO_FOLDER = (404, 409)
"""How servers say that there is no folder to put something into."""

NOT_MOVED = (403, 404, 409)
"""How they say so of a COPY or MOVE; the first is Go's."""

NO_TREES = (400, 403, 413, 507)
"""How they say that they do not list whole trees; RFC 4918 has the second (section 9.1.1)."""


_making = Once()
"""The folders that are being made."""


class WebDav(Server):
    """The objects below a URL of a WebDAV server; of a plain one, as far as it goes."""

    _answers_whole_trees = True

    # --- reading

    def read_one(
        self, method: str, key: str, range: Range, conditions: Conditions, *, brief: bool = False
    ) -> Plan[Reply]:
        """Send one request that reads; what some servers forbid is a folder, and so no object."""
        try:
            return (yield from super().read_one(method, key, range, conditions, brief=brief))
        except PermissionDeniedError as error:
            raise (yield from self.folders_among([key])).get(key, error) from None

    def folders_among(self, keys: Sequence[str]) -> Plan[dict[str, BaseError]]:
        """Return the errors of those keys that are of folders."""
        found = (yield from self.look_at(keys)) if keys else {}
        entries = ((key, entry) for key, entry in found.items() if isinstance(entry, Entry))
        return {key: error for key, entry in entries if (error := self._unfit(key, entry)) is not None}

    # --- writing

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[Puts]:
        """Begin to write many objects, each in one request; with a condition, look first: many servers ignore it."""
        refused = yield from misfits(self, [key for key, _ in items], options, most_in_flight)
        sent = [item for index, item in enumerate(items) if index not in refused]
        exchange = _PutMany(self, sent, options, most_in_flight)
        for key, source in sent:
            exchange.add(self.target(key), body=source.data)
        exchange.seal()
        return SparedPuts(exchange, refused) if refused else exchange

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Upload]:
        """Refuse: HTTP has no uploads in parts."""
        raise NotSupportedError("An HTTP server takes no object in parts", hint="Leave use_multipart out.")
        yield

    shared_uploads = None

    # --- folders

    def make_folders(self, target: bytes) -> Plan[None]:
        """Make the folder that a target is in, and those above it, as far as they are missing (MKCOL).

        Servers lock a folder while it is made: what else is to lie in it waits for that.
        """
        folder = target.partition(b"?")[0].rpartition(b"/")[0]
        if folder:
            yield from _making.do((self.service, folder), lambda: self._make_folders(folder))

    def _make_folders(self, folder: bytes) -> Plan[None]:
        if (yield from self._make_folder(folder)) in NO_FOLDER:
            yield from self.make_folders(folder)
            yield from self._make_folder(folder)

    def _make_folder(self, folder: bytes) -> Plan[int]:
        """Make a folder; return the status, where it says that it is there, or that the one above it is not."""
        exchange = Exchange(self.service, Shape("MKCOL", {}), lambda _: unquote(folder.decode()))
        exchange.add(folder + b"/" + self._tail(()))
        try:
            return (yield from exchange.only()).status
        except BaseError as error:
            if error.status not in (*NO_FOLDER, *NO_WEBDAV):
                raise
            return error.status or 0

    def delete_folder(self, key: str) -> Plan[None]:
        """Delete a folder and all that is in it (DELETE)."""
        exchange = Exchange(self.service, Shape("DELETE", {}), lambda _: key)
        exchange.add(self.target(f"{key}/"))
        yield from exchange.only()

    # --- questions

    def _ask(self, paths: Sequence[str], depth: str) -> Plan[list[list[Entry] | BaseError]]:
        """Ask about files and folders (PROPFIND); return for each the entries, with whole keys, or the error."""
        end = "" if depth == "0" else "/"
        targets = [self.base + encode_path(f"/{path}{end}" if path else "/") + self._tail(()) for path in paths]
        answers = yield from ask(self.service, targets, paths, depth)
        return [self._entries(path, answer) for path, answer in zip(paths, answers, strict=True)]

    def _entries(self, path: str, answer: tuple[Reply, str] | BaseError) -> list[Entry] | BaseError:
        """Return what the answer about a path tells of."""
        if isinstance(answer, BaseError):
            return answer
        reply, place = answer
        if reply.status != 207:
            return self._error(NotSupportedError, f"PROPFIND {path!r} failed: the server has no WebDAV", path)
        try:
            found = read_multistatus(bytes(reply.body), unquote(place).rstrip("/") + "/")
        except CorruptResponseError as error:
            return error
        return [entry._replace(path="/".join(part for part in (path, entry.path) if part)) for entry in found]

    def look_at(self, keys: Sequence[str]) -> Plan[dict[str, Entry | BaseError | None]]:
        """Return what each key names: an entry, an error, or None where the server has no WebDAV and cannot say."""
        found: dict[str, Entry | BaseError | None] = {}
        for key, answer in zip(keys, (yield from self._ask(keys, "0")), strict=True):
            if isinstance(answer, BaseError):
                found[key] = None if isinstance(answer, NotSupportedError) else answer
            else:
                mine = [entry for entry in answer if entry.path == key]
                found[key] = mine[0] if mine else None
        return found

    def _error(self, kind: type[BaseError], message: str, key: str) -> BaseError:
        return kind(message, store=self.service.dialect.store, path=self.service.path(key))

    def _unfit(self, key: str, found: Entry | BaseError | None) -> BaseError | None:
        """Return why something is no object, None where it is one, or nobody can say."""
        if isinstance(found, Entry) and found.is_folder:
            return self._error(NotFoundError, f"{key!r} is a folder, not an object", key)
        return found if isinstance(found, BaseError) else None

    # --- deletes, copies

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; return what failed, by key. A folder is refused."""
        found = yield from self.look_at(keys)
        failed = {key: error for key in keys if (error := self._unfit(key, found[key])) is not None}
        rest = [key for key in keys if key not in failed]
        return {**failed, **((yield from self.delete_singly(rest, most_in_flight)) if rest else {})}

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one: look first, as many servers ignore the condition."""
        if (error := self._unfit(key, (yield from self.look_at([key]))[key])) is not None:
            raise error
        for error in (yield from misfits(self, [key], WriteOptions(mode={"e_tag": e_tag}), 1)).values():
            raise error
        yield from super().delete_if(key, e_tag)

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is on the same server, for the same account."""
        return isinstance(origin, WebDav) and self.service.is_same_as(origin.service)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here (COPY); few servers compare the version that is there (If, RFC 4918, section 10.4)."""
        assert isinstance(origin, WebDav)
        if not isinstance(mode, str):
            raise OutOfReachError
        yield from self._transfer("COPY", origin, source, target, overwrite=mode == "overwrite")

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Rename an object (MOVE)."""
        if not isinstance(mode, str):
            raise NotSupportedError(
                f"{source!r} cannot be renamed to {target!r} only if that is one version: few servers see to that",
                hint="Copy it with the same overwrite, and delete the old one.",
                store=self.service.dialect.store,
                path=self.service.path(target),
            )
        yield from self._transfer("MOVE", self, source, target, overwrite=mode == "overwrite")

    def _transfer(self, method: str, origin: WebDav, source: str, target: str, *, overwrite: bool) -> Plan[None]:
        yield from self._check_transfer(origin, source, target, overwrite)
        url, destination = origin.target(source), self.target(target)
        if url == destination:
            return
        place = self.service.origin + destination.partition(b"?")[0].decode()
        shape = Shape(method, {"Destination": place, "Overwrite": "T" if overwrite else "F"})
        safe = method == "COPY" and overwrite
        try:
            yield from self._send_to_folder(shape, url, source, target, safe)
        except PreconditionError as error:
            raise as_kind(AlreadyExistsError, error) from None
        except NotFoundError as error:
            error.path = origin.service.path(source)
            raise
        except BaseError as error:
            options = WriteOptions(mode="overwrite" if overwrite else "create")
            raise (yield from look_after(error, options, self.now_at(target))) from None

    def _check_transfer(self, origin: WebDav, source: str, target: str, overwrite: bool) -> Plan[None]:
        """Raise unless an object is to be copied or moved to where nothing is, or an object that may be replaced."""
        found = (yield from origin.look_at([source]))[source]
        if (error := origin._unfit(source, found)) is not None:
            raise error
        there = (yield from self.look_at([target]))[target]
        if isinstance(there, BaseError) and there.status not in NO_FOLDER:
            raise there
        if isinstance(there, Entry) and (there.is_folder or not overwrite):
            what = "is a folder" if there.is_folder else "exists already"
            raise self._error(AlreadyExistsError, f"{target!r} {what}", target)

    def _send_to_folder(self, shape: Shape, url: bytes, source: str, target: str, safe: bool) -> Plan[None]:
        """Send a COPY or MOVE; where there is no folder for its target, make it first."""
        try:
            yield from self._send(shape, url, source, target, safe)
        except BaseError as error:
            if error.status not in NOT_MOVED:
                raise
            yield from self.make_folders(self.target(target))
            yield from self._send(shape, url, source, target, safe)

    def _send(self, shape: Shape, url: bytes, source: str, target: str, safe: bool) -> Plan[None]:
        exchange = Exchange(self.service, shape, lambda _: source, detail=lambda _: f" to {target!r}", safe=safe)
        exchange.add(url)
        try:
            yield from exchange.only()
        except BaseError as error:
            error.path = self.service.path(target)
            raise

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Refuse: the credential is all that the server knows."""
        return [self.service.signed_url("", [], terms) for _ in keys]
        yield

    # --- listings

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """List a folder or all that is below it, as one page: a WebDAV server answers all at once.

        The folders come along, of whole trees too.
        """
        folder = query.prefix.rpartition("/")[0]
        if query.delimiter:
            entries = yield from self._level([folder])
        else:
            entries = yield from self._tree(folder, query.prefix)
        below = [entry for entry in entries if entry.path.startswith(query.prefix) and entry.path > query.offset]
        files = [entry for entry in below if not entry.is_folder]
        objects = [meta_of(entry) for entry in files if entry.size >= 0]
        if len(objects) < len(files):
            objects += yield from self._asked([entry.path for entry in files if entry.size < 0])
        names = {entry.path + "/" for entry in entries if entry.is_folder and entry.path != folder}
        prefixes = sorted(name for name in names if name.startswith(query.prefix) and name > query.offset)
        return Page(Listing.of(sorted(objects, key=lambda meta: meta["path"])), prefixes, "")

    def list_many(self, *, most_in_flight: int) -> Plan[OneByOne]:
        """Begin to read listings, one after the other."""
        return OneByOne(self.list_page)
        yield

    def _asked(self, keys: Sequence[str]) -> Plan[list[ObjectMeta]]:
        """Return the metadata of objects whose size no listing tells; what is gone meanwhile is left out."""
        exchange = yield from self.head_many(keys, most_in_flight=PACED)
        try:
            while not exchange.over:
                yield from exchange.news()
            for error in exchange.errors.values():
                if not isinstance(error, NotFoundError):
                    raise error
            return [meta for meta in exchange.metas() if meta is not None]
        finally:
            exchange.close()

    def _tree(self, folder: str, prefix: str) -> Plan[list[Entry]]:
        """Return all that is below a folder: by one answer, where the server gives it, else level by level."""
        found: list[Entry] = []
        if self._answers_whole_trees:
            answer = (yield from self._ask([folder], "infinity"))[0]
            if isinstance(answer, NotFoundError):
                return []
            if not isinstance(answer, BaseError):
                if _is_deep(answer, folder):
                    return answer
                found = answer
            elif answer.status in NO_TREES or isinstance(answer, CorruptResponseError):
                self._answers_whole_trees = False
            else:
                raise answer
        level = _folders(found, folder, prefix) if found else [folder]
        while level:
            entries = yield from self._level(level)
            found += entries
            asked = set(level)
            level = _folders([entry for entry in entries if entry.path not in asked], folder, prefix)
        return found

    def _level(self, folders: list[str]) -> Plan[list[Entry]]:
        """Return what is right below some folders; one that is gone has nothing."""
        found = []
        for answer in (yield from self._ask(folders, "1")):
            if isinstance(answer, NotFoundError):
                continue
            if isinstance(answer, BaseError):
                raise answer
            found += answer
        return found


def _is_deep(entries: Sequence[Entry], folder: str) -> bool:
    """Tell whether an answer about a whole tree is one: some servers give one level of it and say nothing."""
    skip = len(folder) + 1 if folder else 0
    return not any(entry.is_folder and entry.path != folder for entry in entries) or any(
        "/" in entry.path[skip:] for entry in entries
    )


def _folders(entries: Sequence[Entry], root: str, prefix: str) -> list[str]:
    """Return the folders among entries that may have keys with a prefix."""
    return [
        entry.path
        for entry in entries
        if entry.is_folder and entry.path != root and (entry.path + "/").startswith(prefix)
    ]


def meta_of(entry: Entry) -> ObjectMeta:
    """Return what a listing says of a file."""
    return {
        "path": entry.path,
        "last_modified": entry.modified or EPOCH,
        "size": entry.size,
        "e_tag": entry.e_tag,
        "version": None,
    }


class _PutMany(PutMany):
    """Many PUT requests under way; one that finds no folder makes it and is sent again.

    The others go on meanwhile: a server that has accepted their connections may have nobody left to make the folder
    before it has heard what they want.
    """

    def __init__(
        self, dav: WebDav, items: Sequence[tuple[str, Source]], options: WriteOptions, most_in_flight: int
    ) -> None:
        shape = Shape("PUT", dav.put_headers(options))
        background = len(items) > 1
        super().__init__(
            dav.service, shape, items, options, dav.put_result, dav.now_at, most_in_flight, background=background
        )
        self._dav = dav
        self._mended: set[int] = set()

    def _decide(self, reply: Reply) -> Plan[None]:
        if reply.status not in NO_FOLDER or reply.index in self._mended:
            yield from super()._decide(reply)
            return
        self._mended.add(reply.index)
        yield from self._dav.make_folders(self._dav.target(self._items[reply.index][0]))
        self.batch.retry(reply.index)

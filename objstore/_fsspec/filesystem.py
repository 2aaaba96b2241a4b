"""What a filesystem's operations need of it: options, paths, the store of each bucket, and the cache of listings."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.utils import stringify_path

from objstore._fsspec import services, web_paths
from objstore._fsspec.in_row import InRow
from objstore._fsspec.known import Known
from objstore._fsspec.options import Given, read_options
from objstore.exceptions import InvalidPathError
from objstore.operations.arguments import check_at_least
from objstore.operations.blocks import has_index
from objstore.operations.column_reads import Layouts
from objstore.operations.in_turn import InTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from objstore.operations.pinned import Pinned
    from objstore.store import Store

_LISTINGS = ("use_listings_cache", "listings_expiry_time", "max_paths")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class FileSystem(AsyncFileSystem):  # type: ignore[misc]
    """A filesystem of fsspec over our stores, but for its operations."""

    cachable = True
    mirror_sync_methods = False  # all are here
    asynchronous = False
    keeps_listings: bool
    looked_at: Known
    """What `info` has told of files: dask wants a key for each next."""
    listed: Known
    """What listings, `info` and opened files have told: dask and pyarrow ask next of what kind each is."""
    layouts: Layouts
    """Where the columns of Parquet files are that pyarrow has read lately."""
    in_row: InRow
    """Which files have been asked about one after the other, and what a listing tells of those to come."""
    buckets: set[str]
    """Which are known to be there: who makes folders in them need not be asked each time."""
    in_turn: InTurn[Pinned]
    """Which files with an index have been listed, and are opened one after the other."""
    service: ClassVar[services.Service]

    def __init__(
        self,
        protocol: str | None = None,
        *args: Any,
        config: Any = None,
        client_options: Any = None,
        retry_config: Any = None,
        credential_provider: Callable[[], Any] | None = None,
        asynchronous: bool = False,
        max_cache_size: int = 10,
        loop: Any = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_at_least("max_cache_size", max_cache_size, 1)
        listings = {name: kwargs.pop(name) for name in _LISTINGS if name in kwargs}
        given = Given({}, dict(client_options or {}), dict(retry_config or {}), config, credential_provider)
        self._given = read_options(kwargs, self.service.names, given)
        self.service.check(self.protocol, self._given)
        super().__init__(*args, asynchronous=True, batch_size=batch_size, **listings)  # True: no IO thread is started
        self.asynchronous = asynchronous or type(self).asynchronous
        self._loop = loop
        self.keeps_listings = bool(listings) and self.dircache.use_listings_cache
        self.looked_at, self.listed, self.in_row = Known(60), Known(5), InRow()
        self.layouts, self.in_turn = Layouts(), InTurn()
        self.buckets = set()
        self._construct_store = lru_cache(max_cache_size)(self._construct_store)  # type: ignore[method-assign]

    @property
    def loop(self) -> Any:
        """The event loop on which others in fsspec run our coroutines; after a fork, that of the child."""
        if self.asynchronous:
            return None
        return get_loop() if self._loop is None or self._pid != os.getpid() else self._loop

    def _construct_store(self, bucket: str) -> Store:
        """Return the store of a bucket."""
        return self.service.open(services.find(self.protocol)[0], bucket, self._given)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return a path, or several, without the protocol and without a slash at the end."""
        if isinstance(path, list | tuple | set):
            return [cls._strip_protocol(each) for each in path]
        text: str = stringify_path(path)
        scheme = _SCHEME.match(text)
        if scheme is not None:
            known = services.schemes(cls.protocol)
            if scheme[1].lower() not in known:
                raise ValueError(
                    f"Expected protocol to be {cls.protocol}. Got {scheme[1]}: "
                    f"give a URL of {', '.join(sorted(known))}, not {text!r}"
                )
            text = text[scheme.end() :]
        service = services.BY_PROTOCOL.get(cls.protocol)
        if service is not None and service[1].has_urls:
            return web_paths.strip(text)
        if service is not None and service[1].has_folders:
            text = os.path.abspath(os.path.expanduser(text))
        return cls.root_marker + text.strip("/")

    def _split_path(self, path: str) -> tuple[str, str]:
        """Return the bucket, "" where there are none, and the key."""
        stripped = self._strip_protocol(path).removeprefix(self.root_marker)
        if not self.service.has_buckets:
            return "", stripped
        if self.service.has_urls:
            return web_paths.split(stripped)
        bucket, _, key = stripped.partition("/")
        return bucket, key

    def _split_file(self, path: str) -> tuple[str, str]:
        """Return the bucket and the key of a file.

        Raises:
            InvalidPathError: The path has no key.
        """
        bucket, key = self._split_path(path)
        if not key and not self.service.has_urls:
            hint = "Give the key too: bucket/key." if self.service.has_buckets else None
            raise InvalidPathError(f"{path!r} is not the path of a file", hint=hint, path=path)
        return bucket, key

    def _split_folder(self, path: str) -> tuple[str, str]:
        """Return the bucket and the key of a path that is listed."""
        return web_paths.split_folder(self._strip_protocol(path)) if self.service.has_urls else self._split_path(path)

    def _join_path(self, bucket: str, key: str) -> str:
        """Return the path of a key in a bucket."""
        key = web_paths.join(key) if self.service.has_urls else key
        return f"{self.root_marker}{bucket}{'/' if bucket and key else ''}{key}"

    def shown(self, path: str) -> str:
        """Return a path as messages have it."""
        return web_paths.shown(path) if self.service.has_urls else path

    def unstrip_protocol(self, name: str) -> str:
        """Return the URL of a path."""
        return f"{self.protocol}://{self._strip_protocol(name)}"

    def note_listed(self, entries: Collection[dict[str, Any]], asked: float) -> None:
        """Keep what was listed, which was asked for at this time."""
        self.listed.note(entries, asked)
        self.in_turn.listed(entry["name"] for entry in entries if has_index(entry["name"]))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listings that a path is in, and those below it; without a path, all.

        What else was just told of any path is forgotten too.
        """
        super().invalidate_cache(path)
        self.looked_at.forget()
        self.listed.forget()
        self.in_row.forget()
        self.in_turn.forget()
        if path is None:
            self.dircache.clear()
            return
        name: str = self._strip_protocol(path)
        above = {name[:end] for end in range(len(name) + 1) if end == len(name) or name[end] == "/"}
        for kept in [*self.dircache]:
            if kept in above or kept in ("", self.root_marker) or kept.startswith(name + "/"):
                self.dircache.pop(kept, None)

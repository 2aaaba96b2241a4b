"""Our stores as filesystems of fsspec: pandas, dask, pyarrow and others take them by URL or as an object.

Each operation is written once, as a plan over the plans of `operations`; `both` makes the method that blocks and
the coroutine. So a blocking call runs in its caller's thread, in an event loop too, and never on fsspec's IO thread.

After installation the protocols are there under names of our own: ``objs3://bucket/key``. `register` takes over the
usual names.

Pickles of a filesystem have the options it was given, keys and all, as fsspec demands; what comes from the environment
is in none. ``to_json(include_password=False)`` leaves out everything that may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

try:
    import fsspec
except ImportError as error:
    raise ImportError("objstore.fsspec needs fsspec: pip install 'objstore[fsspec]'") from error

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.config import conf
from fsspec.json import FilesystemJSONEncoder
from fsspec.utils import stringify_path

from objstore._fsspec import content, details, listing, patterns, services, transfer
from objstore._fsspec.file import BufferedFile, StreamedFile
from objstore._fsspec.options import Given, read_options, without_secrets
from objstore.operations.arguments import check_at_least
from objstore.plans.run import both

if TYPE_CHECKING:
    from objstore.store import Store

__all__ = ["SUPPORTED_PROTOCOLS", "SUPPORTED_PROTOCOLS_T", "BufferedFile", "FsspecStore", "register"]

SUPPORTED_PROTOCOLS_T: TypeAlias = Literal[
    "abfs", "abfss", "adl", "az", "azure", "file", "gcs", "gs", "http", "https", "memory", "s3", "s3a"
]
"""The protocols there are, as a type."""

SUPPORTED_PROTOCOLS: set[str] = {protocol for service in services.SERVICES for protocol in service.protocols}
"""The protocols there are; each is there with ``obj`` in front as well."""

_LISTINGS = ("use_listings_cache", "listings_expiry_time", "max_paths")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class _ByProtocol(type(AsyncFileSystem)):  # type: ignore[misc]
    """Make objects of the class of their protocol: the same options give the same object, however it is asked for."""

    def __call__(cls, protocol: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if cls.protocol == "abstract":
            if protocol is None:
                raise ValueError(f"give a protocol, one of {', '.join(sorted(SUPPORTED_PROTOCOLS))}")
            return _class_of(protocol, False)(*args, **kwargs)
        if protocol not in (None, cls.protocol):
            raise ValueError(f"protocol = {protocol!r}: this class is for {cls.protocol!r}")
        return super().__call__(None, *args, **kwargs) if args else super().__call__(**kwargs)


class FsspecStore(AsyncFileSystem, metaclass=_ByProtocol):  # type: ignore[misc]
    """A filesystem of fsspec over our stores: one store for each bucket, made when first needed.

    Listings are kept only where that is asked for (``use_listings_cache=True``, or one of the other two options of
    fsspec's `DirCache`).

    Args:
        protocol: Which service it is: ``"s3"``, ``"gs"``, ``"memory"`` and so on. The object is of a subclass of the
            protocol's own, the one that `register` uses.
        args: Handed on to fsspec.
        config: Settings of the stores.
        client_options: Settings of the HTTP client.
        retry_config: How often and how long to try again.
        credential_provider: A function that returns credentials.
        asynchronous: Whether fsspec may take it that it is used in coroutines only.
        max_cache_size: How many buckets' stores are kept.
        loop: The event loop on which others in fsspec run its coroutines from blocking code.
        batch_size: How many requests of a bulk operation are in flight; 64 if not given.
        kwargs: More settings of the stores. The options of s3fs, gcsfs and adlfs are understood where they have a
            meaning: ``anon``, ``key``, ``secret``, ``endpoint_url``, ``client_kwargs`` and so on.

    Raises:
        ValueError: There is no such protocol.
        ConfigurationError: An option has no meaning here.
    """

    cachable = True
    mirror_sync_methods = False  # all are here
    asynchronous = False
    keeps_listings: bool
    service: ClassVar[services.Service]

    def __init__(
        self,
        protocol: SUPPORTED_PROTOCOLS_T | str | None = None,
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
        self._construct_store = lru_cache(max_cache_size)(self._construct_store)  # type: ignore[method-assign]

    @property
    def loop(self) -> Any:
        """The event loop on which others in fsspec run our coroutines; after a fork, that of the child."""
        if self.asynchronous:
            return None
        return get_loop() if self._loop is None or self._pid != os.getpid() else self._loop

    # --- paths and stores

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
                raise ValueError(f"{text!r} is no URL of {cls.protocol!r}: give one of {', '.join(sorted(known))}")
            text = text[scheme.end() :]
        return cls.root_marker + text.strip("/")

    def _split_path(self, path: str) -> tuple[str, str]:
        """Return the bucket, "" where there are none, and the key."""
        stripped = self._strip_protocol(path).removeprefix(self.root_marker)
        if not self.service.has_buckets:
            return "", stripped
        bucket, _, key = stripped.partition("/")
        return bucket, key

    def _join_path(self, bucket: str, key: str) -> str:
        """Return the path of a key in a bucket."""
        return f"{self.root_marker}{bucket}{'/' if bucket and key else ''}{key}"

    def unstrip_protocol(self, name: str) -> str:
        """Return the URL of a path."""
        return f"{self.protocol}://{self._strip_protocol(name)}"

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listings that a path is in, and those below it; without a path, all."""
        super().invalidate_cache(path)
        if path is None:
            self.dircache.clear()
            return
        name: str = self._strip_protocol(path)
        above = {name[:end] for end in range(len(name) + 1) if end == len(name) or name[end] == "/"}
        for kept in [*self.dircache]:
            if kept in above or kept in ("", self.root_marker) or kept.startswith(name + "/"):
                self.dircache.pop(kept, None)

    # --- what there is

    info, _info = both(listing.info)
    exists, _exists = both(listing.exists)
    isfile, _isfile = both(listing.isfile)
    isdir, _isdir = both(listing.isdir)
    ls, _ls = both(listing.ls)
    find, _find = both(listing.find)
    glob, _glob = both(patterns.glob)
    expand_path, _expand_path = both(patterns.expand_path)
    du, _du = both(listing.du)
    size, _size = both(listing.size)
    sizes, _sizes = both(listing.sizes)

    # --- bytes

    cat_file, _cat_file = both(content.cat_file)
    cat_ranges, _cat_ranges = both(content.cat_ranges)
    cat, _cat = both(content.cat)
    pipe_file, _pipe_file = both(content.pipe_file)
    pipe, _pipe = both(content.pipe)
    rm_file, _rm_file = both(content.rm_file)
    rm, _rm = both(content.rm)

    # --- transfers

    get_file, _get_file = both(transfer.get_file)
    get, _get = both(transfer.get)
    put_file, _put_file = both(transfer.put_file)
    put, _put = both(transfer.put)
    cp_file, _cp_file = both(transfer.cp_file)
    copy, _copy = both(transfer.copy)
    mv, _mv = both(transfer.mv)
    mv_file, _mv_file = both(transfer.mv_file)

    # --- the rest

    modified, _modified = both(details.modified)
    created, _created = both(details.created)
    ukey, _ukey = both(details.ukey)
    checksum, _checksum = both(details.checksum)
    sign, _sign = both(details.sign)
    url, _url = both(details.url)
    mkdir, _mkdir = both(details.mkdir)
    makedirs, _makedirs = both(details.makedirs)
    rmdir, _rmdir = both(details.rmdir)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> BufferedFile:
        """Open a file in one of the binary modes; its other options are those of `BufferedFile`."""
        options = {**self._given.files, **kwargs}
        size = options.pop("block_size", None) if block_size is None else block_size
        return BufferedFile(self, path, mode, size, autocommit, cache_options=cache_options, **options)

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> StreamedFile:
        """Open a file for coroutines, in the mode "rb" or "wb"."""
        return await StreamedFile.open(self, self._strip_protocol(path), mode, **kwargs)

    # --- what is written down of it

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what was given, nothing of fsspec's own configuration and so of the environment."""
        return _rebuild, (type(self), self.storage_args, self._given_options())

    def _given_options(self) -> dict[str, Any]:
        configured = conf.get(self.protocol, {})
        return {k: v for k, v in self.storage_options.items() if k not in configured or configured[k] != v}

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """Return what was given, for JSON.

        Args:
            include_password: Whether to include options that may be secrets; nothing of the environment is included.
        """
        options = self._given_options()
        shown = options if include_password else without_secrets(options)
        names = {"cls": f"{type(self).__module__}:{type(self).__name__}", "protocol": self.protocol}
        plain = FilesystemJSONEncoder().make_serializable
        return {**names, "args": plain(self.storage_args), **plain(shown)}


def _rebuild(kind: type[FsspecStore], args: tuple[Any, ...], options: dict[str, Any]) -> FsspecStore:
    """Make a filesystem from its pickle."""
    return kind(*args, **options)


@cache
def _class_of(protocol: str, asynchronous: bool) -> type[FsspecStore]:
    """Return the class of a protocol; its name can be imported from here, so that its objects can be pickled."""
    _, service = services.find(protocol)
    name = _CLASS + protocol + (_ASYNC if asynchronous else "")
    members = {
        "__doc__": FsspecStore.__doc__,
        "__module__": __name__,
        "asynchronous": asynchronous,
        "protocol": protocol,
        "root_marker": service.root,
        "service": service,
    }
    return type(name, (FsspecStore,), members)


_CLASS = "FsspecStore_"
_ASYNC = "_asynchronous"


def __getattr__(name: str) -> type[FsspecStore]:
    """Return the class of a protocol by its name, `FsspecStore_s3` for instance."""
    protocol = name.removeprefix(_CLASS).removesuffix(_ASYNC)
    if name.startswith(_CLASS) and protocol in services.BY_PROTOCOL:
        return _class_of(protocol, name.endswith(_ASYNC))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register(protocol: str | Iterable[str] | None = None, *, asynchronous: bool = False) -> None:
    """Have fsspec use our stores for a protocol, whoever had it.

    Args:
        protocol: The protocol, or several. Without, all there are but ``file`` and ``memory``.
        asynchronous: Whether fsspec may take it that they are used in coroutines only.

    Raises:
        ValueError: There is no such protocol.
    """
    if protocol is None:
        protocol = SUPPORTED_PROTOCOLS - {"file", "memory"}
    for name in [protocol] if isinstance(protocol, str) else protocol:
        fsspec.register_implementation(name, _class_of(name, asynchronous), clobber=True)

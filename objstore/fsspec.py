"""Our stores as filesystems of fsspec: pandas, dask, pyarrow and others take them by URL or as an object.

Each operation is written once, as a plan over the plans of `operations`; `both` makes the method that blocks and
the coroutine. So a blocking call runs in its caller's thread, in an event loop too, and never on fsspec's IO thread.

After installation the protocols are there under names of our own: ``objs3://bucket/key``. `register` takes over the
usual names.

Pickles of a filesystem have the options it was given, keys and all, as fsspec demands; what comes from the environment
is in none. ``to_json(include_password=False)`` leaves out everything that may be a secret.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from objstore.settings.extras import missing

try:
    import fsspec
except ImportError as error:
    raise missing("objstore.fsspec needs fsspec", "fsspec") from error

from fsspec.asyn import AsyncFileSystem
from fsspec.config import conf
from fsspec.json import FilesystemJSONEncoder

from objstore._fsspec import content, details, listing, patterns, services, transfer
from objstore._fsspec.file import BufferedFile, StreamedFile, TextFile
from objstore._fsspec.filesystem import FileSystem
from objstore._fsspec.options import without_secrets
from objstore.plans.run import both

if TYPE_CHECKING:
    from collections.abc import Iterable

    pass

__all__ = ["SUPPORTED_PROTOCOLS", "SUPPORTED_PROTOCOLS_T", "BufferedFile", "FsspecStore", "register"]

SUPPORTED_PROTOCOLS_T: TypeAlias = Literal[
    "abfs", "abfss", "adl", "az", "azure", "file", "gcs", "gs", "http", "https", "memory", "s3", "s3a"
]
"""The protocols there are, as a type."""

SUPPORTED_PROTOCOLS: set[str] = {protocol for service in services.SERVICES for protocol in service.protocols}
"""The protocols there are; each is there with ``obj`` in front as well."""


_CACHE_HINTS = frozenset(("default_cache", "fill_cache"))
"""Options of files by which dask and s3fs say what to keep; what is read is the same without."""


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


class FsspecStore(FileSystem, metaclass=_ByProtocol):
    """A filesystem of fsspec over our stores: one store for each bucket, made when first needed.

    A folder of an object store is there while there is an object below it: of ``mkdir`` and ``makedirs`` nothing is
    kept but the bucket, as with s3fs. A mark that another program made, an empty object with a slash at its end, is a
    folder.

    Listings are kept only where that is asked for (``use_listings_cache=True``, or one of the other two options of
    fsspec's `DirCache`): then ``info``, ``isfile``, ``ukey`` and so on are answered from them, as with s3fs, until they
    expire or ``invalidate_cache`` is called. Otherwise ``info`` and ``exists`` always ask the service, and what others
    ask of each file in a row is shared: ``isfile`` and ``isdir`` take what was listed in the last five seconds,
    ``ukey`` and ``checksum`` what ``info`` told in the last minute, once. ``info`` of many files of one folder, one
    after the other in the order of their names, as dask asks it, is told by a listing of the last quarter of a second.
    Who asks the same again, or has written meanwhile, is told what is there now. A file that
    is opened is asked for anew, and read in that version.

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
        batch_size: How many requests of a bulk operation are in flight at the most; as many as the network
            has use for if not given.
        kwargs: More settings of the stores. The options of s3fs, gcsfs and adlfs are understood where they have a
            meaning: ``anon``, ``key``, ``secret``, ``endpoint_url``, ``client_kwargs`` and so on.

    Raises:
        ValueError: There is no such protocol.
        ConfigurationError: An option has no meaning here.
    """

    # --- what there is

    info, _info = both(details.info)
    exists, _exists = both(listing.exists)
    isfile, _isfile = both(details.isfile)
    isdir, _isdir = both(details.isdir)
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
    touch, _touch = both(details.touch)
    mkdir, _mkdir = both(details.mkdir)
    makedirs, _makedirs = both(details.makedirs)
    rmdir, _rmdir = both(details.rmdir)

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a file as fsspec does; one of text that is not compressed is not written after an error in its block."""
        if compression is not None or "b" in mode or "r" in mode:
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        text = [kwargs.pop(name, None) for name in ("encoding", "errors", "newline")]
        return TextFile(super().open(path, f"{mode.replace('t', '')}b", block_size, cache_options, **kwargs), *text)

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
        options = {**self._given.files, **{name: kwargs[name] for name in kwargs if name not in _CACHE_HINTS}}
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

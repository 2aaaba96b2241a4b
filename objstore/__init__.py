"""A client for object stores: many objects and ranges at once, synchronously and asynchronously.

from objstore.store import S3Store
store = S3Store("bucket", region="eu-west-1")
views = store.get_many(["a", "b", ("c", 0, 4096)])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal

from objstore import exceptions, store
from objstore.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import EllipsisType

    from objstore._core import Bytes, engine_info
    from objstore.compat.object_store import ObjectStore
    from objstore.operations.files import ObjectReader, ObjectWriter
    from objstore.operations.functions import (
        begin_upload,
        begin_upload_async,
        copy,
        copy_async,
        copy_many,
        copy_many_async,
        create_bucket,
        create_bucket_async,
        delete,
        delete_async,
        delete_bucket,
        delete_bucket_async,
        delete_prefix,
        delete_prefix_async,
        delete_tags,
        delete_tags_async,
        download,
        download_async,
        download_many,
        download_many_async,
        exists,
        exists_async,
        get,
        get_async,
        get_many,
        get_many_async,
        get_range,
        get_range_async,
        get_ranges,
        get_ranges_async,
        get_tags,
        get_tags_async,
        glob,
        head,
        head_async,
        head_many,
        head_many_async,
        iter_many,
        iter_many_async,
        list,
        list_buckets,
        list_buckets_async,
        list_level,
        list_versions,
        list_with_delimiter,
        list_with_delimiter_async,
        open,
        open_reader,
        open_reader_async,
        open_writer,
        open_writer_async,
        plan,
        put,
        put_async,
        put_many,
        put_many_async,
        put_tags,
        put_tags_async,
        rename,
        rename_async,
        shards,
        shards_async,
        sign,
        sign_async,
        sign_post,
        sign_post_async,
        sync,
        sync_async,
        upload,
        upload_async,
        upload_many,
        upload_many_async,
        walk,
    )
    from objstore.operations.reader import AsyncReadableFile, ReadableFile
    from objstore.operations.results import BytesStream, GetResult, ListStream
    from objstore.operations.writer import AsyncWritableFile, WritableFile
    from objstore.settings.urls import parse_scheme
    from objstore.store import SignCapableStore
    from objstore.types import (
        HTTP_METHOD,
        Attribute,
        Attributes,
        BucketMeta,
        GetOptions,
        ListChunkType,
        ListResult,
        ObjectMeta,
        ObjectVersion,
        OffsetRange,
        PutMode,
        PutResult,
        RequestInfo,
        SignedPost,
        StoreStats,
        StreamOptions,
        SuffixRange,
        UpdateVersion,
    )

__version__ = VERSION
_store = store

__all__ = [
    "HTTP_METHOD",
    "AsyncReadableFile",
    "AsyncWritableFile",
    "Attribute",
    "Attributes",
    "BucketMeta",
    "Bytes",
    "BytesStream",
    "GetOptions",
    "GetResult",
    "ListChunkType",
    "ListResult",
    "ListStream",
    "ObjectMeta",
    "ObjectReader",
    "ObjectStore",
    "ObjectVersion",
    "ObjectWriter",
    "OffsetRange",
    "PutMode",
    "PutResult",
    "ReadableFile",
    "RequestInfo",
    "SignCapableStore",
    "SignedPost",
    "StoreStats",
    "StreamOptions",
    "SuffixRange",
    "UpdateVersion",
    "WritableFile",
    "__version__",
    "begin_upload",
    "begin_upload_async",
    "configure",
    "copy",
    "copy_async",
    "copy_many",
    "copy_many_async",
    "create_bucket",
    "create_bucket_async",
    "delete",
    "delete_async",
    "delete_bucket",
    "delete_bucket_async",
    "delete_prefix",
    "delete_prefix_async",
    "delete_tags",
    "delete_tags_async",
    "download",
    "download_async",
    "download_many",
    "download_many_async",
    "engine_info",
    "exceptions",
    "exists",
    "exists_async",
    "get",
    "get_async",
    "get_many",
    "get_many_async",
    "get_range",
    "get_range_async",
    "get_ranges",
    "get_ranges_async",
    "get_tags",
    "get_tags_async",
    "glob",
    "head",
    "head_async",
    "head_many",
    "head_many_async",
    "iter_many",
    "iter_many_async",
    "list",
    "list_buckets",
    "list_buckets_async",
    "list_level",
    "list_versions",
    "list_with_delimiter",
    "list_with_delimiter_async",
    "open",
    "open_reader",
    "open_reader_async",
    "open_writer",
    "open_writer_async",
    "parse_scheme",
    "plan",
    "put",
    "put_async",
    "put_many",
    "put_many_async",
    "put_tags",
    "put_tags_async",
    "rename",
    "rename_async",
    "shards",
    "shards_async",
    "sign",
    "sign_async",
    "sign_post",
    "sign_post_async",
    "store",
    "sync",
    "sync_async",
    "upload",
    "upload_async",
    "upload_many",
    "upload_many_async",
    "walk",
]

_ENGINE = {
    "_object_store_version": "{libcurl}",
    "_object_store_source": "libcurl, {libcurl_path}",
}
"""What obstore says of the library below it."""

_HOMES = {
    "objstore._core": ("Bytes", "engine_info"),
    "objstore.compat.object_store": ("ObjectStore",),
    "objstore.operations.files": ("ObjectReader", "ObjectWriter"),
    "objstore.operations.reader": ("AsyncReadableFile", "ReadableFile"),
    "objstore.operations.results": ("BytesStream", "GetResult", "ListStream"),
    "objstore.operations.writer": ("AsyncWritableFile", "WritableFile"),
    "objstore.settings.urls": ("parse_scheme",),
    "objstore.store": ("SignCapableStore",),
    "objstore.types": (
        "HTTP_METHOD",
        "Attribute",
        "Attributes",
        "BucketMeta",
        "GetOptions",
        "ListChunkType",
        "ListResult",
        "ObjectMeta",
        "ObjectVersion",
        "OffsetRange",
        "PutMode",
        "PutResult",
        "RequestInfo",
        "SignedPost",
        "StoreStats",
        "StreamOptions",
        "SuffixRange",
        "UpdateVersion",
    ),
}
"""Where the public names are from that are no operations."""

_HOME = {name: module for module, names in _HOMES.items() for name in names}


def configure(
    *,
    io_threads: int | None = None,
    http: Literal["engine", "curl"] | None = None,
    memory_limit: int | None = None,
    on_request: Callable[[RequestInfo], object] | EllipsisType | None = ...,
) -> None:
    """Set how the engine works; what is not given stays as it is.

    Args:
        io_threads: How many helper threads it uses, to be said before the first one is needed: 0 to 32; 1 if never set.
            0: no helper thread ever exists, and the calling thread, or the asyncio event loop, drives the transfers
            itself (MPI ranks, pinned cores). 2 or more: large batches are spread over them.
        http: Who speaks HTTP from the next request on: ``"engine"``, which then leaves to libcurl what only that can
            (HTTP/2, proxies, redirects), or ``"curl"``: libcurl everywhere, at twice the CPU. ``OBJSTORE_HTTP`` in the
            environment says the same.
        memory_limit: How many bytes streams and files, beginnings of objects that nobody has read of, and what only an
            upload holds, may take, all together, beyond what is asked for; and how many for bodies, in use or kept to
            be used again; 1 GiB if never set. What is waited for is always granted.
        on_request: What is told of every try of a request that has ended, in the thread or event loop that waits for
            it, within a quarter of a second; None for nobody any more. If it raises, the log says so once, and the
            operation goes on.

    Raises:
        ValueError: A number is out of range, or it is no such carrier.
        TypeError: A number is no whole one, or `on_request` cannot be called.
        RuntimeError: Helper threads are running already, and not as many as that.
    """
    from objstore import _core
    from objstore.operations.arguments import check_at_least

    if http is not None:
        _core.configure_http(http)
    if io_threads is not None:
        _core.configure_threads(check_at_least("io_threads", io_threads, 0))
    if memory_limit is not None:
        _core.configure_memory(check_at_least("memory_limit", memory_limit, 1))
    if on_request is not ...:
        from objstore.http import observed

        observed.set_hook(on_request)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what a public name stands for when it is first asked for."""
        if name in _ENGINE:
            return _ENGINE[name].format_map(__getattr__("engine_info")())
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_HOME.get(name, "objstore.operations.functions")), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return [*globals(), *__all__]

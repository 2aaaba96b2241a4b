"""What fsspec asks of a path: what it is, times, versions, URLs, and folders that need not be made, as plans."""

from __future__ import annotations

import errno
import os
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING

from objstore._fsspec import folders, listing
from objstore._fsspec.listing import exists, is_folder, missing
from objstore.exceptions import AlreadyExistsError, NotSupportedError
from objstore.operations import buckets, objects, signing
from objstore.operations.arguments import check_at_least
from objstore.operations.listing import list as list_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._fsspec.filesystem import FileSystem
    from objstore._fsspec.listing import Info
    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import HTTP_METHOD, ObjectMeta


def info(fs: FileSystem, path: str, *, refresh: bool = False) -> Plan[Info]:
    """Get what is known about a file or a folder.

    Args:
        fs: Where it is.
        path: Its path, or URL.
        refresh: Ask the service, even if there is a listing in the cache.

    Returns:
        Its ``name``, ``size`` in bytes and ``type``, "file" or "directory"; of a file also ``e_tag``, ``version``,
        ``last_modified``, and ``mtime`` in seconds.

    Raises:
        FileNotFoundError: There is neither an object nor anything below it.
    """
    name, asked = fs._strip_protocol(path), monotonic()
    found = None if refresh else (yield from fs.in_row.look(name, partial(listing.following, fs)))
    if found is None:
        found = yield from listing.info(fs, path, refresh=refresh)
        fs.in_row.note(found)
    for known in (fs.looked_at, fs.listed):
        known.note([{**found}], asked)
    return found


def isfile(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether there is an object at a path; what was listed or asked about just now is not asked about again."""
    told = fs.listed.take(fs._strip_protocol(path))
    return told["type"] == "file" if told else (yield from listing.isfile(fs, path))


def isdir(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether there is anything below a path, and no object at it; it is not asked twice, as with `isfile`."""
    told = fs.listed.take(fs._strip_protocol(path))
    return is_folder(told) if told else (yield from listing.isdir(fs, path))


def modified(fs: FileSystem, path: str) -> Plan[datetime]:
    """Get the time at which a file was written, in UTC.

    Args:
        fs: Where it is.
        path: Its path.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return (yield from _head(fs, path))["last_modified"]


def created(fs: FileSystem, path: str) -> Plan[datetime]:
    """Get the time at which a file was written, in UTC: objects are replaced as a whole, so it is when this one began.

    Args:
        fs: Where it is.
        path: Its path.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return modified(fs, path)


def _head(fs: FileSystem, path: str) -> Plan[ObjectMeta]:
    bucket, key = fs._split_file(path)
    return objects.head(fs._construct_store(bucket), key)


def ukey(fs: FileSystem, path: str) -> Plan[str]:
    """Get a text that is another one once the file has changed: of what `info` has told of it in the last minute, if
    nobody has asked for the key since, else as the service knows it now.

    Args:
        fs: Where it is.
        path: Its path.
    """
    found = fs.looked_at.take(fs._strip_protocol(path)) or (yield from listing.info(fs, path))
    known = [found["name"], found["size"], found.get("e_tag") or found.get("last_modified"), found.get("version")]
    return sha256(repr(known).encode()).hexdigest()


def checksum(fs: FileSystem, path: str) -> Plan[int]:
    """Get a number that is another one once the file has changed, as `ukey` does.

    Args:
        fs: Where it is.
        path: Its path.
    """
    return int((yield from ukey(fs, path)), 16)


def sign(
    fs: FileSystem,
    path: str,
    expiration: int = 100,
    method: HTTP_METHOD = "GET",
    response_headers: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Plan[str]:
    """Make a URL that anybody can use for a while, without a credential.

    Args:
        fs: Where it is.
        path: The path of the file.
        expiration: For how long, in seconds.
        method: What it is good for.
        response_headers: What the service is to answer in place of what is stored: Content-Type and the like.
        headers: Headers that whoever uses it has to send with these values.
        query: Further parameters, by the service's names.

    Raises:
        NotSupportedError: The service has no such URLs.
    """
    bucket, key = fs._split_file(path)
    lifetime = timedelta(seconds=check_at_least("expiration", expiration, 1))
    store = fs._construct_store(bucket)
    more = {"response_headers": response_headers, "headers": headers, "query": query}
    url: str = yield from signing.sign(store, method, key, lifetime, **more)
    return url


def url(
    fs: FileSystem,
    path: str,
    expires: int = 3600,
    method: HTTP_METHOD = "GET",
    response_headers: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Plan[str]:
    """Make a URL that anybody can use for a while, as `sign` does.

    Args:
        fs: Where it is.
        path: The path of the file.
        expires: For how long, in seconds.
        method: What it is good for.
        response_headers: What the service is to answer in place of what is stored: Content-Type and the like.
        headers: Headers that whoever uses it has to send with these values.
        query: Further parameters, by the service's names.
    """
    return sign(fs, path, expires, method, response_headers, headers, query)


def touch(fs: FileSystem, path: str, truncate: bool = True) -> Plan[None]:
    """Write an empty file; or, where the path has a slash at its end, the mark of a folder, as s3fs keeps empty ones.

    Args:
        fs: Where to.
        path: The path of the file, or of a folder.
        truncate: Whether to empty a file that exists. If not, a local file gets the time that it is.

    Raises:
        NotSupportedError: The file exists and is to stay as it is: an object's time is that of its writing.
    """
    bucket, key = fs._split_file(path)
    store = fs._construct_store(bucket)
    is_folder = os.fspath(path).endswith("/")
    if is_folder and fs.service.has_folders:
        yield from folders.make(fs._strip_protocol(path), True, True)
    elif truncate or not (yield from exists(fs, path, refresh=True)):
        yield from objects.put(store, f"{key}/" if is_folder else key, b"", mode="overwrite" if truncate else "create")
    elif fs.service.has_folders:
        yield from folders.touch(fs._strip_protocol(path))
    else:
        raise NotSupportedError(f"{fs.shown(path)!r} exists", hint="An object's time is that of its writing: write it.")
    fs.invalidate_cache(path)


def mkdir(
    fs: FileSystem, path: str, create_parents: bool = True, exist_ok: bool = False, **kwargs: object
) -> Plan[None]:
    """Make a local folder, or a bucket. Elsewhere a folder is there as soon as there is a file in it: of one, only the
    bucket is made.

    Args:
        fs: Where to.
        path: The path of the bucket, or of a folder.
        create_parents: Whether to make the local folders above it, or the bucket of a folder, if there is none.
        exist_ok: Whether the local folder, or the bucket, may exist.
        kwargs: ``mode`` and whatever else a folder could have: of what is not made it has no effect. Of a bucket all
            but the mode, as paths of universal-pathlib have one, is refused.

    Raises:
        FileExistsError: There is a file of that name; or it is a bucket that exists.
        FileNotFoundError: The bucket of the folder does not exist, and is not to be made.
        NotSupportedError: It is a bucket that does not exist, of a service whose buckets are not made here; or it is to
            be made in another way than the filesystem says.
    """
    bucket, key = fs._split_path(path)
    if fs.service.has_folders:
        yield from folders.make(fs._strip_protocol(path), create_parents, exist_ok)
        return
    if key and (yield from listing.isfile(fs, path)):
        raise AlreadyExistsError(f"{fs.shown(path)!r} is a file", path=fs.shown(path))
    if not bucket:
        return
    store = fs._construct_store(bucket)
    if key and (store.provider.buckets is None or bucket in fs.buckets or (yield from exists(fs, bucket))):
        fs.buckets.add(bucket)
        return
    if key and not create_parents:
        raise missing(bucket)
    if asked := sorted(kwargs.keys() - {"mode"}):
        raise NotSupportedError(
            f"{fs.shown(bucket)!r} cannot be made with {', '.join(asked)}",
            hint="A bucket is made in the region that the filesystem was made with, for its owner alone: leave it out.",
        )
    yield from buckets.create_bucket(store, exist_ok=exist_ok or bool(key))
    fs.invalidate_cache(bucket)


def makedirs(fs: FileSystem, path: str, exist_ok: bool = False) -> Plan[None]:
    """Make a local folder and those above it, or a bucket. Elsewhere a folder is there once there is a file in it.

    Args:
        fs: Where to.
        path: The path of the bucket, or of a folder.
        exist_ok: Whether the local folder, or the bucket, may exist.
    """
    return mkdir(fs, path, True, exist_ok)


def rmdir(fs: FileSystem, path: str) -> Plan[None]:
    """Remove an empty local folder, or an empty bucket. Elsewhere a folder is gone as soon as there is no file in it.

    What is not empty stays: ``rm(path, recursive=True)`` deletes it.

    Args:
        fs: Where it is.
        path: The path of the bucket, or of a folder in one.

    Raises:
        FileNotFoundError: There is no such bucket.
        NotSupportedError: It is a bucket of a service whose buckets are not deleted here.
        OSError: It is not empty.
    """
    bucket, key = fs._split_path(path)
    if fs.service.has_folders:
        yield from folders.remove_empty(fs._strip_protocol(path))
        return
    if bucket and not key:
        store = fs._construct_store(bucket)
        # Azure would delete with the bucket what is in it
        if store.provider.buckets is not None and (yield from list_objects(store, chunk_size=1).next_item()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        yield from buckets.delete_bucket(store)
        fs.buckets.discard(bucket)
        fs.invalidate_cache(bucket)
    elif key and not fs.service.has_urls and (yield from _holds_files(fs._construct_store(bucket), f"{key}/")):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), fs.shown(path))


def _holds_files(store: Store, folder: str) -> Plan[bool]:
    """Tell whether there is more in a folder than its mark."""
    page = yield from list_objects(store, folder, chunk_size=2).next_item()
    return any(meta["path"] != folder for meta in page or ())

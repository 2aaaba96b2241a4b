"""What else fsspec asks of a path: times, versions, URLs, and folders that need not be made, as plans."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from objstore._fsspec import folders
from objstore._fsspec.listing import exists, info, isfile
from objstore.exceptions import AlreadyExistsError, NotSupportedError
from objstore.operations import objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._fsspec.filesystem import FileSystem
    from objstore.plans.effects import Plan
    from objstore.types import HTTP_METHOD, ObjectMeta


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
    bucket, key = fs._split_path(path)
    return objects.head(fs._construct_store(bucket), key)


def ukey(fs: FileSystem, path: str) -> Plan[str]:
    """Get a text that is another one once the file has changed, as the service knows it now.

    Args:
        fs: Where it is.
        path: Its path.
    """
    found = yield from info(fs, path, refresh=True)
    known = [found["name"], found["size"], found.get("e_tag") or found.get("last_modified"), found.get("version")]
    return sha256(repr(known).encode()).hexdigest()


def checksum(fs: FileSystem, path: str) -> Plan[int]:
    """Get a number that is another one once the file has changed, as the service knows it now.

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
) -> Plan[str]:
    """Make a URL that anybody can use for a while, without a credential.

    Args:
        fs: Where it is.
        path: The path of the file.
        expiration: For how long, in seconds.
        method: What it is good for.
        response_headers: What the service is to answer in place of what is stored: Content-Type and the like.

    Raises:
        NotSupportedError: The service has no such URLs.
    """
    bucket, key = fs._split_path(path)
    lifetime = timedelta(seconds=expiration)
    store = fs._construct_store(bucket)
    url: str = yield from objects.sign(store, method, key, lifetime, response_headers=response_headers)
    return url


def url(
    fs: FileSystem,
    path: str,
    expires: int = 3600,
    method: HTTP_METHOD = "GET",
    response_headers: Mapping[str, str] | None = None,
) -> Plan[str]:
    """Make a URL that anybody can use for a while, as `sign` does.

    Args:
        fs: Where it is.
        path: The path of the file.
        expires: For how long, in seconds.
        method: What it is good for.
        response_headers: What the service is to answer in place of what is stored: Content-Type and the like.
    """
    return sign(fs, path, expires, method, response_headers)


def mkdir(
    fs: FileSystem, path: str, create_parents: bool = True, exist_ok: bool = False, **kwargs: object
) -> Plan[None]:
    """Make a local folder; elsewhere a folder is there as soon as there is a file in it. A bucket cannot be made.

    Args:
        fs: Where to.
        path: The path of the folder.
        create_parents: Whether to make the local folders above it.
        exist_ok: Whether a local folder, or a bucket, may exist.
        kwargs: Have no effect: permissions and the like, of what is not made.

    Raises:
        FileExistsError: There is a file of that name; or it is a bucket that exists.
        NotSupportedError: It is a bucket that does not exist.
    """
    bucket, key = fs._split_path(path)
    if fs.service.has_folders:
        yield from folders.make(fs._strip_protocol(path), create_parents, exist_ok)
        return
    if key or not bucket:
        if key and (yield from isfile(fs, path)):
            raise AlreadyExistsError(f"{path!r} is a file", path=path)
        return
    if not (yield from exists(fs, path)):
        raise NotSupportedError(
            f"The bucket {bucket!r} does not exist, and cannot be made here", hint="Make it with the service's tools."
        )
    if not exist_ok:
        raise AlreadyExistsError(f"the bucket {bucket!r} exists already", path=path)


def makedirs(fs: FileSystem, path: str, exist_ok: bool = False) -> Plan[None]:
    """Make a local folder and those above it; elsewhere it is there as soon as there is a file in it.

    Args:
        fs: Where to.
        path: The path of the folder.
        exist_ok: Whether a local folder, or a bucket, may exist.
    """
    return mkdir(fs, path, True, exist_ok)


def rmdir(fs: FileSystem, path: str) -> Plan[None]:
    """Remove an empty local folder; elsewhere it is gone as soon as there is no file in it. A bucket stays.

    Args:
        fs: Where it is.
        path: The path of the folder.

    Raises:
        NotSupportedError: It is a bucket.
    """
    bucket, key = fs._split_path(path)
    if fs.service.has_folders:
        yield from folders.remove_empty(fs._strip_protocol(path))
        return
    if bucket and not key:
        raise NotSupportedError(f"The bucket {bucket!r} cannot be deleted here", hint="Use the service's tools.")

"""The operations of object-store-python's ObjectStore, as plans made of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from objstore.compat.object_store._values import (
    BytesLike,
    ListResult,
    ObjectMeta,
    Path,
    PathLike,
    _as_bytes,
    _as_path,
)
from objstore.operations import copying, listing, objects

if TYPE_CHECKING:
    import builtins

    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import Buffer


class Addressed(Protocol):
    """What an operation needs of an ObjectStore."""

    store: Store

    def content_type(self, location: Path) -> str | None:
        """Return the content type of what is stored at a path."""


def head(self: Addressed, location: PathLike) -> Plan[ObjectMeta]:
    """Get the metadata of an object.

    Args:
        location: Its path.

    Raises:
        FileNotFoundError: There is no such object.
    """
    return ObjectMeta.of((yield from objects.head(self.store, str(_as_path(location)))))


def get(self: Addressed, location: PathLike) -> Plan[bytes]:
    """Get the bytes of an object.

    Args:
        location: Its path.

    Raises:
        FileNotFoundError: There is no such object.
    """
    result = yield from objects.get(self.store, str(_as_path(location)))
    return bytes((yield from result._bytes()))


def get_range(self: Addressed, location: PathLike, start: int, length: int) -> Plan[bytes]:
    """Get some of the bytes of an object.

    Args:
        location: Its path.
        start: The first byte.
        length: How many; fewer come where the object ends.

    Raises:
        FileNotFoundError: There is no such object.
        InvalidRangeError: The range begins after the end of the object.
    """
    if length == 0:
        yield from objects.head(self.store, str(_as_path(location)))
        return b""
    ranges = yield from objects.get_ranges(self.store, str(_as_path(location)), starts=[start], lengths=[length])
    return bytes(ranges[0])


def put(self: Addressed, location: PathLike, bytes: BytesLike | Buffer) -> Plan[None]:
    """Put an object.

    Args:
        location: Its path.
        bytes: Its bytes; of a BytesIO, those that have not been read.
    """
    path = _as_path(location)
    content_type = self.content_type(path)
    attributes = {"Content-Type": content_type} if content_type else None
    yield from objects.put(self.store, str(path), _as_bytes(bytes), attributes=attributes)


def delete(self: Addressed, location: PathLike) -> Plan[None]:
    """Delete an object.

    Args:
        location: Its path.
    """
    yield from objects.delete(self.store, str(_as_path(location)))


def list(self: Addressed, prefix: PathLike | None = None) -> Plan[builtins.list[ObjectMeta]]:
    """List all objects below a prefix.

    Args:
        prefix: Where to begin; whole segments only: ``"a"`` finds ``a/b``, not ``ab``.
    """
    return [*map(ObjectMeta.of, (yield from self.store.list(_prefix(prefix))._collect()))]


def list_with_delimiter(self: Addressed, prefix: PathLike | None = None) -> Plan[ListResult]:
    """List one level: the objects right below a prefix, and the prefixes below it.

    Args:
        prefix: The path of the level; whole segments only.
    """
    found = yield from listing.list_with_delimiter(self.store, _prefix(prefix))
    return ListResult([*map(Path, found["common_prefixes"])], [*map(ObjectMeta.of, found["objects"])])


def _prefix(prefix: PathLike | None) -> str | None:
    return str(_as_path(prefix)) if prefix else None


def copy(self: Addressed, src: PathLike, dst: PathLike) -> Plan[None]:
    """Copy an object; what is at the destination is replaced.

    Args:
        src: Its path.
        dst: The path of the copy.

    Raises:
        FileNotFoundError: There is no such object.
    """
    yield from copying.copy(self.store, str(_as_path(src)), str(_as_path(dst)))


def copy_if_not_exists(self: Addressed, src: PathLike, dst: PathLike) -> Plan[None]:
    """Copy an object to where none is.

    Args:
        src: Its path.
        dst: The path of the copy.

    Raises:
        FileNotFoundError: There is no such object.
        FileExistsError: There is one at the destination.
    """
    yield from copying.copy(self.store, str(_as_path(src)), str(_as_path(dst)), overwrite=False)


def rename(self: Addressed, src: PathLike, dst: PathLike) -> Plan[None]:
    """Rename an object; what is at the destination is replaced.

    Args:
        src: Its path.
        dst: Its new path.

    Raises:
        FileNotFoundError: There is no such object.
    """
    yield from copying.rename(self.store, str(_as_path(src)), str(_as_path(dst)))


def rename_if_not_exists(self: Addressed, src: PathLike, dst: PathLike) -> Plan[None]:
    """Rename an object to where none is.

    Args:
        src: Its path.
        dst: Its new path.

    Raises:
        FileNotFoundError: There is no such object.
        FileExistsError: There is one at the destination.
    """
    yield from copying.rename(self.store, str(_as_path(src)), str(_as_path(dst)), overwrite=False)

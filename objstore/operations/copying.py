"""Copies: within a store, between buckets of one service, and between stores that know nothing of each other.

The service copies where it can. Where it cannot, the bytes go through this machine, in parallel parts both ways and in
bounded memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes
from objstore.exceptions import BaseError
from objstore.interface.provider import OutOfReachError
from objstore.interface.values import ANY, Source, WriteOptions
from objstore.operations.bars import called, drawn
from objstore.operations.naming import key_of
from objstore.operations.objects import DEFAULT_CHUNK, get, put_body

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.operations.results import BytesStream
    from objstore.plans.effects import Plan
    from objstore.types import Progress

PARTS_IN_FLIGHT = 12


@drawn
def copy(
    store: BaseStore,
    from_: str,
    to: str,
    *,
    overwrite: bool = True,
    to_store: BaseStore | None = None,
    progress: Progress | bool | None = None,
) -> Plan[None]:
    """Copy an object: on the server where the service can, else through this machine.

    Args:
        store: Where it is.
        from_: Its path.
        to: The path of the copy.
        overwrite: Whether the copy may replace an object.
        to_store: Where the copy goes; the same store if not given.
        progress: True draws a bar; a function is called with how many parts are done, how many there are so far, and
            the bytes moved; a copy on the server calls it once.

    Raises:
        InvalidPathError: A path is none, or `from_` has a slash at an end: without it, it would name another object.
        NotFoundError: There is no such object.
        AlreadyExistsError: There is an object at `to`, and it may not be replaced.
        NotSupportedError: It may not be replaced, and the service has no known way to see to that: say by the setting
            `copy_if_not_exists` what it has.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    progress = called(progress)
    other = store if to_store is None else to_store
    source, target = store.exact_key(from_), (yield from key_of(other, to))
    try:
        copied = yield from _is_copied(store, source, other, target, overwrite)
        if not copied:
            yield from _carry(store, from_, other, target, overwrite, progress)
    except BaseError as error:
        _say(error, from_, to)
        raise
    if copied and progress is not None:
        progress(1, 1, 0)


def _say(error: BaseError, from_: str, to: str) -> None:
    """Have an error say from where to where something was to go, unless it does."""
    if not all(f"{path}'" in str(error) for path in (from_, to)):
        error.args = (f"From {from_!r} to {to!r}: {error}",)


def _is_copied(store: BaseStore, source: str, other: BaseStore, target: str, overwrite: bool) -> Plan[bool]:
    """Have the service copy an object, where it can; tell whether it has."""
    if not other.provider.can_copy_from(store.provider):
        return False
    try:
        yield from other.provider.copy(source, target, overwrite=overwrite, origin=store.provider)
    except OutOfReachError:
        return False
    return True


def _carry(
    store: BaseStore, path: str, other: BaseStore, target: str, overwrite: bool, progress: Progress | None
) -> Plan[None]:
    """Read an object here and write it there, a few parts at a time."""
    result = yield from get(store, path)
    options = WriteOptions(result.attributes, mode="overwrite" if overwrite else "create")
    body = _Remote(result.stream(DEFAULT_CHUNK), result.meta["size"])
    try:
        yield from put_body(other.provider, target, body, options, None, DEFAULT_CHUNK, PARTS_IN_FLIGHT, progress)
    finally:
        body.close()


class _Remote:
    """The body of an object elsewhere, as something to upload."""

    in_memory = False

    def __init__(self, stream: BytesStream, size: int) -> None:
        self.size: int | None = size
        self._stream = stream
        self._kept: list[Bytes] = []

    def next(self, size: int) -> Plan[Source | None]:
        """Return the next part."""
        have = sum(map(len, self._kept))
        while have < size:
            pieces = yield from self._stream.next_pieces()
            if not pieces:
                break
            self._kept += pieces
            have += sum(map(len, pieces))
        whole = self._kept[0] if len(self._kept) == 1 else Bytes(b"".join(self._kept))
        part, rest = whole[:size], whole[size:]
        self._kept = [rest] if len(rest) else []
        return Source(Buffer(part), len(part)) if len(part) else None

    def check(self) -> None:
        """Every part was of the same version, or reading it had failed."""

    def close(self) -> None:
        """Stop reading."""
        self._stream.close()


@drawn
def rename(
    store: BaseStore, from_: str, to: str, *, overwrite: bool = True, progress: Progress | bool | None = None
) -> Plan[None]:
    """Rename an object; where the service cannot, copy it and delete the old one. Renamed to itself, it stays.

    Args:
        store: Where it is.
        from_: Its path.
        to: Its new path.
        overwrite: Whether it may replace an object.
        progress: True draws a bar; a function is called once, with 1, 1 and 0, when it is done.

    Raises:
        InvalidPathError: A path is none, or has a slash at an end: without it, it would name another object.
        NotFoundError: There is no such object.
        AlreadyExistsError: There is an object at `to`, and it may not be replaced.
        NotSupportedError: It may not be replaced, and the service has no known way to see to that, as for `copy`.
    """
    progress = called(progress)
    source, target = store.exact_key(from_), store.exact_key(to)
    try:
        if source != target:
            yield from store.provider.rename(source, target, overwrite=overwrite)
        else:
            yield from store.provider.head(source, ANY)
    except BaseError as error:
        _say(error, from_, to)
        raise
    if progress is not None:
        progress(1, 1, 0)

"""One object to a local file, in parallel parts, and on from where it broke off.

The parts are written in place into a hidden file beside the target, which is renamed to it when whole. The hidden file
is named after the version of the object, and has behind the object's bytes one byte for each part: 1 once it is
written. So a later download of the same version goes on where an earlier one ended, and one of another version begins
anew. Only a strong ETag tells that it is the same: without one, nothing is kept for later, and without any validator
all comes by one request, into memory.

Its one invariant: the target is the whole object of one version, or it is untouched.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from objstore.exceptions import ObjectChangedError
from objstore.interface.values import ANY, Range, Reads
from objstore.interface.versions import has_validator, pinned, strong
from objstore.operations.arguments import check_at_least
from objstore.operations.results import changed, check_version
from objstore.plans.effects import Call, Plan

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.types import ObjectMeta, Progress

PART = 16 << 20
IN_FLIGHT = 16


def download(
    store: BaseStore,
    path: str,
    file: str | Path,
    *,
    chunk_size: int = PART,
    max_concurrency: int = IN_FLIGHT,
    progress: Progress | None = None,
) -> Plan[ObjectMeta]:
    """Download an object to a local file, in parallel parts; broken off, it goes on where it ended.

    It needs memory for `chunk_size` times `max_concurrency` bytes at the most, and as much disk as the object has
    bytes.

    Args:
        store: Where it is.
        path: Its path.
        file: The local file. It is replaced when the object is there as a whole.
        chunk_size: The size of a part in bytes.
        max_concurrency: How many parts are in flight.
        progress: Is called with how many parts are written, how many there are, and the bytes written.

    Returns:
        The metadata of the object.

    Raises:
        NotFoundError: There is no such object.
        ObjectChangedError: It was replaced meanwhile.
        OSError: The disk is full, or the file cannot be written.
    """
    check_at_least("chunk_size", chunk_size, 1)
    check_at_least("max_concurrency", max_concurrency, 1)
    key, target = store.key(path), Path(file)
    fetched = yield from store.provider.look(key, ANY)
    meta = store.named(fetched.meta)
    part_file = _PartFile(target, meta, chunk_size if has_validator(meta) else max(meta["size"], 1))
    try:
        yield Call(part_file.open, settle=True)
        reads = Reads.of(key, [part_file.span(index) for index in part_file.missing])
        fetch = yield from store.provider.fetch(
            reads,
            conditions=pinned(meta),
            most_in_flight=max_concurrency,
            each=True,
            window=chunk_size * max_concurrency,
        )
        try:
            yield from _write_parts(fetch, part_file, progress)
        finally:
            fetch.close()
        yield Call(part_file.finish, settle=True)
    except ObjectChangedError:
        part_file.discard()
        raise
    finally:
        part_file.close()
    return meta


def _write_parts(fetch: Fetch, part_file: _PartFile, progress: Progress | None) -> Plan[None]:
    missing = list(part_file.missing)
    while True:
        over = fetch.over  # asked first: what ends after this is among the finished of the next round
        for index in fetch.finished():
            body = fetch.take(index)
            yield Call(lambda part=missing[index], body=body: part_file.write(part, body), settle=True)  # type: ignore[misc]
            if progress is not None:
                progress(part_file.written, part_file.count, part_file.bytes_written)
        check_version(fetch, part_file.name)
        if over:
            return
        yield from fetch.news()


class _PartFile:
    """The hidden file that becomes the target."""

    def __init__(self, target: Path, meta: ObjectMeta, part: int) -> None:
        self.name = meta["path"]
        self.size = meta["size"]
        self.count = -(-self.size // part)
        self.missing: list[int] = list(range(self.count))
        self.bytes_written = 0
        self._part = part
        self._target = target
        version = f"{meta['path']}\0{meta['e_tag']}\0{meta['last_modified']}\0{self.size}\0{part}"
        self._shared = strong(meta["e_tag"]) is not None  # with later downloads of the same version
        name = hashlib.sha256(version.encode()).hexdigest()[:16] if self._shared else os.urandom(8).hex()
        self._path = target.with_name(f".{target.name}.{name}.part")
        self._descriptor = -1

    def open(self) -> None:
        """Open or create the file, see what it has, and make sure that the disk has room for the rest."""
        if self._target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._target))
        self._descriptor = _claimed(self._path)
        if self._descriptor < 0:
            self._path, self._shared = self._path.with_suffix(f".{os.urandom(8).hex()}.part"), False
            self._descriptor = _claimed(self._path)
        if os.fstat(self._descriptor).st_size == self.size + self.count:
            marks = os.pread(self._descriptor, self.count, self.size)
            self.missing = [index for index in range(self.count) if marks[index] != 1]
            self.bytes_written = self.size - sum(self._length(index) for index in self.missing)
        else:
            os.ftruncate(self._descriptor, 0)
            self._reserve(self.size + self.count)

    def _reserve(self, size: int) -> None:
        try:
            if size:
                os.posix_fallocate(self._descriptor, 0, size)
        except OSError:
            self.discard()
            raise

    @property
    def written(self) -> int:
        """How many parts it has."""
        return self.count - len(self.missing)

    def span(self, index: int) -> Range:
        """Return which bytes of the object a part is."""
        return Range(index * self._part, index * self._part + self._length(index))

    def _length(self, index: int) -> int:
        return min(self._part, self.size - index * self._part)

    def write(self, index: int, body: object) -> None:
        """Write a part in its place, then its mark."""
        view, at = memoryview(body), index * self._part  # type: ignore[arg-type]
        if len(view) != self._length(index):  # the service ignores If-Match, and the object is shorter now
            raise changed(self.name)
        while len(view):
            written = os.pwrite(self._descriptor, view, at)
            view, at = view[written:], at + written
        os.pwrite(self._descriptor, b"\1", self.size + index)
        self.missing.remove(index)
        self.bytes_written += self._length(index)

    def finish(self) -> None:
        """Cut the marks off and put the file in the target's place."""
        if self.missing:
            raise AssertionError(f"{len(self.missing)} parts of {self.name!r} were never written")
        os.ftruncate(self._descriptor, self.size)
        os.replace(self._path, self._target)

    def discard(self) -> None:
        """Delete the file: what it has is of no use."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what it has stays for the next time, unless only this download knows its name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if not self._shared:
            self._path.unlink(missing_ok=True)


def _claimed(path: Path) -> int:
    """Open or create a file for this download alone; return -1 if another, of whatever process, is writing to it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # the other may have finished, and renamed the file, in between
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return -1

"""One object to a local file, in parallel parts, and on from where it broke off.

The parts are written in place into a part file beside the target, which is renamed to it when whole. Behind the
object's bytes it has one byte for each part, 1 once that is written, and a hash of the version that they are of. So a
later download of the same version goes on where an earlier one ended, and one of another version begins anew, in the
same file. Only a strong ETag tells that it is the same: without one, nothing is kept for later, and without any
validator, or where the server knows no ranges, all comes by one request, each try of which begins anew. Where the
service tells the checksum of the object, the parts are compared with that, those of an earlier call too.

Its one invariant: the target is the whole object of one version, or it is untouched.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from objstore._core import memory_limit
from objstore.disk.descriptors import read_into
from objstore.disk.room import Place, insist
from objstore.exceptions import ObjectChangedError
from objstore.interface.values import ANY, ANY_SIZE, WHOLE, Range, Reads
from objstore.interface.versions import is_same, pinned, strong
from objstore.operations.arguments import check_at_least
from objstore.operations.bars import called, drawn
from objstore.operations.following import flows_for
from objstore.operations.naming import readable_key_of
from objstore.operations.outcomes import in_flight_of
from objstore.operations.pieces import changed, check_errors, check_version, is_cut_anew, whole_of
from objstore.operations.progress import news
from objstore.operations.targets import Target
from objstore.plans.effects import Call, Plan
from objstore.plans.work import at_once, in_steps

if TYPE_CHECKING:
    from objstore._core import Bytes
    from objstore.interface.provider import Fetch, Flow, Flows, Provider
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Conditions, Seen, Sums
    from objstore.operations.sums import Digest, Whole
    from objstore.types import ObjectMeta, Progress

PART = 8 << 20
IN_MEMORY = 256 << 20
"""How much may have come and not been written, where nobody says how many parts are in flight."""


@drawn
def download(
    store: BaseStore,
    path: str,
    file: str | Path,
    *,
    chunk_size: int = PART,
    max_concurrency: int | None = None,
    fsync: bool = False,
    progress: Progress | bool | None = None,
) -> Plan[ObjectMeta]:
    """Download an object to a local file, in parallel parts; broken off, it goes on where it ended.

    It needs memory for `chunk_size` times `max_concurrency` bytes at the most, 256 MiB where that is not given, and as
    much disk as the object has bytes. Where the server names no strong ETag, and no time that is a minute old, or knows
    no ranges, all of it comes by one request: then it needs memory for four parts, and begins anew where that breaks
    off.

    Args:
        store: Where it is.
        path: Its path.
        file: The local file. It is replaced when the object is there as a whole, and keeps its permissions; symlinks
            are followed, and a file with several names is written in place.
        chunk_size: The size of a part in bytes.
        max_concurrency: How many parts are in flight at the most; as many as pay off if not given.
        fsync: Whether the file is forced out to the disk; without it, a download that was broken off begins anew when
            the system has been started anew.
        progress: True draws a bar; a function is called with how many parts are written, how many there are, and the
            bytes that have come, those that an earlier call had got included.

    Returns:
        The metadata of the object.

    Raises:
        NotFoundError: There is no such object.
        ObjectChangedError: It was replaced meanwhile.
        IntegrityError: It does not have the checksum that the service tells, got anew either.
        OSError: The disk is full, or the file cannot be written.
        ValueError: The file is a device or another one that is no regular file.
    """
    progress = called(progress)
    check_at_least("chunk_size", chunk_size, 1)
    in_flight = in_flight_of(max_concurrency)
    key = yield from readable_key_of(store, path)
    fetched = yield from store.provider.look(key, ANY, measured=False)
    meta = store.named(fetched.meta)
    conditions = pinned(fetched.seen)
    flows = store.provider.flows if meta["size"] < 0 else flows_for(store.provider, key, fetched.seen)
    if flows is not None:
        target = Target(file, fsync=fsync)
        meta["size"] = yield from _download_by_one(flows, key, fetched.seen, meta, target, chunk_size, progress)
        return meta
    part_size = min(chunk_size, store.provider.most_compared)
    whole = yield from whole_of(store.provider, key, meta["path"], conditions, fetched.sums, most_in_flight=in_flight)
    part_file = _PartFile(file, store, meta, part_size, whole, fsync=fsync)
    with Place() as place:
        yield from place.take(2)  # the part file, and its folder
        yield from _fill(store.provider, key, conditions, part_file, whole, in_flight, progress)
    return meta


def _download_by_one(
    flows: Flows,
    key: str,
    seen: Seen,
    meta: ObjectMeta,
    target: Target,
    piece: int,
    progress: Progress | None,
) -> Plan[int]:
    """Get all of an object by one request, and put it in the target's place; return how many bytes that is."""
    with Place() as place:
        yield from place.take(2)  # the part file, and its folder
        try:
            yield from in_steps(insist(target.open, target.discard))
            yield Call(lambda: target.reserve(max(meta["size"], 0)), settle=True)
            flow = yield from flows.flow(key, WHOLE, pinned(seen), piece=piece, window=2 * piece)
            try:
                size = yield from _write_flow(flow, seen, meta, target, progress)
            finally:
                flow.close()
            yield Call(lambda: target.publish(size), settle=True)
            return size
        finally:
            target.discard()


def _write_flow(flow: Flow, expected: Seen, meta: ObjectMeta, target: Target, progress: Progress | None) -> Plan[int]:
    """Write what comes to where it lies in the object: each try begins anew, and in the end all is of the last one.

    Returns:
        How many bytes that is.
    """
    end = told = 0
    most = meta["size"] if meta["size"] >= 0 else ANY_SIZE
    while True:
        over = flow.over  # asked first: what comes after this is written in the next round
        while (found := flow.piece()) is not None:
            at, piece, seen = found
            end = at + len(piece)
            if end > most or (seen is not None and not is_same(seen, expected)):
                raise changed(meta["path"])
            yield Call(partial(target.write, piece, at), settle=True)
            told = max(told, end)
        check_errors(flow, meta["path"])
        if progress is not None:
            told = max(told, min(flow.bytes_received, most))
            progress(int(over), 1, told)
        if over and meta["size"] in (end, -1):
            return end
        if over:
            raise changed(meta["path"])
        yield from news(flow, progress)


def _fill(
    provider: Provider,
    key: str,
    conditions: Conditions,
    part_file: _PartFile,
    whole: Whole | None,
    in_flight: int,
    progress: Progress | None,
) -> Plan[None]:
    """Get all that is missing, and put it in the target's place."""
    try:
        yield from in_steps(insist(part_file.open, part_file.close))
        yield from _get_parts(provider, key, conditions, part_file, in_flight, progress)
        if whole is not None and (yield from _is_damaged(provider, key, conditions, part_file, whole, in_flight)):
            yield Call(part_file.begin, settle=True)
            yield from _get_parts(provider, key, conditions, part_file, in_flight, None)
            if (yield from _is_damaged(provider, key, conditions, part_file, whole, in_flight)):
                part_file.discard()
                whole.check()
        yield Call(part_file.finish, settle=True)
    except ObjectChangedError:
        part_file.discard()
        raise
    finally:
        part_file.close()


def _get_parts(
    provider: Provider,
    key: str,
    conditions: Conditions,
    part_file: _PartFile,
    in_flight: int,
    progress: Progress | None,
) -> Plan[None]:
    """Get the parts that are missing."""
    spans = [part_file.span(index) for index in part_file.missing]
    fetch = yield from provider.fetch(
        Reads.of(key, spans, sums=part_file.algorithm),
        conditions=conditions,
        most_in_flight=in_flight,
        each=True,
        window=part_file.part_size * in_flight or max(min(IN_MEMORY, memory_limit()), part_file.part_size),
    )
    try:
        yield from _write_parts(fetch, part_file, progress)
    finally:
        fetch.close()


def _is_damaged(
    provider: Provider, key: str, conditions: Conditions, part_file: _PartFile, whole: Whole, in_flight: int
) -> Plan[bool]:
    """Tell whether the parts are not what was stored."""
    yield from _add_up(part_file, whole)
    if (yield from is_cut_anew(provider, key, conditions, whole, most_in_flight=in_flight)):
        part_file.digests.clear()
        yield from _add_up(part_file, whole)
    return whole.is_damaged


def _add_up(part_file: _PartFile, whole: Whole) -> Plan[None]:
    """Add the parts up."""
    whole.forget()
    for index in range(part_file.count):
        digest = part_file.digests.get(index)
        if digest is None:  # an earlier call has got it, or it is the bytes themselves
            yield Call(lambda index=index: part_file.sum_up(index, whole), settle=True)  # type: ignore[misc]
        else:
            whole.add(part_file.span(index).start, digest)


def _write_parts(fetch: Fetch, part_file: _PartFile, progress: Progress | None) -> Plan[None]:
    missing, begun = list(part_file.missing), part_file.bytes_written
    told = begun
    while True:
        over = fetch.over  # asked first: what ends after this is among the finished of the next round
        for index in fetch.finished():
            sums, body = fetch.sums(index), fetch.take(index)
            part_file.note(missing[index], body, sums)
            yield Call(lambda part=missing[index], body=body: part_file.write(part, body), settle=True)  # type: ignore[misc]
            if progress is not None:
                told = max(told, part_file.bytes_written)
                progress(part_file.written, part_file.count, told)
        check_version(fetch, part_file.name)
        if over:
            return
        come = min(begun + fetch.bytes_received, part_file.size)
        if progress is not None and come > told:
            told = come
            progress(part_file.written, part_file.count, told)
        yield from news(fetch, progress)


class _PartFile:
    """The part file of a target, with a mark for each part, and the version that they are of."""

    def __init__(
        self, file: str | Path, store: BaseStore, meta: ObjectMeta, part: int, whole: Whole | None, *, fsync: bool
    ) -> None:
        self.name = meta["path"]
        self.part_size = part
        self.digests: dict[int, Digest] = {}
        self._whole = whole
        self.size = meta["size"]
        self.count = -(-self.size // part)
        self.missing: list[int] = list(range(self.count))
        self.bytes_written = 0
        self._target = Target(file, fsync=fsync)
        self._can_go_on = strong(meta["e_tag"]) is not None
        self._version = _fingerprint(store, meta, part, "" if fsync else _boot())

    def open(self) -> None:
        """Open or create the file, see what it has, and make sure that the disk has room for the rest."""
        self._target.open()
        if self._can_go_on and self._read(self.size + self.count, len(self._version)) == self._version:
            marks = self._read(self.size, self.count)
            self.missing = [index for index in range(self.count) if marks[index] != 1]
            self.bytes_written = self.size - sum(self._length(index) for index in self.missing)
        else:
            self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self.missing, self.bytes_written = list(range(self.count)), 0
        self.digests.clear()
        self._target.reserve(self.size + self.count + len(self._version))
        self._write(self._version, self.size + self.count)

    @property
    def algorithm(self) -> str | None:
        """By which checksum parts are summed up, if they are."""
        return None if self._whole is None else self._whole.by_engine

    def note(self, index: int, body: Bytes, sums: Sums | None) -> None:
        """Note the checksum of a part; a hash is made of the file, once all parts are in it."""
        if self._whole is not None and self._whole.combines:
            self.digests[index] = self._whole.digest(index * self.part_size, body, sums)

    def sum_up(self, index: int, whole: Whole) -> None:
        """Add a part, as it is in the file."""
        start = index * self.part_size
        whole.add(start, whole.digest(start, self._read(start, self._length(index)), None))

    def _read(self, at: int, length: int) -> bytes:
        buffer = bytearray(length)
        got = at_once(read_into(self._target.descriptor, memoryview(buffer), at))
        return bytes(buffer[:got])

    def _write(self, data: bytes | Bytes, at: int) -> None:
        self._target.write(data, at)

    @property
    def written(self) -> int:
        """How many parts it has."""
        return self.count - len(self.missing)

    def span(self, index: int) -> Range:
        """Return which bytes of the object a part is."""
        return Range(index * self.part_size, index * self.part_size + self._length(index))

    def _length(self, index: int) -> int:
        return min(self.part_size, self.size - index * self.part_size)

    def write(self, index: int, body: Bytes) -> None:
        """Write a part in its place, then its mark."""
        if len(body) != self._length(index):  # the service ignores If-Match, and the object is shorter now
            raise changed(self.name)
        self._write(body, index * self.part_size)
        self._target.sync()
        self._write(b"\1", self.size + index)
        self.missing.remove(index)
        self.bytes_written += self._length(index)

    def finish(self) -> None:
        """Put what was read in the target's place."""
        if self.missing:
            raise AssertionError(f"{len(self.missing)} parts of {self.name!r} were never written")
        self._target.publish(self.size)

    def discard(self) -> None:
        """Delete the file: what it has is of no use."""
        self._target.discard()

    def close(self) -> None:
        """Close the file; what it has stays for the next time, where a strong ETag will tell that it is the same."""
        if self._can_go_on:
            self._target.close()
        else:
            self._target.discard()


def _fingerprint(store: BaseStore, meta: ObjectMeta, part: int, boot: str) -> bytes:
    """Return what tells the parts of one version of an object from all others."""
    version = (repr(store), meta["path"], meta["e_tag"], meta["last_modified"], meta["size"], part, boot)
    return hashlib.sha256("\0".join(map(str, version)).encode()).digest()


def _boot() -> str:
    """Return what changes when the system starts anew: what was not forced out to the disk may not be there then."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    return ""

"""Uploads by many hands to local files: parts lie beside the target, named as files that are not whole yet.

A file of number 0 tells that the upload has not ended, and whoever ends it holds that. All names follow from the
upload's id and the part's number, so that every hand finds them; what is left of an upload that nobody ends stays until
its folder goes.

Its one invariant: an upload ends once.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from objstore.disk.descriptors import copy, write_all
from objstore.disk.part_files import MOST, create, hold, is_named, make, name_of, remove_left
from objstore.exceptions import NotFoundError
from objstore.interface.values import Source
from objstore.plans.work import in_steps
from objstore.providers.local.files import Staging, pack_attributes
from objstore.providers.local.root import STORE, Root, check_key, reported, split, version_of
from objstore.providers.preconditions import changed_part, ended_upload
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.plans.work import Work
    from objstore.types import PutResult


TURN_SECONDS = 0.01
"""How long to wait before the next look whether another hand is done with the end of an upload."""


class SharedUploads:
    """The uploads below a directory.

    Args:
        root: The directory.
    """

    def __init__(self, root: Root) -> None:
        self._root = root

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload."""
        check_key(key)
        return (yield from in_steps(self._start(key)))

    def _start(self, key: str) -> Work[str]:
        upload_id = secrets.token_hex(8)
        with reported(key):
            folder, _ = self._root.make_folder(key)
            try:
                os.close(_create(folder, _name(upload_id, key, 0)))
            finally:
                os.close(folder)
        return upload_id
        yield

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Write a part."""
        return (yield from in_steps(self._put_part(key, upload_id, number, part)))

    def _put_part(self, key: str, upload_id: str, number: int, part: Source) -> Work[UploadPart]:
        with self._folder(key, upload_id) as folder:
            begun, named = _name(upload_id, key, 0), _name(upload_id, key, number)
            passing, (descriptor, _) = create(folder, begun, lambda name: make(folder, name, 0o600))
            try:
                yield from _write(part, descriptor)
                part.check()
                tag = version_of(os.fstat(descriptor)).e_tag
                os.rename(passing, named, src_dir_fd=folder, dst_dir_fd=folder)
                passing = named
                os.stat(begun, dir_fd=folder)  # else it has ended meanwhile, and nobody would remove the part
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(passing, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)
        return UploadPart(number, tag, part.size)

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Look which parts are there."""
        return (yield from in_steps(self._parts(key, upload_id)))

    def _parts(self, key: str, upload_id: str) -> Work[list[UploadPart]]:
        found = []
        with self._folder(key, upload_id) as folder:
            for number, name in _names(folder, upload_id, key):
                looked = os.stat(name, dir_fd=folder, follow_symlinks=False)
                found.append(UploadPart(number, version_of(looked).e_tag, looked.st_size))
                yield
        return found[1:]

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts."""
        return (yield from in_steps(self._complete(key, upload_id, parts, options)))

    def _complete(
        self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions
    ) -> Work[PutResult]:
        with (
            self._folder(key, upload_id) as folder,
            _opened_to_end(folder, upload_id, key) as begun,
            Staging(self._root, key, options.mode, pack_attributes(options.attributes)) as staging,
        ):
            yield from _turn(begun, folder, upload_id, key)
            at = 0
            for part in parts:
                with _opened(folder, upload_id, key, part) as descriptor:
                    yield from staging.write(Source((descriptor, 0, part.size), part.size), at)
                at += part.size
            staging.flush()
            result = staging.publish()
            yield from self._remove(folder, key, upload_id)
        return result

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Remove the parts."""
        yield from in_steps(self._abort(key, upload_id))

    def _abort(self, key: str, upload_id: str) -> Work[None]:
        with (
            suppress(NotFoundError),
            self._folder(key, upload_id) as folder,
            _opened_to_end(folder, upload_id, key) as begun,
        ):
            yield from _turn(begun, folder, upload_id, key)
            yield from self._remove(folder, key, upload_id)

    def _remove(self, folder: int, key: str, upload_id: str) -> Work[None]:
        begun = _name(upload_id, key, 0)
        os.unlink(begun, dir_fd=folder)  # first: a part that comes now is removed by whoever sends it
        for _, name in _names(folder, upload_id, key):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            yield
        passing = {name_of(begun, number) for number in range(MOST)}
        for name in passing.intersection(map(os.fsencode, os.listdir(folder))):
            remove_left(folder, name)
            yield

    @contextmanager
    def _folder(self, key: str, upload_id: str) -> Iterator[int]:
        """Open the folder of an upload that has not ended."""
        check_key(key)
        with reported(key):
            try:
                with self._root.folder(split(key)[0]) as folder:
                    os.stat(_name(upload_id, key, 0), dir_fd=folder)
                    yield folder
            except FileNotFoundError as error:
                if isinstance(error, NotFoundError):
                    raise
                raise ended_upload(STORE, key) from None


def _stem(upload_id: str, key: str) -> bytes:
    """Return how the names of an upload's files begin: the rest is the number of the part."""
    digest = blake2b(b"%s/%s" % (upload_id.encode(), split(key)[1]), digest_size=5)
    return b".objstore-%s" % digest.hexdigest().encode()


def _name(upload_id: str, key: str, number: int) -> bytes:
    return b"%s%06x.part" % (_stem(upload_id, key), number)


def _names(folder: int, upload_id: str, key: str) -> list[tuple[int, bytes]]:
    """Return the numbers and names of an upload's files, in order."""
    stem = _stem(upload_id, key)
    names = [name for name in map(os.fsencode, os.listdir(folder)) if name.startswith(stem)]
    return sorted((int(name[len(stem) : -len(b".part")], 16), name) for name in names)


def _create(folder: int, name: bytes) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)


@contextmanager
def _opened_to_end(folder: int, upload_id: str, key: str) -> Iterator[int]:
    """Open the file that tells that an upload has not ended."""
    begun = os.open(_name(upload_id, key, 0), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield begun
    finally:
        os.close(begun)


def _turn(begun: int, folder: int, upload_id: str, key: str) -> Work[None]:
    """Wait until nobody else is about to end an upload.

    Raises:
        NotFoundError: Another hand has ended it.
    """
    while True:
        try:
            hold(begun)
        except BlockingIOError:
            time.sleep(TURN_SECONDS)
            yield
        else:
            break
    if not is_named(begun, folder, _name(upload_id, key, 0)):
        raise ended_upload(STORE, key)


def _write(part: Source, descriptor: int) -> Work[None]:
    if isinstance(part.data, tuple):
        yield from copy(*part.data, descriptor, 0)
    else:
        yield from write_all(descriptor, memoryview(part.data), 0)


@contextmanager
def _opened(folder: int, upload_id: str, key: str, part: UploadPart) -> Iterator[int]:
    """Open a part, which must be as it was when it was written."""
    try:
        descriptor = os.open(
            _name(upload_id, key, part.number), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
    except OSError:
        raise changed_part(STORE, key, part.number) from None
    try:
        looked = os.fstat(descriptor)
        if (version_of(looked).e_tag, looked.st_size) != (part.e_tag, part.size):
            raise changed_part(STORE, key, part.number)
        yield descriptor
    finally:
        os.close(descriptor)

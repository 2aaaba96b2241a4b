"""Objects in local files: the primitive operations on a directory.

An object is a regular file, its key the path beneath the root. Folders are no objects: they come with the objects below
them, and may stay behind. What blocks goes through `Call`, a tenth of a second at a time.

Its one invariant: paths are opened by `root` alone, names used relative to what it opened; so nothing leads out.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes
from objstore.disk.descriptors import read_into
from objstore.disk.part_files import name_of, remove_left
from objstore.disk.room import insist
from objstore.exceptions import BaseError, NotFoundError, NotSupportedError
from objstore.interface.values import (
    ANY,
    ANY_SIZE,
    AT_HAND,
    FIRST_BYTE,
    WHOLE,
    Conditions,
    Fetched,
    ListQuery,
    Page,
    Range,
    Reads,
    Source,
    WriteOptions,
    no_requests,
)
from objstore.plans.effects import Call, Plan
from objstore.plans.work import Work, at_once, in_steps
from objstore.providers.local.files import (
    Staging,
    move,
    pack_attributes,
    put_in_place,
    read_attributes,
    stored_attributes,
)
from objstore.providers.local.listing import Pages
from objstore.providers.local.reads import LOOK, Reading
from objstore.providers.local.root import (
    STORE,
    Root,
    Version,
    as_error,
    check_key,
    locked,
    reported,
    split,
    version_of,
)
from objstore.providers.local.shared_uploads import SharedUploads
from objstore.providers.pages import OneByOne
from objstore.providers.preconditions import check_conditions, resolve
from objstore.providers.sequential import Sequential, SequentialParts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.provider import Provider, Share
    from objstore.interface.values import UrlTerms
    from objstore.types import PutMode, PutResult, StoreStats


class Local:
    """A directory.

    Args:
        path: Its path, absolute and without symlinks.
        automatic_cleanup: Whether to remove folders that a deleted or renamed object leaves empty.
        fsync: Whether what is written is forced out to the disk before a call returns.
    """

    most_parts = 1 << 20
    smallest_part = 1 << 20
    lists_from_anywhere = False
    lists_in_order = True
    lists_by_bytes = True
    lists_any_prefix = True
    has_outer_slashes = False
    buckets = None
    tags = None
    forms = None
    has_locks = False
    versions = None
    parts = None
    flows = None
    asks_for_checksums = False
    tells_of_wholes = False
    most_compared = ANY_SIZE
    pace = AT_HAND

    def __init__(self, path: str, *, automatic_cleanup: bool = False, fsync: bool = False) -> None:
        self.root = Root(path, fsync=fsync)
        self._automatic_cleanup = automatic_cleanup
        self._pages = Pages(self.root)

    @property
    def address(self) -> str:
        """What stands in front of its keys."""
        return os.path.join(self.root.path, "")

    def stats(self) -> StoreStats:
        """Return what its requests have come to: there are none."""
        return no_requests()

    # --- reading

    def fetch_one(self, key: str, range: Range, conditions: Conditions, *, brief: bool = False) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        return (yield from in_steps(self._read(key, range, conditions)))

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""
        return (yield from in_steps(self._read(key, None, conditions)))

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read; its bytes are near enough."""
        return self.head(key, conditions)

    def _read(self, key: str, range: Range | None, conditions: Conditions) -> Work[Fetched]:
        """Read a range, or nothing."""
        with ExitStack() as opened:
            descriptor, version = yield from insist(lambda: opened.enter_context(self.root.file(key)))
            if conditions is not ANY:
                check_conditions(STORE, key, version.e_tag, version.time, conditions)
            start, end = resolve(STORE, key, range or WHOLE, version.size)
            attributes = read_attributes(descriptor)
            body = Bytes()
            if range is not None and end > start:
                buffer, body = Buffer.allocate(end - start)
                got = yield from read_into(descriptor, memoryview(buffer), start)
                if got < end - start:
                    raise as_error(key, errno.ESTALE)
                _check_version(key, descriptor, version)
        return Fetched(version.meta(key), attributes, (start, end), body)

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[Reading]:
        """Begin to read what is known about many objects."""
        return Reading(self.root, Reads(keys, [LOOK] * len(keys)), ANY, most_in_flight, 0)
        yield

    look_many = head_many

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
        beginnings: bool = False,
    ) -> Plan[Reading]:
        """Begin many reads."""
        return Reading(self.root, reads, conditions, most_in_flight, window if each else 0)
        yield

    # --- writing

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object."""
        return (yield from in_steps(self._write(key, source, options)))

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[Sequential]:
        """Begin to write many objects."""
        return Sequential(
            lambda index: at_once(self._write(*items[index], options)),
            len(items),
            [source.size for _, source in items],
        )
        yield

    def _write(self, key: str, source: Source, options: WriteOptions) -> Work[PutResult]:
        with ExitStack() as opened:
            staging = yield from insist(lambda: opened.enter_context(self._staging(key, options)))
            yield from staging.write(source, 0)
            source.check()
            yield from insist(staging.flush)
            return staging.publish()

    def _staging(self, key: str, options: WriteOptions) -> Staging:
        return Staging(self.root, key, options.mode, pack_attributes(options.attributes))

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Parts]:
        """Begin to write an object in parts."""
        staging = self._staging(key, options)
        try:
            yield from in_steps(insist(staging.open, staging.close))
        except BaseException:
            staging.close()
            raise
        return Parts(staging)

    @property
    def shared_uploads(self) -> SharedUploads:
        """The uploads by many hands."""
        return SharedUploads(self.root)

    # --- the rest

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; one that does not exist is an error."""
        return (yield from in_steps(self._delete_all(keys)))

    def _delete_all(self, keys: Sequence[str]) -> Work[dict[str, BaseError]]:
        failed = {}
        for key in keys:
            try:
                self._delete(key)
            except BaseError as error:
                failed[key] = error
            yield
        self._sync_above([key for key in keys if key not in failed])
        return failed

    def _sync_above(self, keys: Sequence[str]) -> None:
        for above in {split(key)[0] for key in keys}:
            with suppress(NotFoundError), reported(above.decode()):  # the folder has been removed
                self.root.sync_folders(above)

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete an object, if its ETag is still this one."""
        yield Call(lambda: self._delete(key, Conditions(if_match=e_tag)), settle=True)
        yield Call(lambda: self._sync_above([key]), settle=True)

    def _delete(self, key: str, conditions: Conditions = ANY) -> None:
        check_key(key)
        above, name = split(key)
        with reported(key):
            with self.root.folder(above) as folder, locked(folder, alone=conditions is not ANY):
                self._check_object(key, folder, name)
                if conditions is not ANY:
                    self._check_conditions(key, conditions)
                os.unlink(name, dir_fd=folder)
                remove_left(folder, name_of(name, 0))
            self._clean_up(above)

    def _check_object(self, key: str, folder: int, name: bytes) -> bool:
        """Raise unless a name is an object's; return whether it is a symlink to it."""
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            with self.root.file(key):
                return True
        if not stat.S_ISREG(mode):
            raise as_error(key, errno.EISDIR)
        return False

    def _check_conditions(self, key: str, conditions: Conditions) -> None:
        with self.root.file(key) as (_, version):
            check_conditions(STORE, key, version.e_tag, version.time, conditions)

    def _clean_up(self, folder: bytes) -> None:
        if self._automatic_cleanup:
            self.root.remove_empty(folder, folder.count(b"/") + 1)

    def remove_directories(self, prefix: str) -> Plan[None]:
        """Do nothing: a folder with no object in it is in nobody's way."""
        return
        yield

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a directory too."""
        return isinstance(origin, Local)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here; the file system shares its blocks, where it can."""
        assert isinstance(origin, Local)
        yield from in_steps(self._copy(source, target, mode, origin))

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Copy an object here, if its ETag is still this one."""
        assert isinstance(origin, Local)
        yield from in_steps(self._copy(source, target, mode, origin, Conditions(if_match=e_tag)))

    def _copy(self, source: str, target: str, mode: PutMode, origin: Local, conditions: Conditions = ANY) -> Work[None]:
        with ExitStack() as opened:

            def open_both() -> tuple[int, Version, Staging]:
                descriptor, version = opened.enter_context(origin.root.file(source))
                if conditions is not ANY:
                    check_conditions(STORE, source, version.e_tag, version.time, conditions)
                staging = Staging(self.root, target, mode, stored_attributes(descriptor))
                return descriptor, version, opened.enter_context(staging)

            descriptor, version, staging = yield from insist(open_both, opened.close)
            yield from staging.write(Source((descriptor, 0, version.size), version.size), 0)
            _check_version(source, descriptor, version)
            yield from insist(staging.flush)
            staging.publish()

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Rename an object."""
        yield from in_steps(self._rename(source, target, mode))

    def _rename(self, source: str, target: str, mode: PutMode) -> Work[None]:
        check_key(source)
        check_key(target)
        above, name = split(source)
        with reported(source):
            with self.root.folder(above) as folder:
                # elsewhere a link may lead to something else; and what compares has to be alone in the target's folder
                copied = self._check_object(source, folder, name) or not isinstance(mode, str)
                if not copied:
                    self._move(folder, name, target, overwrite=mode == "overwrite")
                    self.root.sync_folders(above)
            if copied:
                yield from self._copy(source, target, mode, self)
                self._delete(source)
            self._clean_up(above)

    def _move(self, folder: int, name: bytes, target: str, *, overwrite: bool) -> None:
        above, new_name = split(target)
        with reported(target):
            to_folder, made = self.root.make_folder(target)
            try:
                with locked(folder), locked(to_folder):
                    put_in_place(
                        target,
                        to_folder,
                        new_name,
                        lambda: move(folder, name, to_folder, new_name),
                        (lambda: os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=to_folder))
                        if overwrite
                        else None,
                    )
                    remove_left(to_folder, name_of(new_name, 0))
                self.root.sync_folders(above, 1 + made)
            except BaseException:
                self.root.remove_empty(above, made)
                raise
            finally:
                os.close(to_folder)

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Refuse: nobody else can reach these files."""
        raise NotSupportedError(f"A {STORE} has no URLs", hint="Sign with a store that others can reach.")
        yield

    def list_many(self, *, most_in_flight: int) -> Plan[OneByOne]:
        """Begin to read pages of listings."""
        return OneByOne(self.list_page)
        yield

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""
        page: Page = yield Call(lambda: self._pages.read(query))
        return page


def _check_version(key: str, descriptor: int, version: Version) -> None:
    """Raise if a file has been changed in place since it was opened: what was read of it is of two versions."""
    if version_of(os.fstat(descriptor)) != version:
        raise as_error(key, errno.ESTALE)


class Parts(SequentialParts):
    """The parts of an object to be, each written at its place in one unfinished file."""

    def __init__(self, staging: Staging) -> None:
        super().__init__(staging.write)
        self._staging = staging

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts."""
        yield from in_steps(insist(self._staging.flush))
        result: PutResult = yield Call(self._staging.publish, settle=True)
        return result

    def abort(self) -> Plan[None]:
        """Drop the parts."""
        yield Call(self._staging.close, settle=True)

    def close(self) -> None:
        """Let go of the file; unless it is complete, nothing stays behind."""
        self._staging.close()

"""One object by many hands: an upload whose parts are sent from any thread, process or machine.

Its one invariant: a handle holds what a store's own pickle holds, and the upload's id, but nothing that must be closed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING

from objstore.disk.room import Place
from objstore.exceptions import NotSupportedError
from objstore.operations.arguments import read_write_options
from objstore.operations.naming import key_of
from objstore.operations.objects import EMPTY
from objstore.operations.sources import opened_body
from objstore.plans.run import both

if TYPE_CHECKING:
    from collections.abc import Iterable

    from objstore.interface.provider import SharedUploads
    from objstore.interface.store import BaseStore
    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, PutInput, PutMode, PutResult, UploadPart


def begin_upload(
    store: BaseStore,
    path: str,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
) -> Plan[MultipartUpload]:
    """Begin an upload whose parts are sent by many: threads, processes, or machines.

    Args:
        store: Where to.
        path: The path of the object to be.
        attributes: What to store with it: Content-Type and the like, or metadata of your own.
        tags: Tags to give it, where the store keeps tags.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced. It is
            decided when the upload ends.

    Returns:
        A handle, to be sent to whoever has parts.

    Raises:
        NotSupportedError: The store takes no uploads in parts.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    """
    options = read_write_options(store.provider, attributes, tags, mode)
    key = yield from key_of(store, path)
    upload_id = yield from _uploads(store).start(key, options)
    return MultipartUpload(store, path, key, upload_id, options)


def _uploads(store: BaseStore) -> SharedUploads:
    uploads = store.provider.shared_uploads
    if uploads is None:
        raise NotSupportedError(f"{store!r} takes no object in parts", hint="Write it by `put`.")
    return uploads


class MultipartUpload:
    """An upload under way. It can be pickled, and copied to any number of hands.

    Args:
        store: Where to.
        path: The path of the object to be.
        key: Its key.
        upload_id: What the store calls the upload.
        options: What is stored with the object, and what it may replace.
    """

    def __init__(self, store: BaseStore, path: str, key: str, upload_id: str, options: WriteOptions) -> None:
        self._store = store
        self._key = key
        self._options = options
        self.path = path
        self.upload_id = upload_id

    def __repr__(self) -> str:
        """Return the path and the id."""
        return f"MultipartUpload({self.path!r}, upload_id={self.upload_id!r})"

    def _put_part(self, number: int, data: PutInput) -> Plan[UploadPart]:
        """Send a part; one that is sent twice replaces itself.

        Args:
            number: Which it is, from 1 on. Numbers may be left out; parts are put in their order.
            data: Its bytes: whatever `put` takes. What is no buffer and no file is read into memory first.

        Returns:
            The part, for `complete`: it is small and can be pickled.

        Raises:
            NotFoundError: The upload has ended.
            TypeError: The number is no integer.
            SourceChangedError: The file changed while it was read.
        """
        number = index(number)
        most = self._store.provider.most_parts
        if not 1 <= number <= most:
            raise ValueError(f"the number of a part must be between 1 and {most}, not {number}")
        with Place() as place:
            if isinstance(data, str | Path):
                yield from place.take()
            body = yield from opened_body(data)
            try:
                part = yield from body.all()
                return (yield from _uploads(self._store).put_part(self._key, self.upload_id, number, part or EMPTY))
            finally:
                body.close()

    put_part, put_part_async = both(_put_part)

    def _parts(self) -> Plan[list[UploadPart]]:
        """Ask the store which parts are there, by number.

        Raises:
            NotFoundError: The upload has ended.
        """
        return (yield from _uploads(self._store).parts(self._key, self.upload_id))

    parts, parts_async = both(_parts)

    def _complete(self, parts: Iterable[UploadPart] | None = None, *, mode: PutMode | None = None) -> Plan[PutResult]:
        """Make an object of parts, in the order of their numbers, and end the upload.

        Args:
            parts: The parts, in any order; all that the store has, if not given.
            mode: What the object may replace, where it is not as it was when the upload began.

        Returns:
            The ETag and the version of the object.

        Raises:
            ValueError: There are none, or a number comes twice.
            AlreadyExistsError: The mode is ``"create"`` and it exists.
            PreconditionError: It is not the version that may be replaced.
            NotFoundError: The upload has ended.
            GenericError: A part is not there, or one but the last is smaller than the service takes.
        """
        chosen = (yield from self._parts()) if parts is None else list(parts)
        chosen.sort(key=lambda part: part.number)
        self._check(chosen)
        options = self._options
        if mode is not None:
            options = replace(options, mode=read_write_options(self._store.provider, None, None, mode).mode)
        return (yield from _uploads(self._store).complete(self._key, self.upload_id, chosen, options))

    complete, complete_async = both(_complete)

    def _check(self, parts: list[UploadPart]) -> None:
        if not parts:
            raise ValueError(f"{self!r} has no parts: send one, which may be empty, or abort it")
        for before, part in pairwise(parts):
            if before.number == part.number:
                raise ValueError(f"part {part.number} comes twice: give each part once")

    def _abort(self) -> Plan[None]:
        """Drop the parts that the store has, and end the upload; one that has ended is no error."""
        yield from _uploads(self._store).abort(self._key, self.upload_id)

    abort, abort_async = both(_abort)

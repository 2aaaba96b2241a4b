"""A local file to one object, in parallel parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from objstore.disk.room import Place
from objstore.operations.arguments import check_at_least, read_write_options
from objstore.operations.bars import called, drawn
from objstore.operations.naming import key_of
from objstore.operations.objects import put_body
from objstore.operations.sources import opened_body

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, Progress, PutMode, PutResult


@drawn
def upload(
    store: BaseStore,
    file: str | Path,
    path: str,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    chunk_size: int = 16 << 20,
    max_concurrency: int = 16,
    progress: Progress | bool | None = None,
) -> Plan[PutResult]:
    """Upload a local file, in parallel parts that are read from it as they are sent.

    Args:
        store: Where to.
        file: The local file.
        path: The path of the object.
        attributes: What to store with it.
        tags: Tags to give it, where the store keeps tags.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
        chunk_size: The size of a part in bytes; smaller files are sent in one request.
        max_concurrency: How many parts are in flight.
        progress: True draws a bar; a function is called with how many parts have arrived, how many there are so far,
            and their bytes.

    Returns:
        The ETag and the version of the new object.

    Raises:
        OSError: The file cannot be read.
        SourceChangedError: It changed meanwhile.
    """
    progress = called(progress)
    check_at_least("chunk_size", chunk_size, 1)
    check_at_least("max_concurrency", max_concurrency, 1)
    options = read_write_options(store.provider, attributes, tags, mode)
    key = yield from key_of(store, path)
    with Place() as place:
        yield from place.take()
        body = yield from opened_body(Path(file))
        try:
            return (
                yield from put_body(store.provider, key, body, options, None, chunk_size, max_concurrency, progress)
            )
        finally:
            body.close()

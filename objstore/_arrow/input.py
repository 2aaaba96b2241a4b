"""An object as pyarrow reads it: at one place after the other, from several threads in turn.

pyarrow lets one thread at a time read a file written in Python. So that the columns of a Parquet file do not come one
after the other, this file learns from the metadata that go through it where they are, and fetches them ahead.

Its one invariant: all bytes are of one version of the object.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from objstore.exceptions import PreconditionError
from objstore.interface.values import FIRST_BYTE, Range
from objstore.operations.columns import MARK, Layout, ReadAhead, Span, metadata_start, read_layout
from objstore.operations.pieces import changed
from objstore.operations.reader import open_object
from objstore.operations.window import INDEX
from objstore.plans.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.store import Store
    from objstore.types import Buffer

LAYOUTS_KEPT = 64
"""Of how many Parquet files a handler remembers where their columns are, and how they end."""


class Known(NamedTuple):
    """What is known of a Parquet file: the ETag of which it is true, where the columns are, and how it ends."""

    e_tag: str
    layout: Layout
    tail: bytes


Layouts: TypeAlias = dict[str, Known]
"""Of the Parquet files that were read lately, by path."""


class ObjectInputFile(io.RawIOBase):
    """An object open for reading by pyarrow.

    Args:
        store: Where it is.
        path: Its path.
        layouts: Where the columns of files read lately are: pyarrow reads the metadata of a file, and opens it anew for
            its columns.
    """

    mode = "rb"

    def __init__(self, store: Store, path: str, layouts: Layouts) -> None:
        self._store = store
        self._path = path
        self._layouts = layouts
        known = layouts.get(path)
        self._file = run(open_object(store, path, piece=Range(end=INDEX) if known is None else FIRST_BYTE))
        self._size = self._file.size
        self._metadata_start: int | None = None
        self._mark = self._tail = b""
        self._ahead: ReadAhead | None = None
        if known is not None and known.e_tag == self._file.e_tag:
            self._begin_ahead(known)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the object."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place where the next read begins."""
        self._file.check_open()
        return self._file.at

    def size(self) -> int:
        """Return the size of the object in bytes."""
        return self._size

    def read_buffer(self, size: int = -1) -> bytes | memoryview:
        """Read without a copy: what pyarrow asks for where it can."""
        start = self.tell()
        end = start + self._file.left(size)
        piece = self._take(start, end)
        if piece is not None:
            self._file.seek(end)
            return piece
        data = run(self._file.read(size, bytes))
        e_tag = self._file.e_tag
        if self._ahead is None and e_tag is not None:  # only that keeps what is read ahead to the version
            self._look_for_metadata(start, data, e_tag)
        return data

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or to the end."""
        return bytes(self.read_buffer(-1 if size is None else size))

    def readinto(self, buffer: Buffer) -> int:
        """Read into a writable buffer; return how many bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read_buffer(len(view))
        view[: len(data)] = data
        return len(data)

    def _take(self, start: int, end: int) -> memoryview | None:
        """Return a range that is known, or some columns; None where it is neither."""
        if self._ahead is None:
            return None
        at = self._size - len(self._tail)
        if start >= at:
            return memoryview(self._tail)[start - at : end - at]
        return self._ahead.take(start, end)

    def _look_for_metadata(self, start: int, data: bytes, e_tag: str) -> None:
        """Learn where columns are, once the metadata of a Parquet file have been read."""
        end = start + len(data)
        if end == self._size and len(data) >= MARK:
            self._mark = data[-MARK:]
            self._metadata_start = metadata_start(self._mark, end)
        begin = self._metadata_start
        if begin is not None and start <= begin and end >= self._size - MARK:
            tail = data[: self._size - MARK - start] + self._mark
            self._keep(Known(e_tag, read_layout(tail[begin - start :]), tail))

    def _keep(self, known: Known) -> None:
        """Use what is known, and remember it for when the file is opened again, in the place of the oldest."""
        while len(self._layouts) >= LAYOUTS_KEPT:
            self._layouts.pop(next(iter(self._layouts), ""), None)
        self._layouts[self._path] = known
        self._begin_ahead(known)

    def _begin_ahead(self, known: Known) -> None:
        self._tail = known.tail
        self._ahead = ReadAhead(known.layout, self._fetch, self._file.account)

    def _fetch(self, spans: Sequence[Span]) -> list[memoryview]:
        starts, ends = zip(*spans, strict=True)
        try:
            found = self._store.get_ranges(self._path, starts=starts, ends=ends, coalesce=0, if_match=self._file.e_tag)
        except PreconditionError as error:
            raise changed(self._path) from error
        return [memoryview(part) for part in found]

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        self._ahead, self._tail = None, b""
        if hasattr(self, "_file"):  # it is not there where opening failed
            self._file.close()
        super().close()

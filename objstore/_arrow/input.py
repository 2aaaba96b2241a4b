"""An object as pyarrow reads it: at one place after the other, from several threads in turn.

pyarrow lets one thread at a time read a file written in Python. So that the columns of a Parquet file do not come one
after the other, this file learns from the metadata that go through it where they are, and fetches them ahead.

Its one invariant: all bytes are of one version of the object.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeAlias

from objstore._arrow.columns import MARK, Layout, ReadAhead, Span, metadata_start, read_layout
from objstore.exceptions import PreconditionError
from objstore.operations.files import ObjectReader
from objstore.operations.pieces import changed
from objstore.operations.reader import open_object
from objstore.plans.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.store import Store
    from objstore.types import Buffer

SMALL_READ = 64 << 10
"""What a small read somewhere in an object fetches, in bytes; and what comes of its end when it is opened, which is
what pyarrow reads of a Parquet file first."""

LAYOUTS_KEPT = 64
"""Of how many Parquet files a handler remembers where their columns are."""

Layouts: TypeAlias = dict[tuple[str, str | None], Layout]
"""Of the Parquet files that were read lately, by path and ETag."""


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
        self._file = ObjectReader(run(open_object(store, path, SMALL_READ, at_end=True)), store)
        self._size = self._file.size
        self._metadata_start: int | None = None
        self._mark = b""
        layout = layouts.get((path, self._file.e_tag)) if self._file.e_tag is not None else None
        self._ahead = ReadAhead(layout, self._fetch) if layout is not None else None

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
        return self._file.tell()

    def size(self) -> int:
        """Return the size of the object in bytes."""
        return self._size

    def read_buffer(self, size: int = -1) -> bytes | memoryview:
        """Read without a copy: what pyarrow asks for where it can."""
        start = self.tell()
        end = self._size if size < 0 else min(start + size, self._size)
        piece = self._ahead.take(start, end) if self._ahead is not None else None
        if piece is not None:
            self._file.seek(end)
            return piece
        data = self._file.read(size)
        if self._ahead is None and self._file.e_tag is not None:  # only that keeps what is read ahead to the version
            self._look_for_metadata(start, data)
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

    def _look_for_metadata(self, start: int, data: bytes) -> None:
        """Learn where columns are, once the metadata of a Parquet file have been read."""
        end = start + len(data)
        if end == self._size and len(data) >= MARK:
            self._mark = data[-MARK:]
            self._metadata_start = metadata_start(self._mark, end)
        begin = self._metadata_start
        if begin is not None and start <= begin and end >= self._size - MARK:
            layout = read_layout(data[begin - start : self._size - MARK - start] + self._mark)
            self._ahead = ReadAhead(layout, self._fetch)
            self._keep(layout)

    def _keep(self, layout: Layout) -> None:
        """Remember the layout for when the file is opened again, in the place of the oldest."""
        while len(self._layouts) >= LAYOUTS_KEPT:
            self._layouts.pop(next(iter(self._layouts), ("", None)), None)
        self._layouts[self._path, self._file.e_tag] = layout

    def _fetch(self, spans: Sequence[Span]) -> list[memoryview]:
        starts, ends = zip(*spans, strict=True)
        try:
            found = self._store.get_ranges(self._path, starts=starts, ends=ends, if_match=self._file.e_tag)
        except PreconditionError as error:
            raise changed(self._path) from error
        return [memoryview(part) for part in found]

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        self._ahead = None
        if hasattr(self, "_file"):  # it is not there where opening failed
            self._file.close()
        super().close()

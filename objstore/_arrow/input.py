"""An object open for reading by pyarrow's file system, which remembers of Parquet files where their columns are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from objstore.interface.values import Range
from objstore.operations.column_reads import ColumnReads, Layouts
from objstore.operations.in_turn import InTurn
from objstore.operations.reader import open_object
from objstore.operations.window import INDEX
from objstore.plans.run import run

if TYPE_CHECKING:
    from objstore.operations.reader import Reader
    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import Buffer


class ObjectInputFile(io.RawIOBase):
    """An object open for reading by pyarrow.

    Args:
        store: Where it is.
        path: Its path.
        layouts: What is known of files read lately, by a handler.
        in_turn: Opens the files that a handler has listed.
    """

    mode = "rb"

    def __init__(
        self, store: Store, path: str, layouts: Layouts | None = None, in_turn: InTurn[Reader] | None = None
    ) -> None:
        layouts, in_turn = layouts or Layouts(), in_turn or InTurn()

        def piece(path: str) -> Range:
            return layouts.piece(path, Range(end=INDEX))

        def begin(path: str, piece: Range) -> Plan[Reader]:
            return open_object(store, path, piece=piece)

        self._file = run(in_turn.open(store.provider, path, piece, begin))
        self._columns = ColumnReads(store, path, self._file.pinned, self._file.account, layouts)

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
        return self._file.size

    def read_buffer(self, size: int = -1) -> bytes | memoryview:
        """Read without a copy: what pyarrow asks for where it can."""
        return self._columns.read(self, size)

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or to the end."""
        return run(self._file.read(size, bytes))

    def readinto(self, buffer: Buffer) -> int:
        """Read into a writable buffer; return how many bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read_buffer(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        if hasattr(self, "_file"):  # it is not there where opening failed
            self._columns.close()
            self._file.close()
        super().close()

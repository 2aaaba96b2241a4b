"""An object open for reading by pyarrow's file system, which remembers of Parquet files where their columns are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from objstore.interface.values import FIRST_BYTE, Range
from objstore.operations.column_reads import ColumnReads, Layouts
from objstore.operations.in_turn import InTurn
from objstore.operations.reader import READ_BUFFER, Reader, open_object
from objstore.operations.window import INDEX
from objstore.plans.run import run

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import Buffer, ObjectMeta


class Files:
    """The files of a store as pyarrow opens them.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.layouts = Layouts()
        self.in_turn: InTurn[Reader] = InTurn()

    def open(self, path: str) -> Reader:
        """Open a file, with a piece of its end."""
        return run(self.in_turn.open(self.store.provider, path, self._piece, self._begin))

    def look(self, path: str) -> ObjectMeta | None:
        """Open a file that is asked about; None where that is no quicker than to ask alone, and then to open it.

        Raises:
            NotFoundError: There is no such file.
        """
        found = run(self.in_turn.look(self.store.provider, path, self._piece, self._begin))
        return None if found is None else found.pinned.meta

    def _piece(self, path: str) -> Range:
        return self.layouts.piece(path, Range(end=INDEX))

    def _begin(self, path: str, piece: Range) -> Plan[Reader]:
        """Begin to read a file; one that was read just now, and of which nothing is to come along, is not asked for."""
        again = self.layouts.again(path) if piece == FIRST_BYTE else None
        if again is None:
            return (yield from open_object(self.store, path, piece=piece))
        return Reader((yield from again.anew()), READ_BUFFER)


class ObjectInputFile(io.RawIOBase):
    """An object open for reading by pyarrow.

    Args:
        store: Where it is.
        path: Its path.
        files: What is known of the files of the store, by a handler.
    """

    mode = "rb"

    def __init__(self, store: Store, path: str, files: Files | None = None) -> None:
        files = files or Files(store)
        self._file = files.open(path)
        self._columns = ColumnReads(store, path, self._file.pinned, self._file.account, files.layouts)

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

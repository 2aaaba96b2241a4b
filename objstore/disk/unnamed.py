"""Bytes that come one after the other and are wanted as one: beyond some memory they lie in a file without a name.

Its one invariant: the file is gone with whoever has the bytes, however the process ends.
"""

from __future__ import annotations

import errno
from typing import IO, TYPE_CHECKING
from weakref import finalize

from objstore._core import Bytes, Gathered
from objstore.disk.descriptors import write_all
from objstore.disk.held import Held
from objstore.disk.room import insist
from objstore.plans.work import gather, in_steps

if TYPE_CHECKING:
    from objstore.plans.effects import Plan


IN_MEMORY = 64 << 20
"""How many bytes are in memory, as far as there may be so many; of more, all are in the file."""


class Unnamed:
    """All that has come."""

    def __init__(self) -> None:
        self.size = 0
        self._held = Held()
        self._gathered = Gathered()
        self._file: IO[bytes] | None = None

    def add(self, piece: Bytes) -> Plan[None]:
        """Put bytes behind the others.

        Raises:
            OSError: The file system has no room for them.
        """
        if self._file is None and self._may_hold(self.size + len(piece)):
            yield from in_steps(gather(self._gathered, piece))
        else:
            if self._file is None:
                yield from self._begin()
            yield from self._write(piece, self.size)
        self.size += len(piece)

    def _may_hold(self, size: int) -> bool:
        return size <= IN_MEMORY and self._held.reaches(size)

    def _begin(self) -> Plan[None]:
        """Put what is in memory into a file."""
        yield from in_steps(insist(self._open, self.close))
        yield from self._write(self._gathered.take(), 0)
        self._held.end()

    def _open(self) -> None:
        from tempfile import TemporaryFile

        self._file = TemporaryFile(buffering=0)  # noqa: SIM115, it is closed by close()

    def _write(self, piece: Bytes, at: int) -> Plan[None]:
        assert self._file is not None
        try:
            yield from in_steps(write_all(self._file.fileno(), memoryview(piece), at))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            from tempfile import gettempdir

            raise OSError(
                error.errno,
                f"{error.strerror} in {gettempdir()} for an object that its server gives only as a whole: "
                "set TMPDIR to a folder with more, or download the object and open the file",
            ) from error

    def take(self) -> Bytes:
        """Return all of them, and have none; what is in memory counts for as long as somebody has it."""
        if self._file is None:
            taken, held = self._gathered.take(), self._held
            finalize(taken, held.end)
            self._held = Held()
            return taken
        from mmap import PROT_READ, mmap

        file, size = self._file, self.size
        with file:
            self._file = None
            return Bytes(mmap(file.fileno(), size, prot=PROT_READ))

    def close(self) -> None:
        """Let go of the memory, and of the file, if there is one."""
        self._held.end()
        if self._file is not None:
            self._file.close()
            self._file = None

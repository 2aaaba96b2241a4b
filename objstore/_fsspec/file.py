"""An open file: fsspec's own, over ranges that are read in parallel where they are large.

Its one invariant: what is written is there as a whole once the file is closed without an error, or it is not there.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from typing import TYPE_CHECKING, Any, Literal

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.spec import AbstractBufferedFile

from objstore.exceptions import AlreadyExistsError, PreconditionError
from objstore.results import changed, strong
from objstore.types import Attributes, GetOptions

if TYPE_CHECKING:
    from objstore.fsspec import FsspecStore

READ_SIZE = 5 << 20
SPOOLED = 10 << 20
LINE = 8 << 10
MODES = ("rb", "wb", "xb")


class BufferedFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is open for reading or writing.

    Args:
        fs: Where it is.
        path: Its path.
        mode: ``"rb"``, ``"wb"``, or ``"xb"`` for a file that must not exist yet.
        block_size: How many bytes are read ahead; how many fsspec's caches read at a time.
        autocommit: Whether closing it puts it in its place; else `commit` does.
        cache_type: Which of fsspec's caches is used for reading.
        cache_options: Its options.
        buffer_size: The same as `block_size`; of a file that is written, the memory it may need before it goes to a
            temporary file.
        attributes: What to store with a file that is written.
        tags: Tags to give it.
        size: The size of the file, if it is known: it need not be asked for.

    Raises:
        FileNotFoundError: It is to be read, and does not exist.
        FileExistsError: The mode is ``"xb"``, and it exists.
    """

    cache: Any = None
    closed: bool

    def __init__(
        self,
        fs: FsspecStore,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        *,
        buffer_size: int | None = None,
        attributes: Attributes | None = None,
        tags: dict[str, str] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_mode(mode)
        if mode == "xb" and fs.exists(path):
            raise AlreadyExistsError(f"{path!r} exists already", path=path)
        self._options = {"attributes": attributes, "tags": tags, "mode": _put_mode(mode)}
        self._spool = None if mode == "rb" else tempfile.SpooledTemporaryFile(buffer_size or SPOOLED)  # noqa: SIM115
        self._e_tag: str | None = None
        if mode == "rb" and size is None:
            size = self._ask(fs, path)
        block = buffer_size or (block_size if isinstance(block_size, int) else None) or READ_SIZE
        super().__init__(fs, path, mode, block, autocommit, cache_type, cache_options, size=size, **kwargs)

    def _ask(self, fs: FsspecStore, path: str) -> int:
        """Ask what there is to be read; return its size."""
        details = fs.info(path)
        if details["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        self._details = details
        self._e_tag = strong(details["e_tag"])
        size: int = details["size"]
        return size

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Read a range of the version of the file that was opened."""
        if end <= start:
            return b""
        bucket, key = self.fs._split_path(self.path)
        options: GetOptions = {"range": (start, end), "if_match": self._e_tag}
        try:
            result = self.fs._construct_store(bucket).get(key, options=options)
        except PreconditionError as error:
            raise changed(self.path, error.status) from error
        self._e_tag = strong(result.meta["e_tag"])
        return bytes(result.bytes())

    def readline(self, size: int | None = -1) -> bytes:
        """Return what is left of the line, with its end."""
        start = self.tell()
        line: bytes = self.readuntil(b"\n", LINE)
        if size is not None and 0 <= size < len(line):
            self.seek(start + size)
            return line[:size]
        return line

    def write(self, data: Any) -> int:
        """Write bytes."""
        if not self.writable():
            raise io.UnsupportedOperation("this file is not open for writing")
        assert self._spool is not None
        size = self._spool.write(data)
        self.loc += size
        return size

    def flush(self, force: bool = False) -> None:
        """Do nothing: an object is written as a whole, when the file is closed."""
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def close(self) -> None:
        """Close the file; what was written is put in its place, if it is to be at once."""
        if self.closed:
            return
        try:
            if self._spool is not None and self.autocommit:
                self.commit()
        finally:
            if hasattr(self.cache, "close"):
                self.cache.close()
            self.cache = None
            self.closed = True

    def commit(self) -> None:
        """Put what was written in its place."""
        assert self._spool is not None
        with self._spool as body:
            body.seek(0)
            bucket, key = self.fs._split_path(self.path)
            self.fs._construct_store(bucket).put(key, body, **self._options)
        self.fs.invalidate_cache(self.path)

    def discard(self) -> None:
        """Throw away what was written."""
        if self._spool is not None:
            self._spool.close()
        self.closed = True

    def __exit__(self, *error: object) -> None:
        """Close the file; after an error in the block, what was written is thrown away."""
        if self._spool is not None and error[0] is not None:
            self.discard()
        self.close()


class StreamedFile(AbstractAsyncStreamedFile):  # type: ignore[misc]
    """A file that is open for reading (``"rb"``) or writing (``"wb"``, ``"xb"``) in coroutines."""

    closed: bool

    @classmethod
    async def open(cls, fs: FsspecStore, path: str, mode: str, size: int | None = None) -> StreamedFile:
        """Open a file."""
        _check_mode(mode)
        if mode == "rb" and size is None:
            size = await fs._size(path)
        return cls(fs, path, mode, cache_type="none", size=size)

    async def _fetch_range(self, start: int, end: int) -> bytes:
        return await self.fs._cat_file(self.path, start, end)  # type: ignore[no-any-return]

    async def write(self, data: Any) -> int:
        """Write bytes."""
        if self.mode == "rb" or self.closed:
            raise io.UnsupportedOperation("this file is not open for writing")
        self.loc += self.buffer.write(data)
        return memoryview(data).nbytes

    async def flush(self, force: bool = False) -> None:
        """Do nothing: an object is written as a whole, when the file is closed."""

    async def close(self) -> None:
        """Close the file; what was written is put in its place."""
        if self.closed:
            return
        self.closed = True
        if self.mode != "rb":
            await self.fs._pipe_file(self.path, self.buffer.getbuffer(), _put_mode(self.mode))

    async def __aexit__(self, *error: object) -> None:
        """Close the file; after an error in the block, what was written is thrown away."""
        self.closed = self.closed or (self.mode != "rb" and error[0] is not None)
        await self.close()


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode = {mode!r}: give one of {', '.join(MODES)}; an object cannot be changed in place")


def _put_mode(mode: str) -> Literal["overwrite", "create"]:
    return "create" if mode == "xb" else "overwrite"

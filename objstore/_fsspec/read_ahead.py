"""How files are read ahead, where the caller chooses none of fsspec's own caches: as `store.open` does it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, ClassVar

from fsspec.caching import BaseCache, register_cache

from objstore.operations.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.operations.pinned import Pinned
    from objstore.operations.window import Account


class ReadAhead(BaseCache):  # type: ignore[misc]
    """A few blocks, the next larger where reads go on from each other, and smaller where they do not.

    Args:
        blocksize: What the first small read fetches, in bytes.
        fetcher: Reads from one place to another.
        size: The size of the file.
    """

    name: ClassVar[str] = "objstore"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._blocks = Blocks(blocksize, size)
        self._is_ahead: Callable[[int], bool] = lambda _: False
        self._lock = Lock()

    def begin(self, pinned: Pinned) -> None:
        """Take the version of the file that is read, and what is here of it already."""
        self._blocks = Blocks(self.blocksize, self.size, pinned.piece, lambda: pinned.wait_is_worth)
        self._is_ahead = pinned.is_ahead

    @property
    def account(self) -> Account:
        """What has been fetched, and asked for."""
        return self._blocks.account

    def close(self) -> None:
        """Let go of what is held."""
        self._blocks.clear()

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        """Read from one place to another."""
        start, stop = start or 0, self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        with self._lock:
            here = min(self._blocks.ready(start), stop - start)
            if start == 0 and here < stop and self._is_direct(here, stop):
                return self._rest(0, stop)  # it may be all: what is damaged is got anew
            held = bytes(self._blocks.view(start, here))
            if here == stop - start:
                return held
            end = bytes(self._blocks.end_of(start + here, stop - start - here))
            return held + self._rest(start + here, stop - len(end)) + end

    def _rest(self, start: int, stop: int) -> bytes:
        """Read what is not here: much of it directly, little of it by a new block."""
        if self._is_direct(start, stop):
            content: bytes = self.fetcher(start, stop)
            self._blocks.fetched(start, stop - start)
            return content
        at, memory = self._blocks.begin(start, stop - start, is_ahead=self._is_ahead(start))
        memory[:] = self.fetcher(at, at + len(memory))
        self._blocks.filled(at, len(memory))
        return bytes(self._blocks.view(start, stop - start))

    def _is_direct(self, start: int, stop: int) -> bool:
        return self._blocks.is_direct(start, stop - start, is_ahead=self._is_ahead(start))


register_cache(ReadAhead, clobber=True)

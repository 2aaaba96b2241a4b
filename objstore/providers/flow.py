"""One read under way whose body is given while it comes: of an object that has to be read by one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.disk.unnamed import Unnamed
from objstore.exceptions import ObjectChangedError
from objstore.interface.versions import is_same
from objstore.providers.many import seen_by
from objstore.providers.one_version import Conditional

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore._core import Bytes, Reply
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.interface.values import Seen
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta


class Flow(Conditional):
    """One read under way.

    Args:
        service: Where it goes.
        shape: What it is like.
        key: What is read.
        meta: Reads the metadata of a key out of a reply, given the size of the object.
        piece: How large the pieces of the body are, in bytes.
        window: How many bytes may have come and not been taken.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        key: str,
        meta: Callable[[str, Reply, int], ObjectMeta],
        *,
        piece: int,
        window: int,
    ) -> None:
        self._key = key
        self._meta = meta
        super().__init__(service, shape, lambda _: key, keep_head=True, background=True, window=window, piece=piece)

    def measure(self, expected: Seen, *, keep: bool) -> Plan[tuple[int, Bytes | None]]:
        """Read to the end, and return how much that is; with all of it, if it is to be kept.

        Raises:
            ObjectChangedError: It is not of the version that is expected, as far as replies tell.
            OSError: There is no room for it.
        """
        kept, end = Unnamed(), 0
        try:
            while True:
                over = self.over  # asked first: what comes after this is counted in the next round
                while (found := self.piece()) is not None:
                    at, piece, seen = found
                    if seen is not None and not is_same(seen, expected):
                        raise ObjectChangedError(
                            f"{self._key!r} was replaced while it was being read", hint="Get it again."
                        )
                    end = at + len(piece)
                    if at == 0:
                        kept.close()
                        kept = Unnamed()
                    if keep:
                        yield from kept.add(piece)
                for error in self.errors.values():
                    raise error
                if over:
                    return end, kept.take() if keep else None
                yield from self.news()
        finally:
            kept.close()

    def piece(self) -> tuple[int, Bytes, Seen | None] | None:
        """Return the next piece, if one is here: where it lies, its bytes, and of what object its reply is."""
        found = self.batch.piece()
        if found is None:
            return None
        at, body, reply = found
        return at, body, None if reply is None else seen_by(reply, self._key, self._meta)

"""Many reads under way whose replies may be asked what they told of their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.http.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Reply
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.types import ObjectMeta


class Telling(Exchange):
    """Many reads under way.

    Args:
        service: Where they go.
        shape: What they share.
        keys: What is read.
        meta: Reads the metadata of a key out of a reply, given the size of the object.
        **options: As for the class.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        keys: Sequence[str],
        meta: Callable[[str, Reply, int], ObjectMeta],
        **options: Any,
    ) -> None:
        super().__init__(service, shape, keys.__getitem__, **options)
        self._keys = keys
        self._meta = meta

    def told(self, index: int) -> ObjectMeta:
        """Return what the reply to a read that ended well tells of the object."""
        reply = self.batch.reply(index)
        return self._meta(self._keys[index], reply, named_size(reply))


def named_size(reply: Reply) -> int:
    """Return the size of the object that a reply names, -1 where it names none."""
    return reply.total if reply.start >= 0 else reply.content_length

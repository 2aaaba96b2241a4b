"""Many questions about objects, and many writes, under way: what an exchange gives beside the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import BaseError
from objstore.http.exchange import Exchange
from objstore.providers.conditional_headers import look_after, write_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Reply
    from objstore.http.retry import Failure
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.interface.values import Fetched, Source, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, PutResult


class HeadMany(Exchange):
    """Many HEAD requests under way.

    Args:
        service: Where they go.
        shape: What they share.
        keys: The keys that are asked about.
        meta: Reads the metadata of a key out of a reply.
        most_in_flight: How many are in flight.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        keys: Sequence[str],
        meta: Callable[[str, Reply], ObjectMeta],
        most_in_flight: int,
    ) -> None:
        super().__init__(service, shape, lambda index: keys[index], keep_head=True, most_in_flight=most_in_flight)
        self._keys = keys
        self._meta = meta

    def metas(self) -> list[ObjectMeta | None]:
        """Return what is known about each object, in order; None where the question failed."""
        return [
            None if index in self.errors else self._meta(key, self.reply(index)) for index, key in enumerate(self._keys)
        ]


class PutMany(Exchange):
    """Many PUT requests under way.

    Args:
        service: Where they go.
        shape: What they share.
        items: The keys and what is written there.
        options: How.
        result: Reads the result of a write out of a reply.
        head: Asks what is there, where the answer to a write with a condition was lost.
        most_in_flight: How many are in flight.
        background: Whether they go on while a failure is dealt with.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        items: Sequence[tuple[str, Source]],
        options: WriteOptions,
        result: Callable[[Reply], PutResult],
        head: Callable[[str], Plan[Fetched]],
        most_in_flight: int,
        *,
        background: bool = False,
    ) -> None:
        super().__init__(
            service,
            shape,
            lambda index: items[index][0],
            safe=options.mode == "overwrite",
            background=background,
            keep_head=True,
            most_in_flight=most_in_flight,
        )
        self._items = items
        self._options = options
        self._result = result
        self._head = head

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed, or sent a file that changed meanwhile."""
        for index, (_, source) in enumerate(self._items):
            if isinstance(source.data, tuple) and index not in self.errors:
                self._check(index, source)
        return [None if index in self.errors else self._result(self.reply(index)) for index in range(self.total)]

    def _check(self, index: int, source: Source) -> None:
        try:
            source.check()
        except BaseError as error:
            self.errors[index] = error

    @property
    def bytes_received(self) -> int:
        """None that count: the replies to writes have no bodies of objects."""
        return 0

    def _decide(self, reply: Reply) -> Plan[None]:
        yield from super()._decide(reply)
        error = self.errors.get(reply.index)
        if error is not None:
            self.errors[reply.index] = yield from look_after(
                error, self._options, self._head(self._items[reply.index][0])
            )

    def _error(self, reply: Reply, failure: Failure) -> BaseError:
        return write_error(super()._error(reply, failure), self._options)

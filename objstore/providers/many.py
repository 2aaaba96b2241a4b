"""Many questions about objects, and many writes, under way: what an exchange gives beside the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from objstore.exceptions import BaseError
from objstore.http.exchange import Exchange
from objstore.interface.values import ANY, Seen
from objstore.plans.several import Several, given
from objstore.providers.conditional_headers import look_after, write_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Reply
    from objstore.http.retry import Failure
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.interface.values import Conditions, Fetched, Source, Sums, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, PutResult

    MetaOf: TypeAlias = Callable[[str, Reply, int], ObjectMeta]


NO_FIRST_BYTE = 416
"""How a server says that an object is empty, where its first byte is asked for (RFC 9110, section 15.5.17)."""

LOOKS = 64
"""For how many writes whose answers were lost it is looked at a time what became of them."""


def tells_size(reply: Reply) -> bool:
    """Tell whether the reply to a HEAD tells the size of the object: not of a range of it, as some say, or of what
    somebody has made of it."""
    return reply.content_length >= 0 and reply.start < 0 and reply.status == 200


def rest_of(exchange: Exchange, index: int, key: str, meta: MetaOf) -> Seen | None:
    """Return what is known of the object of which a read brought only the beginning, None where it brought all."""
    if not exchange.cuts or not exchange.batch.cut(index):
        return None
    return seen_by(exchange.batch.reply(index), key, meta)


def seen_by(reply: Reply, key: str, meta: MetaOf) -> Seen:
    """Return what a reply tells of an object; a size of -1 is one that it does not name."""
    return Seen(meta(key, reply, reply.total if reply.start >= 0 else reply.content_length), reply.settled)


class ReadMany(Exchange):
    """Many reads under way.

    Args:
        service: Where they go.
        shape: What they share.
        keys: The keys that are read.
        meta: Reads the metadata of a key out of a reply, given the size of the object.
        sums: Reads what it tells of checksums.
        told: Whether the replies are asked what they tell of their objects.
        each: Whether each that has ended is told of, and the engine goes on meanwhile.
        most_in_flight: How many are in flight.
        window: How many bytes may have come and not been taken, 0 for no limit.
        cut_over: Of what is larger, only the beginning is read.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        keys: Sequence[str],
        meta: MetaOf,
        sums: Callable[[Reply], Sums | None],
        told: bool,
        each: bool,
        most_in_flight: int,
        window: int,
        cut_over: int,
    ) -> None:
        super().__init__(
            service,
            shape,
            keys.__getitem__,
            keep_head=told,
            background=each,
            each=each,
            most_in_flight=most_in_flight,
            window=window,
            cut_over=cut_over,
            hedged=True,
        )
        self._keys = keys
        self._meta = meta
        self._sums = sums

    def sums(self, index: int) -> Sums | None:
        """Return what the reply to a read that ended well tells of checksums, and that of its body."""
        return self._sums(self.batch.reply(index))

    def whole(self, index: int) -> tuple[Seen, Sums | None] | None:
        """Return what is known of an object, all of which came with a checksum of those of its parts."""
        if not self.of_parts or not self.batch.of_parts_at(index):
            return None
        reply = self.batch.reply(index)
        return Seen(self._meta(self._keys[index], reply, len(reply.body)), reply.settled), self._sums(reply)

    def rest(self, index: int) -> Seen | None:
        """Return what is known of the object of which a read brought only the beginning, None where it brought all."""
        return rest_of(self, index, self._keys[index], self._meta)

    def told(self, index: int) -> Seen:
        """Return what the reply to a read that ended well tells of the object."""
        return seen_by(self.batch.reply(index), self._keys[index], self._meta)


class HeadMany(Exchange):
    """Many HEAD requests under way, and a GET for each that did not tell enough.

    Args:
        service: Where they go.
        shape: What they share.
        keys: The keys that are asked about.
        meta: Reads the metadata of a key out of a reply, given the size of the object.
        look: Reads what is known about a key by a GET.
        most_in_flight: How many are in flight.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        keys: Sequence[str],
        meta: Callable[[str, Reply, int], ObjectMeta],
        look: Callable[[str, Conditions], Plan[Fetched]],
        most_in_flight: int,
    ) -> None:
        super().__init__(
            service, shape, lambda index: keys[index], keep_head=True, most_in_flight=most_in_flight, hedged=True
        )
        self._keys = keys
        self._meta = meta
        self._look = look
        self._metas: list[ObjectMeta | None] | None = None

    @property
    def over(self) -> bool:
        """Whether all are answered."""
        return self._metas is not None

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed; once all are answered, ask again for what is missing."""
        if not self.batch.over:
            yield from super().news(within)
        if self.batch.over:
            self._metas = yield from self.ask_again()

    def ask_again(self) -> Plan[list[ObjectMeta | None]]:
        """Return what HEAD told of each object, and what it did not tell, asked by GET."""
        metas: list[ObjectMeta | None] = []
        for index in range(self.total):
            meta = None
            try:
                meta = self._told(index)
                if meta is None and index not in self.errors:
                    meta = (yield from self._look(self._keys[index], ANY)).meta
            except BaseError as error:
                self.errors[index] = error
            metas.append(meta)
        return metas

    def _told(self, index: int) -> ObjectMeta | None:
        """Return what HEAD told of an object, where it told enough."""
        if not self.batch.succeeded(index):
            return None
        reply = self.batch.reply(index)
        return self._meta(self._keys[index], reply, reply.content_length) if tells_size(reply) else None

    def metas(self) -> list[ObjectMeta | None]:
        """Return what is known about each object, in order; None where the question failed."""
        return self._metas or []


class LookMany(HeadMany):
    """Many GETs of the first byte under way, and a closer look at each object that has none or tells no size."""

    def _decide(self, reply: Reply) -> Plan[None]:
        if reply.status == NO_FIRST_BYTE:
            self.batch.give_up(reply.index)
        else:
            yield from super()._decide(reply)

    def _told(self, index: int) -> ObjectMeta | None:
        if not self.batch.succeeded(index):
            return None
        reply = self.batch.reply(index)
        size = reply.total if reply.start >= 0 else reply.content_length
        return None if size < 0 else self._meta(self._keys[index], reply, size)


def why(error: BaseError, source: Source) -> BaseError:
    """Return why a write failed: it may be that the source is not what its checksum was made of."""
    if error.status not in (400, None):
        return error
    try:
        source.check()
    except BaseError as changed:
        return changed
    return error


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
        self._failed: list[int] = []  # of which it is not yet known what they may have done
        self._items = items
        self._options = options
        self._result = result
        self._head = head

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed, or sent a file that changed meanwhile."""
        for index, (_, source) in enumerate(self._items):
            if isinstance(source.data, tuple) and index not in self.errors:
                self._check(index, source)
        return [self._told(index) for index in range(self.total)]

    def _told(self, index: int) -> PutResult | None:
        """Return what the reply to a write says of it; None where it failed, or the reply cannot be believed."""
        if index in self.errors:
            return None
        reply = self.reply(index)
        try:
            return self._result(reply)
        except BaseError as error:
            error.path, error.status = self._service.path(self._items[index][0]), reply.status
            error.attempts = reply.attempts
            self.errors[index] = error
            return None

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
        if reply.index in self.errors:
            self._failed.append(reply.index)

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed; look at once for what became of all writes that have failed since."""
        yield from super().news(within)
        failed, self._failed = self._failed, []
        if failed:
            yield from self._look_at(failed)

    def _look_at(self, failed: list[int]) -> Plan[None]:
        def take(number: int, found: BaseError | Exception) -> None:
            if not isinstance(found, BaseError):
                raise found
            self.errors[failed[number]] = why(found, self._items[failed[number]][1])

        yield from Several(given(map(self._look, failed)), LOOKS).each(take)

    def _look(self, index: int) -> Plan[BaseError]:
        return look_after(self.errors[index], self._options, self._head(self._items[index][0]))

    def _error(self, reply: Reply, failure: Failure) -> BaseError:
        return write_error(super()._error(reply, failure), self._options)

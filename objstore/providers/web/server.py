"""Objects on an HTTP server of any kind: reads that get along without lengths, ETags, HEAD or ranges.

Its one invariant: what a server does not tell is found out by reading, never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from objstore._core import Reply
from objstore.exceptions import BaseError, CorruptResponseError, NotSupportedError
from objstore.http.shape import Shape
from objstore.interface.values import (
    ANY,
    FIRST_BYTE,
    WHOLE,
    Conditions,
    Fetched,
    Range,
    Reads,
    Seen,
    Target,
    WriteOptions,
)
from objstore.plans.several import Several, given
from objstore.providers.many import HeadMany
from objstore.providers.requests import Requests
from objstore.providers.web.shared_replies import SharedReplies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.http.service import Service
    from objstore.interface.provider import Fetch
    from objstore.plans.effects import Plan

NO_HEAD = (400, 403, 405, 501)
"""How servers say that they do not answer HEAD; the first two, where a URL is signed for GET."""

STORED = ("Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Cache-Control")
"""The attributes that a PUT of HTTP can carry."""

MOST_KNOWN = 10_000

COSTLY = 64 << 20
"""How many bytes ranges of an object may bring in vain, if the server gives none of it, before it is asked whether it
does: some give them of their files, and not of what they make."""

ASKED_AT_ONCE = 64
"""Of how many objects that is asked at a time."""


class Server(Requests):
    """The objects below a URL, as any HTTP server has them; and what is at the URL itself, under the key ''.

    Args:
        service: The server.
        path: The path of the URL, percent-encoded.
        query: What every request has as its query, percent-encoded.
        write_headers: Headers of every request that creates an object.
    """

    def __init__(self, service: Service, path: str, *, query: str, write_headers: Mapping[str, str]) -> None:
        super().__init__(service, path.rstrip("/"), query=query, write_headers=write_headers)
        self._itself = (path or "/").encode()
        self._ranges_seen = False  # whether the server has ever answered with a range
        self._known: dict[str, bool] = {}  # which keys it answered whole when a range was asked for, and which not

    def read_one(
        self, method: str, key: str, range: Range, conditions: Conditions, *, brief: bool = False
    ) -> Plan[Reply]:
        """Send one request that reads, and remember whether the server took the range."""
        reply = yield from super().read_one(method, key, range, conditions, brief=brief)
        if range != WHOLE:
            self._note(key, whole=reply.start < 0)
        return reply

    def fetch_one(
        self, key: str, range: Range, conditions: Conditions, *, brief: bool = False, measured: bool = True
    ) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        try:
            return (yield from super().fetch_one(key, range, conditions, brief=brief, measured=measured))
        except CorruptResponseError:
            if range.start >= 0 or range.end < 0:
                raise
        # the end of an empty object is a range that makes no sense, and Go's servers give it nevertheless
        fetched = yield from super().fetch_one(key, WHOLE, conditions)
        start, end = range.within(fetched.meta["size"])
        return fetched._replace(range=(start, end), body=fetched.body[start:end])

    def path(self, key: str) -> bytes:
        """Return the path of a key, percent-encoded."""
        return super().path(key) if key else self._itself

    def path_above(self, keys: Sequence[str]) -> bytes:
        """Return what the paths of keys that are read have in front: nothing, where it is the URL itself."""
        return self._itself if keys and not keys[0] else super().path_above(keys)

    def _note(self, key: str, *, whole: bool) -> None:
        self._ranges_seen |= not whole
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = whole

    # --- what HEAD tells, and what only GET does

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object; by a GET, where HEAD is refused or does not tell the size."""
        try:
            return (yield from super().head(key, conditions))
        except BaseError as error:
            if error.status not in NO_HEAD:
                raise
        return (yield from self.look(key, conditions))

    def _head_many(self, keys: Sequence[str], most_in_flight: int) -> HeadMany:
        return ServerHeads(self.service, Shape("HEAD", self.read_headers), keys, self.meta, self.look, most_in_flight)

    # --- many reads

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
        beginnings: bool = False,
    ) -> Plan[Fetch]:
        """Begin many reads; of an object that the server only gives as a whole, all by one request."""
        whole = yield from self._read_whole(reads, conditions)
        sent, sources = _shared(reads, whole, conditions.expected) if whole else (reads, [])
        exchange = yield from super().fetch(
            sent,
            conditions=conditions,
            most_in_flight=most_in_flight,
            each=each,
            window=window,
            beginnings=beginnings and not whole,
        )
        return SharedReplies(exchange, reads, sources, each=each, lie_there=bool(sent.targets)) if whole else exchange

    def is_needed(self, key: str, seen: Seen) -> bool:
        """Tell whether an object has to be read by one request: also where the server knows no ranges of it."""
        return super().is_needed(key, seen) or self._known.get(key, False)

    def gives_only_wholes(self, reads: Reads, conditions: Conditions) -> Plan[bool]:
        """Tell whether all of an object comes, whichever of these ranges of it are asked for."""
        return bool((yield from self._read_whole(reads, conditions)))

    def _read_whole(self, reads: Reads, conditions: Conditions) -> Plan[set[str]]:
        """Return which keys are better read as a whole: those of several reads that the server gives no ranges of."""
        if len(reads) == 1:
            return set()
        several = _in_vain(reads)
        unknown = {key: cost for key, cost in several.items() if key not in self._known}
        asked = [key for key, cost in unknown.items() if cost >= COSTLY]
        if not asked and unknown and not self._ranges_seen:
            asked = [min(unknown)]
        if asked:
            yield from self._ask_for_ranges(asked, conditions)
        return {key for key in several if self._known.get(key, False)}

    def _ask_for_ranges(self, keys: Sequence[str], conditions: Conditions) -> Plan[None]:
        """Find out of which objects the server gives ranges."""
        questions = (self.read_one("GET", key, FIRST_BYTE, conditions) for key in keys)
        yield from Several(given(questions), ASKED_AT_ONCE).each(_leave_errors)

    # --- writing

    def object_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers with what is stored beside the bytes.

        Raises:
            NotSupportedError: HTTP has no place for it.
        """
        for name in options.attributes:
            if name not in STORED:
                raise NotSupportedError(
                    f"An HTTP server cannot store the attribute {name!r}", hint=f"It takes {', '.join(STORED)}."
                )
        return super().object_headers(options)


def _leave_errors(_: int, found: Reply | Exception) -> None:
    """Let an object that cannot be asked about be: its reads tell what is wrong."""
    if isinstance(found, Exception) and not isinstance(found, BaseError):
        raise found


def _in_vain(reads: Reads) -> dict[str, int]:
    """Return how many bytes come in vain of each object that is read several times, if all of it comes each time."""
    ends: defaultdict[str, list[int]] = defaultdict(list)
    for key, range in zip(reads.keys, reads.ranges, strict=True):
        ends[key].append(range.end)
    return {key: sum(found) - max(found) for key, found in ends.items() if len(found) > 1}


def _place_of_all(reads: Reads, expected: Seen | None) -> Target | None:
    """Return where there is room for all of an object, whose ranges are to lie there as they do in the object."""
    place = reads[0].target
    if expected is None or place is None or not reads.one_object or len(place.buffer) != expected.meta["size"]:
        return None
    targets = (target for _, range, target in reads if target is not None and target.start == range.start)
    fits = sum(target.buffer is place.buffer for target in targets) == len(reads)
    return Target(place.buffer, 0, expected.meta["size"]) if fits else None


def _shared(reads: Reads, whole: set[str], expected: Seen | None) -> tuple[Reads, list[tuple[int, Range]]]:
    """Return the reads to send, and for each that was asked for, which of them it is cut out of and where."""
    place = _place_of_all(reads, expected)
    keys: list[str] = []
    ranges: list[Range] = []
    sources: list[tuple[int, Range]] = []
    of_key: dict[str, int] = {}
    for key, range, _ in reads:
        if key in of_key:
            sources.append((of_key[key], range))
            continue
        if key in whole:
            of_key[key] = len(keys)
            sources.append((len(keys), range))
            range = WHOLE
        else:
            sources.append((len(keys), WHOLE))
        keys.append(key)
        ranges.append(range)
    targets = None if place is None else [place]
    return Reads(keys, ranges, targets, one_object=reads.one_object, told=reads.told), sources


class ServerHeads(HeadMany):
    """Many HEAD requests under way, and a GET for each that was refused or did not tell enough."""

    def _decide(self, reply: Reply) -> Plan[None]:
        if reply.status in NO_HEAD:
            self.batch.give_up(reply.index)
        else:
            yield from super()._decide(reply)

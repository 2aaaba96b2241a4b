"""PROPFIND: questions about many files and folders under way, asked again where a server says they have moved.

Its one invariant: no question goes to another server, which has no business with our credential.

Source: RFC 4918, section 9.1; RFC 9110, sections 15.4.8 and 15.4.9
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from objstore._core import Buffer
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.values import PACED
from objstore.providers.web.multistatus import QUESTION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Reply
    from objstore.exceptions import BaseError
    from objstore.http.service import Service
    from objstore.plans.effects import Plan

MOVED = (307, 308)
"""The redirects that keep method and body."""

MOST_MOVES = 10


class _Questions(Exchange):
    """Questions under way.

    Args:
        service: Where they go.
        depth: How far down they reach, as RFC 4918 has it.
        names: The paths that they are about.
        follow: Whether to note where redirects lead, not to take them for errors.
    """

    def __init__(self, service: Service, depth: str, names: Sequence[str], *, follow: bool) -> None:
        shape = Shape("PROPFIND", {"Depth": depth, "Content-Type": "application/xml"})
        super().__init__(service, shape, lambda index: names[index], keep_head=True, most_in_flight=PACED)
        self.moved: dict[int, bytes] = {}
        self._follow = follow

    def _decide(self, reply: Reply) -> Plan[None]:
        place = self._place(reply) if self._follow and reply.status in MOVED else None
        if place is None:
            yield from super()._decide(reply)
        else:
            self.moved[reply.index] = place
            self.batch.give_up(reply.index)

    def _place(self, reply: Reply) -> bytes | None:
        """Return the path and query that a redirect leads to, None where that is not on this server."""
        origin, location = self._service.origin, reply.headers.get("location", "")
        parts = urlsplit(urljoin(origin + reply.target.decode(), location))
        if not location or f"{parts.scheme}://{parts.netloc}".lower() != origin.lower():
            return None
        query = f"?{parts.query}" if parts.query else ""
        return quote(f"{parts.path or '/'}{query}", safe="%/?!$&'()*+,;=:@~").encode()


def ask(
    service: Service, targets: Sequence[bytes], names: Sequence[str], depth: str
) -> Plan[list[tuple[Reply, str] | BaseError]]:
    """Ask about files and folders; return for each the reply and the path of what it is about, or the error."""
    places = [*targets]
    answers: dict[int, tuple[Reply, str] | BaseError] = {}
    pending = [*range(len(places))]
    for moves in range(MOST_MOVES + 1):
        questions = _Questions(service, depth, [names[index] for index in pending], follow=moves < MOST_MOVES)
        for index in pending:
            questions.add(places[index], body=Buffer(QUESTION))
        yield from questions.finish()
        for at, index in enumerate(pending):
            if at in questions.moved:
                places[index] = questions.moved[at]
            else:
                path = places[index].partition(b"?")[0].decode()
                answers[index] = questions.errors.get(at) or (questions.reply(at), path)
        pending = [index for index in pending if index not in answers]
        if not pending:
            break
    return [answers[index] for index in range(len(places))]

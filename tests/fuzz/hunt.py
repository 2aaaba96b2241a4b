"""Reads replies of the grammar by the engine and by the judges, and names each that it reads wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import NamedTuple

from objstore import configure
from objstore._core import engine_info
from tests.fuzz.engine import engine
from tests.fuzz.grammar import Reply
from tests.fuzz.judges import Curl, Read, by_http_client
from tests.fuzz.verdict import fault

RIGHT_ONE_IN = 4
"""One reply of so many has nothing wrong with it, and must be read by all."""

NO_OBJECT = frozenset(range(201, 300)) - {206}
"""Successes that are not the object that a GET asks for: well-formed, and refused (RFC 9110, section 15.3)."""

TLS_ONE_IN = 8

CARRIED_ONE_IN = 3
"""One reply of so many is carried by libcurl, over TLS as often as without."""


@contextmanager
def as_it_was() -> Iterator[None]:
    """Have HTTP carried afterwards as it was before."""
    before = engine_info()["http"]
    try:
        yield
    finally:
        configure(http=before)


class Found(NamedTuple):
    """A reply that was read wrongly, or spoilt the next one."""

    seed: int
    what: str
    data: bytes
    ours: Read
    curl: Read
    python: Read

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.what}\n  reply:  {self.data!r}\n"
            f"  engine: {self.ours}\n  curl:   {self.curl}\n  python: {self.python}"
        )


def hunt(seeds: range) -> Iterator[Found]:
    """Give all that was found among the replies of these seeds."""
    curl = Curl()
    with ExitStack() as stack:
        stack.enter_context(as_it_was())
        plain, secure = stack.enter_context(engine()), stack.enter_context(engine(tls=True))
        for seed in seeds:
            reader = secure if seed % TLS_ONE_IN == 1 else plain
            right = seed % RIGHT_ONE_IN == 0
            carried = seed % CARRIED_ONE_IN == 0
            configure(http="curl" if carried else "engine")
            reply = Reply(Random(seed), right=right)
            by_curl, by_python = curl.read(reply.data), by_http_client(reply.data)
            ours = reader.read(reply, closes=reply.closes or by_python.to_the_end)
            what = fault(reply, ours, by_curl, by_python, carried=carried)
            if right and ours.status is None and by_curl.status not in NO_OBJECT:
                what = "there is nothing wrong with it, and it is refused"
            if not reader.reads_its_own():
                what = "what was read next was not its own"
            if what is not None:
                yield Found(seed, what, reply.data, ours, by_curl, by_python)

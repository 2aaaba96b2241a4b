"""Programs that see which memory is kept for reuse; what others have left would be in their way."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from objstore._core import Buffer, Listing, engine_info
from objstore.plans.run import arun, run
from objstore.store import HTTPStore
from tests.engine.client import SETTINGS, Server, batch, new_batch, settle, wait_until
from tests.faults.content import content

MIB = 1 << 20
SIZE = 64 * MIB
KEPT = 320 * MIB


def idle() -> int:
    """Return how much memory is kept for reuse."""
    return int(engine_info()["idle_memory"])


def comes_back(origin: str) -> None:
    """End a batch in the foreground and one in the background, and wait for the memory of each."""
    targets = [*[f"/{4 * MIB}/{index}" for index in range(8)], "/5/a?status=404"]
    for background in (False, True):
        made = batch(origin, targets)
        assert list(run(settle(made, background=background))) == [8]
        before = idle()
        del made
        wait_until(lambda before=before: idle() >= before + 32 * MIB)  # type: ignore[misc]


def comes_back_after_a_delay(origin: str) -> None:
    """Have the last reply come while a signal keeps the one who waits for it, and print what is held of it then."""
    server = Server(origin, "")

    def delay(*_: object) -> None:
        wait_until(lambda: server.seen()["held"] == 1)
        server.control("release")
        time.sleep(0.8)  # a loop looks for what is overdue after a tenth of a second, and by that at what has come

    signal.signal(signal.SIGALRM, delay)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert run(settle(batch(origin, ["/100000/a?held=1"]))) == {}
    gc.collect()
    print(engine_info()["memory"])


def comes_back_from_an_ended_loop(origin: str) -> None:
    """End an event loop on which nobody has taken the news of a batch; free the batch."""
    made = [batch(origin, [f"/{4 * MIB}/{index}" for index in range(8)], each=True)]

    async def main() -> None:
        task = asyncio.create_task(arun(settle(made[0])))
        await asyncio.sleep(0)
        wait_until(lambda: made[0].settled == 8)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gc.collect()
    assert idle() == 0
    made.clear()
    gc.collect()
    assert idle() >= 32 * MIB


def keeps_the_last() -> None:
    """Have more freed than is kept, and see that what is freed next is: that is what will be asked for again."""
    blocks = [Buffer.allocate(2 * MIB) for _ in range(172)]
    del blocks
    full = idle()
    assert full <= KEPT < full + 3 * MIB
    block, _ = Buffer.allocate(60 * MIB)
    memoryview(block)[:4] = b"mark"
    del block, _
    assert full - 60 * MIB < idle() <= KEPT
    block, _ = Buffer.allocate(60 * MIB)
    assert bytes(memoryview(block)[:4]) == b"mark"


def no_room_for_a_listing() -> None:
    """Read a page whose texts cannot be decoded, for there is not as much memory again as it has."""
    page = b"<ListBucketResult>" + b" " * (48 * MIB) + b"</ListBucketResult>"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 16 * MIB, resource.RLIM_INFINITY))
    with pytest.raises(MemoryError, match="listing"):
        Listing(page)


def resident(name: str) -> int:
    """Return how much memory is resident (VmRSS), or was at the most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


def grows_with_what_comes(origin: str) -> None:
    """Read a body whose length nobody tells, and see that there never was much more memory than it needs."""
    run(settle(batch(origin, ["/5/a?framing=chunked"])))
    before = resident("VmRSS")
    made = batch(origin, [f"/{SIZE}/a?framing=chunked"])
    assert run(settle(made)) == {}
    assert 0.9 * SIZE < resident("VmHWM") - before < 1.4 * SIZE  # what else there was may have gone
    assert made.bodies()[0] == content(0, SIZE)


def grows_beyond_what_is_believed(origin: str) -> None:
    """Read a body that is longer than a header is believed."""
    run(settle(batch(origin, ["/5/a"])))
    before, size = resident("VmRSS"), 2 * SIZE
    made = batch(origin, [f"/{size}/a"])
    assert run(settle(made)) == {}
    assert 0.9 * size < resident("VmHWM") - before < 1.2 * size
    assert made.bodies()[0] == content(0, size)


def keeps_what_came(origin: str) -> None:
    """Read bodies whose length nobody tells, and the end of one that is sent whole: no more is held."""
    made = new_batch(origin, "GET", SETTINGS)
    for index in range(8):
        made.add(f"/{5 * MIB + index}/a?framing=chunked".encode())
    made.add(f"/{SIZE}/a?ranges=0".encode(), end=10)
    made.seal()
    assert run(settle(made)) == {}
    assert int(engine_info()["memory"]) <= 8 * 6 * MIB + MIB
    assert [bytes(body or b"") for body in made.bodies()] == [
        *(content(0, 5 * MIB + index) for index in range(8)),
        content(SIZE - 10, SIZE),
    ]


def sends_pieces_once(origin: str) -> None:
    """Put an object of many pieces by one request: what is beyond 32 MiB of it is in a file, and in memory never."""
    store = HTTPStore(origin, client_options={"allow_http": True})
    store.put("0/a", iter([b"some", b"more"]))
    before = resident("VmRSS")
    store.put("0/b", (bytes([index]) * MIB for index in range(SIZE // MIB)))
    assert SIZE // 2 <= resident("VmHWM") - before < 0.9 * SIZE


def copies_once(origin: str) -> None:
    """Copy an object to a server that takes no parts, and is not the one it is on: it is in memory once."""
    source = HTTPStore(origin, client_options={"allow_http": True})
    target = HTTPStore(origin.replace("127.0.0.1", "localhost"), client_options={"allow_http": True})
    source.copy("5/a", "0/a", to_store=target)
    before = resident("VmRSS")
    source.copy(f"{2 * SIZE}/a", "0/b", to_store=target)
    assert resident("VmHWM") - before < 3.7 * SIZE  # twice it would be 4, and what is being read


def reads_all_in_place(origin: str) -> None:
    """Get an object of a server that knows no ranges: what it sends once is read to where all is wanted."""
    store = HTTPStore(f"{origin}?ranges=0", client_options={"allow_http": True})
    body = store.get(f"{SIZE}/a").bytes()
    assert int(engine_info()["memory"]) + idle() < SIZE + 16 * MIB
    assert body == content(0, SIZE)

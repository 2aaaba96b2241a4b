"""Bulk calls on iterators: what is not yet sent, and what has been, is not in memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from weakref import ref

import pytest

from objstore import Bytes
from objstore.operations.put_many import MOST_READ
from objstore.store import MemoryStore


def test_reads_of_an_iterator_take_the_memory_of_a_few() -> None:
    store = MemoryStore()
    store.put("a", b"12345")
    tracemalloc.start()
    try:
        count = sum(len(body) for _, body in store.iter_many(("a", 0, 5) for _ in range(100_000)))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert count == 500_000


def test_writes_of_an_iterator_are_read_as_they_are_sent() -> None:
    size, taken, ahead = 1 << 20, [0], list[int]()

    def items() -> Iterator[tuple[str, bytes]]:
        for _ in range(300):
            taken[0] += 1
            yield "a", bytes(size)

    store = MemoryStore()
    results = store.put_many(items(), progress=lambda done, *_: ahead.append(taken[0] - done))
    assert len(results) == 300
    assert max(ahead) <= MOST_READ // size


def test_what_has_to_be_read_is_not_read_all_at_once() -> None:
    read, ahead = [0], list[int]()

    def pieces() -> Iterator[bytes]:
        read[0] += 1
        yield bytes(1 << 20)

    store = MemoryStore()
    items = [("a", pieces()) for _ in range(200)]
    store.put_many(items, progress=lambda done, *_: ahead.append(read[0] - done))
    assert read[0] == 200
    assert max(ahead) <= MOST_READ >> 20


@pytest.mark.parametrize("size", [1 << 20, 5 << 20, 12 << 20])
@pytest.mark.parametrize("wait", [False, True])
def test_pieces_are_let_go_of_as_they_are_sent(size: int, wait: bool) -> None:
    """Where one part is on its way at a time, the piece that it is of is there, and the one that is asked for."""
    pieces, most = list[ref[Bytes]](), [0]

    def made(index: int) -> Bytes:
        most[0] = max(most[0], sum(piece() is not None for piece in pieces))
        piece = Bytes(bytes([index]) * size)
        pieces.append(ref(piece))
        return piece

    async def awaited() -> AsyncIterator[Bytes]:
        for index in range(12):
            yield made(index)

    store = MemoryStore()
    if wait:
        asyncio.run(store.put_async("a", awaited(), chunk_size=5 << 20, max_concurrency=1))
    else:
        store.put("a", map(made, range(12)), chunk_size=5 << 20, max_concurrency=1)
    assert most[0] <= 1
    assert store.get("a").bytes() == b"".join(bytes([index]) * size for index in range(12))

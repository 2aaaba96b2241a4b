"""How large the parts of an upload are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from objstore.operations.parts import LARGEST_PART, Parts
from objstore.store import S3Store
from tests.faults.client import FaultServer
from tests.test_lost_answers import store_on


def sizes(server: FaultServer) -> list[int]:
    parts = [request for request in server.requests() if request["operation"] == "part"]
    return [part["size"] for part in sorted(parts, key=lambda part: int(part["target"].split("=")[1].split("&")[0]))]


def small(server: FaultServer) -> S3Store:
    """Return a store whose service takes 20 parts at the most, of any size."""
    store = store_on(server)
    store.provider.most_parts = 20
    store.provider.smallest_part = 1
    return store


def pieces(size: int) -> Iterator[bytes]:
    yield from (b"%d" % (index % 10) for index in range(size))


@pytest.mark.parametrize("size", [170, 175, 180])
@pytest.mark.parametrize("written", [False, True])
def test_parts_are_equal_while_their_number_allows(fault_server: FaultServer, size: int, written: bool) -> None:
    store = small(fault_server)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if written:
            with store.open("a", "wb", buffer_size=10) as file:
                file.write(b"".join(pieces(size)))
        else:
            store.put("a", pieces(size), chunk_size=10)
    assert {*sizes(fault_server)[:-1]} == {10}
    assert sum(sizes(fault_server)) == size
    assert store.get("a").bytes() == b"".join(pieces(size))


def test_parts_that_must_grow_are_announced_before(fault_server: FaultServer) -> None:
    store = small(fault_server)
    with pytest.warns(UserWarning, match="18 parts of 10 bytes .* chunk_size"):
        store.put("a", pieces(200), chunk_size=10)
    assert sizes(fault_server) == [10] * 18 + [20]
    assert store.get("a").bytes() == b"".join(pieces(200))


@pytest.mark.parametrize("part_size", [5 << 20, 1 << 30, 6 << 30])
def test_no_part_is_larger_than_services_take(part_size: int) -> None:
    class Counted:
        total = 0

    upload = Counted()
    parts = Parts(upload, part_size, 10_000, 12, None)  # type: ignore[arg-type]
    every = []
    for upload.total in range(10_000):
        every.append(parts.next_size)
    assert every[:9000] == [part_size] * 9000
    assert max(every) <= max(LARGEST_PART, part_size)
    assert sum(every) > 1 << 40

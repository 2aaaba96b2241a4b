"""Of a large object the beginning alone is read by one request, and no more of it than comes soon."""

from __future__ import annotations

import asyncio

import pytest

from objstore import engine_info
from objstore.exceptions import ObjectChangedError
from objstore.http import exchange
from objstore.interface.values import FIRST
from tests.faults.client import FaultServer
from tests.faults.content import content
from tests.test_faults import store_on

SIZE = 12 << 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SLOW", 0.1)


if engine_info()["http"] == "curl":
    pytest.skip("what libcurl carries is read to its end", allow_module_level=True)


def ranges(server: FaultServer, scenario: str) -> list[tuple[int, int]]:
    """Return what the requests asked for, half-open."""
    asked = [request["headers"]["range"].removeprefix("bytes=").split("-") for request in server.requests(scenario)]
    return [(int(first), int(last) + 1) for first, last in asked]


def check_rest(server: FaultServer, start: int = 0, end: int = SIZE) -> None:
    """The first request was not waited for; the others go on where it was left, and are pinned to what it was of."""
    first, *rest = ranges(server, "slow-first")
    others = sorted(rest)
    assert first == (start, start + FIRST)
    assert start < others[0][0] < start + FIRST
    assert [end for _, end in others] == [*(begin for begin, _ in others[1:]), end]
    assert {request["headers"].get("if-match") for request in server.requests("slow-first")[1:]} == {'"generated-v1"'}


def test_a_whole_body(fault_server: FaultServer) -> None:
    assert store_on(fault_server).get("slow-first/a").bytes() == content(0, SIZE)
    check_rest(fault_server)


def test_awaited(fault_server: FaultServer) -> None:
    async def read() -> bytes:
        return bytes(await (await store_on(fault_server).get_async("slow-first/a")).bytes_async())

    assert asyncio.run(read()) == content(0, SIZE)
    check_rest(fault_server)


def test_a_stream(fault_server: FaultServer) -> None:
    assert b"".join(store_on(fault_server).get("slow-first/a")) == content(0, SIZE)
    check_rest(fault_server)


def test_a_range(fault_server: FaultServer) -> None:
    end = SIZE - 1000
    result = store_on(fault_server).get("slow-first/a", options={"range": (1000, end)})
    assert result.bytes() == content(1000, end)
    check_rest(fault_server, 1000, end)


def test_another_version_is_no_rest(fault_server: FaultServer) -> None:
    result = store_on(fault_server).get("slow-first-replaced/a")
    with pytest.raises(ObjectChangedError):
        result.bytes()


def test_what_is_small_is_waited_for(fault_server: FaultServer) -> None:
    assert store_on(fault_server).get("slow-small/a").bytes() == content(0, 600_000)
    assert ranges(fault_server, "slow-small") == [(0, FIRST)]


def test_a_range_that_is_read_at_once_is_waited_for(fault_server: FaultServer) -> None:
    assert store_on(fault_server).get_range("slow-first/a", start=0, end=600_000) == content(0, 600_000)
    assert ranges(fault_server, "slow-first") == [(0, 600_000)]


def test_a_file_waits_for_its_beginning(fault_server: FaultServer) -> None:
    with store_on(fault_server).open("slow-first/a", buffer_size=600_000) as file:
        assert file.read(1000) == content(0, 1000)
        assert file.read() == content(1000, SIZE)

"""Files that are read one piece after the other are fetched ahead of that, where it is far: the same bytes as ever."""

from __future__ import annotations

import asyncio
import random

import fsspec
import pytest

import objstore.fsspec
from objstore.exceptions import CorruptResponseError, ObjectChangedError
from objstore.operations import pinned
from objstore.store import S3Store
from tests.faults.client import FaultServer
from tests.test_faults import store_on
from tests.test_integrity_of_pieces import PIECE, RIGHT, SIZE, asking

MIB = 1 << 20
CALM = "pieces/a"


@pytest.fixture(autouse=True)
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "FAR", 0)
    monkeypatch.setattr(pinned, "FOLLOWED", MIB)
    monkeypatch.setattr(pinned, "FROM_BEGINNING", MIB)
    monkeypatch.setattr(pinned, "PART", MIB)
    monkeypatch.setattr(pinned, "FOLLOWING", MIB)


def ahead(server: FaultServer, scenario: str) -> bool:
    """Tell whether whole parts were asked for that go on from each other, and not what somebody read."""
    ranges = [request["headers"].get("range") for request in server.requests(scenario)]
    sizes = [int(last) - int(first) + 1 for first, last in (r.removeprefix("bytes=").split("-") for r in ranges if r)]
    return sizes.count(MIB) > SIZE // MIB // 2


def read_all(store: S3Store, path: str, size: int = 700_000) -> bytes:
    with store.open(path, buffer_size=MIB) as file:
        return b"".join(iter(lambda: file.read(size), b""))


@pytest.mark.parametrize("size", [300_000, MIB, 3 * MIB + 1, PIECE])
def test_all_of_a_file(fault_server: FaultServer, size: int) -> None:
    assert read_all(asking(fault_server), CALM, size) == RIGHT
    assert ahead(fault_server, CALM)


@pytest.mark.parametrize("start", [0, MIB])
def test_less_has_to_be_read_of_a_beginning(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    monkeypatch.setattr(pinned, "FOLLOWED", SIZE)
    monkeypatch.setattr(pinned, "PART", SIZE)
    with asking(fault_server).open(CALM, buffer_size=MIB) as file:
        file.seek(start)
        while file.read(700_000):
            pass
    assert ahead(fault_server, CALM) == (start == 0)


def test_awaited(fault_server: FaultServer) -> None:
    async def read() -> bytes:
        async with await asking(fault_server).open_reader_async(CALM, buffer_size=MIB) as file:
            pieces = []
            while piece := await file.read(3 * MIB):
                pieces.append(bytes(piece))
            return b"".join(pieces)

    assert asyncio.run(read()) == RIGHT
    assert ahead(fault_server, CALM)


def test_here_and_there(fault_server: FaultServer) -> None:
    chance = random.Random(4)
    with asking(fault_server).open(CALM, buffer_size=MIB) as file:
        for _ in range(12):
            at = chance.randrange(SIZE)
            file.seek(at)
            for _ in range(chance.randrange(8)):
                size = chance.randrange(MIB)
                assert file.read(size) == RIGHT[at : at + size]
                at += size


def test_several_readers_of_one_file_by_turns(fault_server: FaultServer) -> None:
    store = asking(fault_server)
    with store.open(CALM, buffer_size=MIB) as one, store.open(CALM, buffer_size=MIB) as other:
        other.seek(5 * MIB)
        for at in range(0, 12 * MIB, MIB):
            assert one.read(MIB) == RIGHT[at : at + MIB]
            assert other.read(MIB) == RIGHT[at + 5 * MIB : at + 6 * MIB]


def fsspec_on(server: FaultServer) -> objstore.fsspec.FsspecStore:
    return objstore.fsspec.FsspecStore(
        "s3",
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )


def test_fsspec(fault_server: FaultServer) -> None:
    store = asking(fault_server)
    files = fsspec_on(fault_server)
    assert isinstance(files, fsspec.AbstractFileSystem)
    with files.open(f"{store.config['bucket']}/{CALM}", block_size=MIB) as file:
        assert b"".join(iter(lambda: file.read(500_000), b"")) == RIGHT


def test_a_file_left_in_the_middle_can_be_read_again(fault_server: FaultServer) -> None:
    with asking(fault_server).open(CALM, buffer_size=MIB) as file:
        file.read(4 * MIB)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_damage_is_no_file(fault_server: FaultServer) -> None:
    with pytest.raises(CorruptResponseError):
        read_all(asking(fault_server), "pieces-spoilt/a")


def test_another_version_is_no_rest(fault_server: FaultServer) -> None:
    with pytest.raises(ObjectChangedError):
        read_all(store_on(fault_server), "slow-first-replaced/a")

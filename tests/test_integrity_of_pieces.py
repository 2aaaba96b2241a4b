"""An object that is read in pieces is what its checksum says: else it is got anew, or it is an error.

The sum of no single piece is known. Of several, nobody can tell which is damaged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import CorruptResponseError, ObjectChangedError
from objstore.http import exchange
from objstore.providers import requests
from objstore.store import MemoryStore, S3Store
from tests.faults.client import FaultServer
from tests.faults.content import content
from tests.test_faults import store_on

pytestmark = pytest.mark.product("read")

PIECE = 10 << 20
SIZE = 2 * PIECE + 1
RIGHT = content(0, SIZE)
STARTS = [0, PIECE, 2 * PIECE]


@pytest.fixture(autouse=True)
def never_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pieces end is not to depend on how busy this machine is: no beginning comes too slowly."""
    monkeypatch.setattr(exchange, "SLOW", 0)


def asking(server: FaultServer, wanted: str | None = "when_supported", **options: Any) -> S3Store:
    config = store_on(server, **options).config
    if wanted is not None:
        config["response_checksum_validation"] = wanted  # type: ignore[typeddict-unknown-key]
    return S3Store(config=config, client_options={"allow_http": True}, retry_config={"max_retries": 3})


def whole(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get(key).bytes())


def whole_async(store: S3Store, key: str, folder: Path) -> bytes:
    async def read() -> bytes:
        return bytes(await (await store.get_async(key)).bytes_async())

    return asyncio.run(read())


def downloaded(store: S3Store, key: str, folder: Path) -> bytes:
    store.download(key, folder / "file", chunk_size=PIECE)
    return (folder / "file").read_bytes()


def opened(store: S3Store, key: str, folder: Path) -> bytes:
    with store.open(key) as file:
        return bytes(file.read())


def in_ranges(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(map(bytes, store.get_ranges(key, starts=STARTS, lengths=[PIECE] * 3)))


def streamed(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(store.get(key).stream())


def in_blocks(store: S3Store, key: str, folder: Path) -> bytes:
    """Read block by block, as csv and the like do."""
    with store.open_reader(key, buffer_size=1 << 20) as file:
        return b"".join(bytes(block) for block in iter(lambda: file.read(1 << 20), b""))


def copied(store: S3Store, key: str, folder: Path) -> bytes:
    other = MemoryStore()
    try:
        store.copy(key, "copy", to_store=other)
    except BaseException:
        assert not other.list().collect()
        raise
    return bytes(other.get("copy").bytes())


AT_ONCE = (whole, whole_async, downloaded, opened, in_ranges, copied)
IN_TURN = (streamed, in_blocks)
Read = Callable[[S3Store, str, Path], bytes]
each_read = pytest.mark.parametrize("read", AT_ONCE + IN_TURN)


@each_read
@pytest.mark.parametrize("scenario", ["pieces", "pieces-cut", "hashed"])
def test_right_pieces_are_asked_for_once(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    key = f"{scenario}/a"
    assert read(asking(fault_server), key, tmp_path) == RIGHT
    seen = fault_server.requests(key)
    assert [entry["operation"] for entry in seen].count("head") == 1
    ranges = [entry["headers"].get("range") for entry in seen if entry["operation"] == "get"]
    assert len(ranges) == len(set(ranges)), "a piece that is right is not got anew"


DAMAGED = ("pieces-spoilt", "pieces-end-spoilt", "pieces-swapped", "hashed-spoilt")


@each_read
@pytest.mark.parametrize("scenario", DAMAGED)
def test_damage_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    with pytest.raises(CorruptResponseError, match=rf"{scenario}/a.*\((crc32|sha256)\).*damaged"):
        read(asking(fault_server), f"{scenario}/a", tmp_path)
    assert not list(tmp_path.iterdir()), "a part file with damage in it is of no use"


@pytest.mark.parametrize("read", AT_ONCE)
@pytest.mark.parametrize("scenario", [*DAMAGED, "pieces-spoilt-then-cut"])
def test_damage_is_mended_where_nothing_was_given(
    fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str
) -> None:
    key = f"{scenario.removesuffix('-then-cut')}-{'then-cut' if 'cut' in scenario else 'once'}/a"
    assert read(asking(fault_server), key, tmp_path) == RIGHT
    asked = [entry["headers"].get("range") for entry in fault_server.requests(key) if entry["operation"] == "get"]
    assert max(map(asked.count, asked)) == 2, "all is got anew, once"


@pytest.mark.parametrize("read", IN_TURN)
def test_what_was_given_in_part_is_not_mended(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    with pytest.raises(CorruptResponseError):
        read(asking(fault_server), "pieces-spoilt-once/a", tmp_path)


def test_a_stream_raises_in_the_place_of_its_last_chunk(fault_server: FaultServer) -> None:
    stream = iter(asking(fault_server).get("pieces-spoilt/a").stream())
    given = 0
    while given < SIZE - 1:
        given += len(next(stream))
    for _ in range(2):
        with pytest.raises(CorruptResponseError):
            next(stream)


def test_a_file_read_again_is_compared_again(fault_server: FaultServer) -> None:
    with asking(fault_server).open_reader("pieces-spoilt-once/a", buffer_size=1 << 20) as file:
        for _ in range(SIZE // (3 << 20)):
            file.read(3 << 20)
        for size in (3 << 20, 1):
            with pytest.raises(CorruptResponseError):
                file.read(size)
        file.seek(0)
        assert file.read() == RIGHT


def test_parts_of_an_earlier_call_are_compared_too(fault_server: FaultServer, tmp_path: Path) -> None:
    """Half of a download lies on the disk, and a bit of it has changed there."""
    store, calls = asking(fault_server), 0

    def stop(done: int, count: int, size: int) -> None:
        nonlocal calls
        calls += 1
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        store.download("pieces/a", tmp_path / "file", chunk_size=PIECE, max_concurrency=1, progress=stop)
    (part,) = tmp_path.iterdir()
    with part.open("r+b") as file:
        file.seek(PIECE + 5)
        file.write(b"?")
    fault_server.forget()
    store.download("pieces/a", tmp_path / "file", chunk_size=PIECE)
    assert (tmp_path / "file").read_bytes() == RIGHT
    asked = [entry["headers"].get("range") for entry in fault_server.requests("pieces/a")]
    assert asked.count(f"bytes=0-{PIECE - 1}") == 1, "what was here already is got anew, once"


def test_what_is_behind_the_beginning_of_one_of_many_is_compared_too(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the beginning tells no checksum, so that is asked for, once."""
    monkeypatch.setattr(requests, "LARGE", PIECE)
    for key in ("pieces/a", "pieces-spoilt-once/a", "hashed/a", "hashed-spoilt-once/a"):
        assert [body for _, body in asking(fault_server).iter_many([key])] == [RIGHT]
        assert [entry["operation"] for entry in fault_server.requests(key)].count("head") == 1
    for key in ("pieces-spoilt/a", "hashed-spoilt/a"):
        with pytest.raises(CorruptResponseError, match="damaged"):
            list(asking(fault_server).iter_many([key]))


# --- one piece that is all

ALONE = content(0, 1000)


def in_one_range(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_range(key, start=0, end=2000))


def in_merged_ranges(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(map(bytes, store.get_ranges(key, starts=[0, 500], lengths=[500, 500])))


def by_option(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get(key, options={"range": (0, 1000)}).bytes())


ALL_AT_ONCE = (whole, whole_async, downloaded, opened, in_one_range, in_merged_ranges, by_option)


@pytest.mark.parametrize("read", [*ALL_AT_ONCE, *IN_TURN])
def test_one_piece_that_is_all_is_compared(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    assert read(asking(fault_server), "alone/a", tmp_path) == ALONE
    asked = [entry["operation"] for entry in fault_server.requests("alone/a")]
    assert (asked.count("head"), asked.count("get")) == (1, 1)
    with pytest.raises(CorruptResponseError, match=r"alone-spoilt/a.*\(crc32\).*damaged"):
        read(asking(fault_server), "alone-spoilt/a", tmp_path)


@pytest.mark.parametrize("read", ALL_AT_ONCE)
def test_one_piece_that_is_all_is_got_again(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    assert read(asking(fault_server), "alone-spoilt-once/a", tmp_path) == ALONE


def test_one_piece_that_is_not_all_asks_nobody(fault_server: FaultServer) -> None:
    store = asking(fault_server)
    for start, end in ((0, 999), (1, 1000)):
        assert store.get_range("alone/a", start=start, end=end) == ALONE[start:end]
        assert store.get("alone/a", options={"range": (start, end)}).bytes() == ALONE[start:end]
    assert {entry["operation"] for entry in fault_server.requests("alone/a")} == {"get"}


# --- what is not compared


@pytest.mark.parametrize(("start", "size"), [(0, 2 * PIECE), (1, 2 * PIECE), (PIECE, PIECE + 1), (0, 2)])
def test_what_is_not_the_whole_object(fault_server: FaultServer, start: int, size: int) -> None:
    store = asking(fault_server)
    assert store.get_range("pieces/a", start=start, length=size) == RIGHT[start : start + size]
    assert store.get("pieces/a", options={"range": (start, start + size)}).bytes() == RIGHT[start : start + size]
    halves = store.get_ranges("pieces/a", starts=[start, start + size // 2], ends=[start + size // 2, start + size])
    assert b"".join(map(bytes, halves)) == RIGHT[start : start + size]


@pytest.mark.parametrize("wanted", [None, "when_required"])
@each_read
def test_nobody_is_asked_unless_wanted(
    fault_server: FaultServer, tmp_path: Path, read: Read, wanted: str | None
) -> None:
    assert read(asking(fault_server, wanted), "pieces/a", tmp_path) == RIGHT
    assert {entry["operation"] for entry in fault_server.requests("pieces/a")} == {"get"}


@each_read
def test_composite_sums_say_nothing(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    assert read(asking(fault_server), "pieces-composite/a", tmp_path) == RIGHT


def test_an_object_replaced_before_it_is_asked_about(fault_server: FaultServer) -> None:
    result = asking(fault_server).get("pieces-replaced/a")
    with pytest.raises(ObjectChangedError):
        result.bytes()


def as_amazon(server: FaultServer) -> S3Store:
    """Return a store that does as those at Amazon's own hosts do, where nothing is said of checksums."""
    store = asking(server)
    store.provider.asks_for_checksums, store.provider.tells_of_wholes = False, True
    return store


def test_what_amazon_is_asked_costs_no_request(fault_server: FaultServer, tmp_path: Path) -> None:
    """Its sums are asked for by the request that tells the size."""
    store = as_amazon(fault_server)
    for read in (downloaded, opened):
        fault_server.forget()
        assert read(store, "pieces/a", tmp_path) == RIGHT
        seen = [entry["operation"] for entry in fault_server.requests("pieces/a")]
        assert seen.count("head") == 1
        assert "bytes=0-0" not in {entry["headers"].get("range") for entry in fault_server.requests("pieces/a")}
        with pytest.raises(CorruptResponseError):
            read(store, "pieces-spoilt/a", tmp_path)


OF_WHOLES = (whole, whole_async, streamed)


@pytest.mark.parametrize("read", OF_WHOLES)
def test_at_amazon_a_get_asks_for_all_and_leaves_off(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    """Of no range of an object it tells the checksum; that of all of it comes with the beginning."""
    assert read(as_amazon(fault_server), "wholes/a", tmp_path) == RIGHT
    seen = fault_server.requests("wholes/a")
    ranges = [entry["headers"].get("range") for entry in seen]
    assert {entry["operation"] for entry in seen} == {"get"}
    assert len(ranges) == len(set(ranges)) > 1
    assert ranges[0] is None
    assert read(as_amazon(fault_server), "wholes-small/a", tmp_path) == ALONE
    assert [entry["headers"].get("range") for entry in fault_server.requests("wholes-small/a")] == [None]


@pytest.mark.parametrize("read", OF_WHOLES)
@pytest.mark.parametrize("scenario", ["wholes", "wholes-beginning", "wholes-hashed", "wholes-small"])
def test_at_amazon_damage_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    with pytest.raises(CorruptResponseError, match=rf"{scenario}-spoilt/a.*damaged"):
        read(as_amazon(fault_server), f"{scenario}-spoilt/a", tmp_path)


@pytest.mark.parametrize("read", [whole, whole_async])
@pytest.mark.parametrize("scenario", ["wholes", "wholes-beginning", "wholes-small"])
def test_at_amazon_damage_is_mended(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    right = ALONE if "small" in scenario else RIGHT
    assert read(as_amazon(fault_server), f"{scenario}-spoilt-once/a", tmp_path) == right


def test_at_amazon_checksums_of_parts_are_not_asked_for(fault_server: FaultServer, tmp_path: Path) -> None:
    assert whole(as_amazon(fault_server), "pieces-composite/a", tmp_path) == RIGHT
    assert {entry["operation"] for entry in fault_server.requests("pieces-composite/a")} == {"get"}


def test_at_amazon_ranges_are_asked_for_as_such(fault_server: FaultServer) -> None:
    store = as_amazon(fault_server)
    assert store.get("pieces/a", options={"range": (0, 1000)}).bytes() == RIGHT[:1000]
    assert store.get("pieces/a", options={"range": {"suffix": 1000}}).bytes() == RIGHT[-1000:]
    assert None not in {entry["headers"].get("range") for entry in fault_server.requests("pieces/a")}

"""What is read of an object that was uploaded in parts is what the checksum of those of its parts says.

That can be told where the parts end: one question says how large the first is, and most likely the others; where all
does not add up by that, a table says it, or a question for each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from objstore.exceptions import CorruptResponseError, ObjectChangedError
from objstore.store import S3Store
from tests.faults.client import FaultServer
from tests.test_integrity_of_pieces import AT_ONCE, IN_TURN, RIGHT, SIZE, Read, asking, downloaded, opened


def many(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_many([key])[0])


def many_async(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(asyncio.run(store.get_many_async([key]))[0])


def into_memory(store: S3Store, key: str, folder: Path) -> bytes:
    out = bytearray(SIZE)
    store.get_many([key], out=[out])
    return bytes(out)


def one_by_one(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(bytes(body) for _, body in store.iter_many([key]))


def in_one_range(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_range(key, start=0, length=SIZE))


BY_ONE = (many, many_async, into_memory, one_by_one)
ALL = (*AT_ONCE, *IN_TURN, *BY_ONE, in_one_range)
KINDS = ("equal", "hashed", "likely", "odd", "one")
each_read = pytest.mark.parametrize("read", ALL)
each_kind = pytest.mark.parametrize("kind", KINDS)


def questions(server: FaultServer, key: str) -> Counter[str]:
    """Return how often what was asked that is not for bytes."""
    asked = Counter(entry["operation"] for entry in server.requests(key))
    del asked["get"]
    return asked


EXPECTED = {
    "equal": {"head-part": 1},
    "hashed": {"head-part": 1},
    "likely": {"head-part": 1, "attributes": 2},
    "odd": {"head-part": 1, "attributes": 2},
    "one": {},
}
"""What is asked, beside the HEAD that tells the checksum; the table has two pages here."""


@each_read
@each_kind
def test_right_parts_cost_a_question(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}/a"
    assert read(asking(fault_server), key, tmp_path) == RIGHT
    heads = {} if read in BY_ONE else {"head": 1}  # the reply with the bytes has told it
    assert questions(fault_server, key) == {**heads, **EXPECTED[kind]}
    ranges = [entry["headers"].get("range") for entry in fault_server.requests(key) if entry["operation"] == "get"]
    assert len([each for each in ranges if each]) == len({each for each in ranges if each}), "nothing is got anew"


@pytest.mark.parametrize("read", [*AT_ONCE, *BY_ONE, in_one_range])
@each_kind
def test_damage_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}-spoilt/a"
    with pytest.raises(CorruptResponseError, match=rf"{key}.*damaged"):
        read(asking(fault_server), key, tmp_path)
    assert not list(tmp_path.iterdir()), "a part file with damage in it is of no use"


@pytest.mark.parametrize("read", IN_TURN)
@pytest.mark.parametrize("kind", ["equal", "hashed", "odd", "one"])
def test_damage_is_an_error_in_turn(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}-spoilt/a"
    with pytest.raises(CorruptResponseError, match=rf"{key}.*damaged"):
        read(asking(fault_server), key, tmp_path)


@pytest.mark.parametrize("read", IN_TURN)
def test_what_was_given_by_other_parts_passes(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    """Once it is known how the parts are cut, their bytes are gone: the one case in which a stream says nothing."""
    read(asking(fault_server), "parts-likely-spoilt/a", tmp_path)


@pytest.mark.parametrize("read", [*AT_ONCE, *BY_ONE, in_one_range])
@each_kind
def test_damage_is_mended_where_nothing_was_given(
    fault_server: FaultServer, tmp_path: Path, read: Read, kind: str
) -> None:
    key = f"parts-{kind}-spoilt-once/a"
    assert read(asking(fault_server), key, tmp_path) == RIGHT


@each_read
def test_what_breaks_off_goes_on(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    assert read(asking(fault_server), "parts-equal-cut/a", tmp_path) == RIGHT


@pytest.mark.parametrize("read", [*AT_ONCE, *BY_ONE, in_one_range])
def test_what_breaks_off_is_compared_too(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    """The damage is in what came before the connection broke; what came behind it tells no checksum."""
    assert read(asking(fault_server), "parts-equal-spoilt-then-cut/a", tmp_path) == RIGHT


@pytest.mark.parametrize("read", [*AT_ONCE, *IN_TURN, in_one_range])
@pytest.mark.parametrize("scenario", ["parts-equal-swapped", "parts-equal-end-spoilt"])
def test_other_damage(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    with pytest.raises(CorruptResponseError, match="damaged"):
        read(asking(fault_server), f"{scenario}/a", tmp_path)


@pytest.mark.parametrize("read", [*AT_ONCE, *BY_ONE])
def test_parts_that_no_table_tells_are_asked_for_one_by_one(
    fault_server: FaultServer, tmp_path: Path, read: Read
) -> None:
    assert read(asking(fault_server), "parts-no-table/a", tmp_path) == RIGHT
    assert questions(fault_server, "parts-no-table/a")["head-part"] == 1 + 3
    with pytest.raises(CorruptResponseError, match="damaged"):
        read(asking(fault_server), "parts-no-table-spoilt/a", tmp_path)


@each_read
@pytest.mark.parametrize("scenario", ["parts-refused", "parts-unknown"])
def test_parts_that_nobody_tells(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    """What the parts are is not known, so nothing can be said of the bytes."""
    assert len(read(asking(fault_server), f"{scenario}/a", tmp_path)) == SIZE


@each_read
def test_parts_of_another_version(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    with pytest.raises(ObjectChangedError):
        read(asking(fault_server), "parts-replaced/a", tmp_path)


@each_read
def test_nobody_is_asked_unless_wanted(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    store = asking(fault_server, "when_required")
    assert len(read(store, "parts-equal-spoilt/a", tmp_path)) == SIZE
    assert not questions(fault_server, "parts-equal-spoilt/a")


@pytest.mark.parametrize("read", [downloaded, opened, *BY_ONE])
def test_one_part_costs_no_question(
    fault_server: FaultServer, tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a store that only Amazon's host says of that it tells checksums."""
    store = asking(fault_server)
    monkeypatch.setattr(store.provider, "asks_for_checksums", False)
    assert read(store, "parts-one/a", tmp_path) == RIGHT
    assert questions(fault_server, "parts-one/a") == ({} if read in BY_ONE else {"head": 1})
    with pytest.raises(CorruptResponseError, match="damaged"):
        read(store, "parts-one-spoilt/a", tmp_path)
    assert read(store, "parts-equal/a", tmp_path) == RIGHT
    assert not questions(fault_server, "parts-equal/a")["head-part"]


def test_errors_of_many_are_in_their_places(fault_server: FaultServer) -> None:
    keys = ["parts-equal/a", "parts-hashed-spoilt/b", "plain/c", "parts-odd-spoilt-once/d"]
    store = asking(fault_server)
    found = store.get_many(keys, on_error="return")
    assert isinstance(found[1], CorruptResponseError)
    assert (found[1].index, found[0], found[3]) == (1, RIGHT, RIGHT)
    with pytest.raises(CorruptResponseError) as failure:
        store.get_many(keys)
    assert failure.value.index == 1
    pairs = dict(store.iter_many(keys, on_error="return"))
    assert isinstance(pairs[1], CorruptResponseError)
    assert (pairs[0], pairs[3]) == (RIGHT, RIGHT)

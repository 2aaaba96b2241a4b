"""What is read of an object that was uploaded in parts is what the checksum of those of its parts says.

That can be told where the parts end: one question says how large the first is, and most likely the others; where all
does not add up by that, a table says it, or a question for each.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import BaseError, CorruptResponseError, ObjectChangedError
from objstore.providers.cloud.checksums import ALGORITHMS as CHECKSUMS
from objstore.providers.cloud.checksums import encoded
from objstore.store import S3Store
from tests.conformance.conftest import Bucket
from tests.faults.client import FaultServer
from tests.faulty_proxy import Plan, faulty_proxy
from tests.servers import S3Server
from tests.test_integrity import many, one_by_one
from tests.test_integrity_of_pieces import (
    AT_ONCE,
    IN_TURN,
    RIGHT,
    SIZE,
    Read,
    asking,
    downloaded,
    in_ranges,
    opened,
    streamed,
    whole,
)

pytestmark = pytest.mark.product("read")


def many_async(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(asyncio.run(store.get_many_async([key]))[0])


def into_memory(store: S3Store, key: str, folder: Path) -> bytes:
    out = bytearray(SIZE)
    store.get_many([key], out=[out])
    return bytes(out)


def in_one_range(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_range(key, start=0, length=SIZE))


BY_ONE = (many, many_async, into_memory, one_by_one)
ALL = (*AT_ONCE, *IN_TURN, *BY_ONE, in_one_range)
KINDS = ("equal", "hashed", "likely", "odd", "one")


def cases(reads: Sequence[Read]) -> list[tuple[Read, str]]:
    """Return each way to read with parts that are equal, and those that differ most with all others."""
    few = [read for read in reads if read in (whole, streamed, downloaded, in_ranges, into_memory, one_by_one)]
    return [*((read, "equal") for read in reads), *((read, kind) for read in few for kind in KINDS[1:])]


each_read = pytest.mark.parametrize("read", ALL)


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


@pytest.mark.parametrize(("read", "kind"), cases(ALL))
def test_right_parts_cost_a_question(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}/a"
    assert read(asking(fault_server), key, tmp_path) == RIGHT
    heads = {} if read in BY_ONE else {"head": 1}  # the reply with the bytes has told it
    assert questions(fault_server, key) == {**heads, **EXPECTED[kind]}
    ranges = [entry["headers"].get("range") for entry in fault_server.requests(key) if entry["operation"] == "get"]
    assert len([each for each in ranges if each]) == len({each for each in ranges if each}), "nothing is got anew"


@pytest.mark.parametrize(("read", "kind"), cases([*AT_ONCE, *BY_ONE, in_one_range]))
def test_damage_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}-spoilt/a"
    with pytest.raises(CorruptResponseError, match=rf"{key}.*damaged"):
        read(asking(fault_server), key, tmp_path)
    assert not list(tmp_path.iterdir()), "a part file with damage in it is of no use"


@pytest.mark.parametrize(("read", "kind"), [case for case in cases(IN_TURN) if case[1] != "likely"])
def test_damage_is_an_error_in_turn(fault_server: FaultServer, tmp_path: Path, read: Read, kind: str) -> None:
    key = f"parts-{kind}-spoilt/a"
    with pytest.raises(CorruptResponseError, match=rf"{key}.*damaged"):
        read(asking(fault_server), key, tmp_path)


@pytest.mark.parametrize("read", IN_TURN)
def test_what_was_given_by_other_parts_passes(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    """Once it is known how the parts are cut, their bytes are gone: the one case in which a stream says nothing."""
    read(asking(fault_server), "parts-likely-spoilt/a", tmp_path)


@pytest.mark.parametrize(("read", "kind"), cases([*AT_ONCE, *BY_ONE, in_one_range]))
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


@pytest.mark.parametrize("read", [whole, downloaded, in_ranges, many])
def test_parts_that_no_table_tells_are_asked_for_one_by_one(
    fault_server: FaultServer, tmp_path: Path, read: Read
) -> None:
    assert read(asking(fault_server), "parts-no-table/a", tmp_path) == RIGHT
    assert questions(fault_server, "parts-no-table/a")["head-part"] == 1 + 3
    with pytest.raises(CorruptResponseError, match="damaged"):
        read(asking(fault_server), "parts-no-table-spoilt/a", tmp_path)


@pytest.mark.parametrize("scenario", ["parts-no-question", "parts-page-without-end"])
def test_what_is_no_table_is_none(fault_server: FaultServer, tmp_path: Path, scenario: str) -> None:
    """A server that does not know the question may answer by the object; or page after page of nothing comes."""
    assert many(asking(fault_server), f"{scenario}/a", tmp_path) == RIGHT
    assert questions(fault_server, f"{scenario}/a") == {"head-part": 1 + 3, "attributes": 1}


def test_a_question_that_is_not_answered_is_an_error(fault_server: FaultServer, tmp_path: Path) -> None:
    """Whoever wants to know must not be told that all is well."""
    with pytest.raises(BaseError) as failure:
        many(asking(fault_server), "parts-down/a", tmp_path)
    assert failure.value.status == 500


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


# --- what boto3 has written to real servers, behind a proxy that damages what comes of it

LEAST = 5 << 20
MADE = os.urandom(2 * LEAST + (3 << 20) + 1)
SHAPES = {
    "equal parts": [LEAST, LEAST, len(MADE) - 2 * LEAST],
    "parts that could be equal": [LEAST + 9, LEAST + 1, len(MADE) - 2 * LEAST - 10],
    "parts that cannot be equal": [LEAST + (2 << 20), LEAST, len(MADE) - 2 * LEAST - (2 << 20)],
    "one part": [len(MADE)],
}
CASES = [*(("CRC32", shape) for shape in SHAPES), *((name, "equal parts") for name in ("CRC32C", "SHA1", "SHA256"))]
UNFIT = {
    "ministack": "MiniStack answers a HEAD of a part by one of the whole object",
    "moto": "moto answers a HEAD of a part without saying where that is",
    "rclone": "rclone keeps no checksums",
}


class Damaging(Plan):
    """Spoils a byte of what is read."""

    at = -1
    left = 0

    def arm_at(self, at: int, times: int) -> None:
        """Spoil the byte there so many times."""
        self.at, self.left = at, times

    def carried(self, content: bytes, start: int) -> bytes:
        at = self.at - start
        if not (self.left and 0 <= at < len(content)):
            return content
        self.left -= 1
        return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def written_by_boto(bucket: Bucket, algorithm: str, sizes: Sequence[int]) -> None:
    """Write an object in parts that has the checksum of theirs."""
    client: Any = bucket.server.client()
    where = {"Bucket": bucket.name, "Key": "a"}
    upload = client.create_multipart_upload(**where, ChecksumAlgorithm=algorithm, ChecksumType="COMPOSITE")
    where_to, parts, at = {**where, "UploadId": upload["UploadId"]}, [], 0
    for number, size in enumerate(sizes, 1):
        body = MADE[at : at + size]
        told = {f"Checksum{algorithm}": encoded(CHECKSUMS[algorithm.lower()].compute([body]))}
        part = client.upload_part(**where_to, PartNumber=number, Body=body, **told)
        parts.append({"PartNumber": number, "ETag": part["ETag"], **told})
        at += size
    client.complete_multipart_upload(**where_to, MultipartUpload={"Parts": parts}, ChecksumType="COMPOSITE")


def read_in_ranges(store: S3Store, key: str, folder: Path) -> bytes:
    half = len(MADE) // 2
    return b"".join(map(bytes, store.get_ranges(key, starts=[0, half], ends=[half, len(MADE)])))


@pytest.mark.product("s3_server")
@pytest.mark.parametrize(("algorithm", "shape"), CASES)
def test_real_servers(s3_server: S3Server, tmp_path: Path, algorithm: str, shape: str) -> None:
    """What is right is read, what is damaged once is mended, and what always is, is an error."""
    if s3_server.name in UNFIT and not (s3_server.name == "ministack" and shape == "one part"):
        pytest.skip(UNFIT[s3_server.name])
    bucket = Bucket(s3_server)
    written_by_boto(bucket, algorithm, SHAPES[shape])
    with faulty_proxy(s3_server.endpoint, Damaging()) as (endpoint, plan):
        assert isinstance(plan, Damaging)
        store = bucket.open(response_checksum_validation="when_supported", endpoint=endpoint)
        for read in (whole, streamed, read_in_ranges, downloaded, opened, many):
            assert read(store, "a", tmp_path) == MADE
        for read in (whole, read_in_ranges, downloaded, many):
            plan.arm_at(LEAST + 77, 1)
            assert read(store, "a", tmp_path) == MADE
            assert not plan.left
            plan.arm_at(len(MADE) - 1, 1 << 30)
            with pytest.raises(CorruptResponseError, match="damaged"):
                read(store, "a", tmp_path)
        if shape != "parts that could be equal":
            with pytest.raises(CorruptResponseError, match="damaged"):
                streamed(store, "a", tmp_path)

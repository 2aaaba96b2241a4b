"""Bodies are compared with the checksum of the whole object, where a reply tells one: wherever received, by both
carriers."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from objstore._core import Batch, Buffer, Reply, checksum, configure_http
from objstore.plans.effects import Plan
from objstore.plans.run import run
from tests.engine.client import SETTINGS, new_batch, settle
from tests.engine.raw import answering, ends, sends
from tests.engine.test_replies import WEIRD, ask, head

ALGORITHMS = ("crc32", "crc32c", "crc64nvme")
DAMAGED = 1000
SMALL, LARGE = Random(1).randbytes(1000), Random(2).randbytes(1_000_003)
FULL = "x-amz-checksum-type: FULL_OBJECT"
OK = b"some object"


@pytest.fixture(params=["engine", "curl"])
def carrier(request: pytest.FixtureRequest) -> Iterator[str]:
    configure_http(request.param)
    yield request.param
    configure_http(os.environ.get("OBJSTORE_HTTP") or "engine")


def told(algorithm: str, body: bytes) -> str:
    return f"x-amz-checksum-{algorithm}: {b64encode(checksum(algorithm, body)).decode()}"


def damaged(body: bytes, place: int | None = None) -> bytes:
    changed = bytearray(body)
    changed[len(body) // 2 if place is None else place] ^= 0x10
    return bytes(changed)


def whole(body: bytes, *lines: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines) + body


def chunked(body: bytes, *lines: str) -> bytes:
    size = 100_000
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return head("Transfer-Encoding: chunked", *lines) + framed


def ranged(body: bytes, start: int, end: int, *lines: str) -> bytes:
    span = f"Content-Range: bytes {start}-{end - 1}/{len(body)}"
    return head(f"Content-Length: {end - start}", span, *lines, status="206 Partial") + body[start:end]


def goog(body: bytes) -> str:
    return f"x-goog-hash: md5=CY9rzUYh03PK3k6DJie09g==, crc32c={b64encode(checksum('crc32c', body)).decode()}"


def read(answer: bytes, start: int = -1, end: int = -1) -> bytes | None:
    body, reply = ask(sends(answer), start, end)
    if body is None:
        check_words(reply)
    return body


def check_words(reply: Reply) -> None:
    assert reply.curl_code == DAMAGED
    assert reply.kept == 0
    assert "checksum" in (reply.error or "")


# --- where it is compared


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("framed", [whole, chunked])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_one_bit_is_found(carrier: str, algorithm: str, framed: object, body: bytes) -> None:
    assert callable(framed)
    assert read(framed(body, told(algorithm, body))) == body
    for place in (0, len(body) // 2, -1):
        assert read(framed(damaged(body, place), told(algorithm, body))) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_error_names_the_algorithm(algorithm: str) -> None:
    _, reply = ask(sends(whole(damaged(SMALL), told(algorithm, SMALL))))
    assert f"({algorithm})" in (reply.error or "")


def test_an_empty_object() -> None:
    assert read(whole(b"", told("crc32", b""))) == b""
    assert read(whole(b"", told("crc32", b"other"))) is None


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_in_the_callers_memory(carrier: str, body: bytes) -> None:
    for sent in (body, damaged(body)):
        out = bytearray(len(body))
        got = read_into(out, whole(sent, told("crc64nvme", body)))
        assert got == (sent == body)


def read_into(out: bytearray, answer: bytes) -> bool:
    with answering(sends(answer)) as raw:
        batch = new_batch(raw.origin, "GET", SETTINGS)
        batch.add(b"/a", out=Buffer(out, writable=True))
        batch.seal()
        failed = run(settle(batch))
    for reply in failed.values():
        check_words(reply)
    return not failed


@pytest.mark.parametrize("range", [(0, 2000), (-1, 2000), (0, -1)])
def test_a_range_that_is_the_whole_object(carrier: str, range: tuple[int, int]) -> None:
    for reply in (whole(SMALL, told("crc32", SMALL)), ranged(SMALL, 0, 1000, told("crc32", SMALL), FULL)):
        assert read(reply, *range) == SMALL
    for reply in (
        whole(damaged(SMALL), told("crc32", SMALL)),
        ranged(damaged(SMALL), 0, 1000, told("crc32", SMALL), FULL),
        ranged(damaged(SMALL), 0, 1000, goog(SMALL)),
    ):
        assert read(reply, *range) is None


# --- what is no checksum of what comes


@pytest.mark.parametrize(
    "line",
    [
        "x-amz-checksum-crc32: AAAAAA==-3",
        "x-amz-checksum-crc32: cbf43926",
        "x-amz-checksum-crc32: ",
        "x-amz-checksum-crc64nvme: AAAAAA==",
        "x-amz-checksum-crc31: AAAAAA==",
        "x-amz-checksum-sha512: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "x-amz-checksum-sha1: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "x-goog-hash: md5=CY9rzUYh03PK3k6DJie09g==",
        "x-goog-hash: crc32c=,",
    ],
)
def test_other_texts_are_ignored(line: str) -> None:
    assert read(whole(OK, line)) == OK


def test_a_checksum_of_those_of_parts_is_ignored() -> None:
    assert read(whole(OK, told("crc32", b"other"), "x-amz-checksum-type: COMPOSITE")) == OK
    assert read(whole(OK, "x-amz-checksum-type: COMPOSITE", told("crc32", b"other"))) == OK
    # of a range that is all of it, the text does not say what it is of: Amazon leaves out how many parts there are
    assert read(ranged(OK, 0, len(OK), told("crc32", b"other")), 0, 100) == OK


def test_a_part_is_not_compared(carrier: str) -> None:
    """Neither by the checksum of the object, as Google tells it, nor by one of whatever Amazon may tell of a part."""
    assert read(ranged(SMALL, 10, 20, told("crc32", SMALL), FULL), 10, 20) == SMALL[10:20]
    assert read(ranged(SMALL, 0, 20, goog(SMALL)), 0, 20) == SMALL[:20]
    assert read(whole(SMALL, told("crc32", SMALL)), 10, 20) == SMALL[10:20]
    assert read(whole(SMALL, told("crc32", b"other")), 0, 20) == SMALL[:20]


def test_what_is_stored_compressed() -> None:
    """Google's checksum is of what is stored: of what it has decompressed, it is none."""
    stored = "x-goog-stored-content-encoding: gzip"
    assert read(whole(OK, goog(b"compressed"), stored)) == OK
    assert read(whole(OK, goog(OK), stored, "Content-Encoding: gzip")) == OK
    assert read(whole(OK, goog(b"other"), stored, "Content-Encoding: gzip")) is None
    assert read(whole(OK, goog(b"other"), "x-goog-stored-content-encoding: identity")) is None


def test_only_bodies_of_objects_are_compared() -> None:
    body, reply = ask(sends(head("Content-Length: 5", told("crc32", b"other"), status="404 None") + b"there"))
    assert (body, reply.status, reply.error) == (None, 404, None)


# --- heads that contradict themselves


@pytest.mark.parametrize(
    "lines",
    [
        ("x-amz-checksum-crc32: AAAA!A==",),
        ("x-amz-checksum-crc32: AAAAAB==",),
        ("x-amz-checksum-crc64nvme: AAAAAAAAAA*=",),
        ("x-goog-hash: crc32c=AAAAA-==",),
        (told("crc32", b"1"), told("crc32", b"2")),
        ("x-goog-hash: crc32c=AAAAAA==", "x-amz-checksum-crc32c: AAAAAQ=="),
    ],
)
def test_a_damaged_checksum_is_refused(lines: tuple[str, ...]) -> None:
    body, reply = ask(sends(whole(OK, *lines)))
    assert body is None
    assert reply.curl_code == WEIRD
    assert "checksum" in (reply.error or "")


def test_the_first_of_several_kinds_is_compared() -> None:
    assert read(whole(OK, told("crc32c", OK), told("crc32", OK), goog(OK))) == OK
    assert read(whole(OK, told("crc32c", b"other"), told("crc32", OK))) is None


# --- the sums of pieces


def sums(answer: bytes, start: int, end: int, by: str, method: str = "GET") -> tuple[str, bytes, bytes | None] | None:
    with answering(sends(answer)) as raw:
        batch = new_batch(raw.origin, method, SETTINGS, sums=by)
        batch.add(b"/a", start, end)
        batch.seal()
        assert not run(settle(batch))
    return batch.reply(0).sums


def crc(algorithm: str, body: bytes) -> bytes:
    return checksum(algorithm, body)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("start", "end"), [(0, 1), (999_000, 1_000_003), (5, 700_000)])
def test_a_piece_is_summed_up(carrier: str, algorithm: str, start: int, end: int) -> None:
    for reply in (ranged(LARGE, start, end), whole(LARGE)):
        assert sums(reply, start, end, algorithm) == (algorithm, crc(algorithm, LARGE[start:end]), None)


def test_a_piece_tells_of_the_whole_object(carrier: str) -> None:
    """Google's does. Whatever else a range tells may be of a part of an upload."""
    expected = ("crc32c", crc("crc32c", SMALL[10:20]), crc("crc32c", SMALL))
    for by in ("", "crc32c"):
        assert sums(ranged(SMALL, 10, 20, goog(SMALL)), 10, 20, by) == expected
    assert sums(ranged(SMALL, 10, 20, told("crc32", SMALL), FULL), 10, 20, "") is None
    assert sums(ranged(SMALL, 10, 20), 10, 20, "") is None
    assert sums(ranged(SMALL, 10, 20, goog(SMALL)), 10, 20, "crc32") == ("crc32", crc("crc32", SMALL[10:20]), None)
    assert sums(ranged(SMALL, 10, 20, goog(SMALL), "x-goog-stored-content-encoding: gzip"), 10, 20, "") is None


def test_nothing_is_summed_up_that_nobody_combines() -> None:
    _, reply = ask(sends(ranged(SMALL, 10, 20, goog(SMALL))), 10, 20)
    assert reply.sums is None


def test_the_end_of_a_whole_object_is_not_its_sum() -> None:
    """A server that knows no ranges sends all; all has been summed up, and only the end is given."""
    assert sums(whole(SMALL), -1, 20, "crc32") is None


def test_a_head_tells_of_the_whole_object(carrier: str) -> None:
    length = f"Content-Length: {len(SMALL)}"
    expected = ("crc64nvme", crc("crc64nvme", b""), crc("crc64nvme", SMALL))
    assert sums(head(length, told("crc64nvme", SMALL), FULL), -1, -1, "", "HEAD") == expected
    assert sums(head(length, told("crc32", SMALL), "x-amz-checksum-type: COMPOSITE"), -1, -1, "", "HEAD") is None
    assert sums(head(length, "x-amz-checksum-crc32: AAAAAA==-3"), -1, -1, "", "HEAD") is None


def test_a_piece_that_broke_off_is_summed_up_as_one(carrier: str) -> None:
    """What had come before is summed up with the rest."""
    tag = 'ETag: "a"'
    whole_piece = ranged(LARGE, 3, 900_003, goog(LARGE), tag)
    first, rest = whole_piece[:-500_000], ranged(LARGE, 400_003, 900_003, goog(LARGE), tag)
    answers = iter((first, rest))
    with answering(lambda connection: ends(next(answers))(connection)) as raw:
        batch = new_batch(raw.origin, "GET", SETTINGS, sums="")
        batch.add(b"/a", 3, 900_003)
        batch.seal()
        run(settle_twice(batch))
    assert bytes(batch.bodies()[0] or b"") == LARGE[3:900_003]
    assert batch.reply(0).sums == ("crc32c", crc("crc32c", LARGE[3:900_003]), crc("crc32c", LARGE))


def azure(body: bytes) -> str:
    """Return what Azure tells of a range: its checksum, the lowest byte first."""
    return f"x-ms-content-crc64: {b64encode(checksum('crc64nvme', body)[::-1]).decode()}"


PIECE, REST = azure(LARGE[3:900_003]), azure(LARGE[400_003:900_003])
TAG = 'ETag: "a"'


@pytest.mark.parametrize("piece", [[PIECE, TAG], [TAG]], ids=["told", "not told"])
@pytest.mark.parametrize("rest", [[REST, TAG], [TAG]], ids=["told", "not told"])
@pytest.mark.parametrize("broken", [False, True], ids=["right", "damaged"])
def test_a_piece_that_broke_off_has_its_own_checksum(
    carrier: str, piece: list[str], rest: list[str], broken: bool
) -> None:
    """That of the rest alone is none of it."""
    first, second = ranged(LARGE, 3, 900_003, *piece)[:-500_000], ranged(LARGE, 400_003, 900_003, *rest)
    answers = iter((first, damaged(second, -7) if broken else second))
    with answering(lambda connection: ends(next(answers))(connection)) as raw:
        batch = new_batch(raw.origin, "GET", SETTINGS)
        batch.add(b"/a", 3, 900_003)
        batch.seal()
        if broken and PIECE in piece:
            with pytest.raises(AssertionError):
                run(settle_twice(batch))
            check_words(batch.reply(0))
        else:
            run(settle_twice(batch))
            assert (bytes(batch.bodies()[0] or b"") == LARGE[3:900_003]) is not broken


def settle_twice(batch: Batch) -> Plan[None]:
    """Wait for all requests, and send once more what fails."""
    try:
        while not batch.over:
            yield batch
            for reply in batch.failures():
                assert reply.attempts == 1
                batch.retry(reply.index)
    finally:
        batch.close()


OF_PARTS = "x-amz-checksum-crc32: AAAAAA==-3"


def read_of_parts(*answers: bytes, start: int = -1, end: int = -1, **options: int) -> Batch:
    """Return a batch that has read an object by these answers, one after the other."""
    left = iter(answers)
    with answering(lambda connection: ends(next(left))(connection)) as raw:
        batch = new_batch(raw.origin, "GET", SETTINGS, cut_over=1 << 24, cut_to=1000, **options)
        batch.add(b"/a", start, end)
        batch.seal()
        run(settle_twice(batch))
    return batch


def test_whole_objects_in_parts_are_told_of(carrier: str) -> None:
    """With their heads, which tell what nobody can compare here."""
    found = read_of_parts(whole(SMALL, OF_PARTS, TAG))
    assert (found.of_parts, found.of_parts_at(0)) == (1, True)
    assert found.reply(0).headers["x-amz-checksum-crc32"] == "AAAAAA==-3"
    for other in (whole(SMALL, TAG), whole(SMALL, told("crc32", SMALL), TAG)):
        found = read_of_parts(other)
        assert (found.of_parts, found.of_parts_at(0), found.reply(0).head) == (0, False, b"")
    found = read_of_parts(ranged(SMALL, 10, 20, OF_PARTS, TAG), start=10, end=20)
    assert (found.of_parts, found.of_parts_at(0)) == (0, False)


def test_so_are_those_that_broke_off(carrier: str) -> None:
    """The rest tells no checksum, and nobody has compared what came before."""
    rest = ranged(LARGE, 500_003, len(LARGE), TAG)
    found = read_of_parts(whole(LARGE, OF_PARTS, TAG)[:-500_000], rest)
    assert bytes(found.bodies()[0] or b"") == LARGE
    assert (found.of_parts, found.of_parts_at(0)) == (1, True)
    found = read_of_parts(whole(LARGE, OF_PARTS, TAG)[:-500_000], whole(SMALL, 'ETag: "b"'))
    assert bytes(found.bodies()[0] or b"") == SMALL
    assert (found.of_parts, found.of_parts_at(0)) == (0, False)


def test_no_such_checksum() -> None:
    with pytest.raises(ValueError, match="md5"):
        new_batch("http://127.0.0.1:1", "GET", SETTINGS, sums="md5")


# --- hashes, which nobody can combine


HASHES = {"sha1": hashlib.sha1, "SHA256": hashlib.sha256}
each_hash = pytest.mark.parametrize("name", HASHES)


def hashed(name: str, body: bytes) -> str:
    return f"x-amz-checksum-{name}: {b64encode(HASHES[name](body).digest()).decode()}"


@each_hash
@pytest.mark.parametrize("framed", [whole, chunked])
@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_one_bit_is_found_by_a_hash(carrier: str, name: str, framed: Any, body: bytes) -> None:
    assert read(framed(body, hashed(name, body), FULL)) == body
    assert read(framed(body, hashed(name, body))) == body
    for place in (0, len(body) // 2, len(body) - 1) if body else ():
        assert read(framed(damaged(body, place), hashed(name, body))) is None


@each_hash
def test_a_hash_of_a_range_that_is_all(carrier: str, name: str) -> None:
    size = len(SMALL)
    assert read(ranged(SMALL, 0, size, hashed(name, SMALL), FULL), 0, size + 5) == SMALL
    assert read(ranged(damaged(SMALL), 0, size, hashed(name, SMALL), FULL), 0, size + 5) is None


@each_hash
def test_a_hash_of_something_else_is_ignored(carrier: str, name: str) -> None:
    """Of a part, of the hashes of parts, and one that is of no known length."""
    other = hashed(name, b"other")
    assert read(ranged(SMALL, 0, 10, other), 0, 10) == SMALL[:10]
    assert read(ranged(SMALL, 0, 10, other, FULL), 0, 10) == SMALL[:10]
    assert read(whole(SMALL, other, "x-amz-checksum-type: COMPOSITE")) == SMALL
    assert read(whole(SMALL, f"{other}-3")) == SMALL
    assert read(whole(SMALL, f"x-amz-checksum-{name}: ")) == SMALL


@each_hash
def test_a_hash_that_is_none_is_refused(carrier: str, name: str) -> None:
    right = hashed(name, SMALL)
    for lines in ((right.replace(right[-5], "!"),), (right, hashed(name, b"other")), (right[:-2] + "/=",)):
        _, reply = ask(sends(whole(SMALL, *lines)))
        assert reply.curl_code != 0


def test_a_hash_beside_another_checksum(carrier: str) -> None:
    right, wrong = told("crc32", SMALL), told("crc32", b"other")
    assert read(whole(SMALL, right, hashed("SHA256", SMALL))) == SMALL
    assert read(whole(SMALL, right, hashed("SHA256", b"other"))) is None
    assert read(whole(SMALL, wrong, hashed("SHA256", SMALL))) is None

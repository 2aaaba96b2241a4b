"""HTTPStore on web servers as they are met: old ones, moved folders, URLs that are themselves what is read."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore._core import engine_info
from objstore.http import exchange
from objstore.http.service import Service
from objstore.interface.values import FAST, PACED
from objstore.operations import ahead, scattered
from objstore.operations.results import PART
from objstore.providers import requests
from objstore.providers.web import server
from objstore.store import HTTPStore
from tests.engine.client import wait_until
from tests.engine.raw import Answer, Raw, answering, ends, sends
from tests.faults.content import content
from tests.tls_proxy import write_certificate

OPTIONS: dict[str, Any] = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}


def reply(version: str = "1.1", status: str = "200 OK", *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode()


# --- bodies that end with the connection


def test_an_old_body_that_ends_with_its_connection_is_read() -> None:
    with answering(ends(reply("1.0") + b"hello")) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        assert store.get("k").bytes() == b"hello"
        assert store.get("k", options={"range": {"offset": 1}}).bytes() == b"ello"
        assert store.get_many(["k"]) == [b"hello"]
        assert store.head("k")["size"] == 5


def test_a_new_body_that_ends_with_its_connection_is_read_where_that_is_asked_for() -> None:
    with answering(ends(reply() + b"hello")) as raw:
        for store in (
            HTTPStore(raw.origin, read_until_close=True, **OPTIONS),
            HTTPStore.from_url(raw.origin, read_until_close=True, **OPTIONS),
        ):
            assert store.get("k").bytes() == b"hello"
            assert store.get("k", options={"range": {"offset": 1}}).bytes() == b"ello"
            assert store.get_many(["k"]) == [b"hello"]


@pytest.mark.parametrize(("version", "asked"), [("1.1", None), ("1.1", False), ("1.0", False)])
def test_where_it_is_not_read_the_error_says_why(version: str, asked: bool | None) -> None:
    with answering(ends(reply(version) + b"hello")) as raw:
        store = HTTPStore(raw.origin, read_until_close=asked, **OPTIONS)
        for read in (
            lambda: store.get_many(["k"]),
            lambda: store.get("k", options={"range": {"offset": 1}}).bytes(),
            lambda: store.get("k"),
        ):
            with pytest.raises(exceptions.CorruptResponseError, match="end of the reply cannot be told") as refused:
                read()
            assert "read_until_close=True" in str(refused.value)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_checksum_tells_that_such_a_body_was_cut(version: str) -> None:
    whole = "x-amz-checksum-crc32c: yZRlqg=="  # of b"hello world"
    with answering(ends(reply(version, "200 OK", whole) + b"hello")) as raw:
        store = HTTPStore(raw.origin, read_until_close=True, **OPTIONS)
        with pytest.raises(exceptions.CorruptResponseError, match="checksum"):
            store.get_many(["k"])


def test_a_body_that_is_shorter_than_it_says_is_cut_however_old() -> None:
    with answering(ends(reply("1.0", "200 OK", "Content-Length: 9") + b"hello")) as raw:
        store = HTTPStore(raw.origin, read_until_close=True, **OPTIONS)
        with pytest.raises(exceptions.ConnectionFailedError, match="cut short"):
            store.get_many(["k"])


# --- sizes that nobody tells

LONG = 1 << 18
PART_OF_LONG = content(5, LONG - 5)
IN_CHUNKS = reply("1.1", "200 OK", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (LONG, content(0, LONG))


def without_total(heads: list[bytes]) -> Answer:
    """Answer each with the range that was asked for, of an object of unknown size (RFC 9110, section 14.4)."""

    def answer(connection: Any) -> None:
        first, last = map(int, heads[-1].partition(b"bytes=")[2].partition(b"\r\n")[0].split(b"-"))
        body = content(first, last + 1)
        lines = [f"Content-Range: bytes {first}-{last}/*", f"Content-Length: {len(body)}", 'ETag: "e"']
        connection.sendall(reply("1.1", "206 Part", *lines) + body)

    return answer


@pytest.mark.parametrize("chunked", [True, False])
def test_a_long_range_is_read_though_no_reply_tells_the_size(chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "LARGE", LONG // 2)
    monkeypatch.setattr(exchange, "BEGINNING", LONG // 8)
    with answering(lambda connection: answer(connection)) as raw:
        answer = sends(IN_CHUNKS) if chunked else without_total(raw.heads)
        store, out = HTTPStore(raw.origin, **OPTIONS), bytearray(LONG)
        assert store.get_range("k", start=5, end=LONG - 5) == PART_OF_LONG
        assert store.get_ranges("k", starts=[5], ends=[LONG - 5]) == [PART_OF_LONG]
        assert store.get_many([("k", 5, LONG - 5)]) == [PART_OF_LONG]
        assert store.get_many([("k", 5, LONG - 5)], out=[out]) == [PART_OF_LONG]
        assert out[: LONG - 10] == PART_OF_LONG
        assert list(store.iter_many([("k", 5, LONG - 5)])) == [(0, PART_OF_LONG)]


def test_what_tells_no_size_is_downloaded_once(tmp_path: Path) -> None:
    """A first request learns whether there are ranges; what it gets besides is not taken."""
    told: list[tuple[int, int, int]] = []
    with answering(sends(IN_CHUNKS)) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        meta = store.download("k", tmp_path / "file", progress=lambda *now: told.append(now))
        assert (tmp_path / "file").read_bytes() == content(0, LONG)
        assert (meta["size"], told[-1]) == (LONG, (1, 1, LONG))
        assert len(raw.heads) == 2


def test_what_tells_no_size_and_breaks_off_is_downloaded_anew(tmp_path: Path) -> None:
    """And may be shorter then, as what a server makes anew for each request."""
    head = reply("1.1", "200 OK", "Transfer-Encoding: chunked")
    broken = head + b"%x\r\n%b" % (LONG, content(0, LONG // 2))
    shorter = head + b"5\r\nhello\r\n0\r\n\r\n"
    answers = iter([sends(IN_CHUNKS), ends(broken), sends(shorter)])
    with answering(lambda connection: next(answers)(connection)) as raw:
        meta = HTTPStore(raw.origin, client_options={"allow_http": True}).download("k", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"hello"
        assert (meta["size"], len(raw.heads)) == (5, 3)


def test_what_only_whole_replies_tell_the_size_of_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FIRST", LONG // 2)

    def answer(connection: Any) -> None:
        if b"range:" in raw.heads[-1].lower():
            without_total(raw.heads)(connection)
        else:
            connection.sendall(reply("1.1", "200 OK", f"Content-Length: {LONG}", 'ETag: "e"') + content(0, LONG))

    with answering(lambda connection: answer(connection)) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        assert store.get("k").bytes() == content(0, LONG)
        with store.open("k") as file:
            assert file.read() == content(0, LONG)


def test_of_what_is_given_only_as_a_whole_ranges_are_cut_though_others_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Servers give ranges of their files, and not of what they make."""
    monkeypatch.setattr(server, "COSTLY", LONG)
    starts = [LONG // 8 * place for place in range(8)]

    def answer(connection: Any) -> None:
        made = raw.heads[-1].startswith(b"GET /made")
        (sends(reply("1.1", "200 OK", f"Content-Length: {LONG}", 'ETag: "e"') + content(0, LONG)) if made else ranged)(
            connection
        )

    with answering(answer) as raw:
        ranged, store = without_total(raw.heads), HTTPStore(raw.origin, **OPTIONS)
        assert store.get_range("file", start=5, end=9) == content(5, 9)
        for asked in (2, 1):
            before = len(raw.heads)
            got = store.get_ranges("made", starts=starts, lengths=[9] * 8, coalesce=0)
            assert got == [content(start, start + 9) for start in starts]
            assert len(raw.heads) - before == asked  # of what it gives ranges is asked once
        assert store.get_ranges("file", starts=starts, lengths=[9] * 8, coalesce=0) == got


WIDE = 16 << 20
STARTS = [12 << 20, 5, 3 << 20, 1 << 20, WIDE - 9]
ENDS = [15 << 20, 3 << 20, 12 << 20, 2 << 20, WIDE + 9]
WANTED = [content(start, min(end, WIDE)) for start, end in zip(STARTS, ENDS, strict=True)]
"""Ranges in no order, some of which go on from each other, or lie in another, or end behind the object."""


def wide(*lines: str) -> bytes:
    return reply("1.1", "200 OK", f"Content-Length: {WIDE}", *lines) + content(0, WIDE)


@pytest.mark.parametrize("one_buffer", [True, False])
@pytest.mark.parametrize("lines", [(), ('ETag: "e"',)], ids=["no ETag", "ETag"])
def test_ranges_of_what_is_given_only_as_a_whole_are_not_in_memory_besides(
    lines: tuple[str, ...], one_buffer: bool
) -> None:
    rows = [bytearray(end - start) for start, end in zip(STARTS, ENDS, strict=True)]
    out = bytearray(sum(map(len, rows))) if one_buffer else rows
    before, most = engine_info()["memory"], [0]
    with answering(sends(wide(*lines))) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        found = store.get_ranges(
            "k",
            starts=STARTS,
            ends=ENDS,
            coalesce=0,
            out=out,
            progress=lambda *_: most.append(engine_info()["memory"] - before),
        )
    assert found == WANTED
    assert (out[: len(WANTED[0])] if isinstance(out, bytearray) else out[0]) == WANTED[0]
    assert max(most) <= 6 * scattered.PIECE


def test_such_ranges_are_put_there_anew_where_their_reply_breaks_off() -> None:
    half = wide()[: WIDE // 2]
    answers = iter([sends(wide()), ends(half.replace(content(0, 99), bytes(99))), sends(wide())])
    with answering(lambda connection: next(answers)(connection)) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        out = bytearray(sum(ENDS) - sum(STARTS))
        assert store.get_ranges("k", starts=STARTS, ends=ENDS, coalesce=0, out=out) == WANTED
        assert len(raw.heads) == 3


def test_such_a_range_that_begins_behind_the_object_is_an_error() -> None:
    with answering(sends(wide())) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        for out in (None, bytearray(20)):
            with pytest.raises(exceptions.InvalidRangeError):
                store.get_ranges("k", starts=[0, WIDE], lengths=[10, 10], coalesce=0, out=out)


def test_nor_are_ranges_of_which_nothing_tells_the_version_so_that_one_request_reads_them() -> None:
    most = []

    def answer(connection: Any) -> None:
        first, last = map(int, raw.heads[-1].partition(b"bytes=")[2].partition(b"\r\n")[0].split(b"-"))
        body = content(first, min(last + 1, WIDE))
        lines = [f"Content-Range: bytes {first}-{first + len(body) - 1}/{WIDE}", f"Content-Length: {len(body)}"]
        connection.sendall(reply("1.1", "206 Part", *lines))
        for at in range(0, len(body), scattered.PIECE):
            most.append(engine_info()["memory"] - before)
            connection.sendall(body[at : at + scattered.PIECE])

    before = engine_info()["memory"]
    with answering(answer) as raw:
        store, out = HTTPStore(raw.origin, **OPTIONS), bytearray(sum(ENDS) - sum(STARTS))
        assert store.get_ranges("k", starts=STARTS, ends=ENDS, coalesce=0, out=out) == WANTED
    assert max(most) <= 6 * scattered.PIECE


def test_of_many_objects_it_is_asked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "COSTLY", 1)
    whole = sends(reply("1.1", "200 OK", f"Content-Length: {LONG}", 'ETag: "e"') + content(0, LONG))

    def answer(connection: Any) -> None:
        wait_until(lambda: len(raw.heads) >= 3)
        whole(connection)

    with answering(answer) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        got = store.get_many([(key, start, start + 9) for key in "abc" for start in (0, 100)])
        assert got == [content(0, 9), content(100, 109)] * 3
        assert len(raw.heads) == 6


def test_what_is_read_by_one_request_may_be_hedged(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any other read, two may be in flight where nobody has said that there may not."""
    monkeypatch.setattr(requests, "LARGE", LONG // 2)
    monkeypatch.setattr(exchange, "BEGINNING", LONG // 8)
    with answering(sends(IN_CHUNKS)) as raw:
        store, asked = HTTPStore(raw.origin, **OPTIONS), []
        fetch = store.provider.fetch

        def noted(*given: Any, **options: Any) -> Any:
            asked.append(options["most_in_flight"])
            return fetch(*given, **options)

        monkeypatch.setattr(store.provider, "fetch", noted)
        for most in (None, 1):
            assert store.get_many([("k", 5, LONG - 5)], max_concurrency=most) == [PART_OF_LONG]
        assert asked == [PACED, PACED, 1, 1]


@contextmanager
def ranged() -> Iterator[Raw]:
    """Serve what is long, and ranges of it."""

    def answer(connection: Any) -> None:
        _, asked, span = raw.heads[-1].partition(b"bytes=")
        first, last = map(int, span.partition(b"\r\n")[0].split(b"-")) if asked else (0, LONG - 1)
        line = f"Content-Range: bytes {first}-{last}/{LONG}" if asked else "Accept-Ranges: bytes"
        body = content(first, last + 1)
        length = f"Content-Length: {len(body)}"
        connection.sendall(reply("1.1", "206 Part" if asked else "200 OK", line, length, 'ETag: "e"') + body)

    with answering(lambda connection: answer(connection)) as raw:
        yield raw


@pytest.mark.parametrize(("alone", "several"), [(LONG, True), (8 * LONG, False)])
@pytest.mark.parametrize("wanted", [("k", 0, LONG), "k"])
def test_what_one_connection_takes_long_for_is_read_by_several(
    wanted: Any, alone: int, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LEAST_LARGE", LONG // 8)
    monkeypatch.setattr(exchange, "BEGINNING", LONG // 8)
    monkeypatch.setattr(Service, "pace", FAST._replace(alone=alone))
    with ranged() as raw:
        assert HTTPStore(raw.origin, **OPTIONS).get_many([wanted]) == [content(0, LONG)]
        assert (len(raw.heads) > 1) is several


def test_a_long_range_is_read_by_several_though_many_small_ones_are_read_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "LARGE", LONG // 4)
    monkeypatch.setattr(exchange, "BEGINNING", LONG // 8)
    with ranged() as raw:
        got = HTTPStore(raw.origin, **OPTIONS).get_many([("k", 0, LONG), *[("k", 5, 9)] * 99])
        assert got == [content(0, LONG), *[content(5, 9)] * 99]
        assert sum(f"-{LONG - 1}\r".encode() in head for head in raw.heads) == 1
        assert not any(f"=0-{LONG - 1}\r".encode() in head for head in raw.heads)


# --- statuses


def test_what_a_proxy_has_changed_is_read_of_web_servers() -> None:
    with answering(sends(reply("1.1", "203 Changed", "Content-Length: 5") + b"hello")) as raw:
        store = HTTPStore(raw.origin, **OPTIONS)
        assert store.get("k").bytes() == b"hello"
        assert store.get_range("k", start=1, end=3) == b"el"
        assert store.get_many(["k"]) == [b"hello"]


# --- the URL itself


def by_target(raws: list[bytes], answers: dict[bytes, bytes]) -> Answer:
    """Answer each target in its own way, ranges included; others with 404."""

    def answer(connection: Any) -> None:
        method, target = raws[-1].split(b" ")[:2]
        if target not in answers:
            connection.sendall(reply("1.1", "404 Missing", "Content-Length: 0"))
            return
        body, lines = answers[target], ['ETag: "e"']
        status, size = "200 OK", len(body)
        for line in raws[-1].split(b"\r\n"):
            if line.startswith(b"Range: bytes="):
                first, _, last = line.removeprefix(b"Range: bytes=").partition(b"-")
                start, end = int(first), min(int(last or size), size - 1) + 1
                status, body = "206 Part", body[start:end]
                lines.append(f"Content-Range: bytes {start}-{end - 1}/{size}")
        lines.append(f"Content-Length: {len(body)}")
        connection.sendall(reply("1.1", status, *lines) + (b"" if method == b"HEAD" else body))

    return answer


@pytest.mark.parametrize("place", ["/folder/file.bin?sig=a%2Fb", "/folder/?x=1", "/folder/100%25%20of%3F.bin", "/"])
@pytest.mark.parametrize("size", [100, PART + 500_000])
def test_an_empty_path_is_the_url_itself(place: str, size: int, tmp_path: Path) -> None:
    heads: list[bytes] = []
    with answering(lambda connection: answer(connection)) as raw:
        answer = by_target(raw.heads, {place.encode(): content(0, size)})
        store = HTTPStore(raw.origin + place, **OPTIONS)
        assert store.get("").bytes() == content(0, size)
        assert store.head("")["size"] == size
        assert store.get_range("", start=10, end=20) == content(10, 20)
        out = bytearray(15)
        for into in (None, out):
            found = store.get_ranges("", starts=[0, 50], ends=[5, 60], coalesce=0, out=into)
            assert found == [content(0, 5), content(50, 60)]
        assert out == content(0, 5) + content(50, 60)
        with store.open("", "rb") as file:
            assert file.read() == content(0, size)
        store.download("", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == content(0, size)
        heads = raw.heads
    assert {head.split(b" ")[1] for head in heads} == {place.encode()}


def test_nothing_is_written_to_or_removed_at_the_url_itself() -> None:
    with answering(sends(reply("1.1", "200 OK", "Content-Length: 0"))) as raw:
        store = HTTPStore(raw.origin + "/folder", **OPTIONS)
        for change in (
            lambda: store.put("", b"1"),
            lambda: store.delete(""),
            lambda: store.copy("", "b"),
            lambda: store.copy("a", ""),
            lambda: store.rename("a", ""),
            lambda: store.get_many([""]),
        ):
            with pytest.raises(exceptions.InvalidPathError, match="empty"):
                change()
        assert raw.heads == []


# --- PROPFIND


FILES = (
    '<d:multistatus xmlns:d="DAV:"><d:response><d:href>{0}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/>'
    "</d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response><d:response>"
    "<d:href>{0}a%20b</d:href><d:propstat><d:prop><d:getcontentlength>7</d:getcontentlength></d:prop>"
    "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
)


def moved(heads: Callable[[], list[bytes]], to: str, status: str) -> Answer:
    """Send all questions but those at /new/ to `to`, and answer those."""

    def answer(connection: Any) -> None:
        head = heads()[-1]
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while length:
            length -= len(connection.recv(length))
        if head.startswith(b"PROPFIND /new/"):
            body = FILES.format("/new/").encode()
            connection.sendall(reply("1.1", "207 Multi-Status", f"Content-Length: {len(body)}") + body)
        else:
            connection.sendall(reply("1.1", status, f"Location: {to}", "Content-Length: 0"))

    return answer


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
@pytest.mark.parametrize("to", ["/new/", "../../new/?x=1", "{origin}/new/"])
def test_a_question_follows_its_folder(status: str, to: str) -> None:
    with answering(lambda connection: answer(connection)) as raw:
        answer = moved(lambda: raw.heads, to.format(origin=raw.origin), status)
        listed = HTTPStore(raw.origin + "/old/dav", username="u", **OPTIONS).list().collect()
        assert [(meta["path"], meta["size"]) for meta in listed] == [("a b", 7)]
        assert all(b"Depth: infinity" in head and b"Authorization: " in head for head in raw.heads)


@pytest.mark.parametrize("to", ["http://localhost:1/new/", "/old/again/", ""])
def test_a_question_goes_to_no_other_server_and_not_for_ever(to: str) -> None:
    with answering(lambda connection: answer(connection)) as raw:
        answer = moved(lambda: raw.heads, to, "308 Permanent Redirect")
        with pytest.raises(exceptions.GenericError, match="elsewhere"):
            HTTPStore(raw.origin + "/old", username="u", **OPTIONS).list().collect()
        assert len(raw.heads) <= 11


# --- whom to trust


def test_directories_of_certificates_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, other = tmp_path / "certificates", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    file = write_certificate(["localhost", "127.0.0.1"], folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    for name in ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    with answering(sends(reply("1.1", "200 OK", "Content-Length: 5") + b"hello"), tls=context) as raw:
        url = raw.origin.replace("127.0.0.1", "localhost")
        with pytest.raises(exceptions.ConnectionFailedError):
            HTTPStore(url, retry_config={"max_retries": 0}).get_many(["k"])
        monkeypatch.setenv("SSL_CERT_DIR", f"{other}:{tmp_path / 'missing'}:{folder}")
        assert HTTPStore(url, retry_config={"max_retries": 0}).get_many(["k"]) == [b"hello"]
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
        with pytest.raises(exceptions.ConfigurationError, match="SSL_CERT_DIR names"):
            HTTPStore(url)

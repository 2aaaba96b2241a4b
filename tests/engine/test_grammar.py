"""Heads and chunks that are not what RFC 9112 says are refused and close their connection; what it allows is read."""

from __future__ import annotations

import pytest

from objstore._core import engine_info
from objstore.plans.run import run
from tests.engine.client import batch, settle
from tests.engine.raw import Raw, answering, sends
from tests.engine.test_replies import ask, head

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

WRONG_STATUS = [
    b"HTTP/1.1 4294967496 OK",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 200OK",
    b"HTTP/1.1 0200 OK",
    b"HTTP/1.1 099 OK",
    b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 2x0 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1200 OK",
    b"HTTP/1.1 200 O\0K",
    b"HTTP/1.1 200 O\x01K",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 OK\r",
    b"HTTP/1.2 200 OK",
    b"HTTP/2 200 OK",
    b"http/1.1 200 OK",
    b" HTTP/1.1 200 OK",
    b"HTTP/1.1 200 OK\r\n folded: 1",
]

WRONG_FIELDS = [
    FIVE + FIVE + b"Content-Length: 7",
    b"Content-Length: 7\r\n" + FIVE,
    b"Content-Length: five\r\n" + FIVE,
    FIVE + b"Content-Length: five",
    b"Content-Length: 5, 50",
    b"Content-Length: 5, 5",
    b"Content-Length: 5;x",
    b"Content-Length: 5 5",
    b"Content-Length: 5.0",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 0x5",
    b"Content-Length: 5_0",
    b"Content-Length:",
    b"Content-Length: \xb2",
    b"Content-Length: 9223372036854775807",
    b"Content-Length: 4611686018427387904",
    b"Content-Length: 18446744073709551621",
    b"Content-Length : 5",
    b"Content-Length\t: 5",
    b"Content Length: 5",
    b": 5\r\n" + FIVE,
    FIVE + b"X",
    FIVE + b"X y: 1",
    FIVE + b"no colon",
    FIVE + b"HTTP/1.1 204 No Content",
    FIVE + b"HTTP/1.1 200 OK: x",
    FIVE + b"X: a\0b",
    FIVE + b"X: a\rb",
    FIVE + b"X: a\r",
    FIVE + b"X: a\x0bb",
    FIVE + b"X: a\x7fb",
    FIVE + b"X\xe4: a",
    b" X: 1\r\n" + FIVE,
    FIVE + b'ETag: "a"\r\nETag: "b"',
    FIVE + b"X: " + b"x" * (65 << 10),
]

WRONG_CODINGS = [
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding:",
    CHUNKED + b"Content-Length: 5",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
]

WRONG_CHUNKS = [
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\r\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 5\r\nhello\r\n0\r\n\r\n",
    b"5,5\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b";a=b\r\nhello\r\n0\r\n\r\n",
    b"5;a\x00b\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    b"8000000000000005\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"5" + b" " * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX Y: 1\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: a\0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n: a\r\n\r\n",
]

WRONG = (
    [line + b"\r\n" + FIVE + b"\r\nhello" for line in WRONG_STATUS]
    + [OK + fields + b"\r\n\r\nhello" for fields in WRONG_FIELDS]
    + [OK + fields + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" for fields in WRONG_CODINGS]
    + [OK + CHUNKED + b"\r\n" + chunks for chunks in WRONG_CHUNKS]
    + [
        b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK + FIVE + b"\r\nhello",
        b"HTTP/1.1 100 Continue\r\nX\r\n\r\n" + OK + FIVE + b"\r\nhello",
        b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        OK + FIVE + b"X\n\nhello",
        OK + FIVE + b"X\nhello\r\n\r\n",
    ]
)


@pytest.mark.parametrize("reply", WRONG, ids=range(len(WRONG)))
def test_what_the_grammar_does_not_allow_is_refused_and_its_connection_closed(reply: bytes) -> None:
    raws: list[Raw] = []

    def answer(connection: object) -> None:
        first = raws[0].heads[-1].startswith(b"GET /wrong")
        connection.sendall(reply + b"x" * 100 if first else head("Content-Length: 5") + b"right")  # type: ignore[attr-defined]

    with answering(answer) as raw:
        raws.append(raw)
        before = engine_info()["connections"]
        made = batch(raw.origin, ["/wrong", "/right"], most_in_flight=1)
        failed = run(settle(made))
    assert list(failed) == [0]
    assert failed[0].error is not None
    assert made.bodies() == [None, b"right"]
    assert engine_info()["connections"] - before == 2


RIGHT = {
    "no reason": b"HTTP/1.1 200 \r\n" + FIVE + b"\r\nhello",
    "no blank behind the status": b"HTTP/1.1 200\r\n" + FIVE + b"\r\nhello",
    "an odd reason": b"HTTP/1.1 200 \xe4\t!  \r\n" + FIVE + b"\r\nhello",
    "the same length twice": OK + FIVE + FIVE + b"\r\nhello",
    "leading zeros": OK + b"Content-Length: 0005\r\n\r\nhello",
    "blanks around": OK + b"Content-Length: \t 5 \t \r\n\r\nhello",
    "bare line feeds": (OK + FIVE + b"\r\n").replace(b"\r\n", b"\n") + b"hello",
    "empty values": OK + FIVE + b"X:\r\nY: \r\n\r\nhello",
    "any letters": OK + FIVE + b"!#$%&'*+-.^_`|~09azAZ: \x80\xff \t:\r\n\r\nhello",
    "folded": OK + b"X: a\r\n b\r\n\tc\r\nContent-Length:\r\n 5\r\n\r\nhello",
    "chunks": OK + CHUNKED + b"\r\n05\r\nhello\r\n0\r\n\r\n",
    "extensions": OK + CHUNKED + b'\r\n5 ;a="b c";d\r\nhello\r\n000;x\r\n\r\n',
    "a blank behind the size": OK + CHUNKED + b"\r\n5  \r\nhello\r\n0\r\n\r\n",
    "a trailer": OK + CHUNKED + b'\r\n5\r\nhello\r\n0\r\nETag: "other"\r\nContent-Length: 9\r\nX:\r\n\r\n',
    "many interim replies": 50 * b"HTTP/1.1 103 Early\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n"
    + OK
    + FIVE
    + b"\r\nhello",
    "120 header lines": OK + FIVE + b"X: 1\r\n" * 120 + b"\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + FIVE + b"\r\nhello",
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_the_grammar_allows_is_read(name: str) -> None:
    body, reply = ask(sends(RIGHT[name]), keep_head=True)
    assert body == b"hello", reply.error
    assert "etag" not in reply.headers


@pytest.mark.parametrize("lines", [[], ["Content-Length: 5"], ["Content-Length: 0"]])
def test_a_204_has_no_body_whatever_it_says(lines: list[str]) -> None:
    body, reply = ask(sends(head(*lines, status="204 No Content")))
    assert (body, reply.status, reply.error) == (None, 204, None)  # read, and not the object that a GET asks for


@pytest.mark.parametrize(
    ("lines", "connections"),
    [
        (["Connection: close", "Connection: keep-alive"], 3),
        (["Connection: keep-alive", "Connection: close"], 3),
        (["Connection: keep-alive, x, CLOSE"], 3),
        (["Connection: closed"], 1),
        (["Connection: x-close"], 1),
    ],
)
def test_who_has_said_close_has_said_it(lines: list[str], connections: int) -> None:
    with answering(sends(head("Content-Length: 2", *lines) + b"ok")) as raw:
        before = engine_info()["connections"]
        assert run(settle(batch(raw.origin, ["/a", "/b", "/c"], most_in_flight=1))) == {}
    assert engine_info()["connections"] - before == connections


@pytest.mark.parametrize("letter", [0, 1, 8, 9, 31, 32, 126, 127, 128, 255])
def test_a_control_character_is_seen_wherever_it_stands(letter: int) -> None:
    for length in range(1, 40, 5):
        for at in range(length):
            value = b"a" * at + bytes([letter]) + b"\xff" * (length - at - 1)
            body, reply = ask(sends(OK + FIVE + b"X:" + value + b"\r\n\r\nhello"))
            allowed = letter == 9 or (letter >= 32 and letter != 127)
            assert (reply.error is None and body == b"hello") == allowed, value


@pytest.mark.parametrize(
    ("before", "name", "wrong"),
    [
        (FIVE, b"content-length", b"five"),
        (FIVE, b"transfer-encoding", b"gzip"),
        (FIVE + b'ETag: "a"\r\n', b"etag", b'"b"'),
    ],
)
def test_a_field_is_known_by_every_letter_of_its_name_in_any_case(before: bytes, name: bytes, wrong: bytes) -> None:
    for at in range(len(name)):
        for letter in (name[at : at + 1].upper(), b"z"):
            said = name[:at] + letter + name[at + 1 :]
            body, reply = ask(sends(OK + before + said + b": " + wrong + b"\r\n\r\nhello"))
            known = said.lower() == name
            assert (body is None and reply.error is not None) == known, said


def test_fields_are_the_same_however_their_lines_end() -> None:
    lines = head("Content-Length: 2", "X-A: 1", "X-B:  two ", "x-a:3")
    for reply in (lines, lines.replace(b"\r\n", b"\n")):
        _, answer = ask(sends(reply + b"ok"), keep_head=True)
        assert answer.headers == {"content-length": "2", "x-a": "1, 3", "x-b": "two"}

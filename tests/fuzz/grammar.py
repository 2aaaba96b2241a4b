"""Replies in HTTP/1.1 as a grammar makes them: most as RFC 9112 wants them, many wrong in one place or several.

A reply is bytes alone: what is right is for the judges to say.
"""

from __future__ import annotations

from random import Random

SIZE = 2000
"""The most bytes of a body."""

TEXT = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)) + b"\t"
CONTROLS = b"\0\x01\x0b\x0c\r\x1c\x7f"


class Reply:
    """One reply.

    Args:
        random: What to make it by; the same makes the same.
        right: Whether there is nothing wrong with it.
    """

    def __init__(self, random: Random, *, right: bool = False) -> None:
        self._random = random
        self._right = right
        self.range: tuple[int, int] | None = None
        """The range that is asked for, half-open."""
        self.body = random.randbytes(self._few(SIZE)) if random.random() < 0.9 else b""
        self.closes = False
        """Whether the server closes the connection behind it."""
        self.data = self._broken(self._whole())
        self.pieces = self._pieces()

    def _chance(self, of: float) -> bool:
        return self._random.random() < of

    def _wrong(self, of: float) -> bool:
        """Tell whether to put something wrong into a place."""
        return not self._right and self._chance(of)

    def _few(self, most: int) -> int:
        return self._random.choice((0, 1, 2, 5, self._random.randint(0, 30), self._random.randint(0, most)))

    def _text(self, most: int) -> bytes:
        return bytes(self._random.choices(TEXT, k=self._few(most)))

    def _whole(self) -> bytes:
        interim = b"".join(self._interim() for _ in range(self._random.choice((0, 0, 0, 0, 0, 0, 1, 2))))
        status = self._random.choice((200, 200, 200, 200, 200, 200, 204, 203, 304, 404, 500, 206, 206))
        coded, framing = self._framing()
        if not self.body and status == 206:
            status = 200  # no range is empty
        if self._right and status in (204, 304):
            coded, framing = b"", []
        if status == 206 and (self._right or self._chance(0.8)):
            framing.append(self._content_range())
        fields = framing + [self._field() for _ in range(self._few(8))]
        if self._chance(0.01):
            fields += [b"X: 1"] * 120
        if self._chance(0.1):
            fields.append(b"Connection: " + self._random.choice((b"close", b"keep-alive", b"Close , x", b"x")))
        if self._chance(0.5):
            self._random.shuffle(fields)
        behind = self._behind()
        return interim + self._status_line(status) + self._lines(fields) + coded + behind

    def _end(self) -> bytes:
        return b"\n" if self._wrong(0.02) else b"\r\n"

    def _lines(self, fields: list[bytes]) -> bytes:
        return b"".join(field + self._end() for field in fields) + self._end()

    def _interim(self) -> bytes:
        status = self._random.choice((100, 100) if self._right else (100, 100, 102, 103, 101, 199))
        return self._status_line(status) + self._lines([self._field() for _ in range(self._few(2))])

    def _status_line(self, status: int) -> bytes:
        version, code = b"HTTP/1.1", b"%d" % status
        if self._wrong(0.2):
            version = self._random.choice((b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2", b"http/1.1"))
        if self._wrong(0.03):
            code = self._random.choice((b"20", b"2000", b"+200", b"4294967496", b"2x0", b"099", b" 200", b"0200", b""))
        reason = self._random.choice((b" OK", b" OK", b" ", b"", b" " + self._text(20)))
        if self._wrong(0.04):
            reason = self._random.choice((b"\tOK", b" O\0K", b" O\rK", b"OK"))
        return version + b" " + code + reason + self._end()

    def _field(self) -> bytes:
        name = self._random.choice((b"X", b"Date", b"X-Long", b"Vary", b"Server", b"x-amz-id-2", b"Content-Type"))
        value = self._text(60)
        made = name + b":" + self._random.choice((b" ", b"", b"\t ", b"  ")) + value
        if self._wrong(0.06):
            made += self._end() + self._random.choice((b" ", b"\t")) + self._text(20)
        if self._wrong(0.05):
            made = self._random.choice(
                (
                    b"no colon",
                    b"",
                    b"X",
                    b": x",
                    b"X y: z",
                    b"X : z",
                    b"HTTP/1.1 200 OK",
                    b"HTTP/1.1 404 No: x",
                    b" X: 1",
                )
            )
        return made

    # --- framing

    def _framing(self) -> tuple[bytes, list[bytes]]:
        """Return the body as it is sent, and the fields that say where it ends."""
        kind = self._random.choice(("length",) * 8 + ("chunks",) * 6)
        if self._wrong(0.2):
            kind = self._random.choice(("close", "both", "lengths", "codings"))
        length = b"Content-Length: " + self._number(len(self.body))
        if kind == "length":
            return self.body, [length]
        if kind == "close":
            self.closes = True
            return self.body, []
        if kind == "lengths":
            other = self._number(self._random.choice((len(self.body), len(self.body), self._few(3000))))
            if self._chance(0.3):
                return self.body, [length + b"," + other]
            return self.body, [length, b"Content-Length: " + other]
        chunked = self._random.choice((b"Transfer-Encoding: ", b"transfer-encoding:")) + b"chunked"
        if kind == "both":
            return self._chunks(), [length, chunked]
        if kind == "codings":
            coding = self._random.choice(
                (
                    b"gzip, chunked",
                    b"chunked, gzip",
                    b"identity",
                    b"gzip",
                    b"",
                    b"chunked, chunked",
                    b"Chunked",
                    b"xchunked",
                )
            )
            lines = [b"Transfer-Encoding: " + coding]
            if self._chance(0.4):
                lines.insert(
                    self._random.randint(0, 1), b"Transfer-Encoding: " + self._random.choice((b"identity", b"chunked"))
                )
            return self._chunks(), lines
        return self._chunks(), [chunked]

    def _content_range(self) -> bytes:
        """Say which range it is, and decide which was asked for: mostly that."""
        start = self._random.choice((0, 10, 2**40))
        end = start + len(self.body)
        total: object = self._random.choice((end, end + 1, end + 1000))
        self.range = start, end if self._right or self._chance(0.8) else max(start, end + self._random.randint(-3, 3))
        if self._right or self._chance(0.7):
            return b"Content-Range: bytes %d-%d/%d" % (start, end - 1, total)
        start, end = (at + self._random.choice((0, 0, 1, -1, 2**63)) for at in (start, end))
        total = self._random.choice((total, "*", end - 1, 2**63, "", "x"))
        unit = self._random.choice((b"bytes ", b"bytes ", b"BYTES ", b"bytes=", b"items ", b""))
        return b"Content-Range: " + unit + f"{start}-{end - 1}/{total}".encode()

    def _number(self, value: int) -> bytes:
        number = b"%d" % value
        if self._wrong(0.06):
            number = self._random.choice(
                (
                    b"+" + number,
                    b"-" + number,
                    number + b"x",
                    b"0x%x" % value,
                    b"00" + number,
                    number + b" ",
                    b"1_0",
                    b"",
                    number + b".0",
                    b"%d" % (value + 2**64),
                    b"%d" % (2**63 - 1),
                    b"\xb2",
                    number + b";",
                    b'"' + number + b'"',
                )
            )
        return number

    def _chunks(self) -> bytes:
        data, body = b"", self.body
        while body:
            size = self._random.randint(1, len(body))
            data += self._size(size) + self._chunk_end() + body[:size] + self._chunk_end()
            body = body[size:]
        last = self._random.choice((b"0",) * 9 + (b"000", b"0;x"))
        if self._wrong(0.04):
            last = self._random.choice((b"", b"00000000000000000", b"0 x"))
        return data + last + self._chunk_end() + self._trailer() + self._chunk_end()

    def _chunk_end(self) -> bytes:
        return self._random.choice((b"\n", b"\r", b"", b"\r\r\n", b" \r\n")) if self._wrong(0.01) else b"\r\n"

    def _size(self, size: int) -> bytes:
        number = self._random.choice((b"%x" % size, b"%X" % size, b"%04x" % size))
        if self._chance(0.05):
            number += self._random.choice((b";a=b", b' ; a="b c"', b";a"))
        if self._wrong(0.03):
            number += self._random.choice((b";", b"; \xe4", b" ", b"  ", b";\0", b" 5", b",5", b";a\rb"))
        if self._wrong(0.02):
            number = self._random.choice((b"0x" + number, b"+" + number, b"-" + number, b" " + number, b"1_0", b"g"))
        return number

    def _trailer(self) -> bytes:
        if self._chance(0.85):
            return b""
        wrong = (b"no colon", b"X Y: 1", b"X: \0", b"Content-Length: 3", b'ETag: "t"', b"HTTP/1.1 200 OK: x")
        lines = [self._random.choice(wrong) if self._wrong(0.3) else self._field() for _ in range(self._few(3))]
        return b"".join(line + self._chunk_end() for line in lines)

    # --- what is wrong with all of it

    def _behind(self) -> bytes:
        """Return what is behind the end: nothing, or what could be taken for the next reply."""
        if not self._wrong(0.07):
            return b""
        return self._random.choice(
            (b"\n", b"\r\n", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG", b"HTTP/1.1 200", b"\0" * 100)
        )

    def _broken(self, data: bytes) -> bytes:
        """Change a byte or two, or end early."""
        if self._wrong(0.12) and data:
            at = self._random.randrange(len(data))
            letter = bytes([self._random.choice((*CONTROLS, *b"\r\n :;,0x"))])
            data = data[:at] + self._random.choice((letter, b"", data[at : at + 1] + letter)) + data[at + 1 :]
        if self._wrong(0.05):
            self.closes = True
            data = data[: self._random.randint(0, len(data))]
        return data

    def _pieces(self) -> list[bytes]:
        """Cut the bytes into pieces that are sent one by one."""
        if self._chance(0.6):
            return [self.data]
        cuts = sorted(self._random.randint(0, len(self.data)) for _ in range(self._few(4)))
        if len(self.data) < 300 and self._chance(0.1):
            cuts = list(range(1, len(self.data)))
        return [self.data[start:end] for start, end in zip([0, *cuts], [*cuts, len(self.data)], strict=True)]

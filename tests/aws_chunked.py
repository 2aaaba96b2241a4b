"""What comes of a body that is sent in Amazon's chunks, with its checksum behind it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

from collections.abc import Mapping

WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
LEAST_CHUNK = 8 << 10


def unframed(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers, in small letters, and bytes of a request, as if the checksum had come in a header.

    Raises:
        ValueError: The body is not what such a body has to be.
    """
    if headers.get("x-amz-content-sha256") != WITH_TRAILER:
        return {**headers}, body
    *encodings, last = headers["content-encoding"].split(",")
    data, rest = _chunks(body)
    name, _, told = rest.removesuffix(b"\r\n\r\n").decode().partition(":")
    expected = ("aws-chunked", headers["x-amz-trailer"], int(headers["x-amz-decoded-content-length"]))
    if (last.strip(), name, len(data)) != expected or rest.count(b"\r\n") != 2:
        raise ValueError(f"{(last, rest, len(data))} is not {expected}")
    return {**headers, "content-encoding": ",".join(encodings), name: told}, data


def _chunks(body: bytes) -> tuple[bytes, bytes]:
    """Return what is in the chunks, and what follows the last, which is empty."""
    data: list[bytes] = []
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return b"".join(data), body
        if data and len(data[-1]) < LEAST_CHUNK:
            raise ValueError(f"a chunk of {len(data[-1])} bytes is not the last")
        data.append(body[:size])
        if len(data[-1]) < size or body[size : size + 2] != b"\r\n":
            raise ValueError(f"a chunk of {size} bytes has no end")
        body = body[size + 2 :]

"""The bytes that the fault server serves for any key nobody has written: client and server know them beforehand."""

WORD = 8  # bytes
LAST = [b"", *(bytes([number]) for number in range(256))]
STRETCH = WORD * 256
"""The words whose index differs in its last byte alone."""


def content(start: int, end: int, version: int = 1) -> bytes:
    """Return bytes [start, end) of the generated object.

    It is a row of 8-byte big-endian numbers: the top byte is `version`, the rest the word's own index. So a byte at the
    wrong offset, or out of another version, is seen.
    """
    first, last = start // STRETCH, -(-end // STRETCH)
    beginnings = ((version << 48) + index for index in range(first, last))
    words = b"".join([beginning.to_bytes(WORD - 1, "big").join(LAST) for beginning in beginnings])
    return words[start - first * STRETCH : end - first * STRETCH]

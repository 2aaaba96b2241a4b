"""The bytes that the fault server serves for any key nobody has written: client and server know them beforehand."""

from functools import lru_cache

WORD = 8  # bytes
LAST = [b"", *(bytes([number]) for number in range(256))]
STRETCH = WORD * 256
"""The words whose index differs in its last byte alone."""
BLOCK = 1 << 20


def content(start: int, end: int, version: int = 1) -> bytes:
    """Return bytes [start, end) of the generated object.

    It is a row of 8-byte big-endian numbers: the top byte is `version`, the rest the word's own index. So a byte at the
    wrong offset, or out of another version, is seen.
    """
    first, last = start // BLOCK, -(-end // BLOCK)
    blocks = [memoryview(block(number, version)) for number in range(first, last)]
    if blocks:
        blocks[-1] = blocks[-1][: end - (last - 1) * BLOCK]
        blocks[0] = blocks[0][start - first * BLOCK :]
    return b"".join(blocks)


@lru_cache(maxsize=64)
def block(number: int, version: int) -> bytes:
    """Return a MiB of it: made once, as it is sent and summed up again and again."""
    first = number * BLOCK // STRETCH
    beginnings = ((version << 48) + index for index in range(first, first + BLOCK // STRETCH))
    return b"".join([beginning.to_bytes(WORD - 1, "big").join(LAST) for beginning in beginnings])

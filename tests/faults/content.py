"""The bytes that the fault server serves for any key nobody has written: client and server know them beforehand."""

import sys
from array import array

WORD = 8  # bytes


def content(start: int, end: int, version: int = 1) -> bytes:
    """Return bytes [start, end) of the generated object.

    It is a row of 8-byte big-endian numbers: the top byte is `version`, the rest the word's own index. So a byte at the
    wrong offset, or out of another version, is seen.
    """
    first, last = start // WORD, -(-end // WORD)
    words = array("Q", range((version << 56) + first, (version << 56) + last))
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()[start - first * WORD : end - first * WORD]

"""What pieces add up to: however an object is cut, into parts by who wrote it and into pieces by who reads it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import accumulate, pairwise
from zlib import crc32

import pytest

from objstore.interface.values import Sums
from objstore.operations.sums import OfParts, Whole, equal_parts

DATA = random.Random(7).randbytes(1000)
EMPTY = Sums("crc32", b"", bytes(4), 0)


def digest(algorithm: str, data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "big") if algorithm == "crc32" else sha256(data).digest()


def told(algorithm: str, data: bytes, sizes: Sequence[int]) -> Sums:
    """Return what a service tells of an object in parts."""
    parts = [data[start:end] for start, end in pairwise([0, *accumulate(sizes)])]
    digests = b"".join(digest(algorithm, part) for part in parts)
    return Sums(algorithm, b"", digest(algorithm, digests), len(data), len(parts))


def pieces(random: random.Random, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut bytes anyhow."""
    at = 0
    while at < len(data):
        size = random.randint(1, 300)
        yield at, data[at : at + size]
        at += size


def add_all(whole: Whole, random: random.Random, data: bytes) -> None:
    for at, piece in pieces(random, data):
        whole.add(at, whole.digest(at, piece, None))


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
@pytest.mark.parametrize("seed", range(30))
def test_any_parts_by_any_pieces(algorithm: str, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.randint(0, len(DATA)) for _ in range(chance.randint(0, 9)))  # empty parts, too
    sizes = [end - start for start, end in pairwise([0, *cuts, len(DATA)])]
    whole = OfParts("a", told(algorithm, DATA, sizes), sizes, is_sure=True)
    add_all(whole, chance, DATA)
    assert not whole.is_damaged
    assert whole.end == len(DATA)
    at = chance.randrange(len(DATA))
    whole.forget()
    add_all(whole, chance, DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1 :])
    assert whole.is_damaged


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
def test_swapped_parts_are_damage(algorithm: str) -> None:
    whole = OfParts("a", told(algorithm, DATA, [400, 400, 200]), [400, 400, 200], is_sure=True)
    add_all(whole, random.Random(1), DATA[400:800] + DATA[:400] + DATA[800:])
    assert whole.is_damaged


def test_nothing_is_said_of_what_is_not_all_there() -> None:
    whole = OfParts("a", told("crc32", DATA, [500, 500]), [500, 500], is_sure=True)
    whole.add(0, whole.digest(0, b"?" * 500, None))
    whole.add(600, whole.digest(600, b"?" * 400, None))
    assert not whole.is_damaged


def test_an_empty_object() -> None:
    assert not OfParts("a", told("sha256", b"", [0]), [0], is_sure=True).is_damaged
    assert not Whole("a", EMPTY).is_damaged


def test_other_parts_than_were_likely() -> None:
    """All is to be added anew; who still adds by the old ones says nothing, and raises no alarm."""
    sizes = [600, 400]
    whole = OfParts("a", told("crc32", DATA, sizes), [500, 500], is_sure=False)
    late = whole.digest(0, DATA, None)
    whole.add(0, late)
    assert whole.is_damaged
    assert whole.settle(sizes)
    assert whole.is_sure
    assert not whole.is_damaged
    whole.add(0, late)
    assert not whole.is_damaged
    whole.forget()
    whole.add(0, whole.digest(0, DATA, None))
    assert whole.end == len(DATA)
    assert not whole.is_damaged


def test_the_same_parts_as_were_likely() -> None:
    whole = OfParts("a", told("crc32", b"other" * 200, [500, 500]), [500, 500], is_sure=False)
    whole.add(0, whole.digest(0, DATA, None))
    assert not whole.settle([500, 500])
    assert (whole.is_sure, whole.is_damaged) == (True, True)


def test_parts_that_nobody_tells() -> None:
    whole = OfParts("a", told("crc32", b"other" * 200, [500, 500]), [500, 500], is_sure=False)
    whole.add(0, whole.digest(0, DATA, None))
    assert not whole.settle(None)
    assert (whole.is_sure, whole.is_damaged) == (False, False)


@pytest.mark.parametrize(
    ("size", "first", "count", "sizes"),
    [
        (10, 4, 3, [4, 4, 2]),
        (12, 4, 3, [4, 4, 4]),
        (13, 4, 3, None),
        (8, 4, 3, None),
        (4, 4, 1, [4]),
        (3, 4, 1, [3]),
        (10, 5, 2, [5, 5]),
        (0, 0, 1, None),
    ],
)
def test_equal_parts(size: int, first: int, count: int, sizes: list[int] | None) -> None:
    assert equal_parts(size, first, count) == sizes

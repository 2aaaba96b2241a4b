"""Checksums: against their catalogue, zlib, google-crc32c, and a reference that takes one bit after the other."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import objstore
from objstore._core import checksum, combined_checksum

# https://reveng.sourceforge.io/crc-catalogue/all.htm
CHECKS = {"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888"}
POLYNOMIALS = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}
WORST = 3 * 256 + 65
"""Bytes that take every way through the code: lanes, blocks, words and single ones."""

by_algorithm = pytest.mark.parametrize("algorithm", CHECKS)


def bit_by_bit(algorithm: str, data: bytes) -> bytes:
    polynomial, size = POLYNOMIALS[algorithm], len(CHECKS[algorithm]) // 2
    ones = (1 << 8 * size) - 1
    value = ones
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
    return (value ^ ones).to_bytes(size, "big")


def in_pieces(algorithm: str, data: bytes, size: int) -> bytes:
    """Return the checksum, begun anew for each piece: of small ones, by tables alone."""
    value = checksum(algorithm, b"")
    for start in range(0, len(data), size):
        value = checksum(algorithm, data[start : start + size], value)
    return value


@by_algorithm
def test_check_values(algorithm: str) -> None:
    assert checksum(algorithm, b"123456789").hex() == CHECKS[algorithm]
    assert not any(checksum(algorithm, b""))


@by_algorithm
def test_every_length_and_place(algorithm: str) -> None:
    data = Random(1).randbytes(WORST + 64)
    for length in range(WORST):
        piece = memoryview(data)[length % 64 : length % 64 + length]
        assert checksum(algorithm, piece) == bit_by_bit(algorithm, bytes(piece)), length


@pytest.mark.parametrize("size", [1_000, 65_537, 3_000_001])
def test_long_data_as_others_see_it(size: int) -> None:
    data = Random(size).randbytes(size)
    assert checksum("crc32", data) == zlib.crc32(data).to_bytes(4, "big")
    google_crc32c = pytest.importorskip("google_crc32c")
    assert checksum("crc32c", data) == google_crc32c.value(data).to_bytes(4, "big")


@by_algorithm
@pytest.mark.parametrize("size", [1, 7, 8, 31])
def test_tables_alone(algorithm: str, size: int) -> None:
    data = Random(2).randbytes(20_000)
    assert in_pieces(algorithm, data, size) == checksum(algorithm, data)


@by_algorithm
@given(data=st.binary(max_size=600), cut=st.integers(0, 600))
def test_stretches_are_combined(algorithm: str, data: bytes, cut: int) -> None:
    first, second = data[:cut], data[cut:]
    assert checksum(algorithm, second, checksum(algorithm, first)) == checksum(algorithm, data)
    both = combined_checksum(algorithm, checksum(algorithm, first), checksum(algorithm, second), len(second))
    assert both == checksum(algorithm, data) == bit_by_bit(algorithm, data)


@by_algorithm
def test_a_long_second_stretch(algorithm: str) -> None:
    first, zeros = b"some bytes", bytes(5_000_000)
    both = combined_checksum(algorithm, checksum(algorithm, first), checksum(algorithm, zeros), len(zeros))
    assert both == checksum(algorithm, first + zeros)


EACH_WAY = """
#include "crc.h"
Crc crc;
void begin(int width, uint64_t polynomial) { crc_fill(&crc, "", width, polynomial); }
uint64_t tables(const uint8_t* data, size_t size) { return crc_by_tables(&crc, crc_ones(&crc), data, size); }
uint64_t strides(uint8_t* first, const uint8_t* data, size_t size) {
    return crc_is_quick() ? crc_fold_strides(&crc, first, data, data + size) - data : 0;
}
uint64_t wide(uint8_t* first, const uint8_t* data, size_t size) {
    return crc_is_wide() ? crc_fold_wide(&crc, first, data, data + size) - data : 0;
}
"""
"""What the processor decides between, each by itself."""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@by_algorithm
def test_each_way(algorithm: str, tmp_path: Path) -> None:
    """Whatever this processor would choose: folding leaves a stride that stands for all that came before it."""
    library = build(tmp_path)
    library.begin(4 * len(CHECKS[algorithm]), POLYNOMIALS[algorithm])
    data = Random(4).randbytes(256 * 9)
    told = library.tables(data, len(data))
    for fold in (library.strides, library.wide):
        first = ctypes.create_string_buffer(flipped(data[:256], len(CHECKS[algorithm]) // 2), 256)
        done = fold(first, data[256:], len(data) - 256)
        if not done:
            pytest.skip(f"this processor has no instructions for {fold.__name__}")
        assert done == len(data) - 256
        assert library.tables(flipped(first.raw, len(CHECKS[algorithm]) // 2), 256) == told


def build(folder: Path) -> ctypes.CDLL:
    source, library = folder / "ways.c", folder / "ways.so"
    source.write_text(EACH_WAY)
    include = Path(objstore.__file__).parent / "_core"
    subprocess.run(["cc", "-O1", "-fPIC", "-shared", f"-I{include}", "-o", library, source], check=True)
    built = ctypes.CDLL(str(library))
    for name in ("tables", "strides", "wide"):
        getattr(built, name).restype = ctypes.c_uint64
    built.begin.argtypes = [ctypes.c_int, ctypes.c_uint64]
    built.tables.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    built.strides.argtypes = built.wide.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    return built


def flipped(data: bytes, count: int) -> bytes:
    """Return data with its first bytes inverted, as a check begins with them."""
    return bytes(byte ^ 0xFF for byte in data[:count]) + data[count:]


@by_algorithm
def test_every_single_bit_counts(algorithm: str) -> None:
    data = bytearray(Random(3).randbytes(WORST))
    right = checksum(algorithm, data)
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        assert checksum(algorithm, data) != right, bit
        data[bit // 8] ^= 1 << bit % 8


def test_what_is_no_checksum() -> None:
    with pytest.raises(ValueError, match=r"'md5'.*crc32, crc32c and crc64nvme"):
        checksum("md5", b"")
    with pytest.raises(ValueError, match="8 bytes"):
        checksum("crc64nvme", b"", b"abcd")
    with pytest.raises(BufferError):
        checksum("crc32", memoryview(b"abcd")[::2])

"""The objects that the rows read and write: every byte tells where it belongs, so that a misplaced one is seen.

Files lie on tmpfs where there is one. A worker checks what it got against the same files, mapped.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

BUCKET, REGION = "bench", "us-east-1"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "benchbenchbenchbench", "not-a-secret-nginx-does-not-look"
ACCOUNT, ACCOUNT_KEY = "benchaccount", "bm90LWEtc2VjcmV0LW5naW54LWRvZXMtbm90LWxvb2s="
SMALL_COUNT, SMALL_BYTES = 2_000, 1024
LARGE = {"big": 1 << 30, "medium": 1 << 28, "warm": 1 << 24}
PIECES = "pieces/big"
"""The big object under a second name, which the server reads in small pieces."""
LISTED_KEYS, HUGE_KEYS, PAGE_KEYS = 100_000, 600_000, 1_000
DELAYED_BODY = bytes(i * 7 & 0xFF for i in range(1024))
"""What servers/origin.c answers to every GET."""

_BLOCK = 1 << 26
_PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>bench</Name><Prefix>listed/</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{count}</MaxKeys>"
    "<IsTruncated>{truncated}</IsTruncated>{token}{entries}</ListBucketResult>"
)
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-01T12:{minute:02d}:{second:02d}.000Z</LastModified>"
    "<ETag>&quot;{tag:032x}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>{size}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


def small_key(index: int) -> str:
    return f"small/{index:05d}"


def listed_key(index: int) -> str:
    return f"listed/run-{index // 1000:03d}/part-{index:06d}.parquet"


def write_objects(root: Path) -> None:
    """Write the small objects, the big ones and the list pages below `root`, the document root."""
    (root / BUCKET / "small").mkdir(parents=True)
    for index in range(SMALL_COUNT):
        (root / BUCKET / small_key(index)).write_bytes(content(index << 32, SMALL_BYTES))
    for name, size in LARGE.items():
        with (root / BUCKET / name).open("wb") as file:
            for start in range(0, size, _BLOCK):
                file.write(content(start, min(_BLOCK, size)))
    (root / BUCKET / "pieces").mkdir()
    (root / BUCKET / "pieces" / "big").hardlink_to(root / BUCKET / "big")
    _write_pages(root / "pages")


def mapped(root: Path, key: str) -> mmap.mmap:
    """Map an object's file, read-only."""
    with (root / BUCKET / key).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)


def touch_memory(size: int) -> None:
    """Make a virtual machine's host back this much free memory now, not inside the clock of whoever allocates next.

    A guest that reports free pages loses them to the host within two seconds, and gets them back at 0.5 GB/s.
    """
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        pages.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, size, mmap.PAGESIZE):
            pages[start] = 1


def body_sum(root: Path, key: str) -> int:
    """Return the sum of an object's bytes, which no order of parts changes."""
    return int(np.frombuffer(mapped(root, key), np.uint8).sum(dtype=np.uint64))


def folder() -> Path:
    """Return where temporary files are kept in memory, or the usual place if this system has no /dev/shm."""
    shm = Path("/dev/shm")
    return shm if os.access(shm, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))


def content(start: int, size: int) -> bytes:
    """Return bytes that tell where they belong: those from `start` on."""
    words = np.arange(start // 8, (start + size) // 8, dtype=np.uint64)
    return (words * np.uint64(0x9E3779B97F4A7C15)).tobytes()


def _write_pages(into: Path) -> None:
    """Write page- (the first), page-1000, ... by continuation token, and page-warm with one key."""
    into.mkdir()
    (into / "page-warm").write_text(page(entry(0, "warm/only"), 1, None))
    for first in range(0, LISTED_KEYS, PAGE_KEYS):
        following = first + PAGE_KEYS
        entries = "".join(entry(index, listed_key(index)) for index in range(first, following))
        text = page(entries, PAGE_KEYS, str(following) if following < LISTED_KEYS else None)
        (into / f"page-{first or ''}").write_text(text)


def entry(index: int, key: str) -> str:
    """Return what a listing says of a key."""
    return _ENTRY.format(key=key, minute=index // 60 % 60, second=index % 60, tag=index * 2654435761, size=index + 1)


def page(entries: str, count: int, token: str | None) -> str:
    """Return a page of a listing."""
    return _PAGE.format(
        count=count,
        truncated="false" if token is None else "true",
        token="" if token is None else f"<NextContinuationToken>{token}</NextContinuationToken>",
        entries=entries,
    )

"""A program in which every allocation of the engine and of libcurl fails once, in each of some thirty operations."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from objstore import _core
from objstore.exceptions import BaseError
from objstore.store import LocalStore, MemoryStore, S3Store
from tests.faults.client import FaultServer
from tests.faults.content import content

SIZE = 1 << 20
PARTS = 11 << 20
Operation = Callable[[], Any]
fail_allocation: Callable[[int], int | None] = _core._fail_allocation  # type: ignore[attr-defined]
live_allocations: Callable[[], int] = _core._live_allocations  # type: ignore[attr-defined]


def every_allocation(endpoint: str) -> int:
    """Print what became of each operation and what was lost; return 1 if anything is wrong."""
    wrong = 0
    _core.configure_memory(0)  # what is kept for reuse would look lost
    with TemporaryDirectory() as folder, planted(FaultServer(endpoint), Path(folder)) as operations:
        for name, (operation, right) in operations.items():
            sweep(operation, right)  # whatever is made once is made
            before = live_allocations()
            failures, errors, lies = sweep(operation, right)
            lost = still_lost(before)
            wrong += bool(lies) or lost > 0
            print(f"{name}: {failures} allocations, {errors} errors, lies {lies}, {lost} lost", flush=True)
    return bool(wrong)


def still_lost(before: int) -> int:
    """Return how many allocations there are more than before, once helper threads have let go of theirs."""
    until = time.monotonic() + 5
    while (lost := live_allocations() - before) > 0 and time.monotonic() < until:
        time.sleep(0.01)
    return lost


def sweep(operation: Operation, right: Any) -> tuple[int, int, list[Any]]:
    """Call it with the first allocation failing, the second, and so on until none does."""
    errors, lies = 0, list[Any]()
    for number in count():
        fail_allocation(number)
        try:
            result = operation()
        except (BaseError, MemoryError, OSError, RuntimeError):
            errors += 1
        else:
            lies += [] if right in (None, result) else [(number, str(result)[:40])]
        left = fail_allocation(-1)
        gc.collect(0)
        if left is None or left >= 0:
            return number, errors, lies
    raise AssertionError


@contextmanager
def planted(server: FaultServer, folder: Path) -> Iterator[dict[str, tuple[Operation, Any]]]:
    """Yield operations with the results that they may have, None for any."""
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    s3 = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        client_options={"allow_http": True, "first_byte_timeout": 0.3},
        retry_config={"backoff": {"init_backoff": timedelta(milliseconds=1)}},
        **keys,
    )
    local, memory = LocalStore(folder), MemoryStore()
    for store in (s3, local, memory):
        store.put("kept", b"kept")
    s3.put("folder/kept", b"kept")
    whole, numbers = content(0, SIZE), count()
    one, some = content(1000, 2000), [content(start, start + 10) for start in (0, 1000, 500_000)]

    def fresh(scenario: str) -> str:
        return f"{scenario}/{next(numbers)}"

    def failed(store: Any) -> None:
        with suppress(LookupError), store.open(fresh("plain"), "wb") as file:
            file.write(bytes(PARTS))
            raise LookupError("planted")

    yield {
        "get": (lambda: bytes(s3.get("plain/a").bytes()), whole),
        "get_async": (lambda: asyncio.run(read(s3)), whole),
        "stream": (lambda: b"".join(bytes(piece) for piece in s3.get("plain/a").stream()), whole),
        "head": (lambda: s3.head("plain/a")["size"], SIZE),
        "get_range": (lambda: bytes(s3.get_range("plain/a", start=1000, end=2000)), one),
        "get_ranges": (lambda: ranges(s3), some),
        "get_many": (lambda: [bytes(body) for body in s3.get_many(["plain/a", "plain/b"])], [whole, whole]),
        "head_many": (lambda: len(s3.head_many(["plain/a", "plain/b"])), 2),
        "iter_many": (lambda: len(list(s3.iter_many(["plain/a", "plain/b"]))), 2),
        "a cut body": (lambda: bytes(s3.get(fresh("cut-by-fin")).bytes()), whole),
        "a reset": (lambda: bytes(s3.get(fresh("reset-first")).bytes()), whole),
        "503": (lambda: bytes(s3.get(fresh("throttled-once")).bytes()), whole),
        "an ignored range": (lambda: bytes(s3.get_range("ignored-range/a", start=1000, end=2000)), one),
        "put": (lambda: s3.put(fresh("plain"), b"data")["e_tag"], None),
        "put in parts": (lambda: s3.put(fresh("plain"), bytes(PARTS))["e_tag"], None),
        "put_async": (lambda: asyncio.run(write(s3, fresh("plain"))), None),
        "put_many": (lambda: s3.put_many([("put/a", b"a"), ("put/b", b"b")]), None),
        "a failed writer": (lambda: failed(s3), None),
        "copy": (lambda: s3.copy("kept", "copied"), None),
        "delete": (lambda: s3.delete(["gone/a", "gone/b"]), None),
        "list": (lambda: [row["path"] for row in s3.list("folder").collect()], ["folder/kept"]),
        "list as arrow": (lambda: s3.list("folder", return_arrow=True).collect().num_rows, 1),
        "list_with_delimiter": (lambda: len(s3.list_with_delimiter("nothing")["objects"]), 0),
        "download": (lambda: (s3.download("plain/a", folder / "down"), (folder / "down").read_bytes())[1], whole),
        "open": (lambda: s3.open("plain/a").read(), whole),
        "local get": (lambda: bytes(local.get("kept").bytes()), b"kept"),
        "local get_many": (lambda: [bytes(body) for body in local.get_many(["kept"])], [b"kept"]),
        "local put": (lambda: local.put("a", b"a")["e_tag"], None),
        "local list": (lambda: "kept" in [row["path"] for row in local.list().collect()], True),
        "memory": (lambda: bytes(memory.get("kept").bytes()), b"kept"),
        "memory of pieces": (lambda: gathered(memory), whole * 4),
    }


async def read(store: Any) -> bytes:
    return bytes(await (await store.get_async("plain/a")).bytes_async())


async def write(store: Any, key: str) -> None:
    await store.put_async(key, b"data")


def ranges(store: Any) -> list[bytes]:
    return [bytes(piece) for piece in store.get_ranges("plain/a", starts=[0, 1000, 500_000], lengths=[10, 10, 10])]


def gathered(store: Any) -> bytes:
    piece = content(0, SIZE)
    store.put("pieces", iter([piece[:50_000], piece[50_000:], *[piece] * 3]))
    return bytes(store.get("pieces").bytes())


if __name__ == "__main__":
    sys.exit(every_allocation(sys.argv[1]))
